"""Which addresses Contit can be asked at: https, and http on this machine."""

import re
from urllib.parse import urlsplit

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""The names of this machine; only there is plain http good enough for a credential."""

_HOST = re.compile(r"[\w.-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")


def usable_url(value: str) -> str:
    """Return the address without its trailing slashes.

    Raises:
        ValueError: It cannot be used; the text never quotes it, since it may hold a password.
    """
    return exact_url(value).rstrip("/")


def exact_url(value: str, *, query: bool = False) -> str:
    """Return the address as it is written, where others compare it letter by letter or a slash at its end counts.

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
    """Host and port of a URL, for showing: whatever else stands in it may be a part of a password."""
    text = url.partition("://")[2] or url
    return re.split(r"[/?#]", text.rpartition("@")[2])[0] or "(hidden)"
