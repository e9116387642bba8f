"""How a host can start us: by a full path, since desktop applications do not know the shell's."""

import os
import subprocess
from pathlib import Path

from contit_mcp.errors import ConfigurationError

_CACHES = ({"archive-v0"}, {"builds-v0"}, {"environments-v2"}, {"pipx", ".cache"})
"""Folders of what `uvx` and `pipx run` make for one run, and throw away when they like."""


def own_command(argv0: str, executable: str) -> tuple[str, tuple[str, ...]]:
    """The command that started us, and the arguments before the subcommand.

    A link (as pipx makes one) is named as it is: what it leads to may move with the next version.

    Args:
        argv0: `sys.argv[0]`.
        executable: `sys.executable`.

    Raises:
        ConfigurationError: We run from a cache that may be emptied at any time, or are not installed.
    """
    if any(cache <= set(Path(executable).parts) for cache in _CACHES):
        raise ConfigurationError(
            "This contit-mcp runs from a cache, which may be emptied at any time; a host could not rely on it.",
            hint="Install it to stay, with `uv tool install` or `pipx install`, and run contit-mcp install again.",
        )
    name = "contit-mcp.exe" if os.name == "nt" else "contit-mcp"
    started = Path(os.path.abspath(argv0))  # noqa: PTH100 - Path.resolve would follow links
    for script in (started, started.with_name(name), Path(executable).with_name(name)):
        if script.name == name and script.is_file():
            return str(script), ()
    if not _knows_us(executable):
        raise ConfigurationError(
            "This contit-mcp is not installed: a host would not find it from another folder.",
            hint="Install it, with pip, `uv tool install` or `pipx install`, and run contit-mcp install again.",
        )
    return executable, ("-m", "contit_mcp")


def _knows_us(executable: str) -> bool:
    """Whether this Python finds the package by itself, not by the current folder or a variable of this shell."""
    given = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [executable, "-c", "import contit_mcp"]
    done = subprocess.run(command, cwd=os.sep, env=given, check=False, capture_output=True)  # noqa: S603 - it runs us
    return done.returncode == 0
