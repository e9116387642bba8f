"""`contit-mcp install` and `uninstall`: the entry in a host's file, the key in a file of ours."""

import itertools
import json
import os
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from contit_mcp.hosts.table import HOSTS
from tests.children import COMMAND, contit
from tests.cli.command_line import NOWHERE, environment, file_of, on_terminal, output_of, run, run_here, upstream
from tests.rules.tree import ROOT

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("home")]
REFUSED = "error: Contit refuses the key (401), so nothing was written."


def install(code: int, *arguments: str, **variables: str) -> str:
    """Run `contit-mcp install`, and return its output. The exit code has to be `code`."""
    return output_of(run_here("install", *arguments, **variables), code)


def uninstall(*arguments: str) -> str:
    return output_of(run_here("uninstall", *arguments), 0)


def at_home(home: Path) -> list[str]:
    return sorted(path.relative_to(home).as_posix() for path in home.rglob("*"))


def entry_of(slug: str) -> dict[str, Any]:
    """Return our entry in a host's JSON."""
    found: dict[str, Any] = json.loads(file_of(slug).read_text())[HOSTS[slug].section]["contit-assistant"]
    return found


# --- the newcomer


async def test_a_newcomer_reaches_an_answer_without_an_account(home: Path) -> None:
    """The README has three steps in its first 40 lines. Its commands work with a PATH that has no contit-mcp."""
    readme = "\n".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:40])
    assert re.findall(r"^\d\. ", readme, re.MULTILINE) == ["1. ", "2. ", "3. "]
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
    assert "12 published articles from March 2026" in str(result)
    assert (await run("uninstall", "claude-desktop")).returncode == 0
    assert at_home(home) == before


# --- the file


@pytest.mark.parametrize("slug", HOSTS)
def test_a_file_of_every_host_is_afterwards_as_it_was(slug: str, home: Path) -> None:
    in_json = b'\xef\xbb\xbf{\r\n\t// mine\r\n\t"a": [1]\r\n}'
    contents = {"json": in_json, "toml": b"a = 1 # mine", "yaml": b"a: 1 # mine\r\n"}
    for scope in HOSTS[slug].files:
        for content in (None, contents[HOSTS[slug].format]):
            file = file_of(slug, scope)
            if content is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            before = at_home(home)
            installed = install(0, slug, "--sandbox", "--scope", scope)
            assert ("The file as it was before: " in installed) is (content is not None)
            assert scope == "user" or not list(file.parent.glob("*.bak"))  # a repository is no place for a copy
            assert "is already in" in install(0, slug, "--sandbox", "--scope", scope)
            uninstall(slug, "--scope", scope)
            assert at_home(home) == before
            assert content is None or file.read_bytes() == content


@pytest.mark.skipif(os.name == "nt", reason="Windows has neither modes nor links for everyone")
@pytest.mark.parametrize("scope", ["user", "project"])
def test_a_link_and_a_mode_stay(scope: str, home: Path) -> None:
    file = file_of("cursor", scope)
    target = (home / "project" if scope == "project" else home) / "dotfiles.json"
    target.write_text("{}")
    target.chmod(0o640)
    file.parent.mkdir()
    file.symlink_to(target)
    install(0, "cursor", "--sandbox", "--scope", scope)
    assert file.is_symlink()
    assert "contit-assistant" in target.read_text()
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    uninstall("cursor", "--scope", scope)
    assert file.is_symlink()
    assert target.read_text() == "{}"


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
        ("goose", b"a: 0b_\n", "cannot be read"),
        ("goose", b"a: 2024-13-45\n", "cannot be read"),
        # Too much for a parser; the second and the third would freeze a search that begins again at each character.
        ("cursor", b'{"a": ' + b"1" * 5000 + b"}", "cannot be read"),
        ("cursor", b"/*" * 500_000, "cannot be read"),
        ("cursor", b'"' + b'\\"' * 500_000, "cannot be read"),
        ("codex", b"a = " + b"[" * 3000 + b"]" * 3000, "cannot be read"),
        ("goose", b"a: " + b"[" * 3000 + b"]" * 3000, "cannot be read"),
    ],
    ids=itertools.count(1),  # some contents are too long for a name
)
def test_a_file_that_cannot_be_edited_safely_is_left_alone(slug: str, content: bytes, said: str, home: Path) -> None:
    file = file_of(slug)
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    before = at_home(home)
    refused = install(1, slug, CONTIT_API_KEY="key")
    assert said in refused
    assert refused.count(str(file)) == 1
    assert file.read_bytes() == content
    assert at_home(home) == before


def test_an_entry_that_somebody_changed_is_replaced_only_by_force_and_never_lost() -> None:
    file = file_of("cursor")
    file.parent.mkdir()
    by_hand = '{"mcpServers": {"contit-assistant": {"command": "mine"}}}'
    file.write_text(by_hand)
    assert "written or changed by hand" in install(1, "cursor", "--sandbox")
    assert f"{file}.contit-mcp.bak" in install(0, "cursor", "--sandbox", "--force")
    assert "has been replaced in" in install(0, "cursor", "--http", "http://127.0.0.1:8000")
    file.write_text(changed := file.read_text().replace("8000", "9000"))
    assert "written or changed by hand" in install(1, "cursor", "--sandbox")
    assert "The file as it was before: " in install(0, "cursor", "--sandbox", "--force")
    assert {path.read_text() for path in file.parent.glob("*.bak")} == {by_hand, changed}
    removed = uninstall("cursor")
    assert f"The file as it was before install: {file}.contit-mcp.bak\n" in removed
    assert f"The file as it was before a later install: {file}.contit-mcp.2.bak\n" in removed
    assert len(list(file.parent.glob("*.bak"))) == 2
    assert "contit-assistant" not in file.read_text()


def test_print_shows_the_entry_and_changes_nothing(home: Path) -> None:
    """An entry names the variable with the token, unless the server wants none."""
    before = at_home(home)
    printed = run_here("install", "vscode", "--http", "https://contit.example", "--print")
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
        shown = install(0, "codex", "--print", "--http", *arguments)
        assert ('bearer_token_env_var = "CONTIT_ASSISTANT_TOKEN"' in shown) is has_token
    assert at_home(home) == before


def test_install_and_check_name_what_a_host_cannot_read_in_its_own_file() -> None:
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
        installed = install(0, slug, "--sandbox")
        assert ("Attention: " in installed) is bool(said)
        assert said in installed
        checked = output_of(run_here("check", "--host", slug), int(bool(said)))
        assert ("; line" in checked) is bool(said)
        assert said in checked
        uninstall(slug)


# --- the key


def test_the_key_goes_into_a_file_that_nobody_else_can_read(state: Path) -> None:
    """It is removed with the last entry that names it. If Contit cannot be reached, install says so."""
    key_file = state / "api-key"
    given = upstream(NOWHERE, CONTIT_API_KEY=" SECRET-MARKER\n")
    not_tried = f"The key was not tried. Contit at {NOWHERE}: 127.0.0.1:9 refused the connection"
    installed = install(0, "cursor", **given)
    assert not_tried in installed
    installed += install(0, "codex", **given)
    assert "SECRET-MARKER" not in installed + file_of("cursor").read_text() + file_of("codex").read_text()
    assert key_file.read_text() == "SECRET-MARKER\n"
    assert os.name == "nt" or stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert entry_of("cursor")["env"]["CONTIT_API_KEY_FILE"] == str(key_file)
    assert "another entry uses it" in uninstall("cursor")
    assert key_file.exists()
    assert "was removed too" in uninstall("codex")
    assert list(state.iterdir()) == []


def test_no_key_is_left_behind(home: Path, state: Path) -> None:
    """A broken file of another host keeps the key only if it names the key's file."""
    key = {"CONTIT_API_KEY": "key"}
    install(0, "cursor", **key)
    install(0, "cursor", CONTIT_ACCESS_TOKEN="ctpat_x")
    install(0, "cursor", "--sandbox")
    uninstall("cursor")
    assert list(state.iterdir()) == []
    install(0, "cursor", **key)
    file_of("cursor").unlink()
    removed = uninstall("cursor")
    assert "There is no contit-assistant" in removed
    assert "was removed too" in removed
    assert list(state.iterdir()) == []
    other = file_of("goose")
    other.parent.mkdir(parents=True)
    for text, is_kept in (("extensions: [", False), (f"extensions: [ {state / 'api-key'}", True)):
        other.write_text(text)
        install(0, "cursor", **key)
        removed = uninstall("cursor")
        assert (state / "api-key").exists() == is_kept, removed
    (state / "api-key").unlink()
    (home / ".cursor").rmdir()
    (home / ".cursor").write_text("no folder")
    assert "cannot be" in install(1, "cursor", **key)
    assert not (state / "api-key").exists()


def test_another_key_replaces_the_stored_one_only_when_asked_to(state: Path) -> None:
    install(0, "cursor", CONTIT_API_KEY="first")
    assert "--new-key" in install(1, "codex", CONTIT_API_KEY="second")
    assert (state / "api-key").read_text() == "first\n"
    refused = install(1, "codex", "--new-key", CONTIT_API_KEY_FILE=str(state / "api-key"))
    assert "No API key was given" in refused
    with contit() as it:
        replaced = install(0, "codex", "--new-key", **upstream(it.url, CONTIT_API_KEY="sandbox-forbidden"))
    assert f"It replaces another key, also for Cursor ({file_of('cursor')})." in replaced
    assert str(file_of("codex")) not in replaced.partition("It replaces")[2]
    assert "(403). Give it the ReadAccess policy in Contit" in replaced
    assert (state / "api-key").read_text() == "sandbox-forbidden\n"


def test_a_key_file_of_the_user_is_named_and_never_touched(home: Path) -> None:
    """If others can read it, install says so. The way to Contit is copied into the entry."""
    mine = home / "mine"
    mine.write_text("key")
    mine.chmod(0o644)
    way = {"CONTIT_BASE_URL": "https://contit.example", "CONTIT_CA_FILE": "ca.pem"}
    installed = install(0, "zed", "--key-file", "~/mine", **way)
    assert os.name == "nt" or f"chmod 600 {mine}" in installed
    ca_file = str(home / "project" / "ca.pem")
    assert entry_of("zed")["env"] == {"CONTIT_API_KEY_FILE": str(mine), **way, "CONTIT_CA_FILE": ca_file}
    uninstall("zed")
    install(0, "zed", CONTIT_API_KEY_FILE=str(mine))
    assert str(mine) in file_of("zed").read_text()
    uninstall("zed")
    assert mine.read_text() == "key"


def test_a_personal_access_token_is_named_as_one(home: Path) -> None:
    """It begins with ctpat_ (documented), in whichever variable people put it. As an API key it would be refused."""
    mine = home / "pat"
    mine.write_text("ctpat_x")
    named = {"CONTIT_ACCESS_TOKEN": "ctpat_x", "CONTIT_API_KEY": "ctpat_x", "CONTIT_API_KEY_FILE": "~/pat"}
    for name, value in named.items():
        install(0, "cursor", **{name: value})
        ((variable, path),) = entry_of("cursor")["env"].items()
        assert (variable, Path(path).read_text().strip()) == ("CONTIT_ACCESS_TOKEN_FILE", "ctpat_x")
        uninstall("cursor")
        assert Path(path).exists() is (path == str(mine))


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        ((), {}, "No API key was given"),
        ((), {"CONTIT_API_KEY": "two SECRET-MARKER"}, "does not look like a key"),
        (("--key-file", "missing"), {}, "missing does not exist or is empty"),
        *((("--key-file", odd), {}, "cannot be read") for odd in ("/dev/null", "../../mistyped/x", "/etc/shadow/x")),
        ((), {"CONTIT_API_KEY": "key", "CONTIT_BASE_URL": "https://u:SECRET-MARKER@x.example"}, "CONTIT_BASE_URL must"),
        ((), {"CONTIT_API_KEY": "key", "CONTIT_BASE_URL": "contit.example"}, "CONTIT_BASE_URL must"),
        ((), {"CONTIT_API_KEY": "mistyped"}, REFUSED),
        ((), {"CONTIT_ACCESS_TOKEN": "ctpat_mistyped"}, REFUSED),
        ((), {"CONTIT_API_KEY_FILE": "../../mistyped"}, REFUSED),
        (("--key-file", "../../mistyped"), {}, REFUSED),
    ],
)
def test_without_a_key_that_contit_accepts_nothing_is_written(
    arguments: tuple[str, ...], variables: dict[str, str], said: str, home: Path, state: Path
) -> None:
    (home.parent / "mistyped").write_text("mistyped")
    with contit() as it:
        refused = install(1, "cursor", *arguments, **{"CONTIT_BASE_URL": it.url} | variables)
    assert said in refused
    assert "SECRET-MARKER" not in refused
    assert at_home(home) == ["project"]
    assert not (state / "api-key").exists()


def test_the_key_that_install_keeps_is_used_by_ask_and_check(state: Path) -> None:
    """So is the address of Contit. A credential that is set comes first."""
    with contit() as it:
        assert "Contit accepts the key." in install(0, "cursor", **upstream(it.url))
        assert re.search(r"Contit accepts the key[^$]*--new-key replaces it", install(0, "zed", CONTIT_BASE_URL=it.url))
        assert "20 draft items" in output_of(run_here("ask", "How many drafts are there?"), 0)
        assert f"Contit at {it.url}" in output_of(run_here("check"), 0)
        wrong = output_of(run_here("check", **upstream(it.url, CONTIT_API_KEY="wrong")), 1)
        assert "Contit refuses it (401)" in wrong
        (state / "api-key").write_text("mistyped")
        assert "--new-key replaces the stored key." in install(1, "goose", CONTIT_BASE_URL=it.url)


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is POSIX's")
def test_at_a_terminal_a_key_is_asked_for_up_to_three_times_and_not_shown(state: Path) -> None:
    def type_key(key: str, number: int) -> None:
        terminal.wait_for(lambda: terminal.written.count("it is not shown") == number)
        terminal.press(f"{key}\n")

    with contit() as it:
        with on_terminal("install", "cursor", CONTIT_BASE_URL=it.url) as terminal:
            type_key("mistyped", 1)
            type_key("sandbox-key", 2)
        assert "Contit refuses this key (401)" in terminal.written
        assert "Check it with" in terminal.written
        assert "sandbox-key" not in terminal.written
        assert (state / "api-key").read_text() == "sandbox-key\n"
        with on_terminal("install", "zed", "--new-key", CONTIT_BASE_URL=it.url) as terminal:
            for number in (1, 2, 3):
                type_key("mistyped", number)
        assert "so nothing was written" in terminal.written
        assert terminal.process.returncode == 1
        assert (state / "api-key").read_text() == "sandbox-key\n"


def test_without_a_host_it_lists_all_hosts_and_their_state_on_this_machine() -> None:
    file_of("cursor").parent.mkdir()
    file_of("codex").parent.mkdir()
    file_of("codex").write_text("broken")
    install(0, "zed", "--sandbox")
    lines = {line.split()[0]: line for line in run_here("install").stdout.splitlines()}
    assert list(lines) == list(HOSTS)
    for slug, state in (("cursor", " found "), ("codex", " broken file "), ("zed", " installed ")):
        assert state in lines[slug]
    assert "found" not in lines["windsurf"]
    assert str(file_of("windsurf")) in lines["windsurf"]


# --- other people's folders, and this machine's other users


@pytest.mark.skipif(os.name == "nt", reason="Windows has no links for everyone")
@pytest.mark.parametrize("slug", ["claude-code", "cursor", "codex", "vscode"])
@pytest.mark.parametrize("target", ["/", "..", "../own.json", "~/own.json", "/nowhere/x", "../../nowhere", "/dev/null"])
def test_no_link_leads_out_of_a_project(slug: str, target: str, home: Path) -> None:
    """The file may be a link, or a folder on the way to it; the target may be there or not."""
    (home / "own.json").write_text('{"mcpServers": {"contit-assistant": {"command": "secret-command"}}}')
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
            refused = output_of(run_here(*words, "--scope", "project"), 1)
            assert "leads out of the project" in refused, (part, words)
            assert "secret-command" not in refused
        assert at_home(home) == before
        link.unlink()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_folders_that_are_made_are_the_user_s_alone_whatever_the_umask(home: Path) -> None:
    """A user who may rename in one of them could replace the key."""
    before = os.umask(0)
    try:
        install(0, "claude-desktop", CONTIT_API_KEY="key", CONTIT_MCP_STATE_DIR=str(home / "new" / "state" / "folder"))
    finally:
        os.umask(before)
    made = [path for path in home.rglob("*") if path.name != "project"]
    assert len(made) >= 7
    assert [path for path in made if stat.S_IMODE(path.stat().st_mode) & 0o077] == []


@pytest.mark.skipif(os.name == "nt", reason="Windows removes no folder that is in use")
def test_a_current_folder_that_is_gone_is_named_as_the_problem(tmp_path: Path) -> None:
    script = f"mkdir gone && cd gone && rmdir ../gone && exec {shlex.join(COMMAND)} install cursor --sandbox"
    done = subprocess.run(["/bin/sh", "-c", script], cwd=tmp_path, env=environment(), capture_output=True, check=False)
    error = b"error: The folder that this was called from is gone.\nhint: Go to another one.\n"
    assert (done.returncode, done.stderr.endswith(error)) == (1, True)


async def test_nothing_is_imported_from_the_current_folder(home: Path) -> None:
    """`python -m contit_mcp` in a cloned repository. An entry that starts Python has -P (test_places.py)."""
    for module in ("click", "rich", "httpx", "json", "anyio", "tomlkit", "contit_mcp_extra", "structlog", "typing"):
        (home / "project" / f"{module}.py").write_text("raise SystemExit('PWNED')")
    done = await run("install", "codex", "--print", "--sandbox")
    assert "PWNED" not in output_of(done, 0)
