"""The command line is tested in real time, and keeps what outlives its processes in a folder of the test's."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from contit_mcp.cli.main import contit_mcp
from contit_mcp.errors import ContitError
from contit_mcp.hosts.host import Machine
from contit_mcp.hosts.table import HOSTS
from contit_mcp.sandbox.options import SandboxOptions
from tests.children import Contit, anyio_backend, contit
from tests.cli.command_line import RunHere, environment

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
    return RunHere(monkeypatch, capsys)


@pytest.fixture
def sandbox() -> Iterator[Contit]:
    with contit(SandboxOptions(run_seconds=0.05)) as served:
        yield served


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder, and a project in it that is the current folder. No test reaches the real Contit."""
    folder = tmp_path / "home"
    (folder / "project").mkdir(parents=True)
    for name in os.environ.keys() - environment().keys():
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    monkeypatch.setenv("CONTIT_MCP_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.chdir(folder / "project")
    return folder


@pytest.fixture
def command(home: Path) -> Callable[..., Result]:
    """The command line inside this process, with pipes."""
    return lambda *arguments, **variables: CliRunner().invoke(contit_mcp, arguments, env=variables)


def said_by(result: Result, code: int | None = None) -> str:
    said = result.exception.message if isinstance(result.exception, ContitError) else result.output
    assert code in (None, result.exit_code), said
    return said


def at_home(home: Path) -> list[str]:
    return sorted(path.relative_to(home).as_posix() for path in home.rglob("*"))


def file_of(slug: str, scope: str = "user") -> Path:
    return HOSTS[slug].place(Machine.this(), scope).path
