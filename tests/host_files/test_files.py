"""A disk that does not do as it should: one clear error, and nothing half done."""

from collections.abc import Callable
from pathlib import Path

import pytest

from contit_mcp.exceptions import ConfigurationError
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
    """A folder in the file's place, or a file in its folder's; nothing is left behind (our choice)."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("text")
    before = sorted(tmp_path.rglob("*"))
    for path in (tmp_path / "folder", tmp_path / "file" / "below"):
        with pytest.raises(ConfigurationError, match=said) as refused:
            do(path)
        assert str(path) in refused.value.message
    assert sorted(tmp_path.rglob("*")) == before


def test_a_backup_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    """Without one nothing is changed (our choice)."""
    (tmp_path / "file").write_text("text")
    (tmp_path / "file.contit-mcp.bak" / "file").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="cannot be written"):
        back_up(tmp_path / "file")
