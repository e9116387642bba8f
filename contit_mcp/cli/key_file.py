"""The file from which a host's entry takes the API key: desktop applications see no shell's variables."""

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from contit_mcp.exceptions import ConfigurationError
from contit_mcp.hosts.files import write_secret
from contit_mcp.secret_value import SecretValue
from contit_mcp.settings_names import is_unset

_NAME = "api-key"


def chosen_key_file(given: Path | None, folder: Path) -> Path:
    """The file that an entry names: one of the user's, else ours. It need not be there yet."""
    named = os.environ.get("CONTIT_API_KEY_FILE")
    if given is None and not is_unset(named) and is_unset(os.environ.get("CONTIT_API_KEY")):
        given = Path(str(named))
    return our_key_file(folder) if given is None else Path(os.path.abspath(given.expanduser()))  # noqa: PTH100


def our_key_file(folder: Path) -> Path:
    """The file that we write the key into."""
    return Path(os.path.abspath(folder / _NAME))  # noqa: PTH100 - links are named as they are


def fill_key_file(file: Path, folder: Path) -> Iterator[str]:
    """See to it that there is a key in the file, and say what was done.

    Raises:
        ConfigurationError: There is none, and nobody to ask for one.
    """
    if file != our_key_file(folder):
        SecretValue("CONTIT_API_KEY", file=file).reveal()
        if os.name != "nt" and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield f"Others on this machine may read {file}. Keep it to yourself: chmod 600 {file}"
        return
    key = os.environ.get("CONTIT_API_KEY", "").strip()
    if is_unset(key) and file.exists():
        yield f"The API key is the one in {file}."
        return
    if is_unset(key):
        key = _asked_for()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigurationError(
            "That is no API key: it has a blank, or a character that no key has.",
            hint="Copy it again from Contit, without anything around it.",
        )
    write_secret(file, key + "\n")
    yield f"The API key is in {file}, which nobody else can read."


def _asked_for() -> str:
    if sys.stdin is None or not sys.stdin.isatty():
        raise ConfigurationError(
            "No API key was given, and there is no terminal to ask for one.",
            hint="Set CONTIT_API_KEY for this command, or name a file that holds it with --key-file;"
            " or try --sandbox, which needs none.",
        )
    return str(click.prompt("API key of your Contit client (it is not shown)", hide_input=True, err=True)).strip()
