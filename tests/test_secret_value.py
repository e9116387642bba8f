"""A secret that never shows itself, from a value or from a file that may change."""

import os
from pathlib import Path

import pytest

from contit_mcp.config.values import SecretValue
from contit_mcp.errors import ConfigurationError

SECRET = "s3cr3t-marker"


def write(folder: Path, content: str | bytes) -> Path:
    """Write a secret file."""
    file = folder / "secret"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


@pytest.mark.parametrize("from_file", [False, True])
def test_only_reveal_gives_the_secret(tmp_path: Path, from_file: bool) -> None:
    """`str()`, `repr()` and formatting are masked, before and after reading."""
    file = write(tmp_path, SECRET) if from_file else None
    secret = SecretValue("CONTIT_API_KEY", value=None if from_file else SECRET, file=file)
    assert SECRET not in f"{secret} {secret!r} {secret!s} {[secret]} { ({'key': secret}) }"
    assert secret.reveal() == SECRET
    assert SECRET not in f"{secret} {secret!r} {secret!s} {[secret]} { ({'key': secret}) }"
    assert "CONTIT_API_KEY" in repr(secret)


@pytest.mark.parametrize(("value", "file"), [(None, None), ("a", Path("b"))])
def test_a_secret_has_exactly_one_source(value: str | None, file: Path | None) -> None:
    """Neither none nor two."""
    with pytest.raises(ValueError, match="exactly one"):
        SecretValue("CONTIT_API_KEY", value=value, file=file)


@pytest.mark.parametrize(
    "content",
    [SECRET, f"{SECRET}\n", f"{SECRET}\r\n", f"  {SECRET}\t\n\n", b"\xef\xbb\xbf" + SECRET.encode() + b"\r\n"],
)
def test_white_space_and_a_byte_order_mark_around_a_secret_are_dropped(tmp_path: Path, content: str | bytes) -> None:
    """Editors and `echo` add them."""
    assert SecretValue("CONTIT_API_KEY", file=write(tmp_path, content)).reveal() == SECRET


def test_a_file_is_read_when_it_is_needed_and_not_before(tmp_path: Path) -> None:
    """It may be mounted later."""
    secret = SecretValue("CONTIT_API_KEY", file=tmp_path / "secret")
    write(tmp_path, SECRET)
    assert secret.reveal() == SECRET


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    """Another length, another time, or another file at its place."""
    file = write(tmp_path, "first")
    secret = SecretValue("CONTIT_API_KEY", file=file)
    assert secret.reveal() == "first"
    write(tmp_path, "longer-second")
    assert secret.reveal() == "longer-second"
    write(tmp_path, "longer-thirdd")
    os.utime(file, ns=(1, 1))
    assert secret.reveal() == "longer-thirdd"
    other = tmp_path / "other"
    other.write_text("longer-fourth")
    os.utime(other, ns=(1, 1))
    other.replace(file)
    assert secret.reveal() == "longer-fourth"


def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    """One look at its time, size and number serves each request."""
    file = write(tmp_path, "first")
    os.utime(file, ns=(1, 1))
    secret = SecretValue("CONTIT_API_KEY", file=file)
    assert secret.reveal() == "first"
    with file.open("r+") as same:
        same.write("other")
    os.utime(file, ns=(1, 1))
    assert secret.reveal() == "first"


@pytest.mark.parametrize("content", ["", " \n\t", "\ufeff"])
def test_an_empty_file_is_a_configuration_error(tmp_path: Path, content: str) -> None:
    """Not an empty credential."""
    file = write(tmp_path, content)
    with pytest.raises(ConfigurationError) as caught:
        SecretValue("CONTIT_API_KEY", file=file).reveal()
    assert caught.value.message == "The file that CONTIT_API_KEY_FILE names is empty."
    assert str(file) in caught.value.hint


def test_a_file_that_cannot_be_read_is_told_with_the_systems_reason(tmp_path: Path) -> None:
    """Missing, or a folder."""
    for path, reason in ((tmp_path / "nowhere", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigurationError) as caught:
            SecretValue("CONTIT_API_KEY", file=path).reveal()
        assert caught.value.message == f"The file that CONTIT_API_KEY_FILE names cannot be read: {reason}."
        assert str(path) in caught.value.hint


def test_a_path_that_cannot_be_one_is_told() -> None:
    """Not a ValueError from the depths."""
    with pytest.raises(ConfigurationError, match="CONTIT_API_KEY_FILE names cannot be read: not a path"):
        SecretValue("CONTIT_API_KEY", file=Path("nul\x00")).reveal()


def test_a_file_that_is_no_text_is_told_without_its_bytes(tmp_path: Path) -> None:
    """A codec's error carries all of them along, so it is not chained."""
    file = write(tmp_path, SECRET.encode() + b"\xff\xfe")
    with pytest.raises(ConfigurationError) as caught:
        SecretValue("CONTIT_API_KEY", file=file).reveal()
    assert caught.value.message.endswith("not UTF-8 text.")
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert SECRET not in f"{caught.value!r}{caught.value.message}{caught.value.hint}"


def test_a_file_that_vanishes_is_told_and_is_used_again_once_it_is_back(tmp_path: Path) -> None:
    """No stale secret is sent on."""
    file = write(tmp_path, "first")
    secret = SecretValue("CONTIT_API_KEY", file=file)
    secret.reveal()
    file.unlink()
    with pytest.raises(ConfigurationError):
        secret.reveal()
    write(tmp_path, "second-secret")
    assert secret.reveal() == "second-secret"
