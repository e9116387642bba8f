"""Asking: a question, a follow-up, a question that takes long, and several questions at once."""

import anyio
import pytest
from starlette.applications import Starlette

from contit_mcp.sandbox.options import parse_fault
from contit_mcp.sandbox.record import SandboxRecord
from tests.fundamentals.conftest import ANSWER, QUESTION, Host, connected_host

pytestmark = pytest.mark.anyio


async def test_a_host_is_offered_four_tools_that_only_read(host: Host) -> None:
    """A question leaves a conversation behind in Contit; it changes no content."""
    tools = (await host.client.list_tools()).tools
    assert [tool.name for tool in tools] == ["contit_ask", "contit_start", "contit_status", "contit_response"]
    assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools)


async def test_contit_ask_returns_the_answer(host: Host) -> None:
    """The result has two ids: of the conversation, called a thread, and of this question in it, called a run."""
    result = await host.call("contit_ask", prompt=QUESTION)
    assert not result.is_error
    assert result.status == "completed"
    assert result.response == ANSWER
    assert result.thread_id
    assert result.run_id


async def test_a_follow_up_passes_the_thread_id_of_the_answer(host: Host) -> None:
    """Contit remembers the conversation."""
    first = await host.call("contit_ask", prompt="List all published articles from March 2026")
    second = await host.call("contit_ask", prompt="Show me the second one", thread_id=first.thread_id)
    assert "Weekly Update" in str(second.response)
    assert second.thread_id == first.thread_id
    assert second.run_id != first.run_id


async def test_a_call_that_cannot_wait_longer_returns_the_ids(host: Host) -> None:
    """Hosts end calls that take long, so the wait has a limit. Its end is no error: the result names the next call."""
    result = await host.call("contit_ask", prompt=QUESTION, wait_seconds=1)
    assert not result.is_error
    assert result.status == "in_progress"
    assert "Call contit_response with these ids; do not ask again." in str(result.next_step)


async def test_contit_response_continues_the_wait(host: Host, contit: SandboxRecord) -> None:
    """It waits for the same run."""
    waiting = await host.call("contit_ask", prompt=QUESTION, wait_seconds=1)
    result = await host.call("contit_response", thread_id=waiting.thread_id, run_id=waiting.run_id)
    assert result.response == ANSWER
    assert len(contit.runs) == 1


async def test_contit_start_lets_several_questions_run_at_once(host: Host) -> None:
    """Two questions of 3 seconds each take 3 seconds together, and each gets its own answer."""
    began = anyio.current_time()
    pages = await host.call("contit_start", prompt="How many pages are there?")
    products = await host.call("contit_start", prompt="How many products are there?")
    of_pages = await host.call("contit_response", thread_id=pages.thread_id, run_id=pages.run_id)
    of_products = await host.call("contit_response", thread_id=products.thread_id, run_id=products.run_id)
    assert anyio.current_time() - began < 5
    assert "pages" in str(of_pages.response)
    assert "products" in str(of_products.response)


async def test_contit_status_tells_the_state_of_a_run_at_once(host: Host) -> None:
    """The answer is left to contit_response."""
    started = await host.call("contit_start", prompt=QUESTION)
    result = await host.call("contit_status", thread_id=started.thread_id, run_id=started.run_id)
    assert result.status == "in_progress"
    await anyio.sleep(4)
    result = await host.call("contit_status", thread_id=started.thread_id, run_id=started.run_id)
    assert (result.status, result.response) == ("completed", None)


async def test_the_wait_fits_the_host(sandbox: Starlette, contit: SandboxRecord) -> None:
    """Claude Code waits for minutes, so its call lasts as long as the run of 100 seconds; an unnamed host gets 25 s."""
    contit.add_fault(parse_fault("slow on=start seconds=97 times=2"))
    async with connected_host(sandbox, name="claude-code") as claude_code, connected_host(sandbox) as unnamed:
        patient = await claude_code.call("contit_ask", prompt="How many pages are there?")
        began = anyio.current_time()
        brief = await unnamed.call("contit_ask", prompt="How many products are there?")
        assert anyio.current_time() - began < 30
    assert (patient.status, brief.status) == ("completed", "in_progress")


async def test_the_same_question_at_the_same_time_is_one_run(host: Host, contit: SandboxRecord) -> None:
    """Models repeat a call that takes long. Both calls return the answer of the one run."""
    answers: list[str | None] = []

    async def ask() -> None:
        answers.append((await host.call("contit_ask", prompt=QUESTION)).response)

    async with anyio.create_task_group() as both:
        both.start_soon(ask)
        both.start_soon(ask)
    assert answers == [ANSWER, ANSWER]
    assert len(contit.runs) == 1


async def test_another_question_waits_until_its_thread_is_free(host: Host) -> None:
    """Contit returns the latest answer of a thread, so two runs on it at once could swap theirs."""
    thread_id = (await host.call("contit_ask", prompt=QUESTION)).thread_id
    answers: dict[str, str | None] = {}

    async def ask(subject: str) -> None:
        result = await host.call("contit_ask", prompt=f"How many {subject} are there?", thread_id=thread_id)
        answers[subject] = result.response

    async with anyio.create_task_group() as both:
        both.start_soon(ask, "pages")
        both.start_soon(ask, "products")
    assert all(subject in str(answer) for subject, answer in answers.items())
    assert len(answers) == 2
