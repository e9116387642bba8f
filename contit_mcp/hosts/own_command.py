"""How a host can start us: by a full path, since desktop applications do not know the shell's."""

import os
from pathlib import Path

from contit_mcp.exceptions import ConfigurationError

_CACHES = ({"archive-v0"}, {"builds-v0"}, {"environments-v2"}, {"pipx", ".cache"})
"""Folders of what `uvx` and `pipx run` make for one run, and throw away when they like."""


def own_command(argv0: str, executable: str) -> tuple[str, tuple[str, ...]]:
    """The command that started us, and the arguments before the subcommand.

    A link (as pipx makes one) is named as it is: what it leads to may move with the next version.

    Args:
        argv0: `sys.argv[0]`.
        executable: `sys.executable`.

    Raises:
        ConfigurationError: We run from a cache that may be emptied at any time.
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
    return executable, ("-m", "contit_mcp")
