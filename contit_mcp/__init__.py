"""Contit's AI assistant as an MCP server, and as a Python API.

The names in `__all__` and the modules `errors` and `testing` are the public API; docs/python.md describes it.
"""

from importlib import import_module

TYPE_CHECKING = False  # not from typing: `python -m contit_mcp` must not import a typing.py of the current folder
if TYPE_CHECKING:
    from typing import Any

    from contit_mcp import errors
    from contit_mcp.api import Assistant, Run, create_app, create_server
    from contit_mcp.assistant.reports import Observer
    from contit_mcp.errors import ContitError

__version__ = "0.1.0"

__all__ = ["Assistant", "ContitError", "Observer", "Run", "__version__", "create_app", "create_server", "errors"]


def __getattr__(name: str) -> "Any":
    """Import a public name when it is used, so that importing the package is quick."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    errors = import_module("contit_mcp.errors")
    if name == "errors":
        return errors
    return getattr(errors if name == "ContitError" else import_module("contit_mcp.api"), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
