"""`contit-mcp install` and `uninstall`, and `check --host`, as a person meets them."""

import json
import os
import re
import shlex
import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import CliRunner, Result
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import CallToolResult
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from contit_mcp.cli.check_host import DESKTOP_PATH, check_host
from contit_mcp.cli.main import contit_mcp
from contit_mcp.errors import ContitError
from contit_mcp.hosts.host import LocalServer, Machine, read_entry
from contit_mcp.hosts.table import HOSTS
from tests.children import COMMAND, SEAL_KEY, Served, on_port, sandbox_on_port
from tests.cli.command_line import environment, on_terminal, on_terminal_with, run, run_in, upstream
from tests.rules.tree import ROOT

pytestmark = pytest.mark.anyio

Calls = Callable[..., Result]
UNREACHABLE = "http://127.0.0.1:9"
"""A proxy that is not there: no test asks the real Contit whether it takes a key."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder, and a project in it that is the current folder."""
    folder = tmp_path / "home"
    (folder / "project").mkdir(parents=True)
    for name in (name for name in os.environ if name not in environment()):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    monkeypatch.setenv("CONTIT_MCP_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("HTTPS_PROXY", UNREACHABLE)
    monkeypatch.chdir(folder / "project")
    return folder


@pytest.fixture
def contit_mcp_command(home: Path) -> Calls:
    """The command line inside this process, with pipes."""

    def call(*arguments: str, **variables: str) -> Result:
        return CliRunner().invoke(contit_mcp, arguments, env=dict(variables))

    return call


def at_home(home: Path) -> list[str]:
    """Every file and folder that is there now."""
    return sorted(path.relative_to(home).as_posix() for path in home.rglob("*"))


def file_of(slug: str, scope: str = "user") -> Path:
    """A host's file on this machine."""
    return HOSTS[slug].file(Machine.this(), scope)  # type: ignore[arg-type]


# --- the newcomer


async def test_a_newcomer_reaches_an_answer_without_an_account(home: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    step_2 = re.findall(r"/bin/contit-mcp (install claude-desktop .*)", readme)[0].split()
    question = re.findall(r'Quit Claude Desktop.*"Ask Contit: (.*)"', readme)[0]
    before = at_home(home)
    variables = {"HOME": str(home), "USERPROFILE": str(home), "PATH": os.defpath}
    installed = await run(*step_2, **variables)
    assert installed.returncode == 0, installed.stderr
    file = file_of("claude-desktop")
    entry = json.loads(file.read_text())["mcpServers"]["contit-assistant"]
    assert Path(entry["command"]).is_absolute()
    assert "env" not in entry
    assert f"Check it with: {entry['command']} check --host claude-desktop" in installed.stdout

    checked = await run("check", "--host", "claude-desktop", **variables)
    assert checked.returncode == 0, checked.stdout
    assert "ok   Tools: contit_ask, contit_start, contit_status, contit_response" in checked.stdout

    server = StdioServerParameters(command=entry["command"], args=entry["args"], cwd=home)
    with anyio.fail_after(60):
        async with Client(stdio_client(server)) as client:
            result = await client.call_tool("contit_ask", {"prompt": question})
    assert isinstance(result, CallToolResult)
    assert "12 published articles from March 2026" in (result.structured_content or {})["response"]

    removed = await run("uninstall", "claude-desktop", **variables)
    assert removed.returncode == 0, removed.stderr
    assert at_home(home) == before


# --- the file


@pytest.mark.parametrize("slug", HOSTS)
def test_a_file_of_every_host_is_as_it_was_afterwards(slug: str, contit_mcp_command: Calls, home: Path) -> None:
    there = {
        "json": b'\xef\xbb\xbf{\r\n\t// mine\r\n\t"a": [1]\r\n}',
        "toml": b"a = 1 # mine",
        "yaml": b"a: 1 # mine\r\n",
    }
    for scope in HOSTS[slug].files:
        for content in (None, there[HOSTS[slug].format]):
            file = file_of(slug, scope)
            if content is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            before = at_home(home)
            installed = contit_mcp_command("install", slug, "--sandbox", "--scope", scope)
            assert installed.exit_code == 0, installed.output
            assert ("The file as it was before: " in installed.output) is (content is not None)
            assert scope == "user" or not list(file.parent.glob("*.bak"))  # a repository is no place for a copy
            again = contit_mcp_command("install", slug, "--sandbox", "--scope", scope)
            assert "is already in" in again.output
            removed = contit_mcp_command("uninstall", slug, "--scope", scope)
            assert removed.exit_code == 0, removed.output
            assert at_home(home) == before
            assert content is None or file.read_bytes() == content


@pytest.mark.skipif(os.name == "nt", reason="Windows has neither modes nor links for everyone")
def test_a_link_and_a_mode_stay(contit_mcp_command: Calls, home: Path) -> None:
    kept = home / "dotfiles.json"
    kept.write_text("{}")
    kept.chmod(0o640)
    file = file_of("cursor")
    file.parent.mkdir()
    file.symlink_to(kept)
    assert contit_mcp_command("install", "cursor", "--sandbox").exit_code == 0
    assert file.is_symlink()
    assert "contit-assistant" in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o640
    assert contit_mcp_command("uninstall", "cursor").exit_code == 0
    assert file.is_symlink()
    assert kept.read_text() == "{}"


@pytest.mark.parametrize(
    ("slug", "content", "said"),
    [
        ("cursor", b'{\n "mcpServers": {\n  "a": 1 "b"\n', "line 3: expecting ',' delimiter"),
        ("cursor", b'{"a": [1, 2', "line 1: expecting ',' delimiter"),
        ("cursor", b'{"a": "\n"}', "line 1: invalid control character"),
        ("cursor", b'// \n[{"a": /* \n */ 1,, }]', "line 3: "),
        ("cursor", b'{"a": 1} 2', "line 1: extra data"),
        ("cursor", b"{a: 1}", "line 1: expecting property name enclosed in double quotes"),
        ("cursor", b"{,}", "line 1: expecting property name enclosed in double quotes"),
        ("cursor", b'{"a" 1}', "expecting ':' delimiter"),
        ("cursor", b"[]", "it holds something else than an object"),
        ("cursor", b'{"mcpServers": []}', "its mcpServers is not what the host expects there"),
        ("cursor", b"\xff\xfe{}", "is not UTF-8 text"),
        ("codex", b"a = 1\nb = \n", "line 2: invalid value"),
        ("codex", b"mcp_servers = 1\n", "its mcp_servers is not what the host expects there"),
        ("codex", b"[[mcp_servers]]\na = 1\n", "its mcp_servers is not what the host expects there"),
        ("goose", b"a: 1\nb: [\n", "line 3"),
        ("goose", b"a: 1\nb: \x01\n", "line 2"),
        ("goose", b"- 1\n", "it is not written as lines of names and values"),
        ("goose", b"extensions: no\n", "its extensions is not what the host expects there"),
    ],
)
def test_a_file_that_cannot_be_edited_safely_is_left_alone(
    slug: str, content: bytes, said: str, contit_mcp_command: Calls, home: Path
) -> None:
    file = file_of(slug)
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    before = at_home(home)
    refused = contit_mcp_command("install", slug, CONTIT_API_KEY="key")
    assert isinstance(refused.exception, ContitError)
    assert said in refused.exception.message
    assert str(file) in refused.exception.message
    assert file.read_bytes() == content
    assert at_home(home) == before


def test_an_entry_that_somebody_changed_is_replaced_only_by_force(contit_mcp_command: Calls, home: Path) -> None:
    contit_mcp_command("install", "cursor", "--sandbox")
    other = contit_mcp_command("install", "cursor", "--http", "http://127.0.0.1:8000")
    assert "has been replaced in" in other.output
    file = file_of("cursor")
    file.write_text(file.read_text().replace("8000", "9000"))
    refused = contit_mcp_command("install", "cursor", "--sandbox")
    assert isinstance(refused.exception, ContitError)
    assert "written or changed by hand" in refused.exception.message
    assert "9000" in file.read_text()
    assert contit_mcp_command("install", "cursor", "--sandbox", "--force").exit_code == 0
    assert "--sandbox" in file.read_text()
    contit_mcp_command("uninstall", "cursor")
    assert not file.exists()


def test_no_backup_is_ever_lost(contit_mcp_command: Calls, home: Path) -> None:
    file = file_of("cursor")
    file.parent.mkdir()
    by_hand = '{"mcpServers": {"contit-assistant": {"command": "mine"}}}'
    file.write_text(by_hand)
    forced = contit_mcp_command("install", "cursor", "--sandbox", "--force")
    assert f"{file}.contit-mcp.bak" in forced.output
    contit_mcp_command("uninstall", "cursor")
    file.write_text(changed := '{"mcpServers": {"contit-assistant": {"command": "changed"}}}')
    again = contit_mcp_command("install", "cursor", "--sandbox", "--force")
    assert "The file as it was before: " in again.output
    entry = file.read_text()
    file.write_text(entry.replace("--sandbox", "--mine"))
    contit_mcp_command("install", "cursor", "--sandbox", "--force")
    kept = {path.read_text() for path in file.parent.glob("*.bak")}
    assert kept >= {by_hand, changed, entry.replace("--sandbox", "--mine")}


def test_print_shows_the_entry_and_changes_nothing(contit_mcp_command: Calls, home: Path) -> None:
    before = at_home(home)
    printed = contit_mcp_command("install", "vscode", "--http", "https://contit.example", "--print")
    document = json.loads(printed.stdout)
    assert document["servers"]["contit-assistant"]["url"] == "https://contit.example/mcp"
    assert document["inputs"][0]["password"] is True
    assert str(file_of("vscode")) in printed.stderr
    assert at_home(home) == before


# --- the key


def test_the_key_goes_into_a_file_that_nobody_else_can_read(contit_mcp_command: Calls, home: Path, state: Path) -> None:
    for slug in ("cursor", "codex"):
        installed = contit_mcp_command("install", slug, CONTIT_API_KEY=" SECRET-MARKER\n")
        assert installed.exit_code == 0, installed.output
        assert "SECRET-MARKER" not in installed.output + file_of(slug).read_text()
    key_file = state / "api-key"
    assert key_file.read_text() == "SECRET-MARKER\n"
    assert os.name == "nt" or stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert json.loads(file_of("cursor").read_text())["mcpServers"]["contit-assistant"]["env"] == {
        "CONTIT_API_KEY_FILE": str(key_file)
    }
    assert "another entry takes it from there" in contit_mcp_command("uninstall", "cursor").output
    assert key_file.exists()
    assert "was removed too" in contit_mcp_command("uninstall", "codex").output
    assert not state.exists() or list(state.iterdir()) == []


def test_no_key_is_left_behind(contit_mcp_command: Calls, home: Path, state: Path) -> None:
    contit_mcp_command("install", "cursor", CONTIT_API_KEY="key")
    contit_mcp_command("install", "cursor", CONTIT_ACCESS_TOKEN="ctpat_x")
    contit_mcp_command("install", "cursor", "--sandbox")
    contit_mcp_command("uninstall", "cursor")
    assert list(state.iterdir()) == []
    contit_mcp_command("install", "cursor", CONTIT_API_KEY="key")
    file_of("cursor").unlink()
    removed = contit_mcp_command("uninstall", "cursor")
    assert "There is no contit-assistant" in removed.output
    assert "was removed too" in removed.output
    assert list(state.iterdir()) == []


def test_a_broken_file_without_our_entry_keeps_no_key(contit_mcp_command: Calls, home: Path, state: Path) -> None:
    """One that names the key may be in use, and keeps it."""
    other = file_of("goose")
    other.parent.mkdir(parents=True)
    for text, kept in (("extensions: [", False), (f"extensions: [ {state / 'api-key'}", True)):
        other.write_text(text)
        contit_mcp_command("install", "cursor", CONTIT_API_KEY="key")
        said = contit_mcp_command("uninstall", "cursor").output
        assert (state / "api-key").exists() == kept, said


def test_a_key_lies_nowhere_when_no_entry_could_be_written(contit_mcp_command: Calls, home: Path, state: Path) -> None:
    (home / ".cursor").write_text("no folder")
    refused = contit_mcp_command("install", "cursor", CONTIT_API_KEY="key")
    assert isinstance(refused.exception, ContitError)
    assert not (state / "api-key").exists()


def test_a_new_key_is_told_of_where_others_take_it_too(contit_mcp_command: Calls, home: Path, state: Path) -> None:
    contit_mcp_command("install", "cursor", CONTIT_API_KEY="first")
    assert "another key" not in contit_mcp_command("install", "codex", CONTIT_API_KEY="first").output
    refused = contit_mcp_command("install", "codex", CONTIT_API_KEY="second").exception
    assert isinstance(refused, ContitError)
    assert "--new-key" in refused.hint
    assert (state / "api-key").read_text().strip() == "first"
    told = contit_mcp_command("install", "codex", "--new-key", CONTIT_API_KEY="second").output
    assert f"It replaces another key, also for Cursor ({file_of('cursor')})." in told
    assert f"({file_of('codex')})." not in told.partition("another key")[2]


@pytest.mark.parametrize("url", ["https://user:SECRET-MARKER@contit.example", "contit.example"])
def test_an_address_that_no_server_could_use_goes_into_no_entry(
    url: str, contit_mcp_command: Calls, home: Path
) -> None:
    refused = contit_mcp_command("install", "cursor", CONTIT_API_KEY="key", CONTIT_BASE_URL=url)
    assert isinstance(refused.exception, ContitError)
    assert "CONTIT_BASE_URL must" in refused.exception.message
    assert "SECRET-MARKER" not in refused.exception.message
    assert at_home(home) == ["project"]


def test_a_certificate_authority_is_named_by_its_full_path(contit_mcp_command: Calls, home: Path) -> None:
    contit_mcp_command("install", "cursor", CONTIT_API_KEY="key", CONTIT_CA_FILE="ca.pem")
    entry = json.loads(file_of("cursor").read_text())["mcpServers"]["contit-assistant"]
    assert entry["env"]["CONTIT_CA_FILE"] == str(home / "project" / "ca.pem")


def test_a_key_file_of_the_users_is_named_and_never_touched(contit_mcp_command: Calls, home: Path) -> None:
    mine = home / "mine"
    mine.write_text("key")
    mine.chmod(0o644)
    installed = contit_mcp_command("install", "zed", "--key-file", "~/mine", CONTIT_BASE_URL="https://contit.example")
    assert installed.exit_code == 0, installed.output
    assert os.name == "nt" or f"chmod 600 {mine}" in installed.output
    entry = json.loads(file_of("zed").read_text())["context_servers"]["contit-assistant"]
    assert entry["env"] == {"CONTIT_API_KEY_FILE": str(mine), "CONTIT_BASE_URL": "https://contit.example"}
    contit_mcp_command("uninstall", "zed")
    contit_mcp_command("install", "zed", CONTIT_API_KEY_FILE=str(mine))
    assert str(mine) in file_of("zed").read_text()
    contit_mcp_command("uninstall", "zed")
    assert mine.read_text() == "key"


@pytest.mark.parametrize(
    "variables", [{"CONTIT_ACCESS_TOKEN": "ctpat_x"}, {"CONTIT_API_KEY": "ctpat_x"}, {"CONTIT_API_KEY_FILE": "~/pat"}]
)
def test_a_personal_access_token_is_named_as_one(
    variables: dict[str, str], contit_mcp_command: Calls, home: Path
) -> None:
    """It begins with ctpat_ (documented), wherever people put it; sent as an API key it would be refused."""
    (home / "pat").write_text("ctpat_x")
    assert contit_mcp_command("install", "cursor", **variables).exit_code == 0
    (named,) = json.loads(file_of("cursor").read_text())["mcpServers"]["contit-assistant"]["env"].items()
    assert named[0] == "CONTIT_ACCESS_TOKEN_FILE"
    assert Path(named[1]).read_text().strip() == "ctpat_x"
    contit_mcp_command("uninstall", "cursor")
    assert Path(named[1]).exists() is (named[1] == str(home / "pat"))


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        ((), {}, "No API key was given"),
        ((), {"CONTIT_API_KEY": "two words"}, "does not look like a key"),
        (("--key-file", "missing"), {}, "cannot be read"),
    ],
)
def test_without_a_key_nothing_is_written(
    arguments: tuple[str, ...], variables: dict[str, str], said: str, contit_mcp_command: Calls, home: Path
) -> None:
    refused = contit_mcp_command("install", "cursor", *arguments, **variables)
    assert isinstance(refused.exception, ContitError)
    assert said in refused.exception.message
    assert "two words" not in refused.exception.message
    assert not file_of("cursor").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is POSIX's")
async def test_on_a_terminal_the_key_is_asked_for_and_not_shown(home: Path, state: Path) -> None:
    async with on_terminal("install", "cursor", HOME=str(home), HTTPS_PROXY=UNREACHABLE) as terminal:
        await terminal.until(lambda text: "it is not shown" in text)
        terminal.type("SECRET-MARKER\n")
        await terminal.until(lambda text: "Check it with" in text)
    assert "SECRET-MARKER" not in terminal.written
    assert (state / "api-key").read_text() == "SECRET-MARKER\n"


# --- which hosts, which entries


def test_without_a_host_it_lists_them_and_what_is_here(contit_mcp_command: Calls, home: Path) -> None:
    file_of("cursor").parent.mkdir()
    file_of("codex").parent.mkdir()
    file_of("codex").write_text("broken")
    contit_mcp_command("install", "zed", "--sandbox")
    lines = {line.split()[0]: line for line in contit_mcp_command("install").stdout.splitlines()}
    assert list(lines) == list(HOSTS)
    assert " found " in lines["cursor"]
    assert " broken file " in lines["codex"]
    assert " installed " in lines["zed"]
    assert "found" not in lines["windsurf"]
    assert str(file_of("windsurf")) in lines["windsurf"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("install", "cursorr"), 2, "Did you mean cursor?"),
        (("install", "cursor", "--sandbox", "--http", "https://x.example"), 2, "two different entries"),
        (("install", "cursor", "--sandbox", "--key-file", "mine"), 2, "--key-file is for an entry with an API key"),
        (("install", "cursor", "--token"), 2, "--token and --no-token are for --http"),
        (("install", "claude-desktop", "--http", "https://x.example"), 1, "reads no remote servers from its file"),
        (("install", "cursor", "--http", "http://x.example"), 1, "--http must begin with https://"),
        (("install", "windsurf", "--scope", "project", "--sandbox"), 1, "keeps no file for a project"),
        (("uninstall", "cursor"), 0, "There is no contit-assistant in"),
    ],
)
def test_what_cannot_be_meant_is_said(
    arguments: tuple[str, ...], code: int, said: str, contit_mcp_command: Calls, home: Path
) -> None:
    result = contit_mcp_command(*arguments)
    error = result.exception
    assert result.exit_code == code
    assert said in (error.message if isinstance(error, ContitError) else result.output)


@pytest.mark.parametrize("entry", [["--sandbox"], ["--http", "http://127.0.0.1:1"]], ids=["local", "remote"])
async def test_what_to_do_next_works_as_it_is_written(entry: list[str], home: Path) -> None:
    nowhere = {"HOME": str(home), "USERPROFILE": str(home), "PATH": os.defpath}
    installed = await run("install", "cursor", *entry, **nowhere)
    (line,) = [line for line in installed.stdout.splitlines() if line.startswith("Check it with: ")]
    words = shlex.split(line.removeprefix("Check it with: "))
    assert Path(words[0]).is_absolute()
    done = await anyio.run_process([*words, "--json"], env=environment(HOME=str(home)), check=False)
    assert json.loads(done.stdout)["ok"] is (entry == ["--sandbox"])


def test_a_token_is_named_by_its_variable_unless_the_server_wants_none(contit_mcp_command: Calls, home: Path) -> None:
    def printed(*arguments: str) -> str:
        return contit_mcp_command("install", "codex", "--print", "--http", *arguments).stdout

    assert 'bearer_token_env_var = "CONTIT_ASSISTANT_TOKEN"' in printed("https://x.example")
    assert "bearer_token" not in printed("https://x.example", "--no-token")
    assert "bearer_token" not in printed("http://localhost:8000")
    assert "bearer_token" in printed("http://localhost:8000", "--token")


# --- check --host


async def test_check_uses_an_entry_with_its_own_variables_alone(home: Path, tmp_path: Path) -> None:
    variables = {"HOME": str(home), "USERPROFILE": str(home)}
    async with sandbox_on_port() as (url, _):
        installed = await run("install", "goose", CONTIT_API_KEY="sandbox-key", CONTIT_BASE_URL=url, **variables)
        assert installed.returncode == 0, installed.stderr
        checked = await run("check", "--host", "goose", CONTIT_MCP_STORE="nonsense", **variables)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "ok   Tools: contit_ask" in checked.stdout
    assert "it is good" in checked.stdout


async def test_check_says_what_is_wrong_with_an_entry(home: Path) -> None:
    file = file_of("cursor")
    file.parent.mkdir()
    host = HOSTS["cursor"]
    for command, arguments, said in (
        ("/nowhere/contit-mcp", ["stdio", "--sandbox"], "cannot be started: No such file or directory"),
        (sys.executable, ["-c", "import sys; sys.exit('it fell over')", "--sandbox"], "did not answer: it fell over"),
    ):
        entry = {"command": command, "args": arguments}
        file.write_text(json.dumps({"mcpServers": {"contit-assistant": entry}}))
        _, tools = await check_host(host, file)
        assert not tools.good
        assert said in tools.verdict
        assert "contit-mcp install cursor --sandbox --force" in str(tools.hint)
    for content, said in (("{}", "it has no entry"), ("{", "line 1")):
        file.write_text(content)
        (found,) = await check_host(host, file)
        assert not found.good
        assert said in found.verdict


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"url": "not a url"}, "its address is not a URL"),
        ({"url": "http://[::1"}, "its address is not a URL"),
        ({"url": "http://127.0.0.1:1/mcp?key=SECRET-MARKER"}, "no connection"),
        (
            {"url": "http://127.0.0.1:1/mcp", "headers": {"Authorization": "Bearer ${env:CONTIT_ASSISTANT_TOKEN}"}},
            "CONTIT_ASSISTANT_TOKEN holds characters that no token has",
        ),
        ({"command": "x\0y"}, "its entry holds characters that no command can have"),
        ({"command": "\ud800"}, "its entry holds characters that no command can have"),
        ({"command": "/nowhere/x", "args": ["--header", "Authorization: Bearer SECRET-MARKER"]}, "cannot be started"),
    ],
)
async def test_an_entry_by_hand_can_be_anything(
    entry: dict[str, Any], said: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTIT_ASSISTANT_TOKEN", "tökén")
    file = file_of("cursor")
    file.parent.mkdir()
    if "command" in entry:
        entry = entry | {"args": [*entry.get("args", []), "--sandbox"]}
    file.write_text(json.dumps({"mcpServers": {"contit-assistant": entry}}))
    where, tools = await check_host(HOSTS["cursor"], file)
    assert said in tools.verdict
    assert tools.hint
    assert "SECRET-MARKER" not in where.lines() + tools.lines()
    (where.lines() + tools.lines()).encode()


async def test_the_way_to_a_new_entry_is_named_with_its_scope(home: Path) -> None:
    file = file_of("cursor", "project")
    (missing,) = await check_host(HOSTS["cursor"], file, scope="project")
    assert missing.hint == "contit-mcp install cursor --scope project"


@pytest.mark.skipif(os.name == "nt", reason="Windows removes no folder that is in use")
async def test_a_current_folder_that_is_gone_is_said(home: Path, tmp_path: Path) -> None:
    """As what it is, not as an output that could not be written."""
    command = f"mkdir gone && cd gone && rmdir ../gone && exec {shlex.join(COMMAND)} install cursor --sandbox"
    done = await anyio.run_process(
        ["/bin/sh", "-c", command], cwd=tmp_path, env=environment(HOME=str(home)), check=False
    )
    assert done.returncode == 1
    assert done.stderr.decode().splitlines()[-2:] == [
        "error: The folder that this was called from is gone.",
        "hint: Go to another one.",
    ]


async def test_an_entry_starts_with_little_more_than_its_own_variables(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As desktop applications start servers: their PATH, no shell's variables, the home folder."""
    file, told = file_of("cursor"), home / "told.json"
    file.parent.mkdir()
    tell = "import json, os, sys; json.dump([os.getcwd(), dict(os.environ)], open(sys.argv[1], 'w'))"
    entry = {"command": sys.executable, "args": ["-c", tell, str(told), "--sandbox"], "env": {"OWN": "1"}}
    file.write_text(json.dumps({"mcpServers": {"contit-assistant": entry}}))
    monkeypatch.setenv("CONTIT_MCP_STORE", "of this shell")
    await check_host(HOSTS["cursor"], file)
    folder, variables = json.loads(told.read_text())
    assert Path(folder) == home
    assert variables["OWN"] == "1"
    assert not [name for name in variables if name.startswith("CONTIT_")]
    assert os.name == "nt" or variables["PATH"] == DESKTOP_PATH


@pytest.mark.parametrize(
    ("status", "token", "said"),
    [
        (401, None, "wants a token (401), and CONTIT_ASSISTANT_TOKEN is not set"),
        (401, "t", "refuses (401)"),
        (421, "t", "refuses (421)"),
    ],
)
async def test_what_a_server_on_the_network_says_is_told(
    status: int, token: str | None, said: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(status_code=status)(scope, receive, send)

    file = file_of("codex")
    file.parent.mkdir()
    async with on_port(Starlette(routes=[Mount("/", refuse)])) as url:
        file.write_text(
            f'[mcp_servers.contit-assistant]\nurl = "{url}/mcp"\nbearer_token_env_var = "CONTIT_ASSISTANT_TOKEN"\n'
        )
        if token:
            monkeypatch.setenv("CONTIT_ASSISTANT_TOKEN", token)
        _, found = await check_host(HOSTS["codex"], file)
    assert not found.good
    assert said in found.verdict
    assert found.hint


@pytest.mark.parametrize(
    ("slug", "good", "said", "hint"),
    [
        (
            "cursor",
            False,
            "its entry has no token",
            "contit-mcp install cursor --http http://127.0.0.1:{port}/mcp --token",
        ),
        ("zed", False, "its entry has no token", "Zed fills in no variables"),
        ("vscode", None, "not tried: the host asks for the token itself", None),
    ],
)
async def test_an_entry_without_a_token_leads_to_one_that_has_it(
    slug: str, good: bool | None, said: str, hint: str | None, contit_mcp_command: Calls, home: Path
) -> None:
    """Where the host can have one; VS Code's entry is good as it is (seen by a newcomer)."""
    tokens = {"CONTIT_MCP_AUTH": "token", "CONTIT_MCP_TOKENS": f"me:{'t' * 32}", "CONTIT_MCP_SEAL_KEY": SEAL_KEY}
    with Served(tokens, ("--sandbox",)) as served:
        installed = contit_mcp_command(
            "install", slug, "--http", served.base, "--token" if slug == "vscode" else "--no-token"
        )
        assert installed.exit_code == 0, installed.output
        _, tools = await check_host(HOSTS[slug], file_of(slug))
    assert tools.good is good
    assert said in tools.verdict
    assert (hint or "").format(port=served.port) in (tools.hint or "")


@pytest.mark.parametrize("text", ['{"mcpServers": {"other": {"command": "b"},}}', '{\n// mine\n"mcpServers": {}}'])
async def test_what_claude_desktop_cannot_read_is_said(text: str, contit_mcp_command: Calls, home: Path) -> None:
    """It reads JSON to the letter; the file stays as it is otherwise (seen by a newcomer)."""
    file = file_of("claude-desktop")
    file.parent.mkdir(parents=True)
    file.write_text(text)
    installed = contit_mcp_command("install", "claude-desktop", "--sandbox")
    assert installed.exit_code == 0, installed.output
    assert "Claude Desktop reads no comments" in installed.output
    _, strict, _ = await check_host(HOSTS["claude-desktop"], file)
    assert strict.good is False
    assert "at line" in strict.verdict


async def test_a_remote_entry_reaches_a_server_with_its_token(
    contit_mcp_command: Calls, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = {"CONTIT_MCP_AUTH": "token", "CONTIT_MCP_TOKENS": f"me:{'t' * 32}", "CONTIT_MCP_SEAL_KEY": SEAL_KEY}
    with Served(tokens, ("--sandbox", "--probe")) as served:
        for slug in ("cursor", "codex", "continue"):
            installed = contit_mcp_command("install", slug, "--http", served.base, "--token")
            assert installed.exit_code == 0, installed.output
        monkeypatch.setenv("CONTIT_ASSISTANT_TOKEN", "t" * 32)
        for slug in ("cursor", "codex", "continue"):
            where, tools = await check_host(HOSTS[slug], file_of(slug))
            assert where.verdict == f"it speaks to {served.url}"
            assert tools.good, tools.verdict
            assert tools.verdict.endswith("contit_probe")


def test_every_entry_reads_back_as_what_it_was_made_of() -> None:
    server = LocalServer("/bin/contit-mcp", ("stdio", "--sandbox"), {"CONTIT_API_KEY_FILE": "/key"})
    for host in HOSTS.values():
        assert read_entry(host.local(server)) == server, host.slug


# --- the key is tried, kept, used and replaced


async def test_the_key_that_install_keeps_is_used_by_ask_and_check(home: Path) -> None:
    """Nothing else has to be set, the address of Contit neither; a credential that is set comes first."""
    variables = {"HOME": str(home), "USERPROFILE": str(home)}
    async with sandbox_on_port() as (url, _):
        installed = await run("install", "cursor", **upstream(url), **variables)
        assert "The key: API key, set (hidden); it is good." in installed.stdout
        asked = await run("ask", "How many drafts are there?", **variables)
        assert (asked.returncode, "20 draft items" in asked.stdout) == (0, True), asked.stderr
        checked = await run("check", **variables)
        assert checked.returncode == 0, checked.stdout
        assert f"Contit at {url}" in checked.stdout
        wrong = await run("check", CONTIT_API_KEY="wrong", CONTIT_BASE_URL=url, **variables)
        assert "Contit refuses it (401)" in wrong.stdout
        elsewhere = await run("check", "--base-url", "http://127.0.0.1:9", **variables)
        assert "Contit at http://127.0.0.1:9" in elsewhere.stdout
    await run("uninstall", "cursor", **variables)
    assert "No Contit credential is configured" in (await run("ask", "x", **variables)).stderr


async def test_a_key_that_contit_refuses_is_not_kept(home: Path, state: Path) -> None:
    """From a variable and from a file; nothing is written."""
    before = at_home(home)
    (home.parent / "mine").write_text("mistyped")
    async with sandbox_on_port() as (url, _):
        for arguments, given in (
            ((), {"CONTIT_API_KEY": "mistyped"}),
            ((), {"CONTIT_ACCESS_TOKEN": "ctpat_mistyped"}),
            (("--key-file", str(home.parent / "mine")), {}),
            ((), {"CONTIT_API_KEY_FILE": str(home.parent / "mine")}),
        ):
            refused = await run("install", "cursor", *arguments, HOME=str(home), CONTIT_BASE_URL=url, **given)
            assert refused.returncode == 1
            assert refused.stderr.startswith("error: Contit refuses the key (401), so nothing was written.\nhint: ")
    assert at_home(home) == before
    assert not (state / "api-key").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is POSIX's")
async def test_a_refused_key_is_asked_for_again_and_a_new_one_replaces_it(home: Path, state: Path) -> None:
    """At a terminal, up to three times."""
    async with sandbox_on_port() as (url, _):
        given = {"HOME": str(home), "CONTIT_BASE_URL": url}
        async with on_terminal("install", "cursor", **given) as terminal:
            await terminal.until(lambda text: text.count("it is not shown") == 1)
            terminal.type("mistyped\n")
            await terminal.until(lambda text: text.count("it is not shown") == 2)
            assert "Contit refuses this key (401)" in terminal.written
            terminal.type("sandbox-key\n")
            await terminal.until(lambda text: "Check it with" in text)
        assert (state / "api-key").read_text() == "sandbox-key\n"
        kept = await run("install", "zed", **given)
        assert "--new-key replaces it" in kept.stdout
        async with on_terminal("install", "zed", "--new-key", **given) as terminal:
            await terminal.until(lambda text: "it is not shown" in text)
            terminal.type("sandbox-forbidden\n")
            await terminal.until(lambda text: "Check it with" in text)
        assert (state / "api-key").read_text() == "sandbox-forbidden\n"
        assert "It replaces another key, also for Cursor" in terminal.written
        assert "may not use the AI assistant (403)" in terminal.written
        async with on_terminal("install", "zed", "--new-key", **given) as terminal:
            for number in range(1, 4):
                await terminal.until(lambda text, number=number: text.count("it is not shown") == number)  # type: ignore[misc]
                terminal.type("mistyped\n")
            await terminal.until(lambda text: "so nothing was written" in text)
        assert terminal.process.returncode == 1
        assert (state / "api-key").read_text() == "sandbox-forbidden\n"


def test_a_key_that_cannot_be_tried_is_kept_and_that_is_said(contit_mcp_command: Calls, home: Path) -> None:
    """Offline, behind a proxy, or while Contit has a fault."""
    installed = contit_mcp_command("install", "cursor", CONTIT_API_KEY="key", CONTIT_BASE_URL="http://127.0.0.1:9")
    assert installed.exit_code == 0
    assert "The key, not tried: Contit at http://127.0.0.1:9: 127.0.0.1:9 refused the connection" in installed.output


# --- a project's files are anybody's


@pytest.mark.skipif(os.name == "nt", reason="Windows has no links for everyone")
@pytest.mark.parametrize("slug", ["claude-code", "cursor", "codex", "vscode"])
@pytest.mark.parametrize(
    "target", ["/", "..", "../secret.json", "~/secret.json", "/nowhere/x", "../../nowhere", "/dev/null"]
)
def test_no_link_leads_out_of_a_project(slug: str, target: str, contit_mcp_command: Calls, home: Path) -> None:
    """The file may be a link, or a folder on the way to it; the target may be there or not."""
    (home / "secret.json").write_text('{"mcpServers": {"contit-assistant": {"command": "secret-command"}}}')
    place = file_of(slug, "project").relative_to(home / "project")
    for part in (place, *place.parents[:-1]):
        link = home / "project" / part
        link.parent.mkdir(parents=True, exist_ok=True)
        outside = target.replace("~", str(home))
        link.symlink_to(
            os.path.relpath(home / "project" / outside, link.parent) if outside.startswith("..") else outside
        )
        before = at_home(home)
        for command in (("install", slug, "--sandbox"), ("uninstall", slug), ("check", "--host", slug)):
            refused = contit_mcp_command(*command, "--scope", "project")
            assert isinstance(refused.exception, ContitError), (part, command, refused.output)
            assert "leads out of the project" in refused.exception.message
            assert "secret-command" not in refused.output
        assert at_home(home) == before
        shutil.rmtree(home / "project")
        (home / "project").mkdir()
        os.chdir(home / "project")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no links for everyone")
def test_a_link_inside_a_project_is_followed(contit_mcp_command: Calls, home: Path) -> None:
    """It leads to what the project has itself."""
    kept = home / "project" / "config" / "mcp.json"
    kept.parent.mkdir()
    kept.write_text("{}")
    file_of("claude-code", "project").symlink_to("config/mcp.json")
    assert contit_mcp_command("install", "claude-code", "--sandbox", "--scope", "project").exit_code == 0
    assert "contit-assistant" in kept.read_text()


@pytest.mark.skipif(os.name == "nt", reason="it takes a pipe and a device")
@pytest.mark.parametrize("kind", ["pipe", "folder", "large"])
def test_a_file_of_a_project_that_is_no_file_is_refused_at_once(
    kind: str, contit_mcp_command: Calls, home: Path
) -> None:
    """A pipe would be waited for without end."""
    file = file_of("claude-code", "project")
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        with file.open("wb") as large:
            large.truncate(70_000_000)
    refused = contit_mcp_command("check", "--host", "claude-code", "--scope", "project")
    assert isinstance(refused.exception, ContitError)
    assert str(file) in refused.exception.message


async def test_an_entry_of_a_project_that_install_did_not_write_is_not_started(home: Path) -> None:
    """It is shown; --trust starts it; without a terminal nobody can say yes. What install wrote needs no question."""
    file, told = file_of("claude-code", "project"), home / "told"
    script = f"open({str(told)!r}, 'a').write(str(__import__('os').environ))"
    entry = {"command": sys.executable, "args": ["-c", script, "--sandbox"], "env": {"K": "${CONTIT_ASSISTANT_TOKEN}"}}
    file.write_text(json.dumps({"mcpServers": {"contit-assistant": entry}}))
    given = {"HOME": str(home), "USERPROFILE": str(home), "CONTIT_ASSISTANT_TOKEN": "SECRET-MARKER"}
    command = ("check", "--host", "claude-code", "--scope", "project")
    for more in ((), ("--json",)):
        refused = await run_in(home / "project", *command, *more, **given)
        assert refused.returncode == 1
        assert "not tried: the entry is the project's, and install did not write it" in refused.stdout
        assert sys.executable in refused.stdout
    assert not told.exists()
    trusted = await run_in(home / "project", *command, "--trust", **given)
    assert "not tried" not in trusted.stdout
    assert told.exists()
    assert "SECRET-MARKER" not in told.read_text()
    file.unlink()
    assert (
        await run_in(home / "project", "install", "claude-code", "--sandbox", "--scope", "project", **given)
    ).returncode == 0
    ours = await run_in(home / "project", *command, **given)
    assert "ok   Tools: contit_ask" in ours.stdout
    changed = file.read_text().replace("--sandbox", "--sandbox --probe")
    file.write_text(changed.replace('"--sandbox --probe"', '"--sandbox", "--probe"'))
    assert "not tried" in (await run_in(home / "project", *command, **given)).stdout


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is POSIX's")
async def test_at_a_terminal_the_user_is_asked_about_an_entry_of_a_project(home: Path) -> None:
    """No is the default."""
    file, told = file_of("claude-code", "project"), home / "told"
    entry = {"command": sys.executable, "args": ["-c", f"open({str(told)!r}, 'w')", "--sandbox"], "env": {"A": "b"}}
    file.write_text(json.dumps({"mcpServers": {"contit-assistant": entry}}))
    script = f'cd {shlex.quote(str(home / "project"))} && exec {shlex.join(COMMAND)} "$@"'
    for answer in ("\n", "y\n"):
        async with on_terminal_with(["/bin/sh", "-c", script, "sh"], 80, "check", "--host", "claude-code", "--scope", "project", HOME=str(home)) as terminal:  # fmt: skip
            await terminal.until(lambda text: "Use it now? [y/N]" in text)
            assert "with A=b" in terminal.written
            assert not told.exists()
            terminal.type(answer)
        assert told.exists() is (answer == "y\n")


@pytest.mark.parametrize("leads_to", ["key", "token"])
async def test_no_secret_goes_to_an_address_that_install_did_not_write(leads_to: str, home: Path) -> None:
    """Even with --trust, neither the key of the state folder nor the bearer token."""
    seen: list[str] = []

    async def note(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(str(scope["headers"]))
        await Response(status_code=401)(scope, receive, send)

    (home.parent / "state").mkdir(exist_ok=True)
    (home.parent / "state" / "api-key").write_text("SECRET-MARKER")
    async with on_port(Starlette(routes=[Mount("/", note)])) as url:
        entry: dict[str, Any] = {"url": f"{url}/mcp", "headers": {"Authorization": "Bearer ${CONTIT_ASSISTANT_TOKEN}"}}
        if leads_to == "key":
            key = {"CONTIT_API_KEY_FILE": str(home.parent / "state" / "api-key"), "CONTIT_BASE_URL": url}
            entry = {"command": sys.executable, "args": ["-m", "contit_mcp", "stdio"], "env": key}
        file_of("claude-code", "project").write_text(json.dumps({"mcpServers": {"contit-assistant": entry}}))
        given = {"HOME": str(home), "CONTIT_ASSISTANT_TOKEN": "SECRET-MARKER"}
        command = ("check", "--host", "claude-code", "--scope", "project", "--trust")
        checked = await run_in(home / "project", *command, **given)
    assert "not tried" in checked.stdout
    assert "SECRET-MARKER" not in f"{seen}{checked.stdout}{checked.stderr}"


# --- this machine's other users, and other people's folders


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_folders_that_are_made_are_the_users_alone_whatever_the_umask(
    contit_mcp_command: Calls, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user who may rename in one of them could replace the key."""
    state = home / "new" / "state" / "folder"
    before = os.umask(0)
    try:
        installed = contit_mcp_command(
            "install", "claude-desktop", CONTIT_API_KEY="key", CONTIT_MCP_STATE_DIR=str(state)
        )
    finally:
        os.umask(before)
    assert installed.exit_code == 0, installed.output
    made = [path for path in home.rglob("*") if path.name != "project"]
    assert len(made) >= 7
    for path in made:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@pytest.mark.parametrize(
    "module", ["click", "rich", "httpx", "json", "anyio", "tomlkit", "contit_mcp_extra", "structlog", "typing"]
)
async def test_nothing_is_imported_from_the_current_folder(module: str, home: Path) -> None:
    """`python -m contit_mcp` in a cloned repository; an entry that starts Python says -P."""
    (home / "project" / f"{module}.py").write_text("raise SystemExit('PWNED')")
    done = await run_in(home / "project", "install", "codex", "--print", "--sandbox", HOME=str(home))
    assert "PWNED" not in done.stdout + done.stderr
    assert done.returncode == 0, done.stderr
