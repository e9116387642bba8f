"""Prints the measures of the package with their limits: `python -m tests.rules.measures` (part of `make check`).

The modules in the path of a question are counted by running one: a real child process is asked once to warm up, and
the modules whose functions a second question calls are recorded.
"""

import itertools
import signal
import sys
import tempfile
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio

from tests.children import TOKEN_MODE, TOKENS, Child, call, caller, clean_environment, deployed, piped
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

# Runs contit-mcp and notes the modules whose functions are called: SIGUSR1 forgets them, SIGUSR2 writes them.
_TRACED = """
import os, signal, sys, threading
package, report = sys.argv[1], sys.argv[2]
seen = set()
def note(frame, event, arg):
    name = frame.f_code.co_filename
    if event == "call" and name.startswith(package):
        seen.add(name[len(package) + 1:])
def end(*_):
    names = sorted(name for name in seen if not name.startswith("sandbox/"))
    with open(report + ".part", "w") as file: file.write("\\n".join(names))
    os.replace(report + ".part", report)
signal.signal(signal.SIGUSR1, lambda *_: seen.clear()); signal.signal(signal.SIGUSR2, end)
threading.setprofile(note); sys.setprofile(note)
sys.argv[1:] = sys.argv[3:]
from contit_mcp.cli.main import main
main()
"""


def measures() -> dict[str, int]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    with tempfile.TemporaryDirectory() as folder:
        stdio, http = (anyio.run(path_of_an_ask, name, Path(folder, name)) for name in ("stdio", "HTTP"))
    return {
        "package lines": _lines(modules()),
        "modules": len(modules()),
        "modules in the path of an ask, stdio": len(stdio),
        "modules in the path of an ask, HTTP": len(http),
        "names that are not public": len(violations(modules())),
        "direct dependencies": len(project["dependencies"]),
        "lines of tests": _lines(tuple((ROOT / "tests").rglob("*.py"))),
    }


async def path_of_an_ask(transport: str, report: Path) -> list[str]:
    """Return the modules that one warm ask runs through; over HTTP in `token` mode."""
    command = [sys.executable, "-c", _TRACED, str(PACKAGE), str(report)]
    if transport == "HTTP":
        serving = deployed(TOKEN_MODE, command=command, arguments=["--sandbox"])
        async with serving as server, caller(TOKENS["anna"]) as http:
            return await _path(server.process, report, lambda prompt: call(http, server, "contit_ask", prompt=prompt))
    async with piped(Child, [*command, "stdio", "--sandbox"], clean_environment()) as child:
        await child.initialize()
        ids = itertools.count(2)
        return await _path(child.process, report, lambda text: child.call(next(ids), "contit_ask", {"prompt": text}))


async def _path(process: Any, report: Path, ask: Callable[[str], Awaitable[dict[str, Any]]]) -> list[str]:
    await ask("How many articles are there?")
    await anyio.sleep(0.5)  # until the work behind the first answer is done
    process.send_signal(signal.SIGUSR1)
    await anyio.sleep(0.1)
    result = await ask("Which products are there?")
    if result["structuredContent"]["status"] != "completed":
        raise RuntimeError("the question was not answered")
    process.send_signal(signal.SIGUSR2)
    with anyio.fail_after(60):
        while not await anyio.Path(report).exists():
            await anyio.sleep(0.05)
    return (await anyio.Path(report).read_text(encoding="utf-8")).splitlines()


def _lines(paths: tuple[Path, ...]) -> int:
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)


def main() -> int:
    """Print the table; return 1 if a limit is exceeded."""
    found = measures()
    for name, value in found.items():
        excess = "" if value <= LIMITS[name] else "   EXCEEDED"
        print(f"{name:<40} {value:>7,} of at most {LIMITS[name]:>7,}{excess}")  # noqa: T201 - it is a report
    return any(value > LIMITS[name] for name, value in found.items())


if __name__ == "__main__":
    sys.exit(main())
