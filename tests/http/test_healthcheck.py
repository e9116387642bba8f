"""`contit-mcp healthcheck`, which container engines run beside the server."""

import signal

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from tests.children import deployment
from tests.cli.command_line import run

pytestmark = pytest.mark.anyio


async def test_a_server_is_alive_until_it_hangs_and_again_when_it_goes_on() -> None:
    """The command finds it by the server's settings. A stopped process still takes connections, and answers nothing."""
    async with deployment() as (server, _):
        here = {"CONTIT_MCP_PORT": str(server.port), "CONTIT_MCP_HOST": "0.0.0.0"}
        alive = await run("healthcheck", **here)
        assert (alive.returncode, alive.stdout) == (0, f"{server.base}/healthz answers.\n")
        server.process.send_signal(signal.SIGSTOP)
        hangs = await run("healthcheck", **here)
        server.process.send_signal(signal.SIGCONT)
        assert (hangs.returncode, hangs.stdout) == (1, f"{server.base}/healthz does not answer: it takes too long.\n")
        assert (await run("healthcheck", **here)).returncode == 0


# The host that is asked, what answers there, and what is printed.
DEAD: list[tuple[str, bytes | None, str]] = [
    ("127.0.0.1", None, "does not answer: no connection is possible"),
    ("::1", b"HTTP/1.1 503 No\r\n\r\n", "answers 503"),
    ("127.0.0.1", b"SSH-2.0\r\n", "does not answer: what came back is not HTTP"),
    ("::x", None, "does not answer: it is not an address"),
]


@pytest.mark.parametrize(("host", "sent", "expected"), DEAD)
async def test_an_address_without_our_server_is_not_alive(host: str, sent: bytes | None, expected: str) -> None:
    async def serve(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(sent or b"")

    here = host if sent else "127.0.0.1"
    async with await anyio.create_tcp_listener(local_host=here) as listener, anyio.create_task_group() as tasks:
        port = listener.extra(SocketAttribute.local_port)
        if sent is None:
            await listener.aclose()
        else:
            tasks.start_soon(listener.serve, serve)
        said = await run("healthcheck", "--host", host, "--port", str(port))
        tasks.cancel_scope.cancel()
    assert (said.returncode, said.stderr) == (1, "")
    named = f"[{host}]" if ":" in host else host
    assert said.stdout == f"http://{named}:{port}/healthz {expected}.\n"
