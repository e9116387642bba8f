"""Every fragment of docs/python.md runs as it is written."""

import inspect
import re
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import pytest

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


def fragment(containing: str) -> str:
    [found] = [each for each in FRAGMENTS if containing in each]
    return found


def test_three_lines_lead_to_an_answer(tmp_path: Path) -> None:
    """The first fragment, as a script of its own, without any variable but a home folder."""
    with running_sandbox() as sandbox:
        script = FRAGMENTS[0].replace("http://localhost:8787", sandbox.url)
        assert script != FRAGMENTS[0]
        done = subprocess.run(
            [sys.executable, "-c", script], env={"HOME": str(tmp_path)}, capture_output=True, text=True, check=False
        )
    assert (done.stdout, done.stderr) == ("There are 20 draft items: 12 articles, 5 products and 3 pages.\n", "")


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
