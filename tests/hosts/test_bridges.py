"""Bridges between a client and our server: mcp-proxy (of PyPI), mcp-remote, supergateway, and mcpo for Open WebUI."""

import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.children import free_port
from tests.cli.command_line import serving
from tests.hosts.bench import FOLLOW_UP, QUESTION, TOOLS, Trial, bare_environment
from tests.hosts.installing import node, npm_packages, python_packages
from tests.hosts.model_service.conversation import ids_in


def call_through(trial: Trial, **way: object) -> None:
    """Ask with the Python SDK's client, which reaches our server by a bridge: by `command` and `args`, or by `url`."""
    python = python_packages("python_sdk_2") / "python"
    trial.check_program(lambda: trial.program("python_sdk_2.py", python, **{"mode": "auto", "env": {}, **way}))


@contextmanager
def bridge(trial: Trial, command: Sequence[str | Path], port: int, *path: Path) -> Iterator[str]:
    """Run a bridge that listens on a port while inside; yield its address."""
    with serving(command, bare_environment(trial.home, *path, **trial.entry.environment), port, trial.home):
        yield f"http://127.0.0.1:{port}"


def test_mcp_proxy_passes_everything_on(trial: Trial) -> None:
    """From stdio to HTTP, and from HTTP to stdio. Measured: it speaks the older era on both sides."""
    command, entry = python_packages("mcp_proxy") / "mcp-proxy", trial.entry
    if entry.command:
        port = free_port()
        options = ["--port", str(port), "--host", "127.0.0.1", "--pass-environment", "--", str(entry.command), "stdio"]
        with bridge(trial, [command, *options], port) as url:
            call_through(trial, command=None, url=f"{url}/mcp")
    else:
        header = ["-H", "Authorization", f"Bearer {entry.token}"] if entry.token else []
        args = ["--transport", "streamablehttp", *header, entry.url]
        call_through(trial, command=str(command), args=args)


@pytest.mark.parametrize("trial", ["http", "http+token"], indirect=True)
@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_mcp_remote_passes_everything_on(trial: Trial, mode: str) -> None:
    """For hosts that know stdio alone. Both eras pass it (measured)."""
    args = [str(npm_packages("mcp_remote", "mcp-remote") / "mcp-remote"), trial.entry.url]
    args += ["--allow-http", "--transport", "http-only"]
    args += ["--header", "Authorization:${AUTH}"] if trial.entry.token else []
    env = {"AUTH": f"Bearer {trial.entry.token}", "MCP_REMOTE_CONFIG_DIR": str(trial.home / "auth")}
    call_through(trial, command=str(node() / "node"), args=args, env=env, mode=mode)


def test_supergateway_passes_everything_on(trial: Trial) -> None:
    """From stdio to HTTP, and back: there it waits for 60 s (measured), longer than a client of that name may wait."""
    command, entry = npm_packages("supergateway", "supergateway") / "supergateway", trial.entry
    if entry.command:
        port = free_port()
        options = ["--stdio", f"{shlex.quote(str(entry.command))} stdio", "--outputTransport", "streamableHttp"]
        with bridge(trial, [command, *options, "--stateful", "--port", str(port)], port, node()) as url:
            call_through(trial, command=None, url=f"{url}/mcp")
    else:
        args = [str(command), "--streamableHttp", entry.url, "--logLevel", "none"]
        args += ["--oauth2Bearer", entry.token] if entry.token else []
        call_through(trial, command=str(node() / "node"), args=args)


def test_callers_of_mcpo_get_both_answers_whole_with_their_ids(trial: Trial) -> None:
    """Our tools as a REST interface. Measured: it hands on the text alone, as a list."""
    port, entry = free_port(), trial.entry
    headers = ["--server-type", "streamable-http", "--header", json.dumps(entry.headers)]
    target = ["--", str(entry.command), "stdio"] if entry.command else [*headers, "--", entry.url]
    mcpo = python_packages("mcpo") / "mcpo"
    command: list[str | Path] = [mcpo, "--port", str(port), "--host", "127.0.0.1", "--api-key", "k", *target]
    with (
        bridge(trial, command, port) as url,
        httpx.Client(base_url=url, headers={"Authorization": "Bearer k"}, timeout=60) as http,
    ):
        assert {path.strip("/") for path in http.get("/openapi.json").json()["paths"]} == TOOLS

        def ask(**arguments: str) -> str:
            answer = http.post("/contit_ask", json=arguments)
            assert answer.status_code == 200, answer.text
            return json.dumps(answer.json(), ensure_ascii=False)

        def both() -> list[str]:
            first = ask(prompt=QUESTION)
            return [first, ask(prompt=FOLLOW_UP, thread_id=ids_in(first)["thread_id"])]

        assert trial.check_two_answers(both).saw == "text"
