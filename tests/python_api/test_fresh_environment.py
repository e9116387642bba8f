"""The wheel and its pinned dependencies alone, in an environment of their own: no repository, no test tools."""

import importlib.metadata
import re
import subprocess
import venv
import zipfile
from pathlib import Path

from contit_mcp.testing import running_sandbox
from release.project import build
from tests.python_api.test_docs import FRAGMENTS
from tests.rules.tree import ROOT

SCRIPT = """
import asyncio, logging, sys
from contit_mcp import create_app, create_server
from mcp.client import Client

given = {"api_key": "sandbox-key", "base_url": sys.argv[1], "store": "memory"}

async def main():
    async with Client(create_server(**given)) as client:
        result = await client.call_tool("contit_ask", {"prompt": "How many articles are there?"})
        print(result.structured_content["response"])
    create_app(**given)
    assert not logging.root.handlers

asyncio.run(main())
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
        script = FRAGMENTS[0].replace("http://localhost:8787", sandbox.url) + SCRIPT
        command = [str(python), "-W", "error", "-c", script, sandbox.url]
        done = subprocess.run(
            command, cwd=empty, env={"HOME": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False
        )
    assert (done.returncode, done.stderr) == (0, "")
    drafts = "There are 20 draft items: 12 articles, 5 products and 3 pages."
    assert done.stdout.splitlines() == [drafts, "There are 72 articles."]
