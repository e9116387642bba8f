"""The proxies of the environment. Entries that httpx cannot use are left out: it would refuse to build a client."""

import importlib.util
import ipaddress
import re
import urllib.request
from collections.abc import Mapping

import httpx

_NAME = re.compile(r"(\w[\w-]*\.)*\w[\w-]*\.?(:\d{1,5})?", re.ASCII)


def environment_proxies(proxies: Mapping[str, str] | None = None) -> tuple[dict[str, str | None], list[str]]:
    """Return the proxies by the pattern of httpx's `mounts` (None: no proxy), and a phrase for each unusable entry."""
    proxies = urllib.request.getproxies() if proxies is None else proxies
    mounts: dict[str, str | None] = {}
    ignored = []  # phrases without a user or password
    for scheme in ("http", "https", "all"):
        if value := (proxies.get(scheme) or "").strip():
            address = value if "://" in value else f"http://{value}"
            if problem := _problem(address):
                ignored.append(f"{scheme.upper()}_PROXY, which {problem}")
            else:
                mounts[f"{scheme}://"] = address
    no_proxy = [entry.strip() for entry in (proxies.get("no") or "").split(",") if entry.strip()]
    if not mounts or "*" in no_proxy:
        return {}, ignored
    for entry in no_proxy:
        if pattern := _pattern(entry):
            mounts[pattern] = None
        else:
            shown = repr(entry.rpartition("@")[2][:60])
            ignored.append(f"the entry {shown} of NO_PROXY, which is not a host name or address")
    return mounts, ignored


def _problem(address: str) -> str | None:
    try:
        url = httpx.Proxy(address).url
        host = url.host  # decodes an international name
    except (ValueError, httpx.InvalidURL):
        host = ""
    if not _pattern(host) or (url.port or 0) > 65_535:
        return "is not a URL like http://proxy.example:3128"
    if url.scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        return "is a SOCKS proxy; these need the package socksio"
    return None


def _pattern(entry: str) -> str | None:
    """Return the pattern of a host, with or without a port; None if the entry is not a host, such as a network."""
    name = entry.removeprefix("*").removeprefix(".")
    if _NAME.fullmatch(name):
        return f"all://*{name}"
    try:
        address = ipaddress.IPv6Address(entry.strip("[]"))
    except ValueError:
        return None
    return None if address.scope_id else f"all://[{address}]"
