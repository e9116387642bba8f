"""A disk that does not do as it should: one clear error, and nothing half done."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from contit_mcp.errors import ConfigurationError
from contit_mcp.hosts.files import back_up, read_text, write_secret, write_text


def read(path: Path) -> None:
    """Read it."""
    read_text(path)


def write(path: Path) -> None:
    """Write it."""
    write_text(path, "text")


def keep_secret(path: Path) -> None:
    """Write it for this user alone."""
    write_secret(path, "text")


@pytest.mark.parametrize(
    ("do", "said"),
    [(read, "cannot be read"), (write, "cannot be written"), (keep_secret, "cannot be written")],
)
def test_what_stands_in_the_way_is_named(do: Callable[[Path], None], said: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("text")
    before = sorted(tmp_path.rglob("*"))
    for path in (tmp_path / "folder", tmp_path / "file" / "below"):
        with pytest.raises(ConfigurationError, match=said) as refused:
            do(path)
        assert str(path) in refused.value.message
    assert sorted(tmp_path.rglob("*")) == before


def test_a_backup_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / ("f" * 250)  # no name may be longer than 255 bytes
    file.write_text("text")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        back_up(file)


def test_a_backup_overwrites_nothing(tmp_path: Path) -> None:
    file = tmp_path / "file"
    (tmp_path / "file.contit-mcp.2.bak").mkdir()
    made = []
    for content in ("first", "second", "first", "second"):
        file.write_text(content)
        made.append(back_up(file).name)
    assert made == ["file.contit-mcp.bak", "file.contit-mcp.3.bak"] * 2
    assert (tmp_path / "file.contit-mcp.bak").read_text() == "first"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_backup_is_for_this_user_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "file").chmod(0o644)
    assert stat.S_IMODE(back_up(tmp_path / "file").stat().st_mode) == 0o600


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
