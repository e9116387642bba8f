"""Failures: what a caller is told, and what is not lost."""

import io

import anyio
import pytest

from tests.fundamentals.conftest import Stage
from tests.server.stage import call

pytestmark = pytest.mark.anyio
QUESTION = {"prompt": "How many drafts are there?"}


async def test_an_error_says_what_happened_and_what_to_do(stage: Stage) -> None:
    """In the text and in the structure."""
    async with stage.host() as client:
        result, texts, is_error = await call(client, "contit_ask", {"prompt": "   "})
    assert is_error
    assert result["error"] in texts[0]
    assert result["next_step"] in texts[0]
    assert stage.contit.requests == []


async def test_a_run_that_fails_is_an_error_of_the_question(stage: Stage) -> None:
    """There is no answer, but there are ids. contit_status reports the same run as a result."""
    stage.fails("failed on=start")
    async with stage.host() as client:
        result, _, is_error = await call(client, "contit_ask", QUESTION)
        ids = {name: result[name] for name in ("thread_id", "run_id")}
        state, _, state_is_error = await call(client, "contit_status", ids)
        _, _, response_is_error = await call(client, "contit_response", ids)
    assert (result["status"], is_error) == ("failed", True)
    assert (state["status"], state_is_error, response_is_error) == ("failed", False, True)


async def test_a_start_that_may_have_arrived_is_not_sent_again(stage: Stage) -> None:
    """Contit has no idempotency key, so the caller is told that the question may run."""
    stage.fails("500 on=start")
    async with stage.host() as client:
        result, _, is_error = await call(client, "contit_ask", QUESTION)
    assert is_error
    assert "it is unknown whether a run was started" in result["error"]
    assert [request.endpoint for request in stage.contit.requests] == ["start"]


async def test_a_fault_after_the_start_loses_no_run(stage: Stage) -> None:
    """While Contit does not answer, the call waits, and then returns the ids."""
    stage.fails("503 on=status times=forever")
    async with stage.host() as client:
        result, _, is_error = await call(client, "contit_ask", QUESTION)
    assert (result["status"], is_error) == ("in_progress", False)
    assert result["run_id"] == stage.contit.runs[0].run_id


async def test_a_caller_that_leaves_stops_the_polls_and_not_the_run(stage: Stage) -> None:
    """Contit has no cancel. The same question gets the answer afterwards."""
    async with stage.host() as client:
        with anyio.move_on_after(1):
            await call(client, "contit_ask", QUESTION)
        await anyio.sleep(0.1)
        polls = len(stage.contit.requests)
        await anyio.sleep(10)
        assert len(stage.contit.requests) == polls
        result, _, _ = await call(client, "contit_ask", QUESTION)
    assert result["status"] == "completed"
    assert len(stage.contit.runs) == 1


async def test_a_wrong_key_is_named(stage: Stage) -> None:
    """The answer to a 401 is a new key, not another call."""
    stage.fails("401 on=start")
    async with stage.host() as client:
        result, _, _ = await call(client, "contit_ask", QUESTION)
    assert result["error"].startswith("Contit refused the credential (401)")


async def test_the_log_has_no_question_and_no_answer(stage: Stage, logged: io.StringIO) -> None:
    """It has one line a call, with the ids and the outcome."""
    async with stage.host() as client:
        result, _, _ = await call(client, "contit_ask", QUESTION)
    assert result["run_id"] in logged.getvalue()
    assert '"outcome": "completed"' in logged.getvalue()
    assert "drafts" not in logged.getvalue()
    assert "12 articles" not in logged.getvalue()
