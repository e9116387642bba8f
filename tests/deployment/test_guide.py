"""docs/deployment.md is followed, command for command: in real shells, before a sandbox instead of Contit."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.children import Served, clean_environment, contit, free_port
from tests.http.issuer import issuing
from tests.rules.tree import ROOT

NEEDED = ("bash", "curl", "openssl")
SERVES = re.compile(r"(?:^|\s)contit-mcp http\b[^\n]*\n$")
PUBLIC_URL = "https://mcp.example.com/mcp"


class Block(NamedTuple):
    """A fenced block of the guide: `sh` is run, `text` is printed by the one before, `ini` is for another server."""

    section: str
    language: str
    text: str


def blocks() -> list[Block]:
    """All of them, in order."""
    found, section = [], ""
    pattern = re.compile(
        r"^#+ (?P<heading>[^\n]+)$|^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL
    )
    for match in pattern.finditer((ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")):
        if match["heading"]:
            section = match["heading"]
        else:
            found.append(Block(section, match["language"], textwrap.dedent(match["text"])))
    return found


@dataclass
class Reader:
    """A follower of the guide: a terminal that remembers, and a second one that serves."""

    folder: Path
    environment: dict[str, str]
    servers: list[Served] = field(default_factory=list)

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
        self.servers.append(Served(self.environment, command=["bash", "-eu", "-c", script]))
        self.servers[-1].start()
        self.servers[-1].last("server.listening", within=30)

    def stop(self) -> None:
        """Stop what serves; it drains, and leaves with 0."""
        while self.servers:
            assert self.servers.pop().stop() == 0


@contextmanager
def reader(folder: Path) -> Iterator[tuple[Reader, dict[str, str]]]:
    """A reader with a clone, and what differs on this machine from what the guide says."""
    (folder / "engine").mkdir()
    (folder / "bin").mkdir()
    shutil.copytree(ROOT / "configs", folder / "clone" / "configs", ignore=shutil.ignore_patterns("secrets"))
    shutil.copy(ROOT / "Dockerfile", folder / "clone")
    engine = "tests.deployment.engine"
    for name, module in (
        ("contit-mcp", "contit_mcp"),
        ("docker", f"{engine} docker"),
        ("kubectl", f"{engine} kubectl"),
    ):
        path = folder / "bin" / name
        path.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m {module} "$@"\n', encoding="utf-8")
        path.chmod(0o755)
    (folder / "terminal").touch()
    (folder / "place").write_text(str(folder / "clone"), encoding="utf-8")
    direct, through_nginx = free_port(), free_port()
    with contit() as upstream, issuing() as issuer:
        environment = clean_environment(
            PATH=f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            CONTIT_BASE_URL=upstream.url,
            CONTIT_MCP_STATE_DIR=str(folder / "state"),
            CONTIT_MCP_PORT=str(direct),
            ENGINE=str(folder / "engine"),
            ENGINE_NGINX_PORT=str(through_nginx),
            YOUR_CONTIT_KEY="sandbox-key",
            ACCESS_TOKEN=issuer.token(aud=PUBLIC_URL, scope="contit.ask"),
        )
        someone = Reader(folder, environment)
        here = {
            "127.0.0.1:8000": f"127.0.0.1:{direct}",
            "127.0.0.1:8080": f"127.0.0.1:{through_nginx}",
            "CONTIT_API_KEY=your-key": "CONTIT_API_KEY=sandbox-key",
            "https://login.example.com": issuer.url,
        }
        try:
            yield someone, here
        finally:
            for server in someone.servers:
                server.process.kill()
            for kept in (folder / "engine").iterdir():
                with suppress(ValueError, KeyError, TypeError, ProcessLookupError, IsADirectoryError):
                    os.kill(json.loads(kept.read_text(encoding="utf-8"))["pid"], signal.SIGKILL)


def test_the_guide_can_be_followed_from_its_first_command_to_its_last(tmp_path: Path) -> None:
    """Each block works as it is printed, after the ones before it; `engine` replaces docker and kubectl."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing and not os.environ.get("CI"):
        pytest.skip(reason=f"needs {', '.join(missing)}")
    section, printed, ran = "", "", set()
    with reader(tmp_path) as (someone, here):
        for block in blocks():
            if block.section != section:
                someone.stop()
                section = block.section
            text = block.text
            for there, instead in here.items():
                text = text.replace(there, instead)
            match block.language:
                case "text":
                    assert set(text.splitlines()) <= set(printed.splitlines()), f"{section}: {printed}"
                case "sh" if SERVES.search(text):
                    someone.stop()
                    someone.serve(text)
                case "sh":
                    printed = someone.type(text)
                    asked = re.findall(r"^ask\b(?!\()", text, re.MULTILINE)
                    assert printed.count('"status":"completed"') == len(asked), f"{section}: {printed}"
                case other:
                    assert other == "ini", f"{section}: a block of {other or 'nothing'}"
            ran.add(section)
        someone.stop()
    assert {"Try it", "One container", "none", "token", "jwt", "caller", "Kubernetes"} < ran


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
