"""The settings file: what it may hold, and how its faults are told."""

from pathlib import Path

import pytest

from contit_mcp.config.sources import load_settings
from contit_mcp.errors import ConfigurationError

MARKER = "s3cr3t-marker"


def write(folder: Path, content: str | bytes) -> Path:
    """Write a settings file."""
    file = folder / "contit-mcp.toml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def refused(file: Path) -> ConfigurationError:
    """Return the error that a file is refused with; nothing that could quote it is chained."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(file=file, environment={})
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert MARKER not in f"{caught.value.message}{caught.value.hint}{caught.value!r}"
    return caught.value


@pytest.mark.parametrize("text", ["", "# nothing yet\n"])
def test_an_empty_file_sets_nothing(text: str, tmp_path: Path) -> None:
    assert load_settings(file=write(tmp_path, text), environment={}) == load_settings(environment={})


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    file = write(tmp_path, b'\xef\xbb\xbfbase_url = "https://x.test"\r\n')
    assert load_settings(file=file, environment={}).base_url == "https://x.test"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (f'api_kye = "{MARKER}"\n', "Did you mean api_key?"),
        (f'apikey = "{MARKER}"\n', "Did you mean api_key?"),
        (f'BASE_URL = "{MARKER}"\n', "Did you mean base_url?"),
        (f'CONTIT_API_KEY = "{MARKER}"\n', "Did you mean api_key?"),
        (f'CONTIT_MCP_WAIT_SECONDS = "{MARKER}"\n', "Did you mean wait_seconds?"),
        ("colour = 1\n", "contit-mcp settings lists every setting."),
        (f'[contit]\napi_key = "{MARKER}"\n', "contit-mcp settings lists every setting."),
        ("[[xyz]]\n", "contit-mcp settings lists every setting."),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(text: str, hint: str, tmp_path: Path) -> None:
    file = write(tmp_path, text)
    error = refused(file)
    key = text.strip("[").split()[0].split("]")[0]
    assert error.message == f"{key} (in {file}) is not a setting of contit-mcp."
    assert error.hint == hint


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (f"api_key = {MARKER}\n", "line 1, column 11"),
        (f'base_url = "x"\napi_key = "{MARKER}\n', "line 2, column"),
        (f'api_key = "{MARKER}"\napi_key = "{MARKER}"\n', "line 2, column"),
        (f'["{MARKER}"]\n["{MARKER}"]\n', "line 2, column"),
        (f'["{MARKER}"\n', "line 1, column"),
        (f'{MARKER} = """', "end of document"),
    ],
)
def test_a_file_that_is_no_toml_is_told_by_place_and_never_quoted(text: str, place: str, tmp_path: Path) -> None:
    file = write(tmp_path, text)
    message = refused(file).message
    assert str(file) in message
    assert place in message


def test_a_file_that_cannot_be_read_is_told_with_the_reason_and_the_option_that_named_it(tmp_path: Path) -> None:
    odd = write(tmp_path, b'api_key = "' + MARKER.encode() + b'\xff"\n')
    for path, reason in (
        (tmp_path / "nowhere.toml", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (tmp_path / "nul\x00.toml", "not a path"),
        (odd, "not UTF-8 text"),
    ):
        error = refused(path)
        assert error.message == f"The settings file {path} cannot be read: {reason}."
        assert "--config" in error.hint


@pytest.mark.parametrize("text", [f"api_key = ['{MARKER}']\n", "base_url = true\n", f"wait_seconds = '{MARKER}'\n"])
def test_a_value_of_the_wrong_type_is_named_as_the_environment_names_it(text: str, tmp_path: Path) -> None:
    assert refused(write(tmp_path, text)).message.startswith("CONTIT_")


def test_a_variable_names_the_file_where_no_option_does(tmp_path: Path) -> None:
    """The option wins."""
    named = write(tmp_path, "wait_seconds = 30\n")
    given = tmp_path / "given.toml"
    given.write_text("wait_seconds = 20\n")
    environment = {"CONTIT_MCP_CONFIG": str(named)}
    assert load_settings(environment=environment).wait_seconds == 30
    assert load_settings(environment=environment | {"CONTIT_MCP_WAIT_SECONDS": "40"}).wait_seconds == 40
    assert load_settings(environment=environment, file=given).wait_seconds == 20
    with pytest.raises(ConfigurationError, match="cannot be read") as caught:
        load_settings(environment={"CONTIT_MCP_CONFIG": str(tmp_path / "nowhere.toml")})
    assert "CONTIT_MCP_CONFIG" in caught.value.hint
