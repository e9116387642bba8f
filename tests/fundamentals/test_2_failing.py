"""Failures: the errors that a caller gets, and the runs that are not lost."""

import io

import anyio
import pytest

from contit_mcp.sandbox.options import parse_fault
from contit_mcp.sandbox.record import SandboxRecord
from tests.fundamentals.conftest import ANSWER, QUESTION, Host

pytestmark = pytest.mark.anyio


async def test_an_error_says_what_happened_and_what_to_do(host: Host, contit: SandboxRecord) -> None:
    """Both are in the fields and in the text, because some hosts show their model only one of the two."""
    result = await host.call("contit_ask", prompt="   ")
    assert result.is_error
    assert result.error
    assert result.error in result.text
    assert result.next_step
    assert result.next_step in result.text
    assert contit.requests == []


async def test_a_run_that_failed_is_an_error_where_an_answer_was_asked_for(host: Host, contit: SandboxRecord) -> None:
    """For contit_status the same state is an ordinary result."""
    contit.add_fault(parse_fault("failed on=start"))
    asked = await host.call("contit_ask", prompt=QUESTION)
    state = await host.call("contit_status", thread_id=asked.thread_id, run_id=asked.run_id)
    response = await host.call("contit_response", thread_id=asked.thread_id, run_id=asked.run_id)
    assert (asked.status, asked.is_error) == ("failed", True)
    assert (state.status, state.is_error) == ("failed", False)
    assert (response.status, response.is_error) == ("failed", True)


async def test_a_start_that_may_have_arrived_is_not_sent_again(host: Host, contit: SandboxRecord) -> None:
    """Contit has no idempotency key: a second request would be a second run."""
    contit.add_fault(parse_fault("500 on=start"))
    result = await host.call("contit_ask", prompt=QUESTION)
    assert result.is_error
    assert "it is unknown whether a run was started" in str(result.error)
    assert [request.endpoint for request in contit.requests] == ["start"]


async def test_a_fault_after_the_start_loses_no_run(host: Host, contit: SandboxRecord) -> None:
    """While Contit fails, the call waits, and then returns the ids."""
    contit.add_fault(parse_fault("503 on=status times=forever"))
    result = await host.call("contit_ask", prompt=QUESTION)
    assert (result.status, result.is_error) == ("in_progress", False)
    assert result.run_id == contit.runs[0].run_id


async def test_a_caller_that_leaves_stops_the_polls_and_not_the_run(host: Host, contit: SandboxRecord) -> None:
    """Contit has no cancel. The same question gets the answer afterwards."""
    with anyio.move_on_after(1):
        await host.call("contit_ask", prompt=QUESTION)
    await anyio.sleep(0.1)
    requests = len(contit.requests)
    await anyio.sleep(10)
    assert len(contit.requests) == requests
    assert (await host.call("contit_ask", prompt=QUESTION)).response == ANSWER
    assert len(contit.runs) == 1


async def test_a_credential_that_contit_refuses_is_named(host: Host, contit: SandboxRecord) -> None:
    """A new one is needed, not another call."""
    contit.add_fault(parse_fault("401 on=start"))
    result = await host.call("contit_ask", prompt=QUESTION)
    assert str(result.error).startswith("Contit refused the credential (401)")


async def test_the_log_has_the_ids_and_the_outcome_and_neither_question_nor_answer(
    host: Host, logged: io.StringIO
) -> None:
    result = await host.call("contit_ask", prompt=QUESTION)
    log = logged.getvalue()
    assert str(result.run_id) in log
    assert '"outcome": "completed"' in log
    assert "drafts" not in log
    assert "12 articles" not in log
