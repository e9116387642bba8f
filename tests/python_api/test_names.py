"""The public names: few, imported when used, and nothing happens at the import."""

import subprocess
import sys

import pytest

import contit_mcp
from contit_mcp import errors

NAMES = ["Assistant", "ContitError", "Observer", "Run", "__version__", "create_app", "create_server", "errors"]
"""A name that is added here is promised by semantic versioning; one that is removed needs a new major version."""


def in_a_new_process(script: str) -> str:
    """Run a script without any environment variable, and return what it writes; stderr must stay empty."""
    done = subprocess.run([sys.executable, "-c", script], env={}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def test_all_names_are_those_that_are_promised() -> None:
    """Each of them exists, and `dir` shows them."""
    assert sorted(contit_mcp.__all__) == NAMES
    assert all(getattr(contit_mcp, name) is not None for name in contit_mcp.__all__)
    assert dir(contit_mcp) == sorted(NAMES)


def test_another_name_is_an_attribute_error() -> None:
    """As for any module, with the name in it."""
    with pytest.raises(AttributeError, match="has no attribute 'ask'"):
        contit_mcp.ask  # noqa: B018 - the access is what is tested


def test_the_errors_are_one_tree() -> None:
    """A program that catches ContitError catches all of them."""
    found = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert len(found) > 20
    assert all(issubclass(each, contit_mcp.ContitError) for each in found)


@pytest.mark.parametrize(
    ("use", "absent"),
    [
        ("", "contit_mcp.errors pydantic httpx mcp structlog starlette uvicorn click"),
        ("contit_mcp.errors", "pydantic httpx mcp structlog starlette uvicorn click"),
        ("contit_mcp.Assistant", "mcp mcp_types starlette uvicorn contit_mcp.cli pytest"),
        ("contit_mcp.create_server(api_key='k')", "contit_mcp.http contit_mcp.cli pytest"),
        ("contit_mcp.create_app(api_key='k')", "contit_mcp.cli pytest"),
    ],
)
def test_only_what_is_used_is_imported(use: str, absent: str) -> None:
    """Importing the package alone imports nothing of it; a program that asks needs no MCP."""
    written = in_a_new_process(f"import sys, contit_mcp\n{use}\nprint(*sys.modules)")
    assert not set(absent.split()) & set(written.split())


@pytest.mark.parametrize(
    "use",
    [
        "contit_mcp.Assistant(api_key='k')",
        "contit_mcp.create_server(api_key='k')",
        "contit_mcp.create_app(api_key='k')",
    ],
)
def test_no_logging_is_configured_and_nothing_is_written(use: str) -> None:
    """Handlers and levels are those of Python; no variable is set in the environment of these processes."""
    script = f"""
import logging, warnings, contit_mcp
before = logging.root.handlers[:], logging.root.level, warnings.showwarning, logging.getLogger("contit_mcp").level
made = {use}
assert before == (logging.root.handlers, logging.root.level, warnings.showwarning, logging.getLogger("contit_mcp").level)
assert not logging.getLogger("contit_mcp").handlers
"""
    assert in_a_new_process(script) == ""
