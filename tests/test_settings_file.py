"""The settings file: what it may hold, and how its faults are told."""

from pathlib import Path

import pytest

from contit_mcp.config.sources import load_settings, read_settings_file
from contit_mcp.errors import ConfigurationError

KNOWN = {"api_key": "CONTIT_API_KEY", "base_url": "CONTIT_BASE_URL", "wait_seconds": "CONTIT_MCP_WAIT_SECONDS"}
MARKER = "s3cr3t-marker"


def write(folder: Path, content: str | bytes) -> Path:
    """Write a settings file."""
    file = folder / "contit-mcp.toml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def test_plain_keys_are_read(tmp_path: Path) -> None:
    """With TOML's own types."""
    file = write(tmp_path, '# mine\nbase_url = "https://x.test"\nwait_seconds = 30\n')
    assert read_settings_file(file, known=KNOWN) == {"base_url": "https://x.test", "wait_seconds": 30}


def test_an_empty_file_sets_nothing(tmp_path: Path) -> None:
    """Nor does one of comments only."""
    assert read_settings_file(write(tmp_path, ""), known=KNOWN) == {}
    assert read_settings_file(write(tmp_path, "# nothing yet\n"), known=KNOWN) == {}


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    """Editors of Windows write one."""
    file = write(tmp_path, b'\xef\xbb\xbfbase_url = "https://x.test"\r\n')
    assert read_settings_file(file, known=KNOWN) == {"base_url": "https://x.test"}


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("api_kye", "api_key"),
        ("apikey", "api_key"),
        ("baseurl", "base_url"),
        ("wait_secs", "wait_seconds"),
        ("BASE_URL", "base_url"),
        ("CONTIT_API_KEY", "api_key"),
        ("CONTIT_MCP_WAIT_SECONDS", "wait_seconds"),
        ("contit_base_url", "base_url"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(key: str, meant: str, tmp_path: Path) -> None:
    """A misspelt setting that is silently ignored costs an afternoon."""
    file = write(tmp_path, f'{key} = "{MARKER}"\n')
    with pytest.raises(ConfigurationError) as caught:
        read_settings_file(file, known=KNOWN)
    assert caught.value.message == f"{key} (in {file}) is not a setting of contit-mcp."
    assert caught.value.hint == f"Did you mean {meant}?"


@pytest.mark.parametrize("text", ["colour = 1\n", '[contit]\napi_key = "x"\n', "[[xyz]]\n"])
def test_a_key_like_no_other_is_refused_with_the_way_to_the_list(text: str, tmp_path: Path) -> None:
    """Tables too: all settings are plain keys."""
    with pytest.raises(ConfigurationError) as caught:
        read_settings_file(write(tmp_path, text), known=KNOWN)
    assert caught.value.hint == "contit-mcp settings lists every setting."


BROKEN = {
    f"api_key = {MARKER}\n": "line 1, column 11",
    f'base_url = "x"\napi_key = "{MARKER}\n': "line 2, column",
    f"{MARKER}\n": "line 1, column",
    f'api_key = "{MARKER}"\napi_key = "{MARKER}"\n': "line 2, column",
    f'"{MARKER}" = 1\n"{MARKER}" = 2\n': "line 2, column",
    f'api_key = "{MARKER}\\q"\n': "line 1, column",
    f'["{MARKER}"]\n["{MARKER}"]\n': "line 2, column",
    f'["{MARKER}"\n': "line 1, column",
    f'{MARKER} = """': "end of document",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_file_that_is_no_toml_is_told_by_place_and_never_quoted(text: str, tmp_path: Path) -> None:
    """It may hold a secret, so neither the message nor anything chained to it has a word of it."""
    file = write(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        read_settings_file(file, known=KNOWN)
    assert str(file) in caught.value.message
    assert BROKEN[text] in caught.value.message
    assert MARKER not in f"{caught.value.message}{caught.value.hint}{caught.value!r}"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_file_that_is_no_text_is_told_without_its_bytes(tmp_path: Path) -> None:
    """A codec's error carries all of them along, so it is not chained."""
    file = write(tmp_path, b'api_key = "' + MARKER.encode() + b'\xff"\n')
    with pytest.raises(ConfigurationError) as caught:
        read_settings_file(file, known=KNOWN)
    assert caught.value.message == f"The settings file {file} cannot be read: not UTF-8 text."
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_file_that_is_missing_or_a_folder_is_told_with_the_systems_reason(tmp_path: Path) -> None:
    """And with the option that named it."""
    for path, reason in ((tmp_path / "nowhere.toml", "No such file"), (tmp_path, "directory")):
        with pytest.raises(ConfigurationError, match=reason) as caught:
            load_settings(file=path, environment={})
        assert "--config" in caught.value.hint


def test_a_path_that_cannot_be_one_is_told(tmp_path: Path) -> None:
    """Not a ValueError from the depths."""
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_settings(file=tmp_path / "nul\x00.toml", environment={})


@pytest.mark.parametrize(
    "text", ["api_key = 12345\n", "api_key = ['a']\n", "base_url = true\n", "wait_seconds = 'x'\n"]
)
def test_a_value_of_the_wrong_type_is_named_but_not_quoted(text: str, tmp_path: Path) -> None:
    """By the name that the environment has for it."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(file=write(tmp_path, text), environment={})
    assert caught.value.message.startswith("CONTIT_")
    assert "12345" not in f"{caught.value.message}{caught.value.hint}"
    assert caught.value.__context__ is None


def test_a_variable_names_the_file_where_no_option_does(tmp_path: Path) -> None:
    """Containers and hosts set variables; the option wins, and a placeholder names nothing."""
    named = write(tmp_path, "wait_seconds = 30\n")
    given = tmp_path / "given.toml"
    given.write_text("wait_seconds = 20\n")
    environment = {"CONTIT_MCP_CONFIG": str(named)}
    assert load_settings(environment=environment).wait_seconds == 30
    assert load_settings(environment=environment | {"CONTIT_MCP_WAIT_SECONDS": "40"}).wait_seconds == 40
    assert load_settings(environment=environment, file=given).wait_seconds == 20
    assert load_settings(environment={"CONTIT_MCP_CONFIG": "${CONTIT_MCP_CONFIG}"}).wait_seconds is None
    with pytest.raises(ConfigurationError, match="cannot be read") as caught:
        load_settings(environment={"CONTIT_MCP_CONFIG": str(tmp_path / "nowhere.toml")})
    assert "CONTIT_MCP_CONFIG" in caught.value.hint
