"""`contit-mcp http` as a real child on a real port, and callers of both protocol eras that speak to it byte by byte."""

import json
import re
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx
import pytest
from anyio.abc import Process
from prometheus_client.parser import text_string_to_metric_families

from contit_mcp.sandbox.options import SandboxOptions
from contit_mcp.sandbox.record import SandboxRecord
from tests.e2e.processes import COMMAND, clean_environment, sandbox_on_port

QUESTION = "How many drafts are there?"
ERAS = ("legacy", "modern")
TOKENS = {"anna": "anna-token-of-twenty-and-more", "marco": "marco-token-of-twenty-and-more"}
TOKEN_MODE = {
    "CONTIT_MCP_AUTH": "token",
    "CONTIT_MCP_TOKENS": ",".join(f"{name}:{token}" for name, token in TOKENS.items()),
    "CONTIT_MCP_SEAL_KEY": "a-seal-key-of-the-tests-0123456789",
}
_MODERN = "2026-07-28"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Asyncio as in production: processes and sockets do not follow a virtual clock."""
    return "asyncio", {}


@dataclass
class Deployed:
    """A server under way, and what it has written."""

    process: Process
    environment: Mapping[str, str]
    stderr: bytes = b""
    lines: list[dict[str, Any]] = field(default_factory=list)
    _arrived: anyio.Event = field(default_factory=anyio.Event)

    @property
    def url(self) -> str:
        """Of `/mcp`."""
        return str(self.named("server.listening")[0]["url"])

    @property
    def base(self) -> str:
        """Where the probes are."""
        return self.url.removesuffix("/mcp")

    @property
    def metrics_url(self) -> str:
        """Where the metrics are."""
        return f"http://127.0.0.1:{self.named('server.listening')[0]['metrics_port']}/metrics"

    def named(self, event: str) -> list[dict[str, Any]]:
        """Its log lines of one name."""
        return [line for line in self.lines if line.get("event") == event]

    async def logged(self, event: str, times: int = 1) -> list[dict[str, Any]]:
        """Wait until it has logged so many lines of a name."""
        while len(self.named(event)) < times:
            if self.process.returncode is not None:
                raise AssertionError(self.stderr.decode())
            self._arrived = anyio.Event()
            with anyio.move_on_after(0.1):
                await self._arrived.wait()
        return self.named(event)

    async def end(self, by: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """End it by a signal; its exit code, and the seconds that took."""
        began = time.monotonic()
        self.process.send_signal(by)
        code = await self.process.wait()
        return code, time.monotonic() - began

    async def metrics(self) -> dict[str, float]:
        """What its metrics say now, by name and labels: `name{label=value}`."""
        async with caller() as http:
            return samples((await http.get(self.metrics_url)).text)

    async def read_stderr(self) -> None:
        """Take in its log until it ends."""
        assert self.process.stderr is not None
        rest = b""
        async for chunk in self.process.stderr:
            self.stderr += chunk
            *whole, rest = (rest + chunk).split(b"\n")
            self.lines += [json.loads(line) for line in whole if line.startswith(b"{")]
            self._arrived.set()


@asynccontextmanager
async def deployed(
    environment: Mapping[str, str], *, command: Sequence[str] = COMMAND, arguments: Sequence[str] = ()
) -> AsyncIterator[Deployed]:
    """A server that listens; it is killed at the end if it still runs."""
    line = [*command, "http", "--port", "0", *arguments]
    async with await anyio.open_process(line, env=clean_environment(**environment)) as process:
        server = Deployed(process, environment)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.read_stderr)
            try:
                await server.logged("server.listening")
                yield server
            finally:
                if process.returncode is None:
                    process.kill()


@asynccontextmanager
async def deployment(
    options: SandboxOptions | None = None, **environment: str
) -> AsyncIterator[tuple[Deployed, SandboxRecord]]:
    """One server on one Contit, with a store in memory unless said otherwise."""
    async with sandbox_on_port(options) as (url, sandbox):
        defaults = {"CONTIT_BASE_URL": url, "CONTIT_API_KEY": "sandbox-key", "CONTIT_MCP_STORE": "memory"}
        async with deployed(defaults | environment) as server:
            yield server, sandbox


def caller(token: str | None = None, **headers: str) -> httpx.AsyncClient:
    """An HTTP client with as many connections as it takes."""
    headers |= {} if token is None else {"Authorization": f"Bearer {token}"}
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx.AsyncClient(headers=headers, limits=limits, timeout=60, trust_env=False)


def request_of(
    era: str, tool: str, arguments: Mapping[str, Any], *, meta: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What httpx sends for a tool call: body and headers, as mcp 2.3.0's client does in that era."""
    params: dict[str, Any] = {"name": tool, "arguments": dict(arguments), "_meta": dict(meta or {})}
    return message_of(era, "tools/call", params, name=tool)


def message_of(era: str, method: str, params: dict[str, Any], *, name: str | None = None) -> dict[str, Any]:
    """What httpx sends for any request."""
    headers = {"Accept": "application/json, text/event-stream"}
    if era == "modern":
        headers |= {"Mcp-Protocol-Version": _MODERN, "Mcp-Method": method} | ({"Mcp-Name": name} if name else {})
        params["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": _MODERN,
            "io.modelcontextprotocol/clientInfo": {"name": "test-host", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
            **params.get("_meta", {}),
        }
    return {"json": {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, "headers": headers}


def messages_in(response: httpx.Response) -> list[dict[str, Any]]:
    """The JSON-RPC messages of a response, plain or as an event stream."""
    if response.headers.get("content-type", "").startswith("application/json"):
        return [response.json()]
    return [json.loads(data) for data in re.findall(r"^data: ?(.+?)\r?$", response.text, re.MULTILINE)]


def result_in(response: httpx.Response) -> dict[str, Any]:
    """The tool's result."""
    assert response.status_code == 200, (response.status_code, response.text)
    result: dict[str, Any] = messages_in(response)[-1]["result"]
    return result


async def call(
    http: httpx.AsyncClient, server: Deployed, tool: str, era: str = "legacy", **arguments: Any
) -> dict[str, Any]:
    """Call a tool and return its result."""
    return result_in(await http.post(server.url, **request_of(era, tool, arguments)))


async def ask(http: httpx.AsyncClient, server: Deployed, era: str = "legacy", **more: Any) -> dict[str, Any]:
    """Ask, and return the structure that comes back."""
    result = await call(http, server, "contit_ask", era, **{"prompt": QUESTION, **more})
    structure: dict[str, Any] = result["structuredContent"]
    return structure


async def runs(sandbox: SandboxRecord, count: int) -> None:
    """Wait until Contit has so many runs, and has been asked about the last one."""
    while len(sandbox.runs) < count or not polls(sandbox):
        await anyio.sleep(0.02)


def polls(sandbox: SandboxRecord) -> int:
    """How often Contit was asked where a run stands."""
    return sum(request.endpoint == "status" for request in sandbox.requests)


def samples(text: str) -> dict[str, float]:
    """Samples of an exposition in Prometheus' own format, by name and labels."""
    return {
        sample.name + "".join(f"{{{key}={value}}}" for key, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
