"""Prints the measures of the package with their limits: `python -m tests.rules.measures` (part of `make check`).

The modules in the path of a question are counted by running one: a real child process is asked once to warm up, and
the modules whose functions a second question calls are recorded.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request
from pathlib import Path
from typing import Any

from tests.rules.public_api import violations
from tests.rules.tree import PACKAGE, ROOT, modules

LIMITS = {
    "package lines": 14_000,
    "modules": 95,
    "modules in the path of an ask, stdio": 30,
    "modules in the path of an ask, HTTP": 36,
    "names that are not public": 0,
    "direct dependencies": 16,
    "lines of tests": 22_000,
}
# The goals that are not reached yet, and where they stand: a change may lower such a number, and must not raise it.
STANDING = {"package lines": 19_300, "lines of tests": 35_500}

_TRACED = """
import signal, sys, threading
package, report = sys.argv[1], sys.argv[2]
seen = set()
def note(frame, event, arg):
    name = frame.f_code.co_filename
    if event == "call" and name.startswith(package):
        seen.add(name[len(package) + 1:])
def begin(*_): seen.clear()
def end(*_):
    names = sorted(name for name in seen if not name.startswith("sandbox/"))
    with open(report + ".part", "w") as file: file.write("\\n".join(names))
    import os; os.replace(report + ".part", report)
signal.signal(signal.SIGUSR1, begin); signal.signal(signal.SIGUSR2, end)
threading.setprofile(note); sys.setprofile(note)
sys.argv[1:] = sys.argv[3:]
from contit_mcp.cli.main import main
main()
"""
_TOKEN = "a-token-of-the-measuring-client"
_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
    "Authorization": f"Bearer {_TOKEN}",
}
_SECONDS = 60.0


def measures() -> dict[str, int]:
    """Return each measure by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    with tempfile.TemporaryDirectory() as folder:
        stdio, http = path_over_stdio(Path(folder)), path_over_http(Path(folder))
    return {
        "package lines": _lines(modules()),
        "modules": len(modules()),
        "modules in the path of an ask, stdio": len(stdio),
        "modules in the path of an ask, HTTP": len(http),
        "names that are not public": len(violations(modules())),
        "direct dependencies": len(project["dependencies"]),
        "lines of tests": _lines(tuple((ROOT / "tests").rglob("*.py"))),
    }


def path_over_stdio(folder: Path) -> list[str]:
    """Return the modules that one warm ask over stdio runs through."""
    report = folder / "stdio"
    with _child(report, "stdio", "--sandbox") as child:
        assert child.stdin is not None
        assert child.stdout is not None
        stdin, stdout = child.stdin, child.stdout

        def send(message: dict[str, Any]) -> dict[str, Any]:
            stdin.write(json.dumps(message) + "\n")
            stdin.flush()
            answer: dict[str, Any] = json.loads(stdout.readline()) if "id" in message else {}
            return answer

        send(_initialize())
        send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return _recorded(child, report, send)


def path_over_http(folder: Path) -> list[str]:
    """Return the modules that one warm ask over HTTP runs through, in `token` mode."""
    report = folder / "http"
    with _child(report, "http", "--sandbox", "--port", "0") as child:
        assert child.stderr is not None
        for line in child.stderr:
            event = json.loads(line) if line.startswith("{") else {}
            if "url" in event:
                break
        else:
            raise RuntimeError("the server did not start")

        def send(message: dict[str, Any]) -> dict[str, Any]:
            request = urllib.request.Request(event["url"], json.dumps(message).encode(), _HEADERS)
            with urllib.request.urlopen(request, timeout=_SECONDS) as response:
                lines = [line for line in response.read().decode().splitlines() if line.startswith("data: {")]
            answer: dict[str, Any] = json.loads(lines[-1].removeprefix("data: "))
            return answer

        send(_initialize())
        return _recorded(child, report, send)


def _recorded(child: subprocess.Popen[str], report: Path, send: Any) -> list[str]:
    _ask(send, 2, "How many articles are there?")
    time.sleep(0.5)
    child.send_signal(signal.SIGUSR1)
    time.sleep(0.1)
    _ask(send, 3, "Which products are there?")
    child.send_signal(signal.SIGUSR2)
    deadline = time.monotonic() + _SECONDS
    while not report.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return report.read_text(encoding="utf-8").splitlines()


def _ask(send: Any, request_id: int, prompt: str) -> None:
    params = {"name": "contit_ask", "arguments": {"prompt": prompt}}
    answer = send({"jsonrpc": "2.0", "id": request_id, "method": "tools/call", "params": params})
    if answer["result"]["structuredContent"]["status"] != "completed":
        raise RuntimeError("the question was not answered")


def _initialize() -> dict[str, Any]:
    client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "measures", "version": "1"}}
    return {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client}


def _child(report: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CONTIT_")}
    environment |= {"CONTIT_MCP_AUTH": "token", "CONTIT_MCP_TOKENS": f"m:{_TOKEN}", "CONTIT_MCP_SEAL_KEY": "k" * 32}
    environment["CONTIT_MCP_STATE_DIR"] = str(report.parent)
    command = [sys.executable, "-c", _TRACED, str(PACKAGE), str(report), *arguments]
    return _Child(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


class _Child(subprocess.Popen[str]):
    """A child that is ended at the end of its block."""

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.communicate()


def _lines(paths: tuple[Path, ...]) -> int:
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)


def main() -> int:
    """Print the table; return 1 if a limit is exceeded that was reached before, or a number grew that must not."""
    found = measures()
    for name, value in found.items():
        excess = "" if value <= LIMITS[name] else "   EXCEEDED"
        print(f"{name:<40} {value:>7,} of at most {LIMITS[name]:>7,}{excess}")  # noqa: T201 - it is a report
    return any(value > max(LIMITS[name], STANDING.get(name, 0)) for name, value in found.items())


if __name__ == "__main__":
    sys.exit(main())
