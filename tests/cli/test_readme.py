"""The commands of README.md work as they are printed, in the order of the page."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from contit_mcp.sandbox.options import SandboxOptions
from contit_mcp.testing import running_sandbox
from tests.children import free_port
from tests.cli.command_line import command_in
from tests.rules.tree import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = [textwrap.dedent(text) for text in re.findall(r"^ *```sh\n(.*?)^ *```$", README, re.MULTILINE | re.DOTALL)]
CLONE = "git clone https://github.com/OWNER/contit-mcp && cd contit-mcp"
NEEDED = ("bash", "curl", "git", "openssl", "jq")


class Reader:
    """A reader with an empty home folder, in which the program is installed already."""

    def __init__(self, home: Path, **more: str) -> None:
        self.home = home
        program = command_in(home / ".contit-mcp" / "bin")
        path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = {"HOME": str(home), "PATH": path, "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT), **more}

    def types(self, text: str) -> str:
        """Run a block, and return what it prints."""
        command = ["bash", "-eu", "-o", "pipefail", "-c", text]
        done = subprocess.run(
            command, cwd=self.home, env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def serves(self, text: str) -> "subprocess.Popen[str]":
        """Run a block that ends with a server, and return when the server listens."""
        command, cwd, environment = ["bash", "-eu", "-c", text], self.home, self.environment
        server = subprocess.Popen(command, cwd=cwd, env=environment, stderr=subprocess.PIPE, text=True)
        assert server.stderr is not None
        for line in server.stderr:
            if '"server.listening"' in line:
                return server
        raise AssertionError("the server ended")


def block(start: str) -> str:
    """Return the one block that begins so."""
    (found,) = [text for text in BLOCKS if text.startswith(start)]
    return found


@pytest.mark.skipif(sys.platform == "win32", reason="the commands are for a POSIX shell")
@pytest.mark.skipif(any(shutil.which(name) is None for name in NEEDED), reason=f"needs {', '.join(NEEDED)}")
def test_the_readme_can_be_followed_to_an_empty_home_folder(tmp_path: Path) -> None:
    """Install, hosts, terminal and the server for many; the last block removes everything."""
    port = str(free_port())
    with running_sandbox(SandboxOptions(run_seconds=0.1)) as contit:
        reader = Reader(tmp_path, **contit.environment, CONTIT_MCP_PORT=port)
        assert "Breaking News" in reader.types(block("~/.contit-mcp/bin/contit-mcp ask --sandbox"))
        assert "contit-assistant" in reader.types(block("~/.contit-mcp/bin/contit-mcp install claude-desktop"))
        hosts = reader.types(block("contit-mcp install "))
        assert "ok   Tools: contit_ask" in hosts
        terminal = reader.types(block("contit-mcp ask "))
        assert "There are 20 draft items" in terminal
    reader = Reader(tmp_path / "server", CONTIT_MCP_PORT=port)
    server = reader.serves(block("(umask 077;").replace("contit-mcp http", "exec contit-mcp http"))
    try:
        called = reader.types(block("cat alice.token").replace(":8000/", f":{port}/"))
    finally:
        server.kill()
        server.communicate()
    assert re.match(r"[0-9a-f]{64}\n", called)
    assert "There are 20 draft items" in called
    reader.home = tmp_path
    reader.environment["HOME"] = str(tmp_path)
    for host in re.findall(r"install ([a-z][a-z-]+) ", block("contit-mcp install ")):
        reader.types(f"contit-mcp uninstall {host}")
    reader.types(block("contit-mcp uninstall claude-desktop"))
    shutil.rmtree(tmp_path / "server")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.skipif(not (ROOT / ".git").exists() or shutil.which("git") is None, reason="needs git and a clone")
def test_the_first_block_ends_in_a_folder_that_pip_can_install(tmp_path: Path) -> None:
    """The address is a placeholder; release/check.py installs with pip."""
    clone, venv, pip = block("git clone").splitlines()
    assert clone == CLONE
    assert venv == "python3 -m venv ~/.contit-mcp"
    assert pip == "~/.contit-mcp/bin/pip install '.[terminal]'"
    command = clone.replace("https://github.com/OWNER/contit-mcp", f"--depth 1 'file://{ROOT}'")
    command = command.replace("cd contit-mcp", f"cd {ROOT.name}")
    done = subprocess.run(["sh", "-ec", f"{command} && ls"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert {"pyproject.toml", "contit_mcp", "README.md"} <= set(done.stdout.split())


def test_the_powershell_lines_do_what_the_other_lines_do() -> None:
    """Every path is quoted, since a home folder can contain a space; they were not run on Windows."""
    blocks = re.findall(r"^```powershell\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    lines = [line for text in blocks for line in text.splitlines()]
    assert len(lines) == 8
    assert all("%" not in line and "\\" not in re.sub(r'"[^"]*"', "", line) for line in lines)
    steps = [block(start).splitlines() for start in ("git clone", "~/.contit-mcp/bin/contit-mcp ask --sandbox")]
    assert lines[:2] == steps[0][0].split(" && ")
    assert lines[3].split('" ')[-1] == "install '.[terminal]'"
    assert lines[5:7] == [steps[1][0].removeprefix("~/.contit-mcp/bin/"), "contit-mcp install claude-desktop --sandbox"]
