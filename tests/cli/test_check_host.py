"""`contit-mcp check --host` uses a host's entry as its host would, and one of a project only if it is trusted."""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from contit_mcp.cli.check_host import DESKTOP_PATH
from contit_mcp.hosts.table import HOSTS
from tests.children import TOKEN_MODE, TOKENS, Served, contit, in_thread
from tests.cli.command_line import file_of, on_terminal, output_of, run_here, upstream

pytestmark = pytest.mark.usefixtures("home")
HINT = "hint: Set CONTIT_ASSISTANT_TOKEN to a token"
TOKEN = {"CONTIT_ASSISTANT_TOKEN": "t"}


def write_entry(entry: object, slug: str = "cursor", scope: str = "user") -> Path:
    """Write a host's file with this entry of our name."""
    file = file_of(slug, scope)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({HOSTS[slug].section: {"contit-assistant": entry}}))
    return file


def check(code: int, slug: str, *more: str, **variables: str) -> str:
    """Check a host's entry; return the findings. The exit code has to be `code`."""
    return output_of(run_here("check", "--host", slug, *more, **variables), code)


def check_project(code: int, *more: str) -> str:
    """Check the entry of Claude Code in the project's file, with a token in the environment."""
    return check(code, "claude-code", "--scope", "project", *more, CONTIT_ASSISTANT_TOKEN="SECRET-MARKER")


def test_an_entry_is_used_with_its_own_variables_alone(state: Path) -> None:
    with contit() as it:
        output_of(run_here("install", "goose", **upstream(it.url)), 0)
        found = check(0, "goose", CONTIT_MCP_STORE="nonsense")
        assert "ok   Tools: contit_ask" in found
        assert "it is good" in found
        (state / "api-key").unlink()
        assert "Or: contit-mcp install goose --new-key" in check(1, "goose")


def test_an_entry_starts_with_little_more_than_its_own_variables(home: Path) -> None:
    """Desktop applications start servers with a PATH of their own, no variables of a shell, in the home folder."""
    report = home / "report.json"
    script = "import json, os, sys; json.dump([os.getcwd(), dict(os.environ)], open(sys.argv[1], 'w'))"
    write_entry({"command": sys.executable, "args": ["-c", script, str(report), "--sandbox"], "env": {"OWN": "1"}})
    check(1, "cursor", CONTIT_MCP_STORE="of this shell")
    folder, variables = json.loads(report.read_text())
    assert Path(folder) == home
    assert variables["OWN"] == "1"
    assert not [name for name in variables if name.startswith("CONTIT_")]
    assert os.name == "nt" or variables["PATH"] == DESKTOP_PATH


def python(script: str) -> dict[str, Any]:
    return {"command": sys.executable, "args": ["-c", script]}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"command": "/nowhere/contit-mcp"}, "cannot be started: No such file or directory"),
        (python("raise SystemExit('it fell')"), "did not answer: it fell"),
        (python("print('hi')"), "did not answer: it said nothing"),
        (python("raise SystemExit('no token=abc nor Bearer abc')"), "did not answer: no ... nor ..."),
        ({"command": "x\0y"}, "its entry holds characters that no command can have"),
        ({"command": "\ud800"}, "its entry holds characters that no command can have"),
        ({"command": "/nowhere/x", "args": ["--header", "Authorization: Bearer SECRET-MARKER"]}, "cannot be started"),
        ({"url": "not a url"}, "its address is not a URL"),
        ({"url": "http://[::1"}, "its address is not a URL"),
        ({"url": "http://127.0.0.1:1/mcp?key=SECRET-MARKER"}, "no connection"),
        ({"url": "http://me:SECRET-MARKER@127.0.0.1:1/mcp#SECRET-MARKER"}, "it speaks to http://127.0.0.1:1/mcp\n"),
        (
            {"url": "http://127.0.0.1:1/mcp", "headers": {"Authorization": "Bearer ${env:CONTIT_ASSISTANT_TOKEN}"}},
            "CONTIT_ASSISTANT_TOKEN holds characters that no token has",
        ),
    ],
)
def test_each_fault_of_an_entry_is_named(entry: dict[str, Any], said: str) -> None:
    if "command" in entry:
        entry = entry | {"args": [*entry.get("args", []), "--sandbox"]}
    write_entry(entry)
    found = check(1, "cursor", CONTIT_ASSISTANT_TOKEN="tökén")
    assert "mcp.client" not in found
    assert said in found
    assert "hint: " in found
    assert ("contit-mcp install cursor --sandbox --force" in found) is ("command" in entry)
    assert "SECRET-MARKER" not in found


@pytest.mark.parametrize(("content", "said"), [("{}", "it has no entry"), ("{", "line 1")])
def test_a_file_without_an_entry_is_named_once_with_the_command_that_writes_one(content: str, said: str) -> None:
    file = file_of("cursor", "project")
    file.parent.mkdir()
    file.write_text(content)
    found = check(1, "cursor", "--scope", "project", "--trust")
    assert said in found
    assert found.count(str(file)) == 1
    assert content == "{" or "contit-mcp install cursor --scope project" in found


@pytest.mark.parametrize(
    ("slug", "arguments", "status", "variables", "said"),
    [
        ("codex", "--token", 401, {}, "wants a token (401), and CONTIT_ASSISTANT_TOKEN is not set"),
        ("codex", "--token", 401, TOKEN, HINT),
        ("cursor", "--no-token", 501, {}, "refuses (501)\n     hint: Check the address"),
        ("codex", "--token", 421, TOKEN, "refuses (421)"),
        ("cursor", "--no-token", 401, {}, "contit-mcp install cursor --http {url}/mcp --token"),
        ("zed", "--no-token", 401, {}, "its entry has no token\n     hint: Zed fills in no variables"),
        ("vscode", "--token", 401, {}, "not tried: the host asks for the token itself"),
        ("cursor", "--no-token", 302, {}, "the server does not speak MCP there"),
    ],
)
def test_an_answer_of_a_server_on_the_network_is_explained(
    slug: str, arguments: str, status: int, variables: dict[str, str], said: str
) -> None:
    """The hint leads to an entry with a token, if the host can have one. VS Code's entry is good as it is."""
    with in_thread(Response(status_code=status)) as url:
        output_of(run_here("install", slug, "--http", url, arguments), 0)
        found = check(int(slug != "vscode"), slug, **variables)
    assert said.format(url=url) in found


def test_a_remote_entry_reaches_a_server_with_its_token() -> None:
    with Served(TOKEN_MODE, ("--sandbox", "--probe")) as served:
        for slug in ("cursor", "codex", "continue"):
            output_of(run_here("install", slug, "--http", served.base, "--token"), 0)
            found = check(0, slug, CONTIT_ASSISTANT_TOKEN=TOKENS["anna"])
            assert f"it speaks to {served.url}" in found
            assert found.endswith("contit_probe\n")


# --- the files of a project may come from anybody


@pytest.mark.skipif(os.name == "nt", reason="it takes a pipe and a device")
def test_a_pipe_a_folder_or_a_huge_file_of_a_project_is_refused_at_once() -> None:
    """A read of the pipe would never end."""
    file = file_of("claude-code", "project")
    for make in (os.mkfifo, os.mkdir, lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 70_000_000)):
        make(file)
        assert str(file) in check_project(1)
        file.rmdir() if file.is_dir() else file.unlink()


def test_an_entry_of_a_project_that_install_did_not_write_is_not_started(home: Path) -> None:
    """It is shown. With --trust it is started, without the user's secrets. One that install wrote needs no --trust."""
    started = home / "started"
    script = f"open({str(started)!r}, 'a').write(str(__import__('os').environ))"
    entry = {"command": sys.executable, "args": ["-c", script, "--sandbox"], "env": {"K": "${CONTIT_ASSISTANT_TOKEN}"}}
    file = write_entry(entry, "claude-code", "project")
    for found in (check_project(1), check_project(1, "--json")):
        assert "not tried: the entry is the project's, and install did not write it" in found
        assert sys.executable in found
    assert not started.exists()
    assert "not tried" not in check_project(1, "--trust")
    assert "SECRET-MARKER" not in started.read_text()
    file.unlink()
    output_of(run_here("install", "claude-code", "--sandbox", "--scope", "project"), 0)
    assert "ok   Tools: contit_ask" in check_project(0)
    file.write_text(file.read_text().replace('"--sandbox"', '"--sandbox", "--probe"'))
    assert "not tried" in check_project(1)


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is POSIX's")
def test_at_a_terminal_the_user_is_asked_about_an_entry_of_a_project(home: Path) -> None:
    """It is shown whole, however long it is and whatever it contains. No is the default."""
    started = home / "started"
    script = f"key='$(curl)'; {'A' * 300}=1; open({str(started)!r}, 'w') # END"
    entry = {"command": sys.executable, "args": ["-c", script, "--sandbox"], "env": {"TOKEN": "b; " + "B" * 300 + "C"}}
    write_entry(entry, "claude-code", "project")
    for answer in ("\n", "y\n"):
        with on_terminal("check", "--host", "claude-code", "--scope", "project") as terminal:
            terminal.wait_for(lambda: "Use it now? [y/N]" in terminal.written)
            shown = re.sub(r"\s", "", terminal.written)
            assert all(part in shown for part in ("$(curl)", "#END", "withTOKEN=b;", "BC"))
            assert not started.exists()
            terminal.press(answer)
        assert started.exists() is (answer == "y\n")


@pytest.mark.parametrize("secret", ["key", "token"])
def test_no_secret_goes_to_an_address_that_install_did_not_write(secret: str, state: Path) -> None:
    """Even with --trust, neither the key of the state folder nor the bearer token is sent."""
    received: list[str] = []

    async def note(scope: Scope, receive: Receive, send: Send) -> None:
        received.append(str(scope["headers"]))
        await Response(status_code=401)(scope, receive, send)

    state.mkdir()
    (state / "api-key").write_text("SECRET-MARKER")
    with in_thread(note) as url:
        entry: dict[str, Any] = {"url": f"{url}/mcp", "headers": {"Authorization": "Bearer ${CONTIT_ASSISTANT_TOKEN}"}}
        if secret == "key":
            key = {"CONTIT_API_KEY_FILE": str(state / "api-key"), "CONTIT_BASE_URL": url}
            entry = {"command": sys.executable, "args": ["-m", "contit_mcp", "stdio"], "env": key}
        write_entry(entry, "claude-code", "project")
        found = check_project(0, "--trust")
    assert "not tried" in found
    assert "SECRET-MARKER" not in f"{received}{found}"
