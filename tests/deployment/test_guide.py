"""docs/deployment.md is followed, command for command: in real shells, before a sandbox instead of Contit."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.children import Served, clean_environment, contit, free_port
from tests.http.issuer import issuing
from tests.redis_server import PROGRAMS
from tests.rules.tree import ROOT

GUIDE = ROOT / "docs" / "deployment.md"
NEEDED = ("bash", "curl", "openssl")
SERVES = re.compile(r"(?:^|\s)contit-mcp http\b[^\n]*\n$")
PUBLIC_URL = "https://mcp.example.com/mcp"


@dataclass(frozen=True)
class Block:
    """A fenced block of the guide.

    Attributes:
        section: The heading above it.
        language: `sh` is run; `text` is what the one before it prints; `ini` is an environment, for another server.
        text: Its lines.
    """

    section: str
    language: str
    text: str


def blocks() -> list[Block]:
    """All of them, in order."""
    found, section = [], ""
    pattern = re.compile(
        r"^#+ (?P<heading>[^\n]+)$|^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL
    )
    for match in pattern.finditer(GUIDE.read_text(encoding="utf-8")):
        if match["heading"]:
            section = match["heading"]
        else:
            found.append(Block(section, match["language"], textwrap.dedent(match["text"])))
    return found


@dataclass
class Reader:
    """Somebody who follows the guide: a terminal that remembers, and a second one that serves."""

    folder: Path
    environment: dict[str, str]
    server: "subprocess.Popen[str] | None" = None
    _log: list[str] = field(default_factory=list)

    def type(self, text: str) -> str:
        """Type a block into the terminal; what it prints."""
        state, place = self.folder / "terminal", self.folder / "place"
        script = f"set -eu -o pipefail\n. '{state}'\ncd \"$(cat '{place}')\"\n{text}\n"
        script += f"{{ declare -px; declare -f; }} > '{state}'\npwd > '{place}'\n"
        ended = subprocess.run(
            ["bash", "-c", script], env=self.environment, input="sandbox-key\n", capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, f"{text}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    def serve(self, text: str) -> None:
        """Type a block into the second terminal, and wait until the server in it listens."""
        script = f". '{self.folder / 'terminal'}'\ncd \"$(cat '{self.folder / 'place'}')\"\nexec env {text}"
        self.server = subprocess.Popen(
            ["bash", "-eu", "-c", script], env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        listening = threading.Event()
        self._log = []

        def read(stderr: Iterator[str]) -> None:
            for line in stderr:
                self._log.append(line)
                if '"server.listening"' in line:
                    listening.set()

        assert self.server.stderr is not None
        threading.Thread(target=read, args=(self.server.stderr,), daemon=True).start()
        for _ in range(600):
            if listening.wait(0.05):
                return
            assert self.server.poll() is None, f"{text}\n{''.join(self._log)}"
        raise TimeoutError(text)

    def stop(self) -> None:
        """Stop what serves; it drains, and leaves with 0."""
        if self.server is not None:
            self.server.send_signal(signal.SIGTERM)
            assert self.server.wait(20) == 0, "".join(self._log)
            assert self.server.stderr is not None
            self.server.stderr.close()
            self.server = None


@contextmanager
def reader(folder: Path) -> Iterator[tuple[Reader, dict[str, str]]]:
    """A reader with a clone, and what differs on this machine from what the guide says."""
    (folder / "engine").mkdir()
    (folder / "bin").mkdir()
    shutil.copytree(ROOT / "configs", folder / "clone" / "configs", ignore=shutil.ignore_patterns("secrets"))
    shutil.copy(ROOT / "Dockerfile", folder / "clone")
    for name, module in (("contit-mcp", "contit_mcp"), ("docker", "tests.deployment.engine"), ("kubectl", "")):
        line = f'exec "{sys.executable}" -m {module or "tests.deployment.engine"}' + f" {name}" * (name != "contit-mcp")
        path = folder / "bin" / name
        path.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" {line} "$@"\n', encoding="utf-8")
        path.chmod(0o755)
    (folder / "terminal").touch()
    (folder / "place").write_text(str(folder / "clone"), encoding="utf-8")
    direct, through_nginx = free_port(), free_port()
    with contit() as upstream, issuing() as issuer:
        someone = Reader(
            folder,
            clean_environment(
                PATH=f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
                CONTIT_BASE_URL=upstream.url,
                CONTIT_MCP_STATE_DIR=str(folder / "state"),
                CONTIT_MCP_PORT=str(direct),
                ENGINE=str(folder / "engine"),
                ENGINE_NGINX_PORT=str(through_nginx),
                YOUR_CONTIT_KEY="sandbox-key",
                ACCESS_TOKEN=issuer.token(aud=PUBLIC_URL, scope="contit.ask"),
            ),
        )
        here = {
            "127.0.0.1:8000": f"127.0.0.1:{direct}",
            "127.0.0.1:8080": f"127.0.0.1:{through_nginx}",
            f"{direct}:8000": f"{direct}:8000",
            "CONTIT_API_KEY=your-key": "CONTIT_API_KEY=sandbox-key",
            "https://login.example.com": issuer.url,
        }
        try:
            yield someone, here
        finally:
            if someone.server is not None:
                someone.server.kill()
            for kept in (folder / "engine").iterdir():
                with suppress(ValueError, KeyError, ProcessLookupError, IsADirectoryError):
                    os.kill(json.loads(kept.read_text(encoding="utf-8"))["pid"], signal.SIGKILL)


def test_the_guide_can_be_followed_from_its_first_command_to_its_last(tmp_path: Path) -> None:
    """Each block works as it is printed, after the ones before it; scripts replace docker and kubectl."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    missing += [] if any(map(shutil.which, PROGRAMS)) else [PROGRAMS[0]]
    if missing and not os.environ.get("CI"):
        pytest.skip(reason=f"needs {', '.join(missing)}")
    section, printed, ran = "", "", []
    with reader(tmp_path) as (someone, here):
        for block in blocks():
            if block.section != section:
                someone.stop()
                section = block.section
            text = block.text
            for there, instead in here.items():
                text = text.replace(there, instead)
            if block.language == "text":
                assert set(text.splitlines()) <= set(printed.splitlines()), f"{section}: {printed}"
            elif block.language == "ini":
                continue
            elif SERVES.search(text):
                someone.stop()
                someone.serve(text)
            else:
                assert block.language == "sh", f"{section}: a block of {block.language or 'nothing'}"
                printed = someone.type(text)
                asked = re.findall(r"^ask\b(?!\()", text, re.MULTILINE)
                assert printed.count('"status":"completed"') == len(asked), f"{section}: {printed}"
            ran.append(section)
        someone.stop()
    assert {"Try it", "One container", "none", "token", "jwt", "caller", "Kubernetes"} < set(ran)


RECIPES = [block for block in blocks() if block.language == "ini"]


@pytest.mark.parametrize("recipe", RECIPES, ids=[recipe.section for recipe in RECIPES])
def test_a_server_starts_with_the_settings_of_each_recipe(recipe: Block) -> None:
    """Beside them it needs what every server needs."""
    environment = dict(line.split("=", 1) for line in recipe.text.splitlines())
    common = {"CONTIT_API_KEY": "sandbox-key", "CONTIT_MCP_SEAL_KEY": "s" * 32}
    with Served(environment | common) as server:
        metadata = server.http.get(f"{server.base}/.well-known/oauth-protected-resource/mcp").json()
    assert metadata["authorization_servers"] == [environment["CONTIT_MCP_JWT_ISSUER"]]
    assert metadata["resource"] == PUBLIC_URL
