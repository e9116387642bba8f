"""A host: the server that its entry names, where its file is, and how our entry looks in it."""

import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, cast

from contit_mcp.errors import ConfigurationError
from contit_mcp.hosts.formats import Addition, misread

NAME = "contit-assistant"  # of our entry, in every host
TOKEN_VARIABLE = "CONTIT_ASSISTANT_TOKEN"  # noqa: S105 - where a host looks for the token of a remote server

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A process that the host starts and speaks to over stdio."""

    command: str
    arguments: tuple[str, ...] = ("stdio",)
    environment: Mapping[str, str] = field(default_factory=dict)

    def entry(self, command: str = "command", env: str = "env") -> Entry:
        """Return command, arguments and variables under the host's names for them."""
        return {command: self.command, "args": list(self.arguments), **self.variables(env)}

    def variables(self, env: str) -> Entry:
        """Return the variables under the host's name for them; nothing if there are none."""
        return {env: dict(self.environment)} if self.environment else {}


@dataclass(frozen=True, slots=True)
class RemoteServer:
    """A server that the host speaks to over HTTP; its bearer token is in a variable, or the user is asked for it."""

    url: str
    token_variable: str | None = None
    asked_for: bool = False

    def headers(self, token: str) -> Entry:
        """Return the header with the token; `token` is how the host writes a variable called NAME."""
        if not self.token_variable:
            return {}
        return {"headers": {"Authorization": f"Bearer {token.replace('NAME', self.token_variable)}"}}


Server = LocalServer | RemoteServer

_VARIABLE = re.compile(r"(?:\$\{\{ *secrets\.|\$\{(?:env:)?|\{env:)(\w+) *\}")


def read_entry(value: object) -> Server | None:
    """Return the server that an entry names, in any of the hosts' notations; None if it is not an entry."""
    if not isinstance(value, Mapping):
        return None
    if url := _first(value, "url", "uri", "httpUrl", "serverUrl"):
        headers = [each.get("headers") for each in (value, value.get("requestOptions")) if isinstance(each, Mapping)]
        authorization = next((str(each.get("Authorization", "")) for each in headers if isinstance(each, Mapping)), "")
        found = _VARIABLE.search(authorization)
        variable = value.get("bearer_token_env_var") or (found[1] if found else None)
        return RemoteServer(str(url), variable and str(variable), asked_for="${input:" in authorization)
    words = _first(value, "command", "cmd")
    words = [words] if isinstance(words, str) else words
    given = _first(value, "env", "envs", "environment") or {}
    if not isinstance(words, list) or not words or not isinstance(given, Mapping):
        return None
    arguments = value.get("args")
    rest = tuple(str(word) for word in (*words[1:], *(arguments if isinstance(arguments, list) else ())))
    return LocalServer(str(words[0]), rest, {str(name): str(text) for name, text in given.items()})


def _first(value: Mapping[str, Any], *names: str) -> Any:
    return next((value[name] for name in names if name in value), None)


def filled_in(server: LocalServer, variables: Mapping[str, str], notation: str | None) -> LocalServer:
    """Return the server with its variables filled in; an unset one becomes its default after `:-`, or stays."""
    if notation is None:
        return server
    pattern = re.compile(re.escape(notation).replace("NAME", r"(\w+)(?::-([^}]*))?"))

    def fill(text: str) -> str:
        return pattern.sub(lambda found: variables.get(found[1], found[2] or found[0]), text)

    given = {name: fill(text) for name, text in server.environment.items()}
    return LocalServer(fill(server.command), tuple(map(fill, server.arguments)), given)


# --- machines and hosts

System = Literal["macos", "windows", "linux"]
Scope = Literal["user", "project"]


@dataclass(frozen=True, slots=True)
class Machine:
    """A user's machine: its system (all others count as Linux), the home folder, the current project, the variables."""

    system: System
    home: Path
    project: Path
    environment: Mapping[str, str]

    @classmethod
    def this(cls) -> Self:
        """Return this machine; raise ConfigurationError without a home folder or a current one."""
        systems: dict[str, System] = {"darwin": "macos", "win32": "windows"}
        try:
            return cls(systems.get(sys.platform, "linux"), Path.home(), Path.cwd(), os.environ)
        except RuntimeError as error:
            raise ConfigurationError("This user has no home folder.", hint="Set HOME to it.") from error
        except OSError as error:
            gone = "The folder that this was called from is gone."
            raise ConfigurationError(gone, hint="Go to another one.") from error

    def named_or(self, variable: str, below_home: str) -> Path:
        """Return the folder that the variable names by its full path, as XDG has it; else one below the home folder."""
        named = Path(self.environment.get(variable, "").strip())
        return named if named.is_absolute() else self.home / below_home

    def folders(self) -> dict[str, Path]:
        """Return the folders that hosts keep their files in, by the names that templates of paths give them."""
        is_windows = self.system == "windows"
        config = self.named_or("XDG_CONFIG_HOME", ".config")  # of command-line programs also on macOS
        applications = roaming = self.named_or("APPDATA", "AppData/Roaming")
        if not is_windows:
            applications = self.home / "Library/Application Support" if self.system == "macos" else config
        # Claude Desktop for Windows is a package since February 2026, which reads a folder of its own.
        packages = self.named_or("LOCALAPPDATA", "AppData/Local") / "Packages"
        packaged = sorted(packages.glob("Claude_*/LocalCache/Roaming")) if is_windows else []
        return {
            "home": self.home,
            "project": self.project,
            "config": config,
            "applications": applications,
            "claude": self.named_or("CLAUDE_CONFIG_DIR", ""),
            "claude-desktop": next(iter(packaged), applications) / "Claude",
            "codex": self.named_or("CODEX_HOME", ".codex"),
            "copilot": self.named_or("COPILOT_HOME", ".copilot"),
            "goose": roaming / "Block/goose/config" if is_windows else config / "goose",
            "zed": roaming / "Zed" if is_windows else config / "zed",
        }


@dataclass(frozen=True, slots=True)
class Host:
    """One host. Its slug is its name on the command line; the section of its file holds the servers."""

    slug: str
    title: str
    format: Literal["json", "toml", "yaml"]
    section: str
    files: Mapping[Scope, str]  # the usual scope first; of `{folder}/one.json|other.json` the first that exists
    local: Callable[[LocalServer], Entry]
    remote: Callable[[RemoteServer], Entry] | None
    to_see_it: str  # what its user does, so that the host sees a change
    named_by: str | None = None  # the field that names a server where servers are a list
    head: Mapping[str, Any] = field(default_factory=dict)  # what a new file begins with
    question: Addition | None = None  # what makes it ask for a token
    remote_note: str | None = None  # what its user has to know of a remote entry
    variables: str | None = None  # how it writes a variable called NAME in a local entry, if it fills in any
    misreads: str = ""  # what it cannot read in JSON, although our reader can
    hides: str | None = None  # an older file beside its own that it no longer reads once its own exists

    def place(self, machine: Machine, scope: str | None = None) -> "HostFile":
        """Return the file that the host reads; by default, that of its usual scope."""
        chosen = cast("Scope", scope or next(iter(self.files)))
        folder, _, names = self.files[chosen].rpartition("/")
        candidates = [Path(folder.format_map(machine.folders()), name) for name in names.split("|")]
        path = next((path for path in candidates if _is_there(path)), candidates[0])
        return HostFile(self, path, in_project=chosen == "project")

    def is_found(self, machine: Machine) -> bool:
        """Return whether the host has been used here: its file, or the folder for it, exists."""
        shared = {machine.folders()[name] for name in ("home", "config", "project")}
        path = self.place(machine).path
        return _is_there(path) or (path.parent not in shared and _is_there(path.parent))

    def additions(self, server: Server | None = None) -> list[Addition]:
        """Return the additions to the file for a server; without a server, all that it can have, without values."""
        value = None
        if isinstance(server, LocalServer):
            value = self.local(server)
        elif server:
            assert self.remote is not None  # noqa: S101 - the caller has checked
            value = self.remote(server)
        asks = server is None or (isinstance(server, RemoteServer) and server.token_variable)
        others = [self.question] if self.question and asks else []
        return [Addition(self.section, NAME, value, self.named_by), *others]

    def misread(self, text: str) -> str | None:
        """Return a sentence about what in its file the host cannot read."""
        line = misread(text, comments="comments" not in self.misreads) if self.misreads else None
        return f"{self.title} does not accept {self.misreads}; line {line} has one" if line else None


@dataclass(frozen=True, slots=True)
class HostFile:
    """A file of a host: the user's, or a project's, which anybody may have written."""

    host: Host
    path: Path
    in_project: bool = False


def _is_there(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises without permission
