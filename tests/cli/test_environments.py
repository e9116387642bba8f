"""Every command starts in every environment. One note names the bad values for other programs that it ignores."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from contit_mcp.config.settings import Settings
from contit_mcp.runs.sqlite import FILE_NAME
from tests.children import COMMAND
from tests.cli.command_line import NOWHERE, Ended, environment, has_clean_output, run_here

pytestmark = [pytest.mark.usefixtures("home"), pytest.mark.no_cover]

FOR_OTHERS: dict[str, tuple[str | None, ...]] = {
    "NO_PROXY": ("localhost,::1/128", "[", "*", "<local>,fe80::1%en0", "10.0.0.0/8, ,", "host:99999", "é.example"),
    "no_proxy": ("::1/128",),
    "HTTP_PROXY": ("http://", "not a url", "http://[::1"),
    "HTTPS_PROXY": ("socks5://x:1", "ftp://x", "http://x:99999", ":8080", "http://a b", "http://xn--0:1"),
    "ALL_PROXY": ("://", "http://user:pass@", "socks5h://[::1", "\x1b"),
    "SSL_CERT_FILE": ("/nonexistent", "/", "/dev/null", "relative.pem"),
    "SSL_CERT_DIR": ("/nonexistent", "/dev/null"),
    "SSLKEYLOGFILE": ("/nonexistent/keys", "/"),
    "LANG": ("xx_XX.nonsense", "", "C"),
    "LC_ALL": ("xx_XX.nonsense", "POSIX", "tr_TR.UTF-8"),
    "TERM": ("", "dumb", "nonsense", "\x1b[31m", None),
    "COLUMNS": ("abc", "0", "-5", "1", "99999999", "1.5", "²"),
    "LINES": ("abc", "-1", "²"),
    "NO_COLOR": ("", "0", "1"),
    "FORCE_COLOR": ("1", "nonsense"),
    "HOME": (None, "", "relative", "/nonexistent", "/dev/null", "~", "/"),
    "XDG_STATE_HOME": ("relative", "/dev/null", "/nonexistent", ""),
    "XDG_CONFIG_HOME": ("relative", "/dev/null"),
    "TMPDIR": ("/nonexistent", "/dev/null", ""),
    "TZ": ("Nonsense/Zone", ":", ""),
    "PATH": ("", "/nonexistent", None),
    "OTEL_PROPAGATORS": ("nonsense", "tracecontext,nonsense", ","),
    "OTEL_PYTHON_CONTEXT": ("nonsense",),
    "OTEL_PYTHON_TRACER_PROVIDER": ("nonsense",),
    "WEB_CONCURRENCY": ("auto", "-1"),
    "FORWARDED_ALLOW_IPS": ("nonsense", "*"),
    "NONSENSE": ("\udcff\udcfe", "x" * 50_000),
}
"""Values for other programs, set by a machine, a container or a supervisor, or mistyped by a person."""

FOR_US = (
    "abc", "-1", "nan", "1e999", "~nobody-has-this-name/x", "/nonexistent/x", "/dev/null/x", "/", "http://", "http://[::1",
    "redis://localhost:99999/0", "redis://localhost/0", "redis://", "sqlite:", "a,b,c", "ctpat_x", "\x1b[31m", "é", "\udcff", "two words", "=",
)  # fmt: skip
"""Values that are wrong for at least some of our own settings."""

COMMANDS = {
    "help": ("--help",),
    "version": ("--version",),
    "settings": ("settings",),
    "install": ("install",),
    "print": ("install", "cursor", "--sandbox", "--print"),
    "uninstall": ("uninstall", "zed"),
    "check": ("check", "--base-url", NOWHERE),
    "check a host": ("check", "--host", "cursor"),
    "ask": ("ask", "--wait-seconds", "0", "--sandbox", "How", "many", "drafts?"),
    "last": ("ask", "--last"),
    "runs": ("runs",),
    "healthcheck": ("healthcheck", "--port", "9"),
}
"""The commands that end by themselves. `stdio` and `demo` are tried below, as processes."""


@pytest.mark.parametrize("command", COMMANDS)
def test_a_variable_for_another_program_stops_no_command(command: str) -> None:
    """Each odd value alone: the exit code is the same as without it, and there is no traceback."""
    expected = run_here(*COMMANDS[command]).returncode
    for name, values in FOR_OTHERS.items():
        for value in values:
            odd = {name: value}
            if name.startswith(("HOME", "XDG_STATE")):
                odd["CONTIT_MCP_STATE_DIR"] = None
            ended = run_here(*COMMANDS[command], **odd)
            assert has_clean_output(ended), (odd, ended)
            places = name in {"HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"}  # these decide which files are found
            has_hint = ended.returncode == 1 and "hint: " in ended.stderr
            assert ended.returncode == expected or (places and has_hint), (odd, ended)
            assert "user:pass" not in ended.stdout + ended.stderr


@pytest.mark.parametrize("variable", [field.alias for field in Settings.model_fields.values()])
def test_a_wrong_value_for_us_is_one_line_that_names_the_variable(variable: str) -> None:
    """A value that is right is used."""
    for value in FOR_US:
        ended = run_here("check", "--json", "--base-url", NOWHERE, **{variable: value})
        assert has_clean_output(ended), (value, ended)
        found = json.loads(ended.stdout)["findings"]
        if [finding["subject"] for finding in found] == ["Settings"]:
            told = f"{found[0]['verdict']} {found[0]['hint']}"
            assert variable.removesuffix("_FILE") in told, (value, told)
            assert "\n" not in told
            assert "\x1b" not in told
            continue  # every command loads the settings in the same way
        asked = run_here("ask", "--wait-seconds", "0", "--sandbox", "Any?", **{variable: value})
        assert has_clean_output(asked), (value, asked)


def odd_state_folders(parent: Path) -> list[Path]:
    """Make state folders that cannot be used, or whose files cannot; the name of each says why."""
    a_file, dangling, loop = (parent / name for name in ("a file", "a dangling link", "a loop of links"))
    a_file.write_text("no folder")
    dangling.symlink_to(parent / "nowhere")
    loop.symlink_to(loop)
    made = [a_file, a_file / "below a file", dangling, loop, parent / "missing", parent / ("a name too long " * 30)]
    for name, mode in (("not writable", 0o500), ("not readable", 0o000)):
        made.append(parent / name)
        made[-1].mkdir(mode)
    contents = (b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 5000, b'{"base_url": 1}', b"1e999", b"\x00" * 100)
    files = ("host-entries.json", "api-key", "access-token", FILE_NAME)
    for number, (file, content) in enumerate(itertools.product(files, contents)):
        made.append(parent / f"{number} {file} with {content[:10]!r}")
        made[-1].mkdir()
        (made[-1] / file).write_bytes(content)
    for file in files:
        made.append(parent / f"a folder for {file}")
        (made[-1] / file).mkdir(parents=True)
    return made


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no links and modes for everyone")
@pytest.mark.parametrize("command", ["install", "uninstall", "check", "ask", "last", "runs", "check a host"])
def test_no_state_of_our_files_stops_a_command_without_an_error(command: str, tmp_path: Path) -> None:
    """The command says what is wrong with the file, or works without it."""
    (tmp_path / "states").mkdir()
    for folder in odd_state_folders(tmp_path / "states"):
        ended = run_here(*COMMANDS[command], CONTIT_MCP_STATE_DIR=str(folder))
        assert has_clean_output(ended), (folder, ended)
        assert ended.returncode in {0, 1, 3}, (folder, ended)
        assert ended.returncode != 1 or "error: " in ended.stderr or "FAIL" in ended.stdout, (folder, ended)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other homes")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_user_without_a_name_and_a_home_folder_is_served(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may run as any number. What needs a home folder says so; all else works."""
    monkeypatch.setattr(os, "getuid", lambda: 54_321)
    ended = run_here(*COMMANDS[command], HOME=None, CONTIT_MCP_STATE_DIR=None)
    assert has_clean_output(ended), ended
    if COMMANDS[command][0] in {"install", "uninstall"} or "--host" in COMMANDS[command]:
        assert ended.stderr == "error: This user has no home folder.\nhint: Set HOME to it.\n"
    else:
        assert ended.returncode == run_here(*COMMANDS[command]).returncode, ended


# --- real processes

ALL_AT_ONCE = {name: str(odd[0]) for name, odd in FOR_OTHERS.items() if name not in {"HOME", "PATH", "XDG_STATE_HOME"}}
ALL_AT_ONCE |= dict.fromkeys(("PYTHONDEVMODE", "PYTHONASYNCIODEBUG", "PYTHONUNBUFFERED", "PYTHONOPTIMIZE"), "1")
ALL_AT_ONCE |= {"PYTHONWARNINGS": "error", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONPATH": "/nonexistent"}
ALL_AT_ONCE |= {"HTTPS_PROXY": NOWHERE, "LC_ALL": "C", "PYTHONINSPECT": "1"}
PROCESSES = {
    "ask": ("ask", "--sandbox", "--json", "How many drafts?"),
    "check": COMMANDS["check"],
    "demo": ("demo",),
    "stdio": ("stdio", "--sandbox"),
}
posix = pytest.mark.skipif(sys.platform == "win32", reason="there is no /bin/sh")


def run_in_shell(arguments: tuple[str, ...], redirections: str = "", **more: str) -> Ended:
    """Run a command as a process of a shell, which can close its streams."""
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {redirections}', "sh", *COMMAND, *arguments], env=environment(**more),
        stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace", timeout=60, check=False,
    )  # fmt: skip


@posix
@pytest.mark.parametrize("command", PROCESSES)
def test_a_process_starts_with_everything_odd_at_once(command: str) -> None:
    """It ends as it does without; on stdout of `stdio` there is only the protocol."""
    expected = run_in_shell(PROCESSES[command])
    ended = run_in_shell(PROCESSES[command], **ALL_AT_ONCE)
    assert has_clean_output(ended), ended
    assert ended.returncode == expected.returncode, ended
    assert command != "stdio" or ended.stdout == ""
    note, *others = [line for line in ended.stderr.splitlines() if line.startswith("note: ")]
    assert len(others) == (command == "demo")  # its child says it too
    for name in ("SSL_CERT_FILE", "SSLKEYLOGFILE", "OTEL_PROPAGATORS", "WEB_CONCURRENCY", "ALL_PROXY"):
        assert name in note


@posix
@pytest.mark.parametrize("command", ["ask", "check", "stdio"])
def test_a_closed_stream_is_no_crash(command: str) -> None:
    """Without stderr it works as usual. Without stdout it is an error, if there is something to print."""
    expected = run_in_shell(PROCESSES[command])
    for closed in ("<&-", ">&-", "2>&-", "<&- 2>&-", "<&- >&- 2>&-"):
        ended = run_in_shell(PROCESSES[command], closed)
        assert has_clean_output(ended), (closed, ended)
        if ">&-" in closed.replace("2>&-", "") and command != "stdio":
            assert ended.returncode == 1
            assert "2>&-" in closed or "error: The output could not be written" in ended.stderr
        else:
            assert ended.returncode == expected.returncode, (closed, ended)
            assert len(ended.stdout.splitlines()) == len(expected.stdout.splitlines())


@pytest.mark.skipif(os.system("unshare --user true") != 0, reason="needs unshare, and permission to use it")
def test_a_process_of_a_user_without_a_name_and_a_home_folder_answers() -> None:
    """This user's number is in no passwd file, as in many containers."""
    command = "unshare --user --map-user=54321 env -u HOME -u CONTIT_MCP_STATE_DIR"
    words = [*command.split(), *COMMAND, *PROCESSES["ask"]]
    ended = subprocess.run(words, env=environment(), capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert (ended.returncode, has_clean_output(ended)) == (0, True), ended
    assert json.loads(ended.stdout)["response"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize("arguments", [COMMANDS["check"], ("ask", "--sandbox", "How many drafts?"), ("--help",)])
def test_output_that_cannot_be_written_is_one_error(arguments: tuple[str, ...]) -> None:
    ended = run_in_shell(arguments, "> /dev/full")
    assert (ended.returncode, has_clean_output(ended)) == (1, True)
    assert "error: The output could not be written: No space left on device." in ended.stderr


@posix
@pytest.mark.parametrize("arguments", [("settings",), ("--help",), ("install",), ("demo",)])
def test_a_reader_that_has_gone_is_no_error(arguments: tuple[str, ...]) -> None:
    """`contit-mcp settings | head -1` prints one line and nothing else."""
    ended = run_in_shell(arguments, "| true")
    assert (ended.stdout, "error" in ended.stderr) == ("", False)
