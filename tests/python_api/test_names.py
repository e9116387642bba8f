"""The public names: few, imported when used, and nothing happens at the import."""

import subprocess
import sys

import pytest

import contit_mcp

NAMES = ["Assistant", "ContitError", "Observer", "Run", "__version__", "create_app", "create_server", "errors"]
"""A name that is added here is promised by semantic versioning; one that is removed needs a new major version."""


def test_all_names_are_those_that_are_promised() -> None:
    """Each of them exists, and `dir` shows them; another is an error as for any module."""
    assert sorted(contit_mcp.__all__) == NAMES
    assert all(getattr(contit_mcp, name) is not None for name in contit_mcp.__all__)
    assert dir(contit_mcp) == sorted(NAMES)
    with pytest.raises(AttributeError, match="has no attribute 'ask'"):
        contit_mcp.ask  # noqa: B018 - the access is what is tested


STEPS = {
    "contit_mcp": "contit_mcp.errors pydantic httpx mcp structlog starlette uvicorn click",
    "contit_mcp.errors": "pydantic httpx mcp structlog starlette uvicorn click",
    "contit_mcp.Assistant(api_key='k')": "mcp mcp_types starlette uvicorn contit_mcp.cli pytest",
    "contit_mcp.create_server(api_key='k')": "contit_mcp.http contit_mcp.cli pytest",
    "contit_mcp.create_app(api_key='k')": "contit_mcp.cli pytest",
}
"""What is used, one after the other, and what is not imported by then."""

SCRIPT = f"""
import logging, sys, warnings
import contit_mcp

def configured():
    ours = logging.getLogger("contit_mcp")
    writes = [one for one in ours.handlers if not isinstance(one, logging.NullHandler)]
    return logging.root.handlers[:], logging.root.level, warnings.showwarning, writes, ours.level

before = configured()
for use, absent in {STEPS}.items():
    made = eval(use)
    found = set(absent.split()) & set(sys.modules)
    assert not found, (use, found)
    assert configured() == before, use
logging.getLogger("contit_mcp.contit").warning("not written to stderr by an application without handlers")
"""


def test_only_what_is_used_is_imported_no_logging_is_configured_and_nothing_is_written() -> None:
    """In a process without any environment variable: a program that asks needs no MCP, and its handlers stay."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], env={}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
