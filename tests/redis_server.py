"""A real Redis server for tests, on a loopback port of its own, that can be stopped and started again."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.children import free_port

PROGRAM = shutil.which("redis-server") or shutil.which("valkey-server")


@dataclass
class RedisServer:
    folder: Path
    port: int
    password: str = "pass-word"
    keeps: bool = False  # its data over a stop
    _process: "subprocess.Popen[bytes]" = field(init=False)

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        options = f"--bind 127.0.0.1 --port {self.port} --requirepass {self.password} --maxmemory 64mb --appendfsync no"
        options += f" --appendonly {'yes' if self.keeps else 'no'} --save"
        command = [str(PROGRAM), *options.split(), "", "--dir", str(self.folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert time.monotonic() < until, "it did not start"
                time.sleep(0.02)

    def stop(self) -> None:
        """Kill it, unless it has ended."""
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Suspend its process: connections stay open, and nothing is answered."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)


@pytest.fixture(scope="session")
def session_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One server for all tests that do not stop it."""
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that the test can stop and start."""
    with redis_server(tmp_path) as server:
        yield server


@contextmanager
def redis_server(folder: Path, *, port: int | None = None, keeps: bool = False) -> Iterator[RedisServer]:
    """Yield a running server. Without the program the test is skipped, except in CI."""
    if PROGRAM is None and not os.environ.get("CI"):
        pytest.skip(reason="needs redis-server or valkey-server (Debian: apt-get install redis-server)")
    server = RedisServer(folder, port or free_port(), keeps=keeps)
    server.start()
    try:
        yield server
    finally:
        server.stop()
