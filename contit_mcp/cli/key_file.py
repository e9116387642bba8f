"""The file from which a host's entry takes the credential: desktop applications see no shell's variables."""

import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

import click

from contit_mcp.config.secret_value import SecretValue
from contit_mcp.config.settings_names import is_unset
from contit_mcp.errors import ConfigurationError
from contit_mcp.hosts.files import write_secret

_FILE_NAMES = {"CONTIT_API_KEY": "api-key", "CONTIT_ACCESS_TOKEN": "access-token"}
_TOKEN_PREFIX = "ctpat_"  # noqa: S105 - how every personal access token of Contit begins
_ASKED = "CONTIT_API_KEY"


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A file with a credential.

    Attributes:
        setting: Of which kind it is: the setting that it is the value of.
        path: Where it is.
        secret: What is to be written into it; None for a file that is there.
    """

    setting: str
    path: Path
    secret: str | None = None

    @property
    def variable(self) -> str:
        """The variable by which an entry names it."""
        return f"{self.setting}_FILE"

    def replaces(self) -> bool:
        """Whether another key is there, whose place it takes."""
        try:
            return self.secret is not None and self.path.read_text(encoding="utf-8").strip() not in {"", self.secret}
        except (OSError, UnicodeDecodeError):
            return False

    def fill(self) -> list[str]:
        """Write what is to be written, and say how it stands."""
        if self.secret is not None:
            write_secret(self.path, self.secret + "\n")
            return [f"The key is in {self.path}, which nobody else can read."]
        if os.name != "nt" and self.path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            return [f"Others on this machine may read {self.path}. Keep it to yourself: chmod 600 {self.path}"]
        return [f"The key is the one in {self.path}."]


def expected_key_file(folder: Path) -> KeyFile:
    """Where the key would be that is asked for, for showing an entry before there is one."""
    return KeyFile(_ASKED, folder / _FILE_NAMES[_ASKED])


def our_key_files(folder: Path) -> list[Path]:
    """The files that are ours to remove."""
    return [_absolute(folder / name) for name in _FILE_NAMES.values()]


def choose_key_file(given: Path | None, folder: Path, *, ask: bool = True) -> KeyFile:
    """The credential that an entry is to name: one that is named here, set here, here from before, or asked for.

    Args:
        given: A file that the user names.
        folder: Where ours are kept.
        ask: Whether a person may be asked.

    Raises:
        ConfigurationError: There is none, or it is none.
    """
    if given is not None:
        return _of_the_user(given)
    for setting in _FILE_NAMES:
        if not is_unset(value := os.environ.get(setting)):
            return _to_write(str(value), setting, folder)
        if not is_unset(named := os.environ.get(f"{setting}_FILE")):
            return _of_the_user(Path(str(named)))
    for setting, name in _FILE_NAMES.items():
        if (folder / name).exists():
            return KeyFile(setting, _absolute(folder / name))
    if not ask:
        return expected_key_file(folder)
    return _to_write(_asked_for(), _ASKED, folder)


def _of_the_user(path: Path) -> KeyFile:
    path = _absolute(path.expanduser())
    secret = SecretValue(_ASKED, file=path).reveal()
    return KeyFile("CONTIT_ACCESS_TOKEN" if secret.startswith(_TOKEN_PREFIX) else _ASKED, path)


def _to_write(secret: str, setting: str, folder: Path) -> KeyFile:
    secret = secret.strip()
    if not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise ConfigurationError(
            "That is no key: it is empty, or has a blank or a character that no key has.",
            hint="Copy it again from Contit, without anything around it.",
        )
    setting = "CONTIT_ACCESS_TOKEN" if secret.startswith(_TOKEN_PREFIX) else setting
    return KeyFile(setting, _absolute(folder / _FILE_NAMES[setting]), secret)


def _asked_for() -> str:
    if sys.stdin is None or not sys.stdin.isatty():
        raise ConfigurationError(
            "No API key was given, and there is no terminal to ask for one.",
            hint="Set CONTIT_API_KEY for this command, or name a file that holds it with --key-file;"
            " or try --sandbox, which needs none.",
        )
    return str(click.prompt("API key of your Contit client (it is not shown)", hide_input=True, err=True))


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - links are named as they are
