"""The command line is tested in real time, and keeps what outlives its processes in a folder of the test's."""

import os
import sys
from pathlib import Path

import pytest

from tests.children import anyio_backend

__all__ = ["anyio_backend"]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state folder, for every process that the test starts."""
    folder = tmp_path / "state"
    monkeypatch.setattr("tests.cli.command_line.STATE", folder)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return folder
