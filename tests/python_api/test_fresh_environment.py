"""The wheel and its pinned dependencies alone, in an environment of their own: no repository, no test tools."""

import os
import subprocess
import sys
from pathlib import Path

from contit_mcp.testing import running_sandbox
from release.project import build
from tests.rules.tree import ROOT

SCRIPT = """
import asyncio, logging, sys
from contit_mcp import Assistant, create_app, create_server
from mcp.client import Client

given = {"api_key": "sandbox-key", "base_url": sys.argv[1], "store": "memory"}

async def main():
    async with Assistant(**given) as contit:
        print((await contit.ask("How many drafts are there?")).response)
    async with Client(create_server(**given)) as client:
        result = await client.call_tool("contit_ask", {"prompt": "How many articles are there?"})
        print(result.structured_content["response"])
    create_app(**given)
    assert not logging.root.handlers

asyncio.run(main())
"""


def test_a_script_asks_and_serves_with_nothing_but_the_wheel(tmp_path: Path) -> None:
    """In an empty folder, with no variable but HOME; stderr stays empty."""
    wheel = build(tmp_path)
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    python = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input", "-qq", "install", "--no-deps"]
    subprocess.run([*pip, "-r", ROOT / "requirements" / "runtime.txt"], check=True)
    subprocess.run([*pip, wheel], check=True)
    (tmp_path / "empty").mkdir()
    with running_sandbox() as sandbox:
        done = subprocess.run(
            [python, "-W", "error", "-c", SCRIPT, sandbox.url],
            cwd=tmp_path / "empty",
            env={"HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "There are 20 draft items: 12 articles, 5 products and 3 pages.",
        "There are 72 articles.",
    ]
