"""`contit-mcp http` as a child process on a loopback port, for tests that are its clients, honest or not."""

import json
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
import uvicorn
from starlette.types import ASGIApp

from contit_mcp.sandbox.app import create_sandbox
from contit_mcp.sandbox.options import SandboxOptions
from contit_mcp.sandbox.record import SandboxRecord
from tests.e2e.processes import clean_environment

SEAL_KEY = "s" * 32
JSON_RPC = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
INFO = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test-host", "version": "1"}}


def rpc(method: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A JSON-RPC request."""
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": dict(params or {})}


INITIALIZE = rpc("initialize", INFO)


@contextmanager
def on_port(app: ASGIApp, **more: Any) -> Iterator[str]:
    """An application on a free loopback port, in a thread; gives its base URL. `more` goes to uvicorn."""
    options: dict[str, Any] = {"log_config": None, "access_log": False, "lifespan": "off", "ws": "none"} | more
    server = uvicorn.Server(uvicorn.Config(app, **options))
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


class SeenKeys:
    """Remembers with which credential each request came, before whatever is behind it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.keys: list[str] = []
        self.hosts: set[str] = set()
        self.connections: set[Any] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.keys.append(headers.get("x-api-key") or headers.get("authorization") or "")
        self.hosts.add(headers["host"])
        await self._app(scope, receive, send)


@dataclass
class Contit:
    """A sandbox on a port."""

    url: str
    record: SandboxRecord
    seen: SeenKeys


@contextmanager
def contit(options: SandboxOptions | None = None) -> Iterator[Contit]:
    """A sandbox on a port, whose runs are short."""
    app = create_sandbox(options or SandboxOptions(run_seconds=0.05))
    seen = SeenKeys(app)
    with on_port(seen) as url:
        yield Contit(url, app.state.sandbox, seen)


@dataclass
class Served:
    """The child. Use it as a context; it is stopped at the end by SIGTERM."""

    environment: Mapping[str, str]
    arguments: tuple[str, ...] = ()
    module: tuple[str, ...] = ("contit_mcp", "http", "--port", "0")
    verify: ssl.SSLContext | bool = True
    errors_expected: frozenset[str] = frozenset()
    url: str = ""
    _lines: list[str] = field(default_factory=list)
    _listening: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        common = {"CONTIT_MCP_STORE": "memory", "CONTIT_MCP_REQUESTS_PER_MINUTE": "100000"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", *self.module, *self.arguments],
            env=clean_environment(**{**common, **self.environment}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._listening.wait(30), self.stderr
        assert self.url, self.stderr
        self.http = httpx.Client(verify=self.verify, timeout=20)
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        self.stop()
        self.assert_no_error()

    def stop(self) -> int:
        """Stop it by SIGTERM; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self._reader.join(10)
        return code

    @property
    def stderr(self) -> str:
        """Everything it has written so far."""
        return "".join(self._lines)

    @property
    def port(self) -> int:
        """Where it listens."""
        port = urlsplit(self.url).port
        assert port
        return port

    @property
    def base(self) -> str:
        """Its URL without the path."""
        return self.url.removesuffix("/mcp")

    def events(self, name: str) -> list[dict[str, Any]]:
        """What it has logged under that name."""
        return [line for line in map(json.loads, self._lines[:]) if line["event"] == name]

    def last(self, name: str, **fields: Any) -> dict[str, Any]:
        """The last event with these fields; waits for it."""
        for _ in range(200):
            found = [event for event in self.events(name) if fields.items() <= event.items()]
            if found:
                return found[-1]
            time.sleep(0.05)
        raise AssertionError(self.stderr)

    def post(self, message: object, *, url: str = "", **headers: str) -> httpx.Response:
        """POST a message; underscores in the names of headers are hyphens."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(url or self.url, content=json.dumps(message), headers=JSON_RPC | more)

    def call(self, tool: str, arguments: Mapping[str, Any], **headers: str) -> dict[str, Any]:
        """Call a tool in the handshake era; its result."""
        response = self.post(rpc("tools/call", {"name": tool, "arguments": dict(arguments)}), **headers)
        assert response.status_code == 200, response.text
        answers = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]
        result: dict[str, Any] = next(answer["result"] for answer in answers if answer.get("id") == 1)
        return result

    def raw(self, data: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send bytes; status, headers and body of the answer, or status 0 for a closed connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            with suppress(BrokenPipeError, ConnectionResetError):  # it can have seen enough; its answer is there
                connection.sendall(data)
            return read_answer(connection)

    def assert_unharmed(self) -> None:
        """It serves, and has logged no error."""
        assert self.http.get(f"{self.base}/healthz").status_code == 200
        self.assert_no_error()

    def assert_no_error(self) -> None:
        """It has written nothing but JSON lines, and none of an error that was not expected."""
        for line in map(json.loads, self.stderr.splitlines()):
            assert line["level"] in {"debug", "info", "warning"} or line["event"] in self.errors_expected, line
        assert "Traceback" not in self.stderr

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stderr:
            for line in stderr:
                self._lines.append(line)
                if '"server.listening"' in line:
                    self.url = json.loads(line)["url"]
                    self._listening.set()
        self._listening.set()


def read_answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read one answer to its end."""
    got, first, headers, body = b"", "", dict[str, str](), b""
    try:
        while b"\r\n\r\n" not in got and (chunk := connection.recv(65_536)):
            got += chunk
        head, _, body = got.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "-1"))
        while (length < 0 or len(body) < length) and (chunk := connection.recv(65_536)):
            body += chunk
    except ConnectionResetError:  # the parser refuses some requests without reading them to their end
        if b"\r\n\r\n" not in got:
            return 0, {}, b""
    return int(first.split(" ")[1]) if first else 0, headers, body
