"""What counts as passed, and what fails a run of the suite."""

from tests.conformance.suite import Expectation, Scenario, judge

EVERYWHERE = "wire-schema-valid"


def wrong(found: dict[str, Scenario], fails: tuple[str, ...] = (), not_counted: tuple[str, ...] = ()) -> list[str]:
    """What is wrong with these findings beside these expectations."""
    return judge(found, Expectation(dict.fromkeys(fails, "why"), dict.fromkeys(not_counted, "why"))).wrong


def test_a_failure_is_wrong_unless_it_is_expected() -> None:
    """An expectation names one check, so that it hides no other failure of the scenario."""
    found = {"ping": Scenario(("a", EVERYWHERE), {"b": "broken"})}
    assert wrong(found) == ["ping:b failed: broken"]
    assert not wrong(found, fails=("ping:b",))
    found = {"ping": Scenario(("a", EVERYWHERE), {"b": "broken", "c": "new"})}
    assert wrong(found, fails=("ping:b",)) == ["ping:c failed: new"]
    assert len(wrong(found, fails=("ping",))) == 3


def test_an_expectation_that_holds_no_longer_is_wrong() -> None:
    """The list contains only what fails now."""
    found = {"ping": Scenario(("a",), {})}
    assert not wrong(found)
    for line in ("ping", "ping:a", "no-such-scenario"):
        assert wrong(found, fails=(line,)) == [f"expected.toml: {line} holds no longer; take it out."]
    assert wrong(found, not_counted=("ping",)) == ["ping has passed checks of its own now: count it."]


def test_a_scenario_that_asked_nothing_of_its_own_is_not_counted() -> None:
    """The suite calls such a scenario passed."""
    found = {"ping": Scenario((EVERYWHERE,), {})}
    assert wrong(found) == ["ping passed without a check of its own: say in expected.toml why."]
    verdict = judge(found, Expectation({}, {"ping": "why"}))
    assert (verdict.wrong, verdict.counted, verdict.not_counted) == ([], {}, ["ping"])
