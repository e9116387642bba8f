"""Ask a question, follow it up, and wait for an answer that takes long."""

import anyio
import pytest

from tests.fundamentals.conftest import Stage
from tests.server.stage import call

pytestmark = pytest.mark.anyio
QUESTION = {"prompt": "How many drafts are there?"}


async def test_a_host_is_offered_four_tools_that_only_read(stage: Stage) -> None:
    """Asking leaves a conversation behind, not content."""
    async with stage.host() as client:
        tools = (await client.list_tools()).tools
    assert [tool.name for tool in tools] == ["contit_ask", "contit_start", "contit_status", "contit_response"]
    assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools)


async def test_contit_ask_returns_the_answer(stage: Stage) -> None:
    """The structure has the answer and the ids of its conversation and run."""
    async with stage.host() as client:
        result, _, is_error = await call(client, "contit_ask", QUESTION)
    assert not is_error
    assert result["status"] == "completed"
    assert result["response"] == "There are 20 draft items: 12 articles, 5 products and 3 pages."
    assert {"thread_id", "run_id"} < result.keys()


async def test_a_follow_up_passes_the_thread_id_of_the_answer(stage: Stage) -> None:
    """Contit remembers the conversation."""
    async with stage.host() as client:
        first, _, _ = await call(client, "contit_ask", {"prompt": "List all published articles from March 2026"})
        follow_up = {"prompt": "Show me the second one", "thread_id": first["thread_id"]}
        second, _, _ = await call(client, "contit_ask", follow_up)
    assert "Weekly Update" in second["response"]
    assert second["thread_id"] == first["thread_id"]
    assert second["run_id"] != first["run_id"]


async def test_a_call_that_cannot_wait_longer_returns_the_ids(stage: Stage) -> None:
    """That is a normal result, and it names the one call to make next."""
    async with stage.host() as client:
        result, _, is_error = await call(client, "contit_ask", QUESTION | {"wait_seconds": 1})
    assert not is_error
    assert result["status"] == "in_progress"
    assert "Call contit_response with these ids; do not ask again." in result["next_step"]


async def test_contit_response_continues_the_wait(stage: Stage) -> None:
    """Nothing is asked again: there is one run."""
    async with stage.host() as client:
        waiting, _, _ = await call(client, "contit_ask", QUESTION | {"wait_seconds": 1})
        ids = {name: waiting[name] for name in ("thread_id", "run_id")}
        result, _, _ = await call(client, "contit_response", ids)
    assert result["response"].startswith("There are 20 draft items")
    assert len(stage.contit.runs) == 1


async def test_contit_start_lets_several_questions_run_at_once(stage: Stage) -> None:
    """Two questions of 3 s each take 3 s together, and each gets its own answer."""
    async with stage.host() as client:
        began = anyio.current_time()
        prompts = ("How many pages are there?", "How many products are there?")
        started = [(await call(client, "contit_start", {"prompt": prompt}))[0] for prompt in prompts]
        answers = [
            (await call(client, "contit_response", {name: each[name] for name in ("thread_id", "run_id")}))[0]
            for each in started
        ]
        assert anyio.current_time() - began < 5
    assert "pages" in answers[0]["response"]
    assert "products" in answers[1]["response"]


async def test_contit_status_returns_at_once(stage: Stage) -> None:
    """It says where the run stands, and leaves the answer to contit_response."""
    async with stage.host() as client:
        started, _, _ = await call(client, "contit_start", QUESTION)
        result, _, _ = await call(client, "contit_status", {name: started[name] for name in ("thread_id", "run_id")})
    assert result["status"] == "in_progress"
    assert "response" not in result


async def test_the_wait_fits_the_host(stage: Stage) -> None:
    """Claude Code waits for minutes, so its call lasts as long as the run; an unnamed host gets 25 s."""
    stage.fails("slow on=start seconds=97")
    async with stage.host("claude-code") as client:
        patient, _, _ = await call(client, "contit_ask", {"prompt": "How many pages are there?"})
    stage.fails("slow on=start seconds=97")
    async with stage.host() as client:
        began = anyio.current_time()
        brief, _, _ = await call(client, "contit_ask", {"prompt": "How many products are there?"})
        assert anyio.current_time() - began < 30
    assert (patient["status"], brief["status"]) == ("completed", "in_progress")


async def test_the_same_question_joins_its_run(stage: Stage) -> None:
    """Models ask again; Contit is not."""
    async with stage.host() as client, anyio.create_task_group() as both:
        for _ in range(2):
            both.start_soon(call, client, "contit_ask", QUESTION)
    assert len(stage.contit.runs) == 1


async def test_another_question_waits_until_its_thread_is_free(stage: Stage) -> None:
    """A thread has one latest answer, so two runs on it could swap theirs."""
    async with stage.host() as client:
        first, _, _ = await call(client, "contit_ask", QUESTION)
        answers: dict[str, str] = {}

        async def ask(prompt: str) -> None:
            result, _, _ = await call(client, "contit_ask", {"prompt": prompt, "thread_id": first["thread_id"]})
            answers[prompt] = result["response"]

        async with anyio.create_task_group() as both:
            both.start_soon(ask, "How many pages are there?")
            both.start_soon(ask, "How many products are there?")
    assert "pages" in answers["How many pages are there?"]
    assert "products" in answers["How many products are there?"]
