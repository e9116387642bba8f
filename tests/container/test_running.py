"""The running image: hardened, asked over both transports, stopped, killed, configured."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest

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
    """Run the image on this machine's loopback, before a sandbox; yield the container, its URL, and the sandbox."""
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


async def ask(http: httpx.AsyncClient, url: str, **more: Any) -> dict[str, Any]:
    arguments = {"prompt": QUESTION, **more}
    result = children.result_in(await http.post(f"{url}/mcp", **request_of("modern", "contit_ask", arguments)))
    structure: dict[str, Any] = result["structuredContent"]
    return structure


async def test_hardened_and_without_settings_it_serves_callers_with_their_own_key(engine: Engine, build: Build) -> None:
    """Read-only, without capabilities, in 256 MiB; the port is set as platforms set it."""
    async with serving(engine, build) as (container, url, _), caller(**KEY) as http:
        answer = await ask(http, url)
        assert (answer["status"], "20 draft items" in answer["response"]) == ("completed", True)
        health = engine.run("exec", container, "/usr/local/bin/contit-mcp", "healthcheck").stdout
        assert health == f"{url}/healthz answers.\n"
        status = engine.run("exec", container, "cat", "/proc/1/status").stdout
        facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert facts["Name"] == "tini"
        assert set(facts["Uid"].split() + facts["Gid"].split()) == {"10001"}
        assert int(facts["CapEff"], 16) == int(facts["CapBnd"], 16) == 0
        assert facts["NoNewPrivs"] == "1"
        assert engine.run("exec", container, "touch", "/opt/venv/x", check=False).returncode != 0
        assert not [line for line in engine.logs(container).splitlines() if json.loads(line)["level"] != "info"]


async def test_the_argument_stdio_makes_it_a_stdio_server(engine: Engine, build: Build) -> None:
    """As a host on the same machine starts it; the sandbox needs no network."""
    line = [engine.command, "run", "-i", "--rm", "--network=none", *HARDENED, build.image, "stdio", "--sandbox"]
    async with children.piped(children.Child, line, engine.environment) as child:
        await child.initialize()
        result = await child.call(2, "contit_ask", {"prompt": QUESTION})
        assert result["structuredContent"]["status"] == "completed"


async def test_a_stop_returns_a_handle_to_a_waiting_caller_and_ends_with_code_0(engine: Engine, build: Build) -> None:
    """Within the promised 5 s; tini, the container's first process, passes the signal on."""
    async with serving(engine, build, runs=SandboxOptions(run_seconds=60)) as (container, url, record):
        async with caller(**KEY) as http, anyio.create_task_group() as tasks:
            found: list[dict[str, Any]] = []

            async def wait() -> None:
                found.append(await ask(http, url))

            tasks.start_soon(wait)
            while not record.runs:
                await anyio.sleep(0.05)
            began = anyio.current_time()
            await anyio.to_thread.run_sync(lambda: engine.run("stop", "-t", "20", container))
            assert anyio.current_time() - began < 8  # the engine's own work included
        assert engine.run("wait", container, seconds=30).stdout.strip() == "0"
        assert [(one["status"], "run_id" in one) for one in found] == [("in_progress", True)]


async def test_runs_outlive_the_container_in_its_volume(engine: Engine, build: Build) -> None:
    """It is killed while the run is in progress; the next container on the same volume knows the run."""
    volume = f"contit-mcp-test-{children.free_port()}"
    options = ("-v", f"{volume}:/var/lib/contit-mcp")
    try:
        async with sandbox_on_port(SandboxOptions(run_seconds=3)) as (contit, record):
            more = (*options, "-e", f"CONTIT_BASE_URL={contit}")
            async with serving(engine, build, *more) as (container, url, _), caller(**KEY) as http:
                handle = await ask(http, url, wait_seconds=1)
                assert handle["status"] == "in_progress"
                engine.run("kill", container)
            async with serving(engine, build, *more) as (_, url, _), caller(**KEY) as http:
                answer = await ask(http, url)
            assert (answer["status"], answer["run_id"]) == ("completed", handle["run_id"])
            assert len(record.runs) == 1
    finally:
        engine.run("volume", "rm", "-f", volume)


async def test_settings_come_from_variables_secrets_and_a_file(engine: Engine, build: Build, tmp_path: Path) -> None:
    token, settings = tmp_path / "tokens", tmp_path / "contit-mcp.toml"
    token.write_text(children.TOKEN_MODE["CONTIT_MCP_TOKENS"], encoding="utf-8")
    lines = ('auth = "token"', 'tokens_file = "/run/secrets/tokens"', f'seal_key = "{children.SEAL_KEY}"')
    settings.write_text("\n".join(lines), encoding="utf-8")
    for path in (token, settings):
        path.chmod(0o644)
    mounted = ("-v", f"{settings}:/etc/contit-mcp/contit-mcp.toml:ro", "-v", f"{token}:/run/secrets/tokens:ro")
    server = serving(engine, build, *mounted, "-e", "CONTIT_API_KEY=sandbox-key")
    async with server as (_, url, _), caller(children.TOKENS["anna"]) as anna, caller() as stranger:
        assert (await ask(anna, url))["status"] == "completed"
        request = request_of("modern", "contit_ask", {"prompt": QUESTION})
        assert (await stranger.post(f"{url}/mcp", **request)).status_code == 401
