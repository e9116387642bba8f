"""Bridges stand between a client and our server: here the client is the Python SDK's, of an environment of its own."""

import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.hosts.bench import bare_environment
from tests.hosts.installing import python_packages
from tests.hosts.trials import Trial

_SECONDS = 90


def call_through(trial: Trial, client: str, *, version: str, mode: str = "auto", **way: object) -> None:
    """Ask through a bridge: `command` and `args`, or `url`, instead of those of our own entry."""
    python = python_packages("python_sdk_2") / "python"
    trial.call(client, lambda: trial.program("python_sdk_2.py", python, **way, mode=mode), version=version)


@contextmanager
def running(trial: Trial, command: Sequence[str | Path], *path: Path, port: int, **environment: str) -> Iterator[str]:
    """A bridge that listens on a port, ended at the end; its address."""
    trial.home.mkdir(exist_ok=True)
    log = trial.home / "bridge.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=trial.home,
            env=bare_environment(trial.home, *path, **environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for(port, process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(_SECONDS * 10):
        assert process.poll() is None, log.read_text(encoding="utf-8", errors="replace")[-2_000:]
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(log.read_text(encoding="utf-8", errors="replace")[-2_000:])
