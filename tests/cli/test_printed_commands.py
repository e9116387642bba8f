"""The commands that README.md and `--help` teach work as they are printed, for a reader with an empty home folder."""

import ast
import re
import shutil
import signal
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from contit_mcp.cli.main import contit_mcp
from tests.children import contit, free_port
from tests.cli.command_line import Reader, upstream
from tests.rules.tree import ROOT, modules

pytestmark = pytest.mark.no_cover

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = [textwrap.dedent(text) for text in re.findall(r"^ *```sh\n(.*?)^ *```$", README, re.MULTILINE | re.DOTALL)]


def needs(*programs: str) -> pytest.MarkDecorator:
    is_missing = sys.platform == "win32" or any(shutil.which(program) is None for program in programs)
    return pytest.mark.skipif(is_missing, reason=f"needs a POSIX system with {', '.join(programs)}")


# --- The examples of --help


def examples(command: str) -> list[str]:
    """Return the lines of a command's Examples, without the words beside them."""
    _, loaded, _ = contit_mcp.resolve_command(click.Context(contit_mcp), [command])
    assert loaded is not None
    text = loaded.get_help(click.Context(loaded, info_name=f"contit-mcp {command}", terminal_width=80))
    _, found, rest = text.partition("Examples:\n")
    assert found, f"Give contit-mcp {command} --help an Examples: block."
    lines = [re.split(r"\s{3,}", line.strip())[0] for line in rest.partition("\n\n")[0].splitlines()]
    assert all("contit-mcp" in line and len(line) <= 76 for line in lines)  # 80 columns, with the indentation
    return lines


@needs("bash", "jq")
@pytest.mark.parametrize("command", contit_mcp.list_commands(click.Context(contit_mcp)))
def test_the_examples_of_every_command_work_as_they_are_written(command: str, tmp_path: Path) -> None:
    key = tmp_path / ".local" / "state" / "contit-mcp" / "api-key"
    key.parent.mkdir(parents=True)
    key.write_text("sandbox-key", encoding="utf-8")
    with contit() as it:
        reader = Reader(tmp_path, **upstream(it.url))
        if command == "check":  # one of its examples checks the entry of a host
            reader.types("contit-mcp install claude-desktop --sandbox")
        for line in examples(command):
            if re.match(r"contit-mcp (sandbox|http)\b", line):
                port = re.search(r"--port (\d+)", line)
                with reader.serves(f"exec {line}", int(port[1]) if port else 8787) as server:
                    pass
                assert server.returncode in {0, -signal.SIGTERM}
            else:
                reader.types(f"unset CONTIT_API_KEY; {line}" if "CONTIT_API_KEY_FILE=" in line else line)


# --- The texts of the program


def texts() -> Iterator[str]:
    """Yield every string in the package that is not a docstring."""
    for path in modules():
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        documentation = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        for node in nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
                yield node.value


NO_COMMANDS = {"as", "from", "into", "is", "itself", "run", "server"}  # words that follow the name in a sentence


def test_errors_and_hints_name_commands_that_exist_and_no_file_of_the_repository() -> None:
    """Who installed the program with pip has no docs/."""
    context = click.Context(contit_mcp)
    named: set[str] = set()
    for text in texts():
        assert not re.search(r"\b(docs|configs|tests|release)/|README", text), text
        for name, more in re.findall(r"contit-mcp ([a-z]+)((?: (?:--[a-z-]+|[A-Z]+))*)", text):
            if name not in NO_COMMANDS:
                _, command, _ = contit_mcp.resolve_command(context, [name])  # fails for an unknown one
                assert command is not None, text
                known = {option for parameter in command.params for option in parameter.opts}
                assert {word for word in more.split() if word.startswith("--")} <= known | {"--help"}, text
                named.add(name)
    assert named >= {"ask", "check", "install", "runs", "sandbox", "settings"}


# --- README.md, in the order of the page


def block(start: str) -> str:
    """Return the one block that begins so."""
    (found,) = [text for text in BLOCKS if text.startswith(start)]
    return found


@needs("bash", "curl", "git", "openssl", "jq")
def test_the_readme_can_be_followed_to_an_empty_home_folder(tmp_path: Path) -> None:
    """Install, hosts, terminal and the server for many; the last block removes everything."""
    port = free_port()
    with contit() as it:
        reader = Reader(tmp_path, **upstream(it.url))
        assert "Breaking News" in reader.types(block("~/.contit-mcp/bin/contit-mcp ask --sandbox"))
        assert "contit-assistant" in reader.types(block("~/.contit-mcp/bin/contit-mcp install claude-desktop"))
        assert "ok   Tools: contit_ask" in reader.types(block("contit-mcp install "))
        assert "There are 20 draft items" in reader.types(block("contit-mcp ask "))
    operator = Reader(tmp_path / "server", CONTIT_MCP_PORT=str(port))
    with operator.serves(block("(umask 077;").replace("contit-mcp http", "exec contit-mcp http"), port):
        called = operator.types(block("cat alice.token").replace(":8000/", f":{port}/"))
    assert re.match(r"[0-9a-f]{64}\n", called)
    assert "There are 20 draft items" in called
    for host in re.findall(r"install ([a-z][a-z-]+) ", block("contit-mcp install ")):
        reader.types(f"contit-mcp uninstall {host}")
    reader.types(block("contit-mcp uninstall claude-desktop"))
    shutil.rmtree(operator.home)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_first_block_installs_a_clone() -> None:
    """It is not run: its address is a placeholder. release/check.py installs with pip."""
    assert block("git clone").splitlines() == [
        "git clone https://github.com/OWNER/contit-mcp && cd contit-mcp",
        "python3 -m venv ~/.contit-mcp",
        "~/.contit-mcp/bin/pip install '.[terminal]'",
    ]


def test_the_powershell_lines_do_what_the_other_lines_do() -> None:
    """Every path is quoted, since a home folder can contain a space. The lines were not run on Windows."""
    blocks = re.findall(r"^```powershell\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    lines = [line for text in blocks for line in text.splitlines()]
    assert len(lines) == 8
    assert all("%" not in line and "\\" not in re.sub(r'"[^"]*"', "", line) for line in lines)
    clone, *_ = block("git clone").splitlines()
    ask, *_ = block("~/.contit-mcp/bin/contit-mcp ask --sandbox").splitlines()
    assert lines[:2] == clone.split(" && ")
    assert lines[3].split('" ')[-1] == "install '.[terminal]'"
    assert lines[5:7] == [ask.removeprefix("~/.contit-mcp/bin/"), "contit-mcp install claude-desktop --sandbox"]
