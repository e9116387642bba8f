"""What docs/python.md promises: its fragments run, its names exist, and importing the package has no side effects."""

import inspect
import re
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import pytest

import contit_mcp
from contit_mcp import Assistant
from contit_mcp.api import AppOptions
from contit_mcp.config.settings import Settings
from contit_mcp.testing import RunningSandbox, running_sandbox
from tests.rules.tree import ROOT

PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
FRAGMENTS: list[str] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)

OF_THE_PROCESS = {
    "host", "port", "trusted_proxies", "tls_cert_file", "tls_key_file", "metrics_port", "log_level", "log_format",
}  # fmt: skip
"""Settings that belong to the program around the API."""


@pytest.mark.anyio
@pytest.mark.parametrize("text", FRAGMENTS[1:], ids=lambda text: re.findall(r"(?:def|class|=) (\w+)", text)[0])
async def test_the_fragment_works(
    text: str, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its functions are called with the objects that their parameters name."""
    for name, value in sandbox.environment.items():
        monkeypatch.setenv(name, value)
    space: dict[str, Any] = {}
    exec(compile(text.replace("sandbox-key", sandbox.api_key), "docs/python.md", "exec"), space)
    functions = [each for each in space.values() if inspect.iscoroutinefunction(each)]
    async with Assistant(api_key=sandbox.api_key, base_url=sandbox.url, store="memory") as contit:
        given = {"contit": contit, "prompt": "How many drafts are there?", "base_url": sandbox.url}
        for function in functions:
            assert await function(*(given[name] for name in inspect.signature(function).parameters))
    assert functions or {"contit", "app"} & set(space)
    assert ("asked: thread_" in capsys.readouterr().out) == ("class Notes" in text)


def test_every_setting_that_is_not_of_the_process_is_an_option_with_a_type() -> None:
    assert set(AppOptions.__annotations__) == set(Settings.model_fields) - OF_THE_PROCESS
    assert all(typing.get_type_hints(AppOptions).values())


NAMES = ["Assistant", "ContitError", "Observer", "Run", "__version__", "create_app", "create_server", "errors"]
"""A name that is added here is promised by semantic versioning; one that is removed needs a new major version."""


def test_the_package_has_the_promised_names_and_no_others() -> None:
    assert sorted(contit_mcp.__all__) == NAMES
    assert all(getattr(contit_mcp, name) is not None for name in contit_mcp.__all__)
    assert dir(contit_mcp) == sorted(NAMES)
    found = [each for each in vars(contit_mcp.errors).values() if isinstance(each, type)]
    assert all(issubclass(each, contit_mcp.ContitError) for each in found)
    with pytest.raises(AttributeError, match="has no attribute 'ask'"):
        contit_mcp.ask  # noqa: B018 - the access is what is tested


STEPS = {
    "contit_mcp": "contit_mcp.errors pydantic httpx mcp structlog starlette uvicorn click",
    "contit_mcp.errors": "pydantic httpx mcp structlog starlette uvicorn click",
    "contit_mcp.Assistant(api_key='k')": "mcp mcp_types starlette uvicorn contit_mcp.cli pytest",
    "contit_mcp.create_server(api_key='k')": "contit_mcp.http contit_mcp.cli pytest",
    "contit_mcp.create_app(api_key='k')": "contit_mcp.cli pytest",
}
"""Expressions that are evaluated one after the other, and modules that must not be imported by then."""

IMPORTS = f"""
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


def test_using_the_package_imports_little_configures_no_logging_and_writes_nothing() -> None:
    """A program that only asks imports no MCP. The process has no environment variables."""
    done = subprocess.run([sys.executable, "-c", IMPORTS], env={}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_first_fragment_prints_an_answer_in_an_empty_folder(tmp_path: Path) -> None:
    """It needs no variable but HOME, and nothing is written to stderr."""
    with running_sandbox() as sandbox:
        script = FRAGMENTS[0].replace("http://localhost:8787", sandbox.url)
        command, home = [sys.executable, "-W", "error", "-c", script], {"HOME": str(tmp_path)}
        done = subprocess.run(command, cwd=tmp_path, env=home, capture_output=True, text=True, timeout=60, check=False)
    answer = "There are 20 draft items: 12 articles, 5 products and 3 pages.\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, answer, "")
