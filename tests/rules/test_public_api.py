"""The package uses only public names of its dependencies, so that an upgrade in the allowed range breaks nothing."""

from pathlib import Path

import pytest

from tests.rules.public_api import violations
from tests.rules.tree import modules, place, told


def test_the_package_uses_public_names_only() -> None:
    found = [f"{place(path)}:{line} {text}" for path, line, text in violations(modules())]
    assert not found, told(found, "Find the public way, or do without it.")


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import httpx._client", "imports httpx._client"),
        ("from httpx._client import AsyncClient", "imports httpx._client.AsyncClient"),
        ("def f(server): return server._lowlevel_server", "reads server._lowlevel_server"),
        ("def f(receive): return receive.__self__.transport", "reads receive.__self__"),
        ("import uvicorn\nclass A(uvicorn.Server):\n async def _serve(self): ...", "overrides Server._serve"),
        ("from logging import Handler as C\nclass A(C):\n def f(self): self._name", "reads self._name of Handler"),
        ("import yaml\nclass A(yaml.SafeLoader):\n pass\nA._x = 1", "reads A._x"),
        ("import httpx\nclass A(httpx.Auth):\n def __init__(self): self._own = 1\n def f(self): self._own", None),
        ("from logging import Handler\nclass B(Handler):\n def _mine(self): ...\n def f(self): self._mine()", None),
        ("import os\nprint(A.__name__)\nos._exit(0)", None),
    ],
)
def test_each_kind_of_violation_is_found_and_no_public_use(source: str, found: str | None, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)
    texts = [text for _, _, text in violations([path])]
    assert found in texts if found else not texts
