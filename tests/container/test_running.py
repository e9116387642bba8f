"""The image at work: hardened, asked over both transports, checked, stopped, killed, configured."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest

from contit_mcp import __version__
from contit_mcp.sandbox.options import SandboxOptions
from contit_mcp.sandbox.record import SandboxRecord
from tests import children
from tests.children import QUESTION, anyio_backend, caller, request_of, sandbox_on_port
from tests.container.conftest import Build
from tests.container.engine import Engine

__all__ = ["anyio_backend"]
pytestmark = pytest.mark.anyio

HARDENED = (
    "--read-only --tmpfs=/tmp:rw,noexec,nosuid,size=16m --cap-drop=ALL --security-opt=no-new-privileges"
    " --memory=256m --pids-limit=64"
).split()
KEY = {"X-Api-Key": "sandbox-key"}


@asynccontextmanager
async def serving(
    engine: Engine, build: Build, *options: str, runs: SandboxOptions | None = None
) -> AsyncIterator[tuple[str, str, SandboxRecord]]:
    """The image with only Contit's address set, on this machine's loopback; its URL, and that Contit."""
    port = children.free_port()
    where = ("--network=host", "-e", "APP_HOST=127.0.0.1", "-e", f"PORT={port}")
    async with sandbox_on_port(runs) as (contit, record):
        with engine.container(build.image, *HARDENED, *where, "-e", f"CONTIT_BASE_URL={contit}", *options) as container:
            url = f"http://127.0.0.1:{port}"
            async with caller() as http:
                for _ in range(300):
                    with suppress(httpx.TransportError):
                        if (await http.get(f"{url}/readyz")).status_code == 200:
                            break
                    await anyio.sleep(0.1)
                else:
                    raise AssertionError(engine.logs(container))
            yield container, url, record


async def asked(http: httpx.AsyncClient, url: str, tool: str, **arguments: Any) -> dict[str, Any]:
    result = children.result_in(await http.post(f"{url}/mcp", **request_of("modern", tool, arguments)))
    structure: dict[str, Any] = result["structuredContent"]
    return structure


async def test_hardened_and_with_no_setting_it_serves_callers_with_their_own_credential(
    engine: Engine, build: Build
) -> None:
    """Read-only, without capabilities, in 256 MiB; the port as platforms set it."""
    async with serving(engine, build) as (container, url, _), caller(**KEY) as http:
        answer = await asked(http, url, "contit_ask", prompt=QUESTION)
        assert (answer["status"], "20 draft items" in answer["response"]) == ("completed", True)
        status = engine.run("exec", container, "cat", "/proc/1/status").stdout
        facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert facts["Name"] == "tini"
        assert set(facts["Uid"].split() + facts["Gid"].split()) == {"10001"}
        assert int(facts["CapEff"], 16) == int(facts["CapBnd"], 16) == 0
        assert facts["NoNewPrivs"] == "1"
        assert engine.run("exec", container, "touch", "/opt/venv/x", check=False).returncode != 0
        assert not [line for line in engine.logs(container).splitlines() if json.loads(line)["level"] != "info"]


async def test_stdio_is_an_argument_away(engine: Engine, build: Build) -> None:
    """As a host on the same machine starts it; no network is needed for the sandbox."""
    line = [engine.command, "run", "-i", "--rm", "--network=none", *HARDENED, build.image, "stdio", "--sandbox"]
    async with children.piped(children.Child, line, engine.environment) as child:
        await child.initialize()
        result = await child.call(2, "contit_ask", {"prompt": QUESTION})
        assert result["structuredContent"]["status"] == "completed"
    version = engine.run("run", "--rm", "--network=none", build.image, "--version").stdout
    assert version == f"contit-mcp {__version__}\n"


async def test_the_health_check_tells_a_server_that_lives_from_one_that_hangs(engine: Engine, build: Build) -> None:
    async with serving(engine, build) as (container, url, _):
        check = ("exec", container, "/usr/local/bin/contit-mcp", "healthcheck")
        assert engine.run(*check).stdout == f"{url}/healthz answers.\n"
        number = engine.run("exec", container, "cat", "/proc/1/task/1/children").stdout.strip()  # the child of tini
        engine.run("exec", container, "sh", "-c", f"kill -STOP {number}")
        hangs = engine.run(*check, check=False)
        assert (hangs.returncode, "does not answer" in hangs.stdout) == (1, True)
        engine.run("exec", container, "sh", "-c", f"kill -CONT {number}")
        assert engine.run(*check).returncode == 0


async def test_a_stop_gives_who_waits_a_handle_and_ends_with_code_0(engine: Engine, build: Build) -> None:
    """As PID 1 of its namespace, within the 5 s of the contract (design, section 9)."""
    async with serving(engine, build, runs=SandboxOptions(run_seconds=60)) as (container, url, record):
        async with caller(**KEY) as http, anyio.create_task_group() as tasks:
            found: list[dict[str, Any]] = []

            async def ask() -> None:
                found.append(await asked(http, url, "contit_ask", prompt=QUESTION))

            tasks.start_soon(ask)
            while not record.runs:
                await anyio.sleep(0.05)
            began = anyio.current_time()
            await anyio.to_thread.run_sync(lambda: engine.run("stop", "-t", "20", container))
            assert anyio.current_time() - began < 8  # the engine's own work included
        assert engine.run("wait", container, seconds=30).stdout.strip() == "0"
        assert [(one["status"], "run_id" in one) for one in found] == [("in_progress", True)]


async def test_runs_outlive_the_container_in_its_volume(engine: Engine, build: Build) -> None:
    """Killed in the middle of an ask; the next container on the same volume knows the run (design, section 3)."""
    volume = f"contit-mcp-test-{children.free_port()}"
    options = ("-v", f"{volume}:/var/lib/contit-mcp")
    try:
        async with sandbox_on_port(SandboxOptions(run_seconds=3)) as (contit, record):
            more = (*options, "-e", f"CONTIT_BASE_URL={contit}")
            async with serving(engine, build, *more) as (container, url, _), caller(**KEY) as http:
                handle = await asked(http, url, "contit_ask", prompt=QUESTION, wait_seconds=1)
                assert handle["status"] == "in_progress"
                engine.run("kill", container)
            async with serving(engine, build, *more) as (_, url, _), caller(**KEY) as http:
                answer = await asked(http, url, "contit_ask", prompt=QUESTION)
            assert (answer["status"], answer["run_id"]) == ("completed", handle["run_id"])
            assert len(record.runs) == 1
    finally:
        engine.run("volume", "rm", "-f", volume)


async def test_settings_come_by_variable_by_secret_file_and_by_a_mounted_file(
    engine: Engine, build: Build, tmp_path: Path
) -> None:
    token, settings = tmp_path / "tokens", tmp_path / "contit-mcp.toml"
    token.write_text(children.TOKEN_MODE["CONTIT_MCP_TOKENS"], encoding="utf-8")
    lines = ('auth = "token"', 'tokens_file = "/run/secrets/tokens"', f'seal_key = "{children.SEAL_KEY}"')
    settings.write_text("\n".join(lines), encoding="utf-8")
    for path in (token, settings):
        path.chmod(0o644)
    mounted = ("-v", f"{settings}:/etc/contit-mcp/contit-mcp.toml:ro", "-v", f"{token}:/run/secrets/tokens:ro")
    server = serving(engine, build, *mounted, "-e", "CONTIT_API_KEY=sandbox-key")
    async with (
        server as (_, url, _),
        caller(children.TOKENS["anna"]) as anna,
        caller("another-token-of-20") as stranger,
    ):
        assert (await asked(anna, url, "contit_ask", prompt=QUESTION))["status"] == "completed"
        request = request_of("modern", "contit_ask", {"prompt": QUESTION})
        assert (await stranger.post(f"{url}/mcp", **request)).status_code == 401
