"""docs/deployment.md is followed, command for command, in a real shell; a sandbox replaces Contit."""

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
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.children import Served, clean_environment, contit, free_port
from tests.deployment.manifests import GUIDE
from tests.http.issuer import issuing
from tests.rules.tree import ROOT

pytestmark = pytest.mark.no_cover

PUBLIC_URL = "https://mcp.example.com/mcp"
MARK = "@@ block"
CAN_RUN = os.environ.get("CI") or all(map(shutil.which, ("bash", "curl", "openssl")))


class Block(NamedTuple):
    """A fenced block of the guide: `sh` is run, `text` is the output of the block before, `ini` is a recipe."""

    section: str
    language: str
    text: str

    @property
    def serves(self) -> bool:
        """Whether it starts a server, for which the reader opens a second terminal."""
        return re.search(r"(?:^|\s)contit-mcp http\b[^\n]*\n$", self.text) is not None


def blocks() -> Iterator[Block]:
    """Yield all blocks in order."""
    section = ""
    for heading, language, text in re.findall(r"^#+ (.+)$|^ *```(\w*)\n((?:.*\n)*?) *```$", GUIDE, re.MULTILINE):
        section = heading or section
        if not heading:
            yield Block(section, language, textwrap.dedent(text))


def script(port: int) -> str:
    """Return all blocks as one script, with servers in the background and a mark before the output of each block."""
    ask = f"curl --silent --output /dev/null http://127.0.0.1:{port}/readyz"
    ready = f'until {ask}; do kill -0 "$server"; sleep 0.1; done'
    stop = 'if [ "$server" ]; then kill "$server"; wait "$server"; server=; fi'
    lines, section = ["set -eu -o pipefail", "server=", "trap 'kill $server' EXIT"], ""
    for number, block in enumerate(blocks()):
        if block.section != section or block.serves:
            lines.append(stop)
            section = block.section
        lines.append(f"echo '{MARK} {number}'")
        if block.serves:
            lines += [f"{block.text.rstrip()} < /dev/null &", "server=$!", ready]
        elif block.language == "sh":
            lines.append(block.text)
    return "\n".join([*lines, stop, "trap - EXIT"])


@contextmanager
def machine(folder: Path) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """Make a clone and the guide's commands; yield the environment, and the guide's texts with their replacements."""
    engine, commands = folder / "engine", folder / "bin"
    engine.mkdir()
    commands.mkdir()
    shutil.copytree(ROOT / "configs", folder / "clone" / "configs", ignore=shutil.ignore_patterns("secrets"))
    shutil.copy(ROOT / "Dockerfile", folder / "clone")
    modules = {name: f"tests.deployment.engine {name}" for name in ("docker", "kubectl")}
    for name, module in {"contit-mcp": "contit_mcp", **modules}.items():
        path = commands / name
        path.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m {module} "$@"\n', encoding="utf-8")
        path.chmod(0o755)
    direct, through_nginx = free_port(), free_port()
    with contit() as upstream, issuing() as issuer:
        environment = clean_environment(
            PATH=f"{commands}{os.pathsep}{os.environ['PATH']}",
            CONTIT_BASE_URL=upstream.url,
            CONTIT_MCP_STATE_DIR=str(folder / "state"),
            CONTIT_MCP_PORT=str(direct),
            ENGINE=str(engine),
            ENGINE_NGINX_PORT=str(through_nginx),
            YOUR_CONTIT_KEY="sandbox-key",
            ACCESS_TOKEN=issuer.token(aud=PUBLIC_URL, scope="contit.ask"),
        )
        here = {
            "127.0.0.1:8000": f"127.0.0.1:{direct}",
            "127.0.0.1:8080": f"127.0.0.1:{through_nginx}",
            "CONTIT_API_KEY=your-key": "CONTIT_API_KEY=sandbox-key",
            "https://login.example.com": issuer.url,
        }
        try:
            yield environment, here
        finally:
            for container in engine.glob("*.json"):
                with suppress(ProcessLookupError):
                    os.kill(json.loads(container.read_text(encoding="utf-8"))["pid"], signal.SIGKILL)


@pytest.mark.skipif(not CAN_RUN, reason="needs bash, curl and openssl")
def test_every_command_of_the_guide_works_after_the_ones_before_it(tmp_path: Path) -> None:
    """`engine` replaces docker and kubectl."""
    with machine(tmp_path) as (environment, here):
        text = script(int(environment["CONTIT_MCP_PORT"]))
        for there, instead in here.items():
            text = text.replace(there, instead)
        with (tmp_path / "log").open("w+", encoding="utf-8") as log:
            ended = subprocess.run(
                ["bash", "-c", text], cwd=tmp_path / "clone", env=environment, input="sandbox-key\n",
                stdout=subprocess.PIPE, stderr=log, text=True, timeout=300, check=False,
            )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + (tmp_path / "log").read_text(encoding="utf-8")
    printed = re.split(rf"{MARK} \d+\n", ended.stdout)[1:]
    for number, block in enumerate(blocks()):
        said = printed[number]
        if block.language == "text":
            assert set(block.text.splitlines()) <= set(printed[number - 1].splitlines()), block
        else:
            assert block.language in {"sh", "ini"}, block
        asked = re.findall(r"^ask\b(?!\()", block.text, re.MULTILINE)
        assert said.count('"status":"completed"') == len(asked), (block, said)
    ran = {block.section for block in blocks()}
    assert {"Try it", "One container", "none", "token", "jwt", "caller", "Kubernetes"} < ran


RECIPES = [block for block in blocks() if block.language == "ini"]


@pytest.mark.parametrize("recipe", RECIPES, ids=[recipe.section for recipe in RECIPES])
def test_a_server_starts_with_the_settings_of_each_recipe(recipe: Block) -> None:
    environment = dict(line.split("=", 1) for line in recipe.text.splitlines())
    common = {"CONTIT_API_KEY": "sandbox-key", "CONTIT_MCP_SEAL_KEY": "s" * 32}
    with Served(environment | common) as server:
        metadata = server.http.get(f"{server.base}/.well-known/oauth-protected-resource/mcp").json()
    assert metadata["authorization_servers"] == [environment["CONTIT_MCP_JWT_ISSUER"]]
    assert metadata["resource"] == PUBLIC_URL
