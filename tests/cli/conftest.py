"""The command line is tested in real time, and keeps what outlives its processes in a folder of the test's."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from contit_mcp.sandbox.options import SandboxOptions
from tests.children import Contit, anyio_backend, contit
from tests.cli.command_line import RunHere

__all__ = ["anyio_backend"]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state folder, for every process that the test starts."""
    folder = tmp_path / "state"
    monkeypatch.setattr("tests.cli.command_line.STATE", folder)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.fixture
def run_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunHere:
    """Return a way to run a command in this process."""
    return RunHere(monkeypatch, capsys)


@pytest.fixture
def sandbox() -> Iterator[Contit]:
    """Yield a sandbox in a thread."""
    with contit(SandboxOptions(run_seconds=0.05)) as served:
        yield served
