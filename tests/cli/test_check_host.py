"""`contit-mcp check --host`: a host's entry is used as its host would use it, and one of a project only if it is trusted."""

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from contit_mcp.cli.check_host import DESKTOP_PATH
from contit_mcp.hosts.table import HOSTS
from tests.children import TOKEN_MODE, TOKENS, Served, contit, in_thread
from tests.cli.command_line import on_terminal, upstream
from tests.cli.conftest import file_of, said_by

pytestmark = pytest.mark.anyio

Calls = Callable[..., Result]


def hold(entry: object, slug: str = "cursor", scope: str = "user") -> Path:
    """A host's file with this entry."""
    file = file_of(slug, scope)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({HOSTS[slug].section: {"contit-assistant": entry}}))
    return file


def checked(command: Calls, slug: str = "cursor", *more: str, **variables: str) -> tuple[int, str]:
    """The exit code and the findings."""
    done = command("check", "--host", slug, *more, **variables)
    return done.exit_code, said_by(done)


def test_an_entry_is_used_with_its_own_variables_alone(command: Calls, state: Path) -> None:
    with contit() as it:
        said_by(command("install", "goose", **upstream(it.url)), 0)
        code, said = checked(command, "goose", CONTIT_MCP_STORE="nonsense")
        assert code == 0, said
        assert "ok   Tools: contit_ask" in said
        assert "it is good" in said
        (state / "api-key").unlink()
        assert "Or: contit-mcp install goose --new-key" in checked(command, "goose")[1]


def test_an_entry_starts_with_little_more_than_its_own_variables(command: Calls, home: Path) -> None:
    """As desktop applications start servers: their PATH, no shell's variables, the home folder."""
    told = home / "told.json"
    tell = "import json, os, sys; json.dump([os.getcwd(), dict(os.environ)], open(sys.argv[1], 'w'))"
    hold({"command": sys.executable, "args": ["-c", tell, str(told), "--sandbox"], "env": {"OWN": "1"}})
    checked(command, CONTIT_MCP_STORE="of this shell")
    folder, variables = json.loads(told.read_text())
    assert Path(folder) == home
    assert variables["OWN"] == "1"
    assert not [name for name in variables if name.startswith("CONTIT_")]
    assert os.name == "nt" or variables["PATH"] == DESKTOP_PATH


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"command": "/nowhere/contit-mcp"}, "cannot be started: No such file or directory"),
        ({"command": sys.executable, "args": ["-c", "raise SystemExit('it fell')"]}, "did not answer: it fell"),
        ({"command": sys.executable, "args": ["-c", "print('hi')"]}, "did not answer: it said nothing"),
        (
            {"command": sys.executable, "args": ["-c", "raise SystemExit('no token=abc nor Bearer abc')"]},
            "did not answer: no ... nor ...",
        ),
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
def test_whatever_is_wrong_with_an_entry_is_said(entry: dict[str, Any], said: str, command: Calls) -> None:
    if "command" in entry:
        entry = entry | {"args": [*entry.get("args", []), "--sandbox"]}
    hold(entry)
    code, found = checked(command, CONTIT_ASSISTANT_TOKEN="tökén")
    assert code == 1
    assert "mcp.client" not in found
    assert said in found
    assert "hint: " in found
    assert ("contit-mcp install cursor --sandbox --force" in found) is ("command" in entry)
    assert "SECRET-MARKER" not in found


@pytest.mark.parametrize(("content", "said"), [("{}", "it has no entry"), ("{", "line 1")])
def test_a_file_without_an_entry_is_named_once_with_the_way_to_one(content: str, said: str, command: Calls) -> None:
    file = file_of("cursor", "project")
    file.parent.mkdir()
    file.write_text(content)
    done = command("check", "--host", "cursor", "--scope", "project", "--trust")
    assert done.exit_code == 1
    assert said in said_by(done)
    assert said_by(done).count(str(file)) == 1
    assert content == "{" or "contit-mcp install cursor --scope project" in done.output


HINT = "hint: Set CONTIT_ASSISTANT_TOKEN to a token"
TOKEN = {"CONTIT_ASSISTANT_TOKEN": "t"}


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
    slug: str, arguments: str, status: int, variables: dict[str, str], said: str, command: Calls
) -> None:
    """With the way to an entry that has a token, where the host can have one; VS Code's entry is good as it is."""
    with in_thread(Response(status_code=status)) as url:
        said_by(command("install", slug, "--http", url, arguments), 0)
        code, found = checked(command, slug, **variables)
    assert code == (slug != "vscode")
    assert said.format(url=url) in found


def test_a_remote_entry_reaches_a_server_with_its_token(command: Calls) -> None:
    with Served(TOKEN_MODE, ("--sandbox", "--probe")) as served:
        for slug in ("cursor", "codex", "continue"):
            said_by(command("install", slug, "--http", served.base, "--token"), 0)
            code, found = checked(command, slug, CONTIT_ASSISTANT_TOKEN=TOKENS["anna"])
            assert code == 0, found
            assert f"it speaks to {served.url}" in found
            assert found.endswith("contit_probe\n")


# --- a project's files are anybody's


@pytest.mark.skipif(os.name == "nt", reason="it takes a pipe and a device")
def test_a_project_s_file_that_is_not_one_is_refused_at_once(command: Calls) -> None:
    """A pipe would be waited for without end."""
    file = file_of("claude-code", "project")
    for make in (os.mkfifo, os.mkdir, lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 70_000_000)):
        make(file)
        code, found = checked(command, "claude-code", "--scope", "project")
        assert (code, str(file) in found) == (1, True)
        file.rmdir() if file.is_dir() else file.unlink()


def test_an_entry_of_a_project_that_install_did_not_write_is_not_started(command: Calls, home: Path) -> None:
    """It is shown, and --trust starts it without the user's secrets. What install wrote needs no question."""
    told = home / "told"
    script = f"open({str(told)!r}, 'a').write(str(__import__('os').environ))"
    entry = {"command": sys.executable, "args": ["-c", script, "--sandbox"], "env": {"K": "${CONTIT_ASSISTANT_TOKEN}"}}
    file = hold(entry, "claude-code", "project")
    secret = {"CONTIT_ASSISTANT_TOKEN": "SECRET-MARKER"}
    for more in ((), ("--json",)):
        code, found = checked(command, "claude-code", "--scope", "project", *more, **secret)
        assert code == 1
        assert "not tried: the entry is the project's, and install did not write it" in found
        assert sys.executable in found
    assert not told.exists()
    assert "not tried" not in checked(command, "claude-code", "--scope", "project", "--trust", **secret)[1]
    assert "SECRET-MARKER" not in told.read_text()
    file.unlink()
    said_by(command("install", "claude-code", "--sandbox", "--scope", "project"), 0)
    assert "ok   Tools: contit_ask" in checked(command, "claude-code", "--scope", "project")[1]
    file.write_text(file.read_text().replace('"--sandbox"', '"--sandbox", "--probe"'))
    assert "not tried" in checked(command, "claude-code", "--scope", "project")[1]


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is POSIX's")
async def test_at_a_terminal_the_user_is_asked_about_an_entry_of_a_project(home: Path) -> None:
    """It is shown whole, however long and whatever it looks like. No is the default."""
    told = home / "told"
    script = f"key='$(curl)'; {'A' * 300}=1; open({str(told)!r}, 'w') # END"
    entry = {"command": sys.executable, "args": ["-c", script, "--sandbox"], "env": {"TOKEN": "b; " + "B" * 300 + "C"}}
    hold(entry, "claude-code", "project")
    words = ("check", "--host", "claude-code", "--scope", "project")
    for answer in ("\n", "y\n"):
        async with on_terminal(*words) as terminal:
            await terminal.until(lambda text: "Use it now? [y/N]" in text)
            seen = re.sub(r"\s", "", terminal.written)
            assert all(part in seen for part in ("$(curl)", "#END", "withTOKEN=b;", "BC"))
            assert not told.exists()
            terminal.type(answer)
        assert told.exists() is (answer == "y\n")


@pytest.mark.parametrize("leads_to", ["key", "token"])
def test_no_secret_goes_to_an_address_that_install_did_not_write(leads_to: str, command: Calls, state: Path) -> None:
    """Even with --trust, neither the key of the state folder nor the bearer token."""
    seen: list[str] = []

    async def note(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(str(scope["headers"]))
        await Response(status_code=401)(scope, receive, send)

    state.mkdir()
    (state / "api-key").write_text("SECRET-MARKER")
    with in_thread(note) as url:
        entry: dict[str, Any] = {"url": f"{url}/mcp", "headers": {"Authorization": "Bearer ${CONTIT_ASSISTANT_TOKEN}"}}
        if leads_to == "key":
            key = {"CONTIT_API_KEY_FILE": str(state / "api-key"), "CONTIT_BASE_URL": url}
            entry = {"command": sys.executable, "args": ["-m", "contit_mcp", "stdio"], "env": key}
        hold(entry, "claude-code", "project")
        given = {"CONTIT_ASSISTANT_TOKEN": "SECRET-MARKER"}
        _, found = checked(command, "claude-code", "--scope", "project", "--trust", **given)
    assert "not tried" in found
    assert "SECRET-MARKER" not in f"{seen}{found}"
