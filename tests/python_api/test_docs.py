"""What docs/python.md promises: its fragments run, its names are there, and the wheel needs nothing else."""

import importlib.metadata
import inspect
import re
import subprocess
import sys
import typing
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

import contit_mcp
from contit_mcp import Assistant
from contit_mcp.api import AppOptions
from contit_mcp.config.settings import Settings
from contit_mcp.testing import RunningSandbox, running_sandbox
from release.project import build
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
    """Its functions are called with what their parameters name."""
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


def test_every_setting_that_is_not_of_the_process_is_an_option() -> None:
    """With a type that takes what the settings take; the page names those that are not obvious."""
    assert set(AppOptions.__annotations__) == set(Settings.model_fields) - OF_THE_PROCESS
    assert all(typing.get_type_hints(AppOptions).values())


NAMES = ["Assistant", "ContitError", "Observer", "Run", "__version__", "create_app", "create_server", "errors"]
"""A name that is added here is promised by semantic versioning; one that is removed needs a new major version."""


def test_all_names_are_those_that_are_promised() -> None:
    """Each of them exists, and `dir` shows them; another is an error as for any module."""
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
"""What is used, one after the other, and what is not imported by then."""

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


def test_only_what_is_used_is_imported_no_logging_is_configured_and_nothing_is_written() -> None:
    """In a process without any environment variable: a program that asks needs no MCP, and its handlers stay."""
    done = subprocess.run([sys.executable, "-c", IMPORTS], env={}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


SERVES = """
print(asyncio.run(through_mcp({url!r})))
from contit_mcp import create_app
create_app(api_key="sandbox-key")
"""


def environment(folder: Path, wheel: Path) -> Path:
    """Make an environment with the wheel and links to the pinned dependencies, and return its Python."""
    venv.create(folder, symlinks=True)
    [packages] = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    pinned = (ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8")
    for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", pinned, re.MULTILINE):
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:  # for another system
            continue
        assert distribution.version == version
        for top in {file.parts[0] for file in distribution.files or [] if file.parts[0] not in {"..", "__pycache__"}}:
            (packages / top).symlink_to(Path(str(distribution.locate_file(top))))
    return folder / "bin" / "python"


def test_the_first_fragment_of_the_page_and_a_server_need_nothing_but_the_wheel(tmp_path: Path) -> None:
    """Three lines lead to an answer: in an empty folder, with no variable but HOME; stderr stays empty."""
    python = environment(tmp_path / "env", build(tmp_path))
    empty = tmp_path / "empty"
    empty.mkdir()
    with running_sandbox() as sandbox:
        [server] = [text for text in FRAGMENTS if "def through_mcp" in text]
        script = FRAGMENTS[0].replace("http://localhost:8787", sandbox.url) + server + SERVES.format(url=sandbox.url)
        command = [str(python), "-W", "error", "-c", script]
        done = subprocess.run(
            command, cwd=empty, env={"HOME": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False
        )
    assert (done.returncode, done.stderr) == (0, "")
    answer, tools = done.stdout.splitlines()
    assert answer == "There are 20 draft items: 12 articles, 5 products and 3 pages."
    assert tools == "['contit_ask', 'contit_start', 'contit_status', 'contit_response']"
