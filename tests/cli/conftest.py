"""The command line is tested in real time, with folders and an environment of the test's own."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.children import Contit, anyio_backend, contit
from tests.cli.command_line import NOWHERE

__all__ = ["anyio_backend"]

_OF_THE_DEVELOPER = {
    "http_proxy", "https_proxy", "all_proxy", "no_proxy", "no_color", "ssl_cert_file", "columns",
    # With these the developer's own hosts would be found, whatever HOME is.
    "xdg_config_home", "appdata", "localappdata", "claude_config_dir", "codex_home", "copilot_home",
}  # fmt: skip


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state folder of every command that the test runs, in an environment without the developer's preferences."""
    for name in list(os.environ):
        if name.lower() in _OF_THE_DEVELOPER:
            monkeypatch.delenv(name)
    monkeypatch.setenv("CONTIT_MCP_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)  # so contit-mcp is on PATH
    return tmp_path / "state"


@pytest.fixture
def sandbox() -> Iterator[Contit]:
    with contit() as served:
        yield served


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder, and a project in it that is the current folder. A dead proxy keeps the test off the Internet."""
    folder = tmp_path / "home"
    (folder / "project").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    monkeypatch.setenv("HTTPS_PROXY", NOWHERE)
    monkeypatch.chdir(folder / "project")
    return folder
