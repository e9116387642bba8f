"""The proxies that the environment names, without the entries that no HTTP client could use.

Other programs accept more in NO_PROXY than httpx does: networks, ports, wildcards. httpx refuses to build a client for
some of them, even if no proxy is set.
"""

import importlib.util
import ipaddress
import re
import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

_NAME = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?)+", re.ASCII)
_SCHEMES = frozenset({"http", "https", "socks5", "socks5h"})


def environment_proxies(proxies: Mapping[str, str] | None = None) -> tuple[dict[str, str | None], list[str]]:
    """Return the proxies, and the entries that are ignored because they cannot be used.

    Args:
        proxies: Proxies by scheme (`http`, `https`, `all`), and under `no` the hosts that need none; by default those
            of the environment and, on macOS and Windows, of the system.

    Returns:
        The proxies by the pattern of httpx's `mounts`, with None for addresses that need no proxy; and a phrase for
        each ignored entry, which never holds a user or password.
    """
    proxies = urllib.request.getproxies() if proxies is None else proxies
    mounts: dict[str, str | None] = {}
    ignored = []
    for scheme in ("http", "https", "all"):
        if value := (proxies.get(scheme) or "").strip():
            address = value if "://" in value else f"http://{value}"
            if problem := _problem(address):
                ignored.append(f"{scheme.upper()}_PROXY, which {problem}")
            else:
                mounts[f"{scheme}://"] = address
    if not mounts:  # whatever NO_PROXY holds changes nothing
        return {}, ignored
    for entry in filter(None, (part.strip() for part in (proxies.get("no") or "").split(","))):
        if entry == "*":
            return {}, ignored
        if pattern := _pattern(entry):
            mounts[pattern] = None
        else:
            ignored.append(f"the entry {_shown(entry)} of NO_PROXY, which is no host name or address")
    return mounts, ignored


def _problem(address: str) -> str | None:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in _SCHEMES or not host or not _is_host(host) or not address.isprintable() or " " in address:
        return "is not a URL like http://proxy.example:3128"
    if parts.scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        return "is a SOCKS proxy; these need the package socksio"
    return None


def _pattern(entry: str) -> str | None:
    """Return the pattern for one entry of NO_PROXY; None if it has no pattern."""
    if "://" in entry:
        return f"{urlsplit(entry).scheme}://{entry.split('://', 1)[1]}" if _problem(entry) is None else None
    host, port = entry, ""
    if found := re.fullmatch(r"(\[[^\]]*\]|[^:]*):(\d{1,5})", entry):
        host, port = found[1], f":{found[2]}"
    host = host.removeprefix("[").removesuffix("]")
    try:
        network = ipaddress.ip_network(host, strict=False)
    except ValueError:
        name = host.removeprefix("*").removeprefix(".")
        if not _NAME.fullmatch(name):
            return None
        return f"all://{'' if name == 'localhost' else '*'}{name}{port}"
    if network.num_addresses > 1 or "%" in host:  # no pattern of httpx matches a network, or a zone
        return None
    address = network.network_address
    return f"all://[{address}]{port}" if address.version == 6 else f"all://{address}{port}"


def _is_host(host: str) -> bool:
    try:
        return bool(_NAME.fullmatch(host)) or bool(ipaddress.ip_address(host))
    except ValueError:
        return False


def _shown(entry: str) -> str:
    return repr(entry.rpartition("@")[2][:60])
