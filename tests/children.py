"""Child processes: a Contit on a port of this process, `contit-mcp http` and `contit-mcp stdio`, and their clients."""

import http.client
import json
import os
import random
import re
import signal
import socket
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from subprocess import DEVNULL, PIPE, CompletedProcess, Popen
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
import uvicorn
from anyio.abc import Process
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import ASGIApp, Receive, Scope, Send

from contit_mcp.cli.sandbox import KEEP_ALIVE_SECONDS
from contit_mcp.http.serve import Listener
from contit_mcp.sandbox.app import create_sandbox
from contit_mcp.sandbox.options import SandboxOptions
from contit_mcp.sandbox.record import SandboxRecord

COMMAND = [sys.executable, "-m", "contit_mcp"]
QUESTION = "How many drafts are there?"
SEAL_KEY = "a-seal-key-of-the-tests-0123456789"
TOKENS = {"anna": "anna-token-of-twenty-and-more", "marco": "marco-token-of-twenty-and-more"}
TOKEN_MODE = {
    "CONTIT_MCP_AUTH": "token",
    "CONTIT_MCP_TOKENS": ",".join(f"{name}:{token}" for name, token in TOKENS.items()),
    "CONTIT_MCP_SEAL_KEY": SEAL_KEY,
}
JSON_RPC = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
INFO = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test-host", "version": "1"}}
ERAS = ("legacy", "modern")  # of the protocol: the older one, up to 2025-11-25, and the newer one
_MODERN = "2026-07-28"

STATE = tempfile.TemporaryDirectory(prefix="contit-mcp-tests-")
"""The state folder of all children, so that none uses the developer's own."""


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Asyncio as in production: processes and sockets do not follow a virtual clock."""
    return "asyncio", {}


def clean_environment(**more: str) -> dict[str, str]:
    """Return this environment without anything of Contit's, with a state folder of the tests, and `more`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CONTIT_")}
    return clean | {"CONTIT_MCP_STATE_DIR": STATE.name} | more


def free_port() -> int:
    """Return a loopback port below those of outgoing connections: a server killed on it can listen there again."""
    while True:
        port = random.randrange(20_000, 32_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


# --- Applications on a port of this process

_SERVED: dict[str, Any] = {"log_config": None, "access_log": False, "lifespan": "off", "ws": "none"}


@asynccontextmanager
async def on_port(app: ASGIApp) -> AsyncIterator[str]:
    """Serve an application on a free loopback port, in this event loop; yield its base URL."""
    server = Listener(uvicorn.Config(app, **_SERVED, timeout_keep_alive=KEEP_ALIVE_SECONDS))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listener])
            while not server.started:
                await anyio.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            server.should_exit = server.force_exit = True


@contextmanager
def in_thread(app: ASGIApp, **more: Any) -> Iterator[str]:
    """Serve an application on a free loopback port, in a thread; yield its base URL. `more` goes to uvicorn."""
    server = uvicorn.Server(uvicorn.Config(app, **_SERVED, **more))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = server.force_exit = True
            thread.join(10)


@asynccontextmanager
async def sandbox_on_port(options: SandboxOptions | None = None) -> AsyncIterator[tuple[str, SandboxRecord]]:
    app = create_sandbox(options or SandboxOptions(run_seconds=0.3))
    async with on_port(app) as url:
        yield url, app.state.sandbox


@dataclass
class Contit:
    """A sandbox that runs in a thread."""

    record: SandboxRecord
    url: str = ""
    keys: list[str] = field(default_factory=list)  # the credential of each request
    hosts: set[str] = field(default_factory=set)  # that requests were sent to


@contextmanager
def contit(options: SandboxOptions | None = None) -> Iterator[Contit]:
    app = create_sandbox(options or SandboxOptions(run_seconds=0.05))
    served = Contit(app.state.sandbox)

    async def seen(scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        served.keys.append(headers.get("x-api-key") or headers.get("authorization") or "")
        served.hosts.add(headers["host"])
        await app(scope, receive, send)

    with in_thread(seen) as served.url:
        yield served


# --- contit-mcp http


@dataclass
class Served:
    """`contit-mcp http` as a child process, and its log. A `with` stops it, and checks that it has logged no error."""

    environment: Mapping[str, str]
    arguments: Sequence[str] = ()
    command: Sequence[str] = (*COMMAND, "http", "--port", "0")
    verify: ssl.SSLContext | bool = True  # how its client checks its certificate
    errors_expected: frozenset[str] = frozenset()  # by the names of their log lines
    stderr: str = ""
    lines: list[dict[str, Any]] = field(default_factory=list)  # of its log, parsed

    def start(self) -> None:
        command, env = [*self.command, *self.arguments], clean_environment(**self.environment)
        self.process = Popen(command, env=env, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        defaults = {"CONTIT_MCP_STORE": "memory", "CONTIT_MCP_REQUESTS_PER_MINUTE": "100000"}
        self.environment = defaults | {**self.environment}
        self.start()
        self.last("server.listening", within=30)
        self.http = httpx.Client(verify=self.verify, timeout=20)
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        self.stop()
        self.assert_no_error()

    def stop(self) -> int:
        """Stop it by SIGTERM, and return its exit code."""
        self.process.terminate()  # without effect on one that has ended
        try:
            return self.process.wait(15)
        finally:
            self.process.kill()
            self._reader.join(10)

    @property
    def url(self) -> str:
        return str(self.named("server.listening")[0]["url"])

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0

    @property
    def base(self) -> str:
        return self.url.removesuffix("/mcp")

    @property
    def metrics_url(self) -> str:
        return f"http://127.0.0.1:{self.named('server.listening')[0]['metrics_port']}/metrics"

    def named(self, event: str) -> list[dict[str, Any]]:
        """Return its log lines with this name, so far."""
        return [line for line in self.lines[:] if line.get("event") == event]

    def last(self, name: str, *, within: float = 10, **fields: Any) -> dict[str, Any]:
        """Wait for a log line with this name and these fields, and return the last one."""
        until = time.monotonic() + within
        while True:
            ends = time.monotonic() >= until or not self._reader.is_alive()
            if found := [event for event in self.named(name) if fields.items() <= event.items()]:
                return found[-1]
            assert not ends, self.stderr
            time.sleep(0.02)

    async def logged(self, event: str, times: int = 1) -> list[dict[str, Any]]:
        """Wait until it has logged so many lines with this name, and return them."""
        while len(self.named(event)) < times:
            assert self._reader.is_alive() or len(self.named(event)) >= times, self.stderr
            await anyio.sleep(0.01)
        return self.named(event)

    async def ended(self) -> int:
        while (code := self.process.poll()) is None or self._reader.is_alive():
            await anyio.sleep(0.01)
        return code

    async def end(self, by: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """End it by a signal, and return its exit code and how many seconds that took."""
        began = time.monotonic()
        self.process.send_signal(by)
        return await self.ended(), time.monotonic() - began

    async def metrics(self) -> dict[str, float]:
        async with caller() as http:
            return samples((await http.get(self.metrics_url)).text)

    def post(self, message: object, *, url: str = "", **headers: str) -> httpx.Response:
        """POST a message; underscores in the names of headers are hyphens."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(url or self.url, content=json.dumps(message), headers=JSON_RPC | more)

    def call(self, tool: str, arguments: Mapping[str, Any], **headers: str) -> dict[str, Any]:
        return result_in(self.post(rpc("tools/call", {"name": tool, "arguments": dict(arguments)}), **headers))

    def raw(self, data: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send bytes on a connection of their own, and return status, headers and body of the answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            with suppress(BrokenPipeError, ConnectionResetError):  # it may answer before it has read all of them
                connection.sendall(data)
            return read_answer(connection)

    def assert_unharmed(self) -> None:
        assert self.http.get(f"{self.base}/healthz").status_code == 200
        self.assert_no_error()

    def assert_no_error(self) -> None:
        """Check that stderr has JSON lines only, and no error that was not expected."""
        for line in map(json.loads, self.stderr.splitlines()):
            assert line["level"] in {"debug", "info", "warning"} or line["event"] in self.errors_expected, line
        assert "Traceback" not in self.stderr

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stderr:
            for line in stderr:
                self.stderr += line
                if line.startswith("{"):
                    self.lines.append(json.loads(line))


@asynccontextmanager
async def deployed(
    environment: Mapping[str, str], *, command: Sequence[str] = COMMAND, arguments: Sequence[str] = ()
) -> AsyncIterator[Served]:
    """Run `contit-mcp http` with this environment, and kill it at the end; the block may take 120 s."""
    server = Served(environment, arguments, [*command, "http", "--port", "0"])
    server.start()
    try:
        with anyio.fail_after(120):
            await server.logged("server.listening")
            yield server
    finally:
        server.process.kill()
        server.process.wait()


@asynccontextmanager
async def deployment(
    options: SandboxOptions | None = None, *, command: Sequence[str] = COMMAND, **environment: str
) -> AsyncIterator[tuple[Served, SandboxRecord]]:
    """Run a sandbox, and `contit-mcp http` in front of it."""
    async with sandbox_on_port(options) as (url, sandbox):
        defaults = {"CONTIT_BASE_URL": url, "CONTIT_API_KEY": "sandbox-key", "CONTIT_MCP_STORE": "memory"}
        async with deployed(defaults | environment, command=command) as server:
            yield server, sandbox


# --- Clients of contit-mcp http


def rpc(method: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": dict(params or {})}


INITIALIZE = rpc("initialize", INFO)


def caller(token: str | None = None, **headers: str) -> httpx.AsyncClient:
    """Return a client that sends this bearer token and these headers, on as many connections as it needs."""
    headers |= {} if token is None else {"Authorization": f"Bearer {token}"}
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx.AsyncClient(headers=headers, limits=limits, timeout=60, trust_env=False)


def request_of(
    era: str, tool: str, arguments: Mapping[str, Any], *, meta: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the arguments of `httpx.post` for a tool call, as mcp 2.3.0's client sends it in that era."""
    params: dict[str, Any] = {"name": tool, "arguments": dict(arguments), "_meta": dict(meta or {})}
    return message_of(era, "tools/call", params, name=tool)


def message_of(era: str, method: str, params: dict[str, Any], *, name: str | None = None) -> dict[str, Any]:
    """Return the arguments of `httpx.post` for any request of that era; `name` names its tool, prompt or resource."""
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
    """Return the JSON-RPC messages of a response, which is JSON or a stream of events."""
    if response.headers.get("content-type", "").startswith("application/json"):
        return [response.json()]
    return [json.loads(data) for data in re.findall(r"^data: ?(.+?)\r?$", response.text, re.MULTILINE)]


def result_in(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, (response.status_code, response.text)
    result: dict[str, Any] = messages_in(response)[-1]["result"]
    return result


async def call(
    http: httpx.AsyncClient, server: Served, tool: str, era: str = "legacy", **arguments: Any
) -> dict[str, Any]:
    """Call a tool, and return the result."""
    return result_in(await http.post(server.url, **request_of(era, tool, arguments)))


async def ask(http: httpx.AsyncClient, server: Served, era: str = "legacy", **more: Any) -> dict[str, Any]:
    """Ask `QUESTION`, or another `prompt`, and return the structured content of the result."""
    result = await call(http, server, "contit_ask", era, **{"prompt": QUESTION, **more})
    structure: dict[str, Any] = result["structuredContent"]
    return structure


async def runs(sandbox: SandboxRecord, count: int) -> None:
    """Wait until the sandbox has so many runs, and one of them has been polled."""
    while len(sandbox.runs) < count or not polls(sandbox):
        await anyio.sleep(0.02)


def polls(sandbox: SandboxRecord) -> int:
    return sum(request.endpoint == "status" for request in sandbox.requests)


def samples(text: str) -> dict[str, float]:
    """Return the values of a page of metrics, each by its name and labels, as in `name{label=value}`."""
    return {
        sample.name + "".join(f"{{{key}={value}}}" for key, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def read_answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read an HTTP answer, and return status, headers and body; status 0 if the connection ended before."""
    answer, body = http.client.HTTPResponse(connection), b""
    with suppress(http.client.HTTPException, ConnectionResetError):  # some requests are not read to their end
        answer.begin()
        body = answer.read()
    headers = {name.lower(): value for name, value in answer.getheaders()} if answer.headers else {}
    return answer.status if headers else 0, headers, body


# --- Children with pipes: contit-mcp stdio, and any command


@dataclass
class Piped:
    """A child process with pipes, and what it has written so far."""

    process: Process
    stdout: bytes = b""
    stderr: bytes = b""

    async def ended(self) -> "CompletedProcess[str]":
        with anyio.fail_after(60):
            code = await self.process.wait()
        return CompletedProcess([], code, self.stdout.decode(), self.stderr.decode())


@dataclass
class Child(Piped):
    """`contit-mcp stdio`, and the messages on its pipes."""

    async def send(self, message: Mapping[str, Any]) -> None:
        await self.write(json.dumps({"jsonrpc": "2.0", **message}, ensure_ascii=False).encode() + b"\n")

    async def write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        await self.process.stdin.send(data)

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stdout.split(b"\n")[:-1]]

    async def request(self, number: int, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        await self.send({"id": number, "method": method, "params": dict(params)})
        return await self.answer(number)

    async def answer(self, number: int) -> dict[str, Any]:
        """Wait for the answer to the request with this id."""
        while not (found := [message for message in self.messages if message.get("id") == number]):
            await anyio.sleep(0.01)
        return found[0]

    async def initialize(self) -> None:
        """Shake hands as a host of 2025-06-18 does."""
        assert "result" in await self.request(1, "initialize", INFO)
        await self.send({"method": "notifications/initialized"})

    async def call(self, number: int, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        answer = await self.request(number, "tools/call", {"name": tool, "arguments": dict(arguments)})
        result: dict[str, Any] = answer["result"]
        return result

    async def end(self, *, by: signal.Signals | None = None) -> int:
        """End it by a signal, or by closing its stdin; return its exit code."""
        assert self.process.stdin is not None
        if by is None:
            await self.process.stdin.aclose()
        else:
            self.process.send_signal(by)
        return await self.process.wait()


T = TypeVar("T", bound=Piped)


@asynccontextmanager
async def piped(
    kind: Callable[[Process], T], command: Sequence[str], environment: Mapping[str, str]
) -> AsyncIterator[T]:
    """Start a command, read what it writes, and kill it at the end."""
    async with await anyio.open_process(command, env=environment) as process:
        child = kind(process)

        async def read(name: str) -> None:
            async for chunk in getattr(process, name):
                setattr(child, name, getattr(child, name) + chunk)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, "stdout")
            tasks.start_soon(read, "stderr")
            try:
                yield child
            finally:
                if process.returncode is None:
                    process.kill()


@asynccontextmanager
async def stdio_child(environment: Mapping[str, str], *arguments: str) -> AsyncIterator[Child]:
    """Yield a `contit-mcp stdio`, or a `contit-mcp` with these arguments."""
    line = [*COMMAND, *(arguments or ("stdio",))]
    async with piped(Child, line, clean_environment(**environment)) as child:
        yield child
