"""Values of settings: secrets that never show themselves, addresses, the store's location, the state folder."""

import contextlib
import os
import re
import secrets
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from contit_mcp.errors import ConfigurationError


class SecretValue:
    """One secret. `str()` and `repr()` are masked; only `reveal()` returns it.

    Args:
        name: The setting it came from, for messages.
        value: The secret itself, or
        file: the file that holds it; surrounding white space is dropped, and a changed file is read again.
    """

    def __init__(self, name: str, *, value: str | None = None, file: Path | None = None) -> None:
        if (value is None) == (file is None):
            raise ValueError("give exactly one of value and file")
        self.name = name
        self._value = value
        self._file = file
        self._read: tuple[int, int, int] | None = None

    def __repr__(self) -> str:
        return f"SecretValue({self.name}, {'a file' if self._file else 'set'})"

    def reveal(self) -> str:
        """Return the secret as it is now.

        Raises:
            ConfigurationError: The file is missing, unreadable or empty.
        """
        if self._file is not None:
            self._refresh(self._file)
        assert self._value is not None  # noqa: S101 - set by __init__ or by _refresh
        return self._value

    def _refresh(self, file: Path) -> None:
        # Errors about the content are not chained: a codec's error has all of the content.
        try:
            stat = file.stat()
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if seen == self._read:
                return
            value = file.read_text(encoding="utf-8-sig").strip()
        except OSError as exc:
            raise self._unreadable(file, exc.strerror or "unknown reason") from exc
        except UnicodeDecodeError:
            problem = self._unreadable(file, "not UTF-8 text")
        except ValueError:
            problem = self._unreadable(file, "not a path")
        else:
            if value:
                self._value, self._read = value, seen
                return
            problem = ConfigurationError(
                f"The file that {self.name}_FILE names is empty.", hint=f"Write the secret into {file}."
            )
        raise problem

    def _unreadable(self, file: Path, reason: str) -> ConfigurationError:
        return ConfigurationError(
            f"The file that {self.name}_FILE names cannot be read: {reason}.",
            hint=f"Check that {file} exists and that this user may read it.",
        )


LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""The names of this machine. A credential is sent over plain http to these only."""

_HOST = re.compile(r"[\w.-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")


def usable_url(value: str) -> str:
    """Return the address without its trailing slashes.

    Raises:
        ValueError: It cannot be used; the text never quotes it, since it may hold a password.
    """
    return exact_url(value).rstrip("/")


def exact_url(value: str, *, query: bool = False) -> str:
    """Return the address as it is written, for addresses that are compared letter by letter.

    Args:
        value: The address.
        query: Whether it may have one.

    Raises:
        ValueError: It cannot be used; the text never quotes it, since it may hold a password.
    """
    value = value.strip()
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts = None  # raised below, out of reach of a text that quotes the address
    if parts is None or port == 0:
        raise ValueError("is not a URL")
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError("must be a URL like https://api.contit.cloud")
    if "@" in parts.netloc or ("?" in value and not query) or "#" in value:
        raise ValueError("must hold no user, password, query or fragment")
    if not value.isprintable() or " " in value or not _HOST.fullmatch(host):
        raise ValueError("is not a URL")
    if parts.scheme == "http" and host not in LOOPBACK:
        raise ValueError("must begin with https:// (http:// is for this machine only)")
    return value


def address_of(url: str) -> str:
    """Return host and port of a URL, to be shown: the rest of it may contain a password."""
    text = url.partition("://")[2] or url
    return re.split(r"[/?#]", text.rpartition("@")[2])[0] or "(hidden)"


_NAME = "contit-mcp"
_HINT = "Set CONTIT_MCP_STATE_DIR to a folder that this user may write to."


def state_folder(configured: Path | None = None) -> Path:
    """Return the configured folder, or the one that the operating system provides. It need not exist.

    A user without a home folder has no place of their own. The path returned then lies below a file, so that it can
    never be made: the run store falls back to memory, and whatever must write reports it.
    """
    if configured is not None:
        return configured
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path's raises without a home
    if sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        folder = home / "Library" / "Application Support"
    else:
        folder = Path(os.environ.get("XDG_STATE_HOME") or home / ".local" / "state")
        if not folder.is_absolute():  # XDG says to ignore it
            folder = home / ".local" / "state"
    return folder / _NAME if folder.is_absolute() else Path(os.devnull) / "no-home-folder" / _NAME


def usable_state_folder(configured: Path | None = None) -> Path:
    """Return the state folder, made for this user alone if it did not exist, and writable.

    Raises:
        ConfigurationError: It cannot be made or written.
    """
    folder = state_folder(configured)
    try:
        make_folder(folder)
    except OSError as exc:
        raise _unusable(folder, "be made", exc.strerror or "unknown reason") from exc
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _unusable(folder, "be written", "no permission")
    return folder


def expanded(path: Path) -> Path:
    """Return the path with `~` replaced by the home folder.

    Raises:
        ValueError: There is no such user, or no home folder.
    """
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError("begins with a home folder that does not exist") from None


def make_folder(folder: Path, *, mode: int = 0o700) -> None:
    """Make the folder and those above it that are missing, each with the mode, whatever the umask allows beyond it.

    Raises:
        OSError: It cannot be made, or something else has its name.
    """
    for path in (*reversed(folder.parents), folder):
        if not path.is_dir():
            path.mkdir(mode=mode, exist_ok=True)


def write_whole(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a file atomically: a temporary file with the mode replaces it.

    Raises:
        OSError: It cannot be written; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}")
    try:
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - one step on every system
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _unusable(folder: Path, what: str, reason: str) -> ConfigurationError:
    return ConfigurationError(f"The state folder {folder} cannot {what}: {reason}.", hint=_HINT)


_REDIS_SCHEMES = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss"}
"""The accepted schemes, and the client library's names for them."""


_DATABASE = re.compile(r"/?|/[0-9]{1,4}")
"""The path of a Redis URL: nothing, or the number of a database."""

_TLS_OPTIONS = frozenset(
    {"ssl_ca_certs", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile"}
)
"""The options that may follow a Redis URL."""


@dataclass(frozen=True, slots=True)
class StoreLocation:
    """A store's kind and place.

    Attributes:
        kind: Which store.
        path: The SQLite file; None for the one in the state folder.
        url: The Redis URL. It can hold a password, so it is not part of the repr.
    """

    kind: Literal["memory", "sqlite", "redis"]
    path: Path | None = None
    url: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """The location without a password: for Redis only host and port."""
        if self.kind == "redis":
            return f"{self.url.partition(':')[0]}://{address_of(self.url)}"
        return f"{self.kind}:{self.path}" if self.path else self.kind


def parse_store(text: str) -> StoreLocation:
    """Read the setting.

    Raises:
        ValueError: The text has none of the forms. The error never quotes it, because it may contain a password.
    """
    text = text.strip()
    if text in {"memory", "sqlite"}:
        return StoreLocation("memory" if text == "memory" else "sqlite")
    kind, _, rest = text.partition(":")
    if kind == "sqlite" and rest and rest.isprintable():
        return StoreLocation("sqlite", path=expanded(Path(rest)))
    scheme = _REDIS_SCHEMES.get(kind.lower())
    if scheme and rest.startswith("//") and _is_url(text):
        return StoreLocation("redis", url=_with_port(f"{scheme}:{rest}"))
    raise ValueError("must be memory, sqlite, sqlite:PATH, or a URL like redis://localhost:6379/0")


def _is_url(text: str) -> bool:
    """Return whether the text is a URL that the client library takes: it reports others late, in words of its own."""
    try:
        parts = urlsplit(text)
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        return (
            bool(parts.hostname)
            and parts.port != 0
            and text.isprintable()
            and " " not in text
            and "#" not in text
            and _DATABASE.fullmatch(parts.path) is not None
            and all(name in _TLS_OPTIONS for name, _ in options)
            and dict(options).get("ssl_cert_reqs", "required") in {"none", "optional", "required"}
        )
    except ValueError:
        return False


def _with_port(url: str) -> str:
    """Return the URL with a port: one of the libraries that read it takes no other."""
    parts = urlsplit(url)
    netloc = parts.netloc if parts.port else f"{parts.netloc.removesuffix(':')}:6379"
    return urlunsplit((parts.scheme, netloc, parts.path, parts.query, parts.fragment))
