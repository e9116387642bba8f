"""Sealed ids: what opens, and that nothing else does."""

import pytest
from contit_mcp.server.handles import Sealer
from hypothesis import given
from hypothesis import strategies as st

OLD, NEW = "o" * 32, "n" * 32
SEALER = Sealer([NEW, OLD])
TEXT = st.text(max_size=256)


@given(TEXT, TEXT)
def test_a_handle_opens_for_its_owner_and_kind_alone(owner: str, text: str) -> None:
    """And is always the same, so that a model can compare (our choice)."""
    try:
        handle = SEALER.seal("thread", owner, text)
    except UnicodeEncodeError:
        return  # a lone surrogate is no id that JSON could carry
    assert handle == SEALER.seal("thread", owner, text)
    assert handle.isascii()
    assert SEALER.open("thread", owner, handle) == text
    assert SEALER.open("run", owner, handle) is None
    assert SEALER.open("thread", owner + "x", handle) is None


@given(st.text(max_size=300))
def test_no_text_of_anyones_own_making_opens(text: str) -> None:
    """Forged, foreign or raw ids are one thing: unknown (our choice)."""
    assert SEALER.open("thread", "owner", text) is None
    assert SEALER.open("thread", "owner", f"h1_{text}") is None


@given(st.data())
def test_a_handle_with_any_change_does_not_open(data: st.DataObject) -> None:
    """Cut, longer, or with another character (our choice)."""
    handle = SEALER.seal("run", "owner", "run_0123456789")
    place = data.draw(st.integers(0, len(handle) - 1))
    other = data.draw(st.sampled_from("ABCabc019-_=. \n").filter(lambda c: c != handle[place]))
    for changed in (handle[:place], handle + other, handle[:place] + other + handle[place + 1 :]):
        assert SEALER.open("run", "owner", changed) is None


def test_the_first_key_seals_and_all_open() -> None:
    """So keys are changed without losing a handle (our choice)."""
    before, during, after = Sealer([OLD]), Sealer([NEW, OLD]), Sealer([NEW])
    old = before.seal("thread", "owner", "t")
    assert during.open("thread", "owner", old) == "t"
    new = during.seal("thread", "owner", "t")
    assert after.open("thread", "owner", new) == "t"
    assert after.open("thread", "owner", old) is None
    assert before.open("thread", "owner", new) is None


@pytest.mark.parametrize("keys", [[], ["k" * 31], [NEW, ""]])
def test_a_short_key_is_refused(keys: list[str]) -> None:
    """Else it could be tried out (our choice)."""
    with pytest.raises(ValueError, match="32 characters"):
        Sealer(keys)
