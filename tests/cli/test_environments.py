"""Every command starts in every environment: what was set for other programs is ignored, in one line if it matters."""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contit_mcp.config.settings import Settings
from contit_mcp.runs.sqlite import FILE_NAME
from tests.children import COMMAND
from tests.cli.command_line import Ended, RunHere, environment

DEAD = "http://127.0.0.1:9"
"""Nothing listens there."""

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
    "OTEL_SDK_DISABLED": ("maybe",),
    "OTEL_RESOURCE_ATTRIBUTES": ("===", "a"),
    "OTEL_TRACES_SAMPLER": ("nonsense",),
    "OTEL_ATTRIBUTE_COUNT_LIMIT": ("abc",),
    "OTEL_BSP_MAX_QUEUE_SIZE": ("abc",),
    "WEB_CONCURRENCY": ("auto", "-1"),
    "FORWARDED_ALLOW_IPS": ("nonsense", "*"),
    "REDIS_URL": ("nonsense",),
    "CONTIT_PORT": ("tcp://10.0.0.1:80",),
    "CONTIT_MCP_PORT": ("tcp://10.0.0.1:8080",),
    "CONTIT_MCP_SERVICE_HOST": ("10.0.0.1",),
    "CONTIT_OTHER_PROGRAM": ("anything",),
    "NONSENSE": ("\udcff\udcfe", "x" * 50_000),
}
"""Values that a machine, a container or a supervisor sets, or that a person mistypes, for other programs."""

FOR_US = (
    "abc", "-1", "nan", "1e999", "~nobody-has-this-name/x", "/nonexistent/x", "/dev/null/x", "/", "http://", "http://[::1",
    "redis://localhost:99999/0", "redis://", "sqlite:", "a,b,c", "ctpat_x", "\x1b[31m", "é", "\udcff", "two words", "=",
)  # fmt: skip
"""Values that are wrong for at least some of our own settings."""

COMMANDS = {
    "help": ("--help",),
    "version": ("--version",),
    "settings": ("settings",),
    "install": ("install",),
    "print": ("install", "cursor", "--sandbox", "--print"),
    "uninstall": ("uninstall", "zed"),
    "check": ("check", "--base-url", DEAD),
    "check a host": ("check", "--host", "cursor"),
    "ask": ("ask", "--wait-seconds", "0", "--sandbox", "How", "many", "drafts?"),
    "last": ("ask", "--last"),
    "runs": ("runs",),
    "healthcheck": ("healthcheck", "--port", "9"),
}
"""What ends by itself. `stdio`, `http` and `demo` are tried below, as processes."""


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty home folder and an empty current folder."""
    for name in ("home", "here"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")


@pytest.mark.parametrize("command", COMMANDS)
def test_what_was_set_for_other_programs_stops_no_command(command: str, run_here: RunHere) -> None:
    """Each odd value alone: the exit code is the same as without it, and there is no traceback."""
    expected = run_here(*COMMANDS[command]).code
    for name, values in FOR_OTHERS.items():
        for value in values:
            odd = {name: value}
            if name.startswith(("HOME", "XDG_STATE")):
                odd["CONTIT_MCP_STATE_DIR"] = None
            if name.upper() == "NO_PROXY":
                odd["HTTPS_PROXY"] = DEAD
            ended = run_here(*COMMANDS[command], **odd)
            assert ended.is_calm(), (odd, ended)
            places = name in {"HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"}  # these decide which files are found
            assert ended.code == expected or (places and ended.code == 1 and "hint: " in ended.stderr), (odd, ended)
            assert "user:pass" not in ended.stdout + ended.stderr


@pytest.mark.parametrize("variable", [field.alias for field in Settings.model_fields.values()])
def test_a_wrong_value_for_us_is_one_line_that_names_the_variable(variable: str, run_here: RunHere) -> None:
    """Whatever it is; a value that is right is simply used."""
    for value in FOR_US:
        ended = run_here("check", "--json", "--base-url", DEAD, **{variable: value})
        assert ended.is_calm(), (value, ended)
        found = json.loads(ended.stdout)["findings"]
        if [finding["subject"] for finding in found] == ["Settings"]:
            told = f"{found[0]['verdict']} {found[0]['hint']}"
            assert variable.removesuffix("_FILE") in told, (value, told)
            assert "\n" not in told
            assert "\x1b" not in told
            continue  # every command loads the settings in the same way
        asked = run_here("ask", "--wait-seconds", "0", "--sandbox", "Any?", **{variable: value})
        assert asked.is_calm(), (value, asked)


def states(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield odd state folders, each with its name."""
    ways: dict[str, Callable[[Path], object]] = {
        "a file": lambda path: path.write_text("no folder"),
        "below a file": lambda path: (path.parent.rmdir(), path.parent.write_text("no folder")),  # type: ignore[func-returns-value]
        "a dangling link": lambda path: path.symlink_to(folder / "nowhere"),
        "a loop of links": lambda path: path.symlink_to(path),
        "not writable": lambda path: path.mkdir(mode=0o500),
        "not readable": lambda path: path.mkdir(mode=0o000),
        "missing": lambda path: None,
        "a name too long": lambda path: None,
    }
    for name, make in ways.items():
        path = folder / name / ("x" * 300 if name == "a name too long" else "state")
        path.parent.mkdir()
        make(path)
        yield name, path
    contents = (b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 5000, b'{"base_url": 1}', b"1e999", b"\x00" * 100)
    files = ("host-entries.json", "api-key", "access-token", FILE_NAME)
    for number, (file, content) in enumerate(itertools.product(files, contents)):
        path = folder / f"content {number}"
        path.mkdir()
        (path / file).write_bytes(content)
        yield f"{file} with {content[:10]!r}", path
    for file in files:
        path = folder / f"folder for {file}"
        (path / file).mkdir(parents=True)
        yield f"a folder for {file}", path


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no links and modes for everyone")
@pytest.mark.parametrize("command", ["install", "uninstall", "check", "ask", "last", "runs", "check a host"])
def test_no_state_of_our_files_stops_a_command_without_a_word(command: str, run_here: RunHere, tmp_path: Path) -> None:
    """Broken, missing, a folder for a file: a line that says so, or an answer all the same."""
    for name, path in states(tmp_path):
        ended = run_here(*COMMANDS[command], CONTIT_MCP_STATE_DIR=str(path))
        assert ended.is_calm(), (name, ended)
        assert ended.code in {0, 1, 3}, (name, ended)
        assert ended.code != 1 or "error: " in ended.stderr or "FAIL" in ended.stdout, (name, ended)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other homes")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_user_without_a_name_and_a_home_folder_is_served(
    command: str, run_here: RunHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container may run as any number. What needs a home folder says so; all else works."""
    monkeypatch.setattr(os, "getuid", lambda: 54_321)
    ended = run_here(*COMMANDS[command], HOME=None, CONTIT_MCP_STATE_DIR=None)
    assert ended.is_calm(), ended
    if COMMANDS[command][0] in {"install", "uninstall"} or "--host" in COMMANDS[command]:
        assert ended.stderr == "error: This user has no home folder.\nhint: Set HOME to it.\n"
    else:
        assert ended.code == run_here(*COMMANDS[command]).code, ended


# --- real processes


ALL_AT_ONCE = {
    name: str(values[0]) for name, values in FOR_OTHERS.items() if name not in {"HOME", "PATH", "XDG_STATE_HOME"}
}
ALL_AT_ONCE |= dict.fromkeys(("PYTHONDEVMODE", "PYTHONASYNCIODEBUG", "PYTHONUNBUFFERED", "PYTHONOPTIMIZE"), "1")
ALL_AT_ONCE |= {"PYTHONWARNINGS": "error", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONPATH": "/nonexistent"}
ALL_AT_ONCE |= {"HTTPS_PROXY": DEAD, "LC_ALL": "C", "PYTHONINSPECT": "1"}
PROCESSES = {
    "ask": ("ask", "--sandbox", "--json", "How many drafts?"),
    "check": COMMANDS["check"],
    "demo": ("demo",),
    "stdio": ("stdio", "--sandbox"),
}


def start(arguments: tuple[str, ...], given: dict[str, str], redirections: str = "", stdin: bytes = b"") -> Ended:
    """Run a command as a process of a shell, which can close its streams."""
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {redirections}', "sh", *COMMAND, *arguments],
        env=given, input=stdin, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    return Ended(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no /bin/sh")
@pytest.mark.parametrize("command", PROCESSES)
def test_a_process_starts_with_everything_odd_at_once(command: str, tmp_path: Path) -> None:
    """As without; stdout of a host stays the protocol's."""
    clean = environment(HOME=str(tmp_path))
    expected = start(PROCESSES[command], clean)
    ended = start(PROCESSES[command], clean | ALL_AT_ONCE)
    assert ended.is_calm(), ended
    assert ended.code == expected.code, ended
    assert command != "stdio" or ended.stdout == ""
    note, *others = [line for line in ended.stderr.splitlines() if line.startswith("note: ")]
    assert len(others) == (command == "demo")  # its child says it too
    for name in ("SSL_CERT_FILE", "SSLKEYLOGFILE", "OTEL_PROPAGATORS", "WEB_CONCURRENCY", "ALL_PROXY"):
        assert name in note


@pytest.mark.skipif(sys.platform == "win32", reason="there is no /bin/sh")
@pytest.mark.parametrize("command", ["ask", "check", "stdio"])
def test_closed_streams_are_no_crash(command: str, tmp_path: Path) -> None:
    """Without stderr it works all the same; without stdout it says so, where it has something to print."""
    arguments, given = PROCESSES[command], environment(HOME=str(tmp_path))
    expected = start(arguments, given)
    for closed in ("<&-", ">&-", "2>&-", "<&- 2>&-", "<&- >&- 2>&-"):
        ended = start(arguments, given, closed)
        assert ended.is_calm(), (closed, ended)
        if ">&-" in closed.replace("2>&-", "") and command != "stdio":
            assert ended.code == 1
            assert "2>&-" in closed or "error: The output could not be written" in ended.stderr
        else:
            assert ended.code == expected.code, (closed, ended)
            assert len(ended.stdout.splitlines()) == len(expected.stdout.splitlines())


@pytest.mark.skipif(sys.platform == "win32", reason="there is no /bin/sh")
@pytest.mark.parametrize("arguments", [("settings",), ("--help",), ("install",), ("demo",)])
def test_a_reader_that_has_gone_is_no_error(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """`contit-mcp settings | head -1` prints one line and nothing else."""
    ended = start(arguments, environment(HOME=str(tmp_path)), "| true")
    assert (ended.stdout, "error" in ended.stderr) == ("", False)
