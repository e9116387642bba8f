"""What is known of one host: where its file is, and how our entry looks in it."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from contit_mcp.hosts.addition import Addition
from contit_mcp.hosts.machine import Machine
from contit_mcp.hosts.servers import NAME, LocalServer, Notation, RemoteServer, Server

Scope = Literal["user", "project"]
Files = Callable[[Machine], list[Path]]


@dataclass(frozen=True, slots=True)
class Host:
    """One host.

    Attributes:
        slug: Its name on the command line.
        title: Its name.
        format: Of its file.
        section: The key at the top of the file that holds the servers.
        files: Where its file is, by scope. The first that is there counts, else the first.
        local: Our entry for a process.
        remote: Our entry for a server on the network; None where the file has none.
        named_by: Where servers are a list: the field that names one.
        head: What a new file begins with.
        beside: Further additions that an entry needs.
        to_see_it: What its user does, so that the host sees a change.
        remote_note: What has to be known of a remote entry.
        variables: How it writes a variable of the environment in a local entry; None where it fills in none.
        strict: Whether its file is JSON to the letter, without comments and trailing commas.
        hides: The name of an older file beside its own that it no longer reads once its own is there.
        source: Where the format is documented, and when that was looked up.
    """

    slug: str
    title: str
    format: Literal["json", "toml", "yaml"]
    section: str
    files: Mapping[Scope, Files]
    local: Callable[[LocalServer], dict[str, Any]]
    remote: Callable[[RemoteServer], dict[str, Any]] | None
    to_see_it: str
    source: str
    named_by: str | None = None
    head: Mapping[str, Any] = field(default_factory=dict)
    beside: Callable[[Server], list[Addition]] = lambda _: []
    remote_note: str | None = None
    variables: Notation | None = None
    strict: bool = False
    hides: str | None = None

    def file(self, machine: Machine, scope: Scope) -> Path:
        """The file that the host reads."""
        candidates = self.files[scope](machine)
        return next((path for path in candidates if _is_there(path)), candidates[0])

    def is_found(self, machine: Machine) -> bool:
        """Whether the host has been used here: its file, or the folder for it, is there."""
        if "user" not in self.files:
            return _is_there(self.file(machine, "project"))
        paths = self.files["user"](machine)
        return any(
            _is_there(path) or (path.parent not in {machine.home, machine.dot_config()} and _is_there(path.parent))
            for path in paths
        )

    def additions(self, server: Server) -> list[Addition]:
        """All that goes into the file for a server. A remote one only where the file can have it."""
        if isinstance(server, LocalServer):
            value = self.local(server)
        else:
            assert self.remote is not None  # noqa: S101 - the caller has looked
            value = self.remote(server)
        return [Addition(self.section, NAME, value, self.named_by), *self.beside(server)]

    def possible_additions(self) -> list[Addition]:
        """All that can be ours in the file, whatever it says."""
        remote = self.beside(RemoteServer("", "any"))
        return [Addition(self.section, NAME, None, self.named_by), *remote]


def _is_there(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises where we may not look
