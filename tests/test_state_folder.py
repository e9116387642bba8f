"""The folder of what outlives a process."""

import os
import sys
from pathlib import Path

import pytest

from contit_mcp.config.values import state_folder, usable_state_folder
from contit_mcp.errors import ConfigurationError


def test_it_is_where_the_operating_system_keeps_such_things(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Or as configured."""
    assert state_folder(tmp_path) == tmp_path
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_folder().name == "contit-mcp"
    if sys.platform == "linux":
        assert state_folder() == tmp_path / "contit-mcp"


def test_it_is_made_for_this_user_alone(tmp_path: Path) -> None:
    """Answers are content."""
    folder = usable_state_folder(tmp_path / "a" / "b")
    assert folder.is_dir()
    if os.name == "posix":
        assert folder.stat().st_mode & 0o777 == 0o700


def test_one_that_cannot_be_made_is_an_error_that_names_the_setting(tmp_path: Path) -> None:
    """In one line."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="cannot be made") as caught:
        usable_state_folder(tmp_path / "file" / "folder")
    assert "CONTIT_MCP_STATE_DIR" in caught.value.hint
