"""Where runs are remembered, as settings write it: `memory`, `sqlite`, `sqlite:PATH`, or a Redis URL."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from contit_mcp.config.settings_urls import address_of

_REDIS_SCHEMES = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss"}
"""What people write, and what the client library knows it by."""


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
    def password(self) -> str | None:
        """The password in a Redis URL."""
        return urlsplit(self.url).password if self.url else None

    @property
    def name(self) -> str:
        """What may be shown: for Redis host and port alone."""
        if self.kind == "redis":
            return f"{self.url.partition(':')[0]}://{address_of(self.url)}"
        return f"{self.kind}:{self.path}" if self.path else self.kind


def parse_store(text: str) -> StoreLocation:
    """Read the setting.

    Raises:
        ValueError: It is none of the forms; the text never quotes it, since it may hold a password.
    """
    text = text.strip()
    if text in {"memory", "sqlite"}:
        return StoreLocation("memory" if text == "memory" else "sqlite")
    kind, _, rest = text.partition(":")
    if kind == "sqlite" and rest and rest.isprintable():
        return StoreLocation("sqlite", path=Path(rest).expanduser())
    scheme = _REDIS_SCHEMES.get(kind.lower())
    if scheme and rest.startswith("//") and _is_url(text):
        return StoreLocation("redis", url=f"{scheme}:{rest}")
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
