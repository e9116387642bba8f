"""Values of settings: secrets that never show themselves, addresses, the store's location, the state folder."""

import contextlib
import os
import re
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AnyUrl, TypeAdapter, UrlConstraints, ValidationError

from contit_mcp.errors import ConfigurationError


def read_text(file: Path, *, name: str, hint: str) -> str:
    """Return the text of a file. Raise ConfigurationError, which calls the file `name`, if it cannot be read."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as exc:
        problem = exc.strerror or "unknown reason"
    except UnicodeDecodeError:
        problem = "not UTF-8 text"
    except ValueError:
        problem = "not a path"
    raise ConfigurationError(f"{name} cannot be read: {problem}.", hint=hint)  # not chained: exc can hold the content


@dataclass(slots=True)
class SecretValue:
    """A secret, given as a value or in a file that is read again when it changes. Use `reveal()` to get it."""

    name: str  # the setting it came from, for messages
    value: str = field(default="", repr=False)  # with a file, what was last read
    file: Path | None = None
    _version_read: tuple[int, ...] = field(default=(), init=False, repr=False)

    def reveal(self) -> str:
        """Return the current secret. Raise ConfigurationError if its file cannot be read or is empty."""
        if self.file is None:
            return self.value
        version = _version(self.file)
        if version and version == self._version_read:
            return self.value
        name = f"The file that {self.name}_FILE names"
        hint = f"Check that {self.file} exists, holds the secret, and that this user may read it."
        value = read_text(self.file, name=name, hint=hint).strip()
        if not value:
            raise ConfigurationError(f"{name} is empty.", hint=hint)
        self.value, self._version_read = value, version
        return value


def _version(file: Path) -> tuple[int, ...]:
    """Return numbers that change with the content of a file; () if it cannot be inspected."""
    try:
        found = file.stat()
    except (OSError, ValueError):
        return ()
    if stat.S_ISFIFO(found.st_mode):  # `<(command)`: it can be read once, and its time changes when the command writes
        return (found.st_ino,)
    return found.st_mtime_ns, found.st_size, found.st_ino


LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})  # a credential is sent over plain http to these only
_HOST = re.compile(r"[\w.-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")


def usable_url(value: str) -> str:
    """Return the address without its trailing slashes; raise ValueError as `exact_url` does."""
    return exact_url(value).rstrip("/")


def exact_url(value: str, *, query: bool = False) -> str:
    """Return the address as it is written; a ValueError never quotes it, since it may hold a password."""
    value = value.strip()
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = "", 0  # raised below, not chained: urlsplit's text quotes the address
    if port == 0:
        raise ValueError("is not a URL")
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError("must be a URL that begins with https://")
    if "@" in parts.netloc or ("?" in value and not query) or "#" in value:
        raise ValueError("must hold no user, password, query or fragment")
    if not value.isprintable() or " " in value or not _HOST.fullmatch(host):
        raise ValueError("is not a URL")
    if parts.scheme == "http" and host not in LOOPBACK:
        raise ValueError("must begin with https:// (http:// is for this machine only)")
    return value


def address_of(url: str) -> str:
    """Return the host and port of a URL, which can be shown. The rest may contain a password."""
    text = url.partition("://")[2] or url
    return re.split(r"[/?#]", text.rpartition("@")[2])[0] or "(hidden)"


def state_folder(configured: Path | None = None) -> Path:
    """Return the configured folder, or the operating system's; without a home folder, one that cannot be created."""
    if configured is not None:
        return configured
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path's raises without a home
    if sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        folder = home / "Library" / "Application Support"
    else:
        folder = Path(os.environ.get("XDG_STATE_HOME", ""))
        if not folder.is_absolute():  # XDG says to ignore it
            folder = home / ".local" / "state"
    return (folder if folder.is_absolute() else Path(os.devnull) / "no-home-folder") / "contit-mcp"


def expanded(path: Path) -> Path:
    """Return the path with `~` replaced by the home folder; raise ValueError if there is none."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError("begins with a home folder that does not exist") from None


@dataclass(frozen=True, slots=True)
class StoreLocation:
    """A store's kind and place: the SQLite file (None: the one in the state folder), or the Redis URL."""

    kind: Literal["memory", "sqlite", "redis"]
    path: Path | None = None
    url: str = field(default="", repr=False)  # it can hold a password

    @property
    def name(self) -> str:
        """The location without a password: for Redis only host and port."""
        if self.kind == "redis":
            return f"{self.url.partition(':')[0]}://{address_of(self.url)}"
        return f"{self.kind}:{self.path}" if self.path else self.kind


_SCHEMES = ["redis", "rediss", "valkey", "valkeys"]
_CONSTRAINTS = UrlConstraints(allowed_schemes=_SCHEMES, host_required=True, default_port=6379)
_REDIS_URL: TypeAdapter[AnyUrl] = TypeAdapter(Annotated[AnyUrl, _CONSTRAINTS])
_DATABASE = re.compile(r"/?|/[0-9]{1,4}")
_TLS_OPTIONS = frozenset(
    {"ssl_ca_certs", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile"}
)


def parse_store(text: str) -> StoreLocation:
    """Return the location that a text names; a ValueError never quotes it, because it may contain a password."""
    text = text.strip()
    if text == "memory":
        return StoreLocation("memory")
    kind, separator, path = text.partition(":")
    if text == "sqlite" or (kind == "sqlite" and path and path.isprintable()):
        return StoreLocation("sqlite", path=expanded(Path(path)) if separator else None)
    # redis-py would refuse a wrong URL too, but only at the first use, and in its own words.
    with contextlib.suppress(ValidationError):
        url = _REDIS_URL.validate_python(text)
        options = dict(url.query_params())
        if (
            url.port
            and url.fragment is None
            and _DATABASE.fullmatch(url.path or "")
            and options.keys() <= _TLS_OPTIONS
            and options.get("ssl_cert_reqs", "required") in {"none", "optional", "required"}
        ):
            return StoreLocation("redis", url=re.sub("^valkey", "redis", str(url)))
    raise ValueError("must be memory, sqlite, sqlite:PATH, or a URL like redis://localhost:6379/0")
