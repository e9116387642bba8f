"""A disk that refuses: one clear error, and nothing half done."""

import os
import stat
from pathlib import Path

import pytest

from contit_mcp.errors import ConfigurationError
from contit_mcp.hosts.files import back_up, read_text, write_text


def test_an_obstacle_is_named_and_nothing_is_changed(tmp_path: Path) -> None:
    below, folder, long = (tmp_path / name for name in ("file/below", "folder", "f" * 250))
    folder.mkdir()
    below.parent.write_text("text")
    long.touch()  # no name may be longer than 255 bytes, so it has no backup
    before = sorted(tmp_path.rglob("*"))
    for path in (below, folder):
        with pytest.raises(ConfigurationError, match=f"{path} cannot be read"):
            read_text(path)
        with pytest.raises(ConfigurationError, match=f"{path} cannot be written"):
            write_text(path, "text")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        back_up(long, tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_backup_overwrites_nothing_and_is_for_this_user_alone(tmp_path: Path) -> None:
    file = tmp_path / "file"
    (tmp_path / "file.contit-mcp.2.bak").mkdir()
    made = []
    for content in ("first", "second"):
        file.write_text(content)
        file.chmod(0o644)
        made.append(back_up(file, tmp_path))
    assert [copy.name for copy in made] == ["file.contit-mcp.bak", "file.contit-mcp.3.bak"]
    assert [copy.read_text() for copy in made] == ["first", "second"]
    assert os.name == "nt" or {stat.S_IMODE(copy.stat().st_mode) for copy in made} == {0o600}


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everything")
def test_a_file_that_its_user_has_locked_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "file").chmod(0o444)
    with pytest.raises(ConfigurationError, match="Permission denied"):
        write_text(tmp_path / "file", "other")
    assert (tmp_path / "file").read_text() == "text"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can give files away")
def test_a_file_keeps_its_owner(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    os.chown(tmp_path / "file", 12345, 12346)
    write_text(tmp_path / "file", "other")
    assert ((tmp_path / "file").stat().st_uid, (tmp_path / "file").stat().st_gid) == (12345, 12346)
