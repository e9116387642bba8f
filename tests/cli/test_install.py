"""`contit-mcp install` and `uninstall`, as a person meets them."""

import json
import os
import re
import shlex
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import Result
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import CallToolResult

from contit_mcp.errors import ContitError
from contit_mcp.hosts.table import HOSTS
from tests.children import COMMAND, contit
from tests.cli.command_line import RunHere, environment, on_terminal, run, upstream
from tests.cli.conftest import at_home, file_of, said_by
from tests.rules.tree import ROOT

pytestmark = pytest.mark.anyio

Calls = Callable[..., Result]


def entry_of(slug: str, scope: str = "user") -> dict[str, Any]:
    """Our entry in a host's JSON."""
    found: dict[str, Any] = json.loads(file_of(slug, scope).read_text())[HOSTS[slug].section]["contit-assistant"]
    return found


# --- the newcomer


async def test_a_newcomer_reaches_an_answer_without_an_account(home: Path) -> None:
    """Each command is used as it is printed, with an empty PATH."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    step_2 = re.findall(r"/bin/contit-mcp (install claude-desktop .*)", readme)[0].split()
    question = re.findall(r'Quit Claude Desktop.*"Ask Contit: (.*)"', readme)[0]
    before = at_home(home)
    installed = await run(*step_2, PATH=os.defpath)
    entry = entry_of("claude-desktop")
    assert ("env" in entry, Path(entry["command"]).is_absolute()) == (False, True)
    assert "Note: Claude Desktop was not found on this machine." in installed.stdout
    (printed,) = re.findall("^Check it with: (.*)$", installed.stdout, re.MULTILINE)
    checked = await anyio.run_process(shlex.split(printed), env=environment(PATH=os.defpath), check=False)
    assert checked.returncode == 0, checked.stdout
    assert b"ok   Tools: contit_ask, contit_start, contit_status, contit_response" in checked.stdout
    server = StdioServerParameters(command=entry["command"], args=entry["args"], cwd=home)
    with anyio.fail_after(60):
        async with Client(stdio_client(server)) as client:
            result = await client.call_tool("contit_ask", {"prompt": question})
    assert isinstance(result, CallToolResult)
    assert "12 published articles from March 2026" in str(result.structured_content)
    assert (await run("uninstall", "claude-desktop")).returncode == 0
    assert at_home(home) == before


# --- the file


@pytest.mark.parametrize("slug", HOSTS)
def test_a_file_of_every_host_is_as_it_was_afterwards(slug: str, command: Calls, home: Path) -> None:
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
            installed = said_by(command("install", slug, "--sandbox", "--scope", scope), 0)
            assert ("The file as it was before: " in installed) is (content is not None)
            assert scope == "user" or not list(file.parent.glob("*.bak"))  # a repository is no place for a copy
            assert "is already in" in command("install", slug, "--sandbox", "--scope", scope).output
            said_by(command("uninstall", slug, "--scope", scope), 0)
            assert at_home(home) == before
            assert content is None or file.read_bytes() == content


@pytest.mark.skipif(os.name == "nt", reason="Windows has neither modes nor links for everyone")
@pytest.mark.parametrize("scope", ["user", "project"])
def test_a_link_and_a_mode_stay(scope: str, command: Calls, home: Path) -> None:
    file = file_of("cursor", scope)
    kept = (home / "project" if scope == "project" else home) / "dotfiles.json"
    kept.write_text("{}")
    kept.chmod(0o640)
    file.parent.mkdir()
    file.symlink_to(kept)
    said_by(command("install", "cursor", "--sandbox", "--scope", scope), 0)
    assert file.is_symlink()
    assert "contit-assistant" in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o640
    said_by(command("uninstall", "cursor", "--scope", scope), 0)
    assert file.is_symlink()
    assert kept.read_text() == "{}"


@pytest.mark.parametrize(
    ("slug", "content", "said"),
    [
        ("cursor", b'{\n "mcpServers": {\n  "a": 1 "b"\n', "expecting ',' delimiter: line 3"),
        ("cursor", b'// \n[{"a": /* \n */ 1,, }]', "line 3"),
        ("cursor", b"[]", "it holds something other than names and values"),
        ("cursor", b'{"mcpServers": [1]}', "its mcpServers is not what the host expects there"),
        ("cursor", b"\xff\xfe{}", "is not UTF-8 text"),
        ("codex", b"a = 1\nb = \n", "invalid value (at line 2"),
        ("codex", b'mcp_servers = {o = {command = "x"}}', "it cannot be edited safely"),
        ("codex", b"[[mcp_servers]]\na = 1\n", "its mcp_servers is not what the host expects there"),
        ("goose", b"a: 1\nb: [\n", "line 3"),
        ("goose", b"extensions: no\n", "its extensions is not what the host expects there"),
    ],
)
def test_a_file_that_cannot_be_edited_safely_is_left_alone(
    slug: str, content: bytes, said: str, command: Calls, home: Path
) -> None:
    file = file_of(slug)
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    before = at_home(home)
    refused = said_by(command("install", slug, CONTIT_API_KEY="key"), 1)
    assert said in refused
    assert refused.count(str(file)) == 1
    assert file.read_bytes() == content
    assert at_home(home) == before


def test_an_entry_that_somebody_changed_is_replaced_only_by_force_and_never_lost(command: Calls) -> None:
    file = file_of("cursor")
    file.parent.mkdir()
    by_hand = '{"mcpServers": {"contit-assistant": {"command": "mine"}}}'
    file.write_text(by_hand)
    assert "written or changed by hand" in said_by(command("install", "cursor", "--sandbox"), 1)
    assert f"{file}.contit-mcp.bak" in command("install", "cursor", "--sandbox", "--force").output
    assert "has been replaced in" in command("install", "cursor", "--http", "http://127.0.0.1:8000").output
    file.write_text(changed := file.read_text().replace("8000", "9000"))
    assert "written or changed by hand" in said_by(command("install", "cursor", "--sandbox"), 1)
    assert "The file as it was before: " in command("install", "cursor", "--sandbox", "--force").output
    assert {path.read_text() for path in file.parent.glob("*.bak")} == {by_hand, changed}
    removed = command("uninstall", "cursor").output
    assert f"The file as it was before install: {file}.contit-mcp.bak\n" in removed
    assert f"The file as it was before a later install: {file}.contit-mcp.2.bak\n" in removed
    assert len(list(file.parent.glob("*.bak"))) == 2
    assert "contit-assistant" not in file.read_text()


def test_print_shows_the_entry_and_changes_nothing(command: Calls, home: Path) -> None:
    """A token is named by its variable, unless the server wants none."""
    before = at_home(home)
    printed = command("install", "vscode", "--http", "https://contit.example", "--print")
    document = json.loads(printed.stdout)
    assert document["servers"]["contit-assistant"]["url"] == "https://contit.example/mcp"
    assert document["inputs"][0]["password"] is True
    assert str(file_of("vscode")) in printed.stderr
    for arguments, has_token in (
        (("https://x.example",), True),
        (("https://x.example", "--no-token"), False),
        (("http://localhost:8000",), False),
        (("http://localhost:8000", "--token"), True),
    ):
        shown = command("install", "codex", "--print", "--http", *arguments).stdout
        assert ('bearer_token_env_var = "CONTIT_ASSISTANT_TOKEN"' in shown) is has_token
    assert at_home(home) == before


def test_what_a_host_cannot_read_in_its_own_file_is_said(command: Calls) -> None:
    """The rest of the file stays as it is."""
    comma, comment = '{"mcpServers": {"o": {"command": "b"},}}', '{\n// mine\n"mcpServers": {}}'
    for slug, text, said in (
        ("claude-desktop", comma, "does not accept comments or trailing commas"),
        ("claude-desktop", comment, "does not accept comments or trailing commas"),
        ("gemini-cli", comma, "does not accept trailing commas"),
        ("gemini-cli", comment, ""),
    ):
        file = file_of(slug)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        installed = said_by(command("install", slug, "--sandbox"), 0)
        assert ("Attention: " in installed) is bool(said)
        checked = command("check", "--host", slug)
        assert ("; line" in checked.output) is bool(said)
        assert said in installed
        assert said in checked.output
        command("uninstall", slug)


# --- the key


def test_the_key_goes_into_a_file_that_nobody_else_can_read(command: Calls, state: Path) -> None:
    """It is removed with the last entry that names it. Here it could not be tried, and that is said."""
    key_file = state / "api-key"
    not_tried = "The key was not tried. Contit at http://127.0.0.1:9: 127.0.0.1:9 refused the connection"
    for slug in ("cursor", "codex"):
        installed = said_by(
            command("install", slug, **upstream("http://127.0.0.1:9", CONTIT_API_KEY=" SECRET-MARKER\n")), 0
        )
        assert "SECRET-MARKER" not in installed + file_of(slug).read_text()
        assert slug == "codex" or not_tried in installed
    assert key_file.read_text() == "SECRET-MARKER\n"
    assert os.name == "nt" or stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert entry_of("cursor")["env"]["CONTIT_API_KEY_FILE"] == str(key_file)
    assert "another entry uses it" in command("uninstall", "cursor").output
    assert key_file.exists()
    assert "was removed too" in command("uninstall", "codex").output
    assert list(state.iterdir()) == []


def test_no_key_is_left_behind(command: Calls, home: Path, state: Path) -> None:
    """A broken file of another host keeps it, if it names it."""
    command("install", "cursor", CONTIT_API_KEY="key")
    command("install", "cursor", CONTIT_ACCESS_TOKEN="ctpat_x")
    command("install", "cursor", "--sandbox")
    command("uninstall", "cursor")
    assert list(state.iterdir()) == []
    command("install", "cursor", CONTIT_API_KEY="key")
    file_of("cursor").unlink()
    removed = command("uninstall", "cursor").output
    assert "There is no contit-assistant" in removed
    assert "was removed too" in removed
    assert list(state.iterdir()) == []
    other = file_of("goose")
    other.parent.mkdir(parents=True)
    for text, kept in (("extensions: [", False), (f"extensions: [ {state / 'api-key'}", True)):
        other.write_text(text)
        command("install", "cursor", CONTIT_API_KEY="key")
        said = command("uninstall", "cursor").output
        assert (state / "api-key").exists() == kept, said
    (state / "api-key").unlink()
    (home / ".cursor").rmdir()
    (home / ".cursor").write_text("no folder")
    assert "cannot be" in said_by(command("install", "cursor", CONTIT_API_KEY="key"), 1)
    assert not (state / "api-key").exists()


def test_another_key_replaces_the_stored_one_only_when_asked_to(command: Calls, state: Path) -> None:
    command("install", "cursor", CONTIT_API_KEY="first")
    refused = command("install", "codex", CONTIT_API_KEY="second")
    assert isinstance(refused.exception, ContitError)
    assert "--new-key" in refused.exception.hint
    assert (state / "api-key").read_text() == "first\n"
    no_key = {"CONTIT_API_KEY_FILE": str(state / "api-key")}
    assert "No API key was given" in said_by(command("install", "codex", "--new-key", **no_key), 1)
    with contit() as it:
        given = upstream(it.url, CONTIT_API_KEY="sandbox-forbidden")
        replaced = command("install", "codex", "--new-key", **given)
    assert replaced.exit_code == 0
    assert f"It replaces another key, also for Cursor ({file_of('cursor')})." in replaced.output
    assert str(file_of("codex")) not in replaced.output.partition("It replaces")[2]
    assert "(403). Give it the ReadAccess policy in Contit" in replaced.output
    assert (state / "api-key").read_text() == "sandbox-forbidden\n"


def test_a_key_file_of_the_user_is_named_and_never_touched(command: Calls, home: Path) -> None:
    """Others who can read it are named, and the way to Contit is copied into the entry."""
    mine = home / "mine"
    mine.write_text("key")
    mine.chmod(0o644)
    way = {"CONTIT_BASE_URL": "https://contit.example", "CONTIT_CA_FILE": "ca.pem"}
    installed = said_by(command("install", "zed", "--key-file", "~/mine", **way), 0)
    assert os.name == "nt" or f"chmod 600 {mine}" in installed
    ca_file = str(home / "project" / "ca.pem")
    assert entry_of("zed")["env"] == {"CONTIT_API_KEY_FILE": str(mine), **way, "CONTIT_CA_FILE": ca_file}
    command("uninstall", "zed")
    command("install", "zed", CONTIT_API_KEY_FILE=str(mine))
    assert str(mine) in file_of("zed").read_text()
    command("uninstall", "zed")
    assert mine.read_text() == "key"


def test_a_personal_access_token_is_named_as_one(command: Calls, home: Path) -> None:
    """It begins with ctpat_ (documented), wherever people put it; sent as an API key it would be refused."""
    (home / "pat").write_text("ctpat_x")
    for name, value in (
        ("CONTIT_ACCESS_TOKEN", "ctpat_x"),
        ("CONTIT_API_KEY", "ctpat_x"),
        ("CONTIT_API_KEY_FILE", "~/pat"),
    ):
        said_by(command("install", "cursor", **{name: value}), 0)
        ((named, path),) = entry_of("cursor")["env"].items()
        assert (named, Path(path).read_text().strip()) == ("CONTIT_ACCESS_TOKEN_FILE", "ctpat_x")
        command("uninstall", "cursor")
        assert Path(path).exists() is (path == str(home / "pat"))


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        ((), {}, "No API key was given"),
        ((), {"CONTIT_API_KEY": "two SECRET-MARKER"}, "does not look like a key"),
        (("--key-file", "missing"), {}, "missing does not exist or is empty"),
        ((), {"CONTIT_API_KEY": "key", "CONTIT_BASE_URL": "https://u:SECRET-MARKER@x.example"}, "CONTIT_BASE_URL must"),
        ((), {"CONTIT_API_KEY": "key", "CONTIT_BASE_URL": "contit.example"}, "CONTIT_BASE_URL must"),
    ],
)
def test_without_a_usable_key_and_address_nothing_is_written(
    arguments: tuple[str, ...], variables: dict[str, str], said: str, command: Calls, home: Path
) -> None:
    refused = said_by(command("install", "cursor", *arguments, **variables), 1)
    assert said in refused
    assert "SECRET-MARKER" not in refused
    assert at_home(home) == ["project"]


def test_the_key_that_install_keeps_is_used_by_ask_and_check(run_here: RunHere, home: Path) -> None:
    """Nothing else has to be set, the address of Contit neither; a credential that is set comes first."""
    with contit() as it:
        installed = run_here("install", "cursor", **upstream(it.url))
        assert "Contit accepts the key." in installed.stdout
        assert "--new-key replaces it" in run_here("install", "zed", CONTIT_BASE_URL=it.url).stdout
        asked = run_here("ask", "How many drafts are there?")
        assert (asked.code, "20 draft items" in asked.stdout) == (0, True), asked.stderr
        checked = run_here("check")
        assert checked.code == 0, checked.stdout
        assert f"Contit at {it.url}" in checked.stdout
        wrong = run_here("check", CONTIT_API_KEY="wrong", CONTIT_BASE_URL=it.url)
        assert "Contit refuses it (401)" in wrong.stdout


def test_a_key_that_contit_refuses_is_not_kept(command: Calls, home: Path, state: Path) -> None:
    """From a variable and from a file; nothing is written."""
    mine = home.parent / "mine"
    mine.write_text("mistyped")
    with contit() as it:
        for given in (
            {"CONTIT_API_KEY": "mistyped"},
            {"CONTIT_ACCESS_TOKEN": "ctpat_mistyped"},
            {"CONTIT_API_KEY_FILE": str(mine)},
        ):
            refused = command("install", "cursor", CONTIT_BASE_URL=it.url, **given)
            assert said_by(refused, 1) == "Contit refuses the key (401), so nothing was written."
        refused = command("install", "cursor", "--key-file", str(mine), CONTIT_BASE_URL=it.url)
        assert said_by(refused, 1) == "Contit refuses the key (401), so nothing was written."
    assert at_home(home) == ["project"]
    assert not (state / "api-key").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is POSIX's")
async def test_a_key_is_asked_for_and_not_shown_and_a_refused_one_asked_for_again(home: Path, state: Path) -> None:
    """At a terminal, up to three times."""
    with contit() as it:
        async with on_terminal("install", "cursor", CONTIT_BASE_URL=it.url) as terminal:
            await terminal.until(lambda text: text.count("it is not shown") == 1)
            terminal.type("mistyped\n")
            await terminal.until(lambda text: text.count("it is not shown") == 2)
            assert "Contit refuses this key (401)" in terminal.written
            terminal.type("sandbox-key\n")
            await terminal.until(lambda text: "Check it with" in text)
            assert "sandbox-key" not in terminal.written
        assert (state / "api-key").read_text() == "sandbox-key\n"
        async with on_terminal("install", "zed", "--new-key", CONTIT_BASE_URL=it.url) as terminal:
            for number in range(1, 4):
                await terminal.until(lambda text, number=number: text.count("it is not shown") == number)  # type: ignore[misc]
                terminal.type("mistyped\n")
            await terminal.until(lambda text: "so nothing was written" in text)
        assert terminal.process.returncode == 1
        assert (state / "api-key").read_text() == "sandbox-key\n"


# --- which hosts, which entries


def test_without_a_host_it_lists_them_and_what_is_here(command: Calls) -> None:
    file_of("cursor").parent.mkdir()
    file_of("codex").parent.mkdir()
    file_of("codex").write_text("broken")
    command("install", "zed", "--sandbox")
    lines = {line.split()[0]: line for line in command("install").stdout.splitlines()}
    assert list(lines) == list(HOSTS)
    for slug, state in (("cursor", " found "), ("codex", " broken file "), ("zed", " installed "), ("windsurf", "")):
        assert state in lines[slug]
    assert "found" not in lines["windsurf"]
    assert str(file_of("windsurf")) in lines["windsurf"]


# --- other people's folders, and this machine's other users


@pytest.mark.skipif(os.name == "nt", reason="Windows has no links for everyone")
@pytest.mark.parametrize("slug", ["claude-code", "cursor", "codex", "vscode"])
@pytest.mark.parametrize(
    "target", ["/", "..", "../secret.json", "~/secret.json", "/nowhere/x", "../../nowhere", "/dev/null"]
)
def test_no_link_leads_out_of_a_project(slug: str, target: str, command: Calls, home: Path) -> None:
    """The file may be a link, or a folder on the way to it; the target may be there or not."""
    (home / "secret.json").write_text('{"mcpServers": {"contit-assistant": {"command": "secret-command"}}}')
    project = home / "project"
    place = file_of(slug, "project").relative_to(project)
    for part in (place, *place.parents[:-1]):
        link = project / part
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.is_dir():
            link.rmdir()
        outside = target.replace("~", str(home))
        link.symlink_to(os.path.relpath(project / outside, link.parent) if outside.startswith("..") else outside)
        before = at_home(home)
        for words in (("install", slug, "--sandbox"), ("uninstall", slug), ("check", "--host", slug)):
            refused = command(*words, "--scope", "project")
            assert "leads out of the project" in said_by(refused, 1), (part, words)
            assert "secret-command" not in refused.output
        assert at_home(home) == before
        link.unlink()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_folders_that_are_made_are_the_user_s_alone_whatever_the_umask(command: Calls, home: Path) -> None:
    """A user who may rename in one of them could replace the key."""
    state = home / "new" / "state" / "folder"
    before = os.umask(0)
    try:
        installed = command("install", "claude-desktop", CONTIT_API_KEY="key", CONTIT_MCP_STATE_DIR=str(state))
    finally:
        os.umask(before)
    assert installed.exit_code == 0, said_by(installed)
    made = [path for path in home.rglob("*") if path.name != "project"]
    assert len(made) >= 7
    assert [path for path in made if stat.S_IMODE(path.stat().st_mode) & 0o077] == []


@pytest.mark.skipif(os.name == "nt", reason="Windows removes no folder that is in use")
async def test_a_current_folder_that_is_gone_is_said(home: Path, tmp_path: Path) -> None:
    """As what it is, not as an output that could not be written."""
    script = f"mkdir gone && cd gone && rmdir ../gone && exec {shlex.join(COMMAND)} install cursor --sandbox"
    done = await anyio.run_process(["/bin/sh", "-c", script], cwd=tmp_path, env=environment(), check=False)
    error = b"error: The folder that this was called from is gone.\nhint: Go to another one.\n"
    assert (done.returncode, done.stderr.endswith(error)) == (1, True)


async def test_nothing_is_imported_from_the_current_folder(home: Path) -> None:
    """`python -m contit_mcp` in a cloned repository; an entry that starts Python says -P."""
    for module in ("click", "rich", "httpx", "json", "anyio", "tomlkit", "contit_mcp_extra", "structlog", "typing"):
        (home / "project" / f"{module}.py").write_text("raise SystemExit('PWNED')")
    done = await run("install", "codex", "--print", "--sandbox")
    assert "PWNED" not in done.stdout + done.stderr
    assert done.returncode == 0, done.stderr
