"""Whatever Contit answers, each tool returns the right result or one clear error with a next step."""

import io
import json
from collections.abc import Callable

import httpx
import pytest

from tests.echo_contit import EchoContit, answer_to
from tests.server.stage import call, connected

pytestmark = pytest.mark.anyio

Reply = Callable[[], httpx.Response | Exception]

IDS = {"thread_id": "thread_1", "run_id": "run_2"}
PASSING: dict[str, Reply] = {
    "429 seconds": lambda: httpx.Response(429, headers={"Retry-After": "1"}),
    "429 date": lambda: httpx.Response(429, headers={"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"}),
    "500": lambda: httpx.Response(500, json={"detail": "ECHO-MARKER"}),
    "503": lambda: httpx.Response(503, text="ECHO-MARKER"),
    "dropped before": lambda: httpx.ConnectError("ECHO-MARKER"),
    "dropped after": lambda: httpx.ReadError("ECHO-MARKER"),
    "HTML": lambda: httpx.Response(200, html="<html>ECHO-MARKER</html>"),
    "empty": lambda: httpx.Response(200),
    "broken JSON": lambda: httpx.Response(200, text='{"status": "ECHO-MARKER'),
    "missing fields": lambda: httpx.Response(200, json={"other": "ECHO-MARKER"}),
}
LASTING: dict[str, Reply] = {
    "401": lambda: httpx.Response(401, text="ECHO-MARKER"),
    "403": lambda: httpx.Response(403, text="ECHO-MARKER"),
    "redirect": lambda: httpx.Response(302, headers={"Location": "https://elsewhere.example/?q=ECHO-MARKER"}),
}
REPEATED_STARTS = {"429 seconds", "429 date", "503", "dropped before"}


def assert_clear(structure: dict[str, object], texts: list[str], logged: io.StringIO) -> None:
    """One line each for what happened and what to do, and nothing of upstream's or the caller's words."""
    for part in ("error", "next_step"):
        assert isinstance(structure[part], str)
        assert "\n" not in str(structure[part])
        assert str(structure[part]) in texts[0]
    assert "MARKER" not in json.dumps([structure, texts]) + logged.getvalue()


@pytest.mark.parametrize("name", [*PASSING, *LASTING])
async def test_a_fault_at_the_start(name: str, logged: io.StringIO) -> None:
    """Repeated only where nothing can have been accepted; otherwise one error."""
    repeated = name in REPEATED_STARTS
    for tool in ("contit_ask", "contit_start"):
        contit = EchoContit(seconds=1)
        contit.instead("start", (PASSING | LASTING)[name]())
        async with connected(contit) as (client, _):
            structure, texts, is_error = await call(client, tool, {"prompt": "PROMPT-MARKER"})
        assert (contit.count("start"), is_error) == (1 + repeated, not repeated)
        if is_error:
            assert_clear(structure, texts, logged)
            assert structure["status"] == "failed"


@pytest.mark.parametrize("name", PASSING)
async def test_a_passing_fault_after_the_start_is_not_noticed(name: str, logged: io.StringIO) -> None:
    """At the status and at the response."""
    for endpoint in ("status", "response"):
        contit = EchoContit(seconds=1)
        contit.instead(endpoint, PASSING[name]())
        async with connected(contit) as (client, _):
            structure, _, is_error = await call(client, "contit_ask", {"prompt": "q"})
            assert (structure["response"], is_error) == (answer_to("q"), False)
            contit.instead(endpoint, PASSING[name]())
            structure, _, _ = await call(client, "contit_response", IDS)
            assert structure["response"] == answer_to("q")
    assert "MARKER" not in logged.getvalue()


@pytest.mark.parametrize("name", PASSING)
async def test_a_fault_that_does_not_pass_in_time_returns_the_handle(name: str, logged: io.StringIO) -> None:
    """As after the wait; `contit_status` has nothing else to say and tells the fault."""
    contit = EchoContit(seconds=1)
    contit.instead("status", *[PASSING[name]() for _ in range(500)])
    async with connected(contit) as (client, _):
        for tool, arguments in (("contit_ask", {"prompt": "q"}), ("contit_response", IDS)):
            structure, _, is_error = await call(client, tool, arguments)
            assert (structure["status"], structure["run_id"], is_error) == ("in_progress", "run_2", False)
        structure, texts, is_error = await call(client, "contit_status", IDS)
        assert is_error
        assert_clear(structure, texts, logged)


@pytest.mark.parametrize("name", LASTING)
async def test_a_lasting_fault_after_the_start_is_an_error_that_keeps_the_handle(
    name: str, logged: io.StringIO
) -> None:
    """Waiting would not help; the ids are in text and structure."""
    contit = EchoContit(seconds=1)
    contit.instead("status", *[LASTING[name]() for _ in range(3)])
    async with connected(contit) as (client, _):
        for tool in ("contit_ask", "contit_response", "contit_status"):
            structure, texts, is_error = await call(client, tool, {"prompt": "q"} if tool == "contit_ask" else IDS)
            assert is_error
            assert_clear(structure, texts, logged)
            assert (structure["status"], structure["run_id"]) == ("in_progress", "run_2")
            assert "run_2" in texts[0]


@pytest.mark.parametrize("body", [b'{"response": null}', b"<html>Welcome</html>", b"{}", b'{"response": 12}'])
async def test_an_answer_that_cannot_be_read_is_an_error_and_comes_once_it_can(body: bytes) -> None:
    """Not "still running, do not ask again" for ever."""
    contit = EchoContit()
    contit.instead("response", *[httpx.Response(200, content=body)] * 200)
    async with connected(contit) as (client, _):
        structure, texts, _ = await call(client, "contit_ask", {"prompt": "q"})
        assert "cannot be read" in texts[0]
        for tool in ("contit_response", "contit_status"):
            again, _, is_error = await call(client, tool, IDS)
            assert (again["status"], again["error"], is_error) == ("failed", structure["error"], True)
        contit.replies.clear()
        structure, _, is_error = await call(client, "contit_response", IDS)
    assert (structure["response"], is_error) == (answer_to("q"), False)
