"""Every fragment of docs/python.md runs as it is written."""

import inspect
import re
import typing
from typing import Any

import pytest

from contit_mcp import Assistant
from contit_mcp.api import AppOptions
from contit_mcp.config.settings import Settings
from contit_mcp.testing import RunningSandbox
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
