"""A real Redis server for tests, on a loopback port of its own, that can be stopped and started again."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PROGRAMS = ("redis-server", "valkey-server")


@dataclass
class RedisServer:
    """One server.

    Attributes:
        folder: Its own.
        port: Where it listens.
        password: What it wants to hear.
        keeps: Whether it writes down what it is told, and knows it again; otherwise a stopped one comes back empty.
    """

    folder: Path
    port: int
    password: str = "pass-word"
    keeps: bool = False
    _process: "subprocess.Popen[bytes] | None" = field(default=None)

    @property
    def url(self) -> str:
        """What CONTIT_MCP_STORE takes."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        program = next(path for name in PROGRAMS if (path := shutil.which(name)))
        options = [
            "--bind",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--save",
            "",
            "--appendonly",
            "yes" if self.keeps else "no",
            "--appendfsync",
            "no",
        ]
        options += ["--dir", str(self.folder), "--requirepass", self.password, "--maxmemory", "64mb"]
        self._process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return
            except OSError:
                time.sleep(0.02)
        raise TimeoutError("redis-server did not start")

    def stop(self) -> None:
        """Kill it: what it held is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Let it hang: connections stay open, nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@pytest.fixture(scope="session")
def session_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One server for all tests that do not stop it."""
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of the test's own, to stop and start."""
    with redis_server(tmp_path) as server:
        yield server


class redis_server:  # noqa: N801 - used like a function
    """A running server while inside. Without the program the test is skipped, but not where CI runs."""

    def __init__(self, folder: Path, *, port: int | None = None, keeps: bool = False) -> None:
        if not any(shutil.which(name) for name in PROGRAMS) and not os.environ.get("CI"):
            pytest.skip(reason="needs redis-server or valkey-server (Debian: apt-get install redis-server)")
        if port is None:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                port = listener.getsockname()[1]
        self._server = RedisServer(folder, port, keeps=keeps)

    def __enter__(self) -> RedisServer:
        self._server.start()
        return self._server

    def __exit__(self, *_: object) -> None:
        self._server.stop()
