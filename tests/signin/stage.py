"""An identity provider, the server in mode `jwt` and a Contit behind it, all on loopback ports."""

import json
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE, Popen, run
from typing import Any

import httpx
import pytest
from jwt.algorithms import RSAAlgorithm

from tests.children import COMMAND, Contit, Served, contit, free_port
from tests.hosts.installing import node, npm_locked
from tests.http.issuer import Issuer, KeyPair

PROGRAMS = Path(__file__).with_name("programs")
ROOT = Path(__file__).parents[2]
QUESTION = "How many drafts are there?"
SCOPE = "contit:ask"
FIRST = KeyPair("first")


def private(key: KeyPair) -> dict[str, Any]:
    """Return a signing key in the form in which oidc-provider is configured."""
    found: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(key.private))
    del found["key_ops"]
    return found | {"kid": key.key_id, "use": "sig", "alg": "RS256"}


def packages() -> Path:
    return npm_locked("signin", Path(__file__).with_name("npm"))


def node_program(name: str, folder: Path) -> list[str]:
    """Return the command that runs a program of `programs/` in a folder where it finds its packages."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "node_modules").exists():
        (folder / "node_modules").symlink_to(packages(), target_is_directory=True)
    for program in PROGRAMS.glob("*.mjs"):
        shutil.copy(program, folder)
    return [str(node() / "node"), str(folder / name)]


@dataclass
class Provider:
    issuer: str
    resource: str  # the only one that it gives tokens for
    key: KeyPair = field(default_factory=lambda: FIRST)  # it signs with this

    def order(self, **changes: Any) -> list[str]:
        """Change how it behaves from now on; return the requests that it got so far, as "METHOD /path status"."""
        control = httpx.URL(self.issuer).join("/control")
        requests: list[str] = httpx.post(control, json=changes, trust_env=False, timeout=20).raise_for_status().json()
        return requests

    def sign_with(self, *keys: KeyPair) -> None:
        """Publish these keys, and sign with the first."""
        self.key = keys[0]
        self.order(keys=[private(key) for key in keys])

    def token(self) -> str:
        """Return a token that is signed with the present key."""
        return Issuer(self.issuer).token(self.key, headers={"typ": "at+jwt"}, aud=self.resource, scope=SCOPE)


@contextmanager
def providing(folder: Path, resource: str, path: str = "", **more: Any) -> Iterator[Provider]:
    """Start an identity provider, at a path of its origin if there is one."""
    given = {"resource": resource, "path": path, "keys": [private(FIRST)]}
    environment = {"PATH": "/usr/bin:/bin", **more.pop("environment", {})}
    command = [*node_program("provider.mjs", folder / "provider"), json.dumps(given | more)]
    log = folder / "provider.log"
    with log.open("w") as stderr, Popen(command, stdout=PIPE, stderr=stderr, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, log.read_text()
            yield Provider(json.loads(line)["issuer"], resource)
        finally:
            process.kill()


@dataclass
class Stage:
    """What a client meets. The client knows only the URL."""

    url: str
    provider: Provider
    server: Served
    contit: Contit

    def answered(self) -> list[dict[str, Any]]:
        """Return the server's log lines of questions that were answered."""
        return [line for line in self.server.named("call.finished") if line["tool"] == "contit_ask"]


@contextmanager
def stage(folder: Path, path: str = "", settings: Mapping[str, str] | None = None, **provider: Any) -> Iterator[Stage]:
    """Start all of it; `settings` change the server, `provider` changes the identity provider."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/mcp"
    with contit() as upstream, providing(folder, url, path, **provider) as found:
        given = {"CONTIT_BASE_URL": upstream.url, "CONTIT_MCP_JWT_SCOPES": SCOPE, "CONTIT_MCP_PUBLIC_URL": url}
        environment = Issuer(found.issuer).settings(**given)
        command = (*COMMAND, "http", "--port", str(port))
        with Served(environment | dict(settings or {}), command=command) as server:
            yield Stage(url, found, server, upstream)


def browser_script(folder: Path) -> Path:
    """Write a program for `BROWSER`, which logs in at the page that a host opens."""
    script = folder / "browser"
    login = Path(__file__).with_name("login.py")
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(login))} "$@"\n')
    script.chmod(0o755)
    return script


def chromium() -> str:
    found = shutil.which("chromium")
    if found is None:
        pytest.fail("Chromium was not found. On Debian: apt install chromium", pytrace=False)
    return found


def run_program(name: str, folder: Path, given: Mapping[str, Any], *, stdin: str = "", seconds: float = 120) -> Any:
    command = [*node_program(name, folder), json.dumps(given)]
    done = run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=seconds, input=stdin)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-3_000:]}"
    return json.loads(done.stdout)
