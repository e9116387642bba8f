"""An ask or a start that does not lead to an answer at once: waits, errors with the ids, and refused starts."""

from dataclasses import replace
from typing import Any

import anyio
import httpx
import pytest

from contit_mcp import errors
from contit_mcp.runs.record import Phase
from tests.echo_contit import EchoContit, answer_to
from tests.stage import STEADY, set_stage

pytestmark = pytest.mark.anyio


async def test_an_ask_can_wait_less_for_its_answer_than_for_its_turn_on_the_thread() -> None:
    stage = set_stage(EchoContit(durations={"long": 20, "next": 100, "quick": 1}))
    busy = await stage.start("long")
    began = anyio.current_time()
    report = await stage.ask("next", busy.thread_id, answer_seconds=8)
    assert (report.phase, report.response) == (Phase.IN_PROGRESS, None)
    assert anyio.current_time() - began == pytest.approx(28, abs=1)
    assert (await stage.ask("quick", answer_seconds=8)).response == answer_to("quick")


# The options of Contit, the statuses with which it answers instead, the error, and a part of the error's text.
NO_ANSWER: dict[str, tuple[dict[str, Any], dict[str, int], type[errors.RunError], str]] = {
    **{word: ({"end_words": {"q": word}}, {}, errors.RunFailedError, "failed") for word in ("failed", "expired")},
    "endless": ({"durations": {"q": 1e9}}, {}, errors.RunTimeoutError, "No end seen.* 1 minute "),
    "401": ({}, {"status": 401}, errors.RunUnreachableError, "did not work"),
    "no answer": ({}, {"response": 404}, errors.AnswerUnavailableError, "has no answer"),
}


@pytest.mark.parametrize(("contit", "instead", "error", "text"), NO_ANSWER.values(), ids=NO_ANSWER)
async def test_a_run_without_an_answer_is_an_error_with_its_ids_and_frees_its_thread(
    contit: dict[str, Any], instead: dict[str, int], error: type[errors.RunError], text: str
) -> None:
    """The response of a failed run is never fetched: it could be the previous answer."""
    stage = set_stage(EchoContit(**contit), polling=replace(STEADY, run_seconds=60))
    for endpoint, status in instead.items():
        stage.contit.instead(endpoint, *[httpx.Response(status)] * 50)
    with pytest.raises(error, match=text) as caught:
        await stage.ask("q", wait=240)
    assert (caught.value.thread_id, caught.value.run_id) == ("thread_1", "run_2")
    assert (stage.contit.count("response") > 0) is ("response" in instead)
    stage.contit.replies.clear()
    stage.contit.runs[0].ends = 0  # or Contit itself would refuse the next prompt
    assert (await stage.ask("next", "thread_1")).response == answer_to("next")


@pytest.mark.parametrize("endpoint", ["status", "response"])
async def test_a_fault_of_contit_after_the_start_ends_the_call_with_its_ids_after_20_seconds(endpoint: str) -> None:
    """That is `fault_seconds`, here shorter than the wait."""
    stage = set_stage(polling=replace(STEADY, fault_seconds=20))
    stage.contit.instead(endpoint, *[httpx.Response(503)] * 1000)
    began = anyio.current_time()
    report = await stage.ask("q", wait=200)
    assert (report.phase, report.run_id) == (Phase.IN_PROGRESS, "run_2")
    assert 20 <= anyio.current_time() - began < 30
    stage.contit.replies.clear()
    assert (await stage.response(report)).response == answer_to("q")


async def test_a_run_that_contit_forgot_is_not_found_and_frees_its_thread() -> None:
    """A 404 that comes later is no replication lag."""
    stage = set_stage(EchoContit(durations={"q": 60}))
    first = await stage.ask("q", wait=20)
    stage.contit.instead("status", httpx.Response(404))
    with pytest.raises(errors.RunNotFoundError) as caught:
        await stage.response(first)
    assert (caught.value.thread_id, caught.value.run_id) == (first.thread_id, first.run_id)
    stage.contit.runs[0].ends = 0
    assert (await stage.ask("next", first.thread_id)).response == answer_to("next")


@pytest.mark.parametrize(
    ("thread_id", "status", "error"),
    [
        (None, 401, errors.AuthenticationError),
        (None, 418, errors.APIStatusError),
        ("elsewhere", 404, errors.RunNotFoundError),
        *(("elsewhere", status, errors.ThreadBusyError) for status in (400, 409, 422, 500)),
    ],
)
async def test_a_refused_start_is_sent_once_and_its_status_is_translated(
    thread_id: str | None, status: int, error: type[Exception]
) -> None:
    stage = set_stage()
    stage.contit.instead("start", httpx.Response(status))
    with pytest.raises(error) as caught:
        await stage.ask("q", thread_id)
    assert getattr(caught.value, "thread_id", None) == thread_id
    assert getattr(caught.value, "run_id", None) is None
    assert stage.contit.count("start") == 1


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        *((blank, "blank") for blank in ("", " ", "\n\t\r\n", "\u2003\u00a0")),
        *((no_text, "Unicode") for no_text in ("\ud800", "x\udfff", "\ud83d\ude42")),
        ("secretive " * 3_201, "The prompt has 32,010 characters; 32,000 are allowed."),
        ("é" * 32_001, "32,001 characters"),
    ],
)
async def test_an_unusable_prompt_is_refused_before_any_request_and_not_quoted(prompt: str, message: str) -> None:
    stage = set_stage()
    with pytest.raises(errors.InvalidArgumentError, match=message) as caught:
        await stage.ask(prompt)
    assert "secretive" not in caught.value.message + caught.value.hint
    assert stage.contit.requests == []


@pytest.mark.parametrize("prompt", ["é" * 32_000, "\ttabs\r\nand \x00 controls\u2028", "👩‍🚀 \u202e \U0010ffff"])
async def test_any_other_prompt_is_sent_unchanged(prompt: str) -> None:
    stage = set_stage()
    await stage.start(prompt)
    assert stage.contit.started(prompt) == 1
