"""Replaces docker and kubectl where docs/deployment.md is followed: their containers are processes of this machine.

The program in them is the real contit-mcp, with the settings and secrets that the command line or the manifest gives
it, but with a store in memory. A command that it does not know is an error.

    python -m tests.deployment.engine docker run …
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from tests.deployment.manifests import STATE, compose, container_of, kubernetes_object
from tests.rules.tree import ROOT

HERE = Path(os.environ.get("ENGINE", "engine"))
"""What is under way: one file a container."""

CONTIT_MCP = [sys.executable, "-m", "contit_mcp"]
PATIENCE_SECONDS = 30.0


def docker(*words: str) -> int:
    match words:
        case ("build", "-t", _, context):
            assert Path(context, "Dockerfile").exists()
        case ("run", "--detach", "--name", name, "--publish", published, *options, "contit-mcp"):
            address, port, inside = published.split(":")
            volume = options[options.index("--volume") + 1].split(":")[1]
            assert (address, inside, volume) == ("127.0.0.1", "8000", STATE)
            start(name, {"CONTIT_MCP_STATE_DIR": str(HERE / "state")}, port)
        case ("exec", name, *rest) | ("compose", "exec", name, *rest):
            return contit_mcp(rest, started(name)["environment"])
        case ("stop", name):
            os.kill(started(name)["pid"], signal.SIGTERM)
            until_logged(name, "server.stopped")
        case ("rm", name):
            (HERE / name).unlink()
        case ("compose", "up", *options):
            compose_up(options)
        case ("compose", "build") | ("push", _):
            pass
        case _:
            raise LookupError(words)
    return 0


def kubectl(*words: str) -> int:
    match words:
        case ("apply", "--kustomize", folder):
            text = Path(folder, "kustomization.yaml").read_text(encoding="utf-8")
            for secret in yaml.safe_load(text)["secretGenerator"]:
                assert all(Path(folder, file).exists() for file in secret["files"])
            (HERE / "kubernetes").write_text(str(Path(folder, "secrets").absolute()), encoding="utf-8")
        case ("--namespace", "contit-mcp", "exec", "deployment/contit-mcp", "--", *rest):
            container = container_of(kubernetes_object("Deployment"))
            (mount,) = container["volumeMounts"]
            secrets = Path((HERE / "kubernetes").read_text(encoding="utf-8"))
            environment = {each["name"]: each["value"] for each in container["env"]}
            return contit_mcp(rest, in_place(environment, mount["mountPath"], secrets, "contit-mcp-redis"))
        case ("--namespace", "contit-mcp", "rollout", "status" | "undo", "deployment/contit-mcp"):
            pass
        case _:
            raise LookupError(words)
    return 0


def compose_up(words: list[str]) -> None:
    """Start one replica at the first call, where nginx would be reached; the secrets must be there at each call."""
    services = {word for word in words if not word.startswith("--")}
    assert services <= compose()["services"].keys()
    assert {*words} - services <= {"--detach", "--wait", "--build", "--no-deps", "--force-recreate"}
    assert all(Path(secret["file"]).exists() for secret in compose()["secrets"].values())
    name, environment = "replica-1", compose()["services"]["replica-1"]["environment"]
    environment = in_place(environment, "/run/secrets", Path("secrets").absolute(), "redis")
    if not services:
        start(name, environment | {"CONTIT_MCP_METRICS_PORT": "0"}, os.environ["ENGINE_NGINX_PORT"])
        until_logged(name, "server.listening")


def in_place(environment: dict[str, str], mounted: str, secrets: Path, redis: str) -> dict[str, str]:
    """Return settings of a manifest with the secrets of a folder. Their Redis must be this one, with this password."""
    password = (secrets / "redis.conf").read_text(encoding="utf-8").removeprefix("requirepass ").strip()
    assert (secrets / "store-url").read_text(encoding="utf-8").strip() == f"redis://:{password}@{redis}:6379/0"
    settings = {name: value.replace(mounted, str(secrets)) for name, value in environment.items()}
    assert settings.pop("CONTIT_MCP_STORE_FILE") == str(secrets / "store-url")
    return settings | {"CONTIT_MCP_STORE": "memory"}


def contit_mcp(words: list[str], environment: dict[str, str]) -> int:
    """Run a command of the image."""
    assert words[0] == "contit-mcp"
    return subprocess.run([*CONTIT_MCP, *words[1:]], env=os.environ | environment, check=False).returncode


def start(name: str, environment: dict[str, str], port: str) -> None:
    """Start a server as the image does, but for its address: only this machine is to reach it."""
    image = ROOT / "configs" / "container" / "contit-mcp.toml"
    environment |= {"CONTIT_MCP_CONFIG": str(image), "CONTIT_MCP_HOST": "127.0.0.1", "CONTIT_MCP_PORT": port}
    with (HERE / f"{name}.log").open("w", encoding="utf-8") as stderr:
        process = subprocess.Popen(
            [*CONTIT_MCP, "http"], env=os.environ | environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True,
        )  # fmt: skip
    (HERE / name).write_text(json.dumps({"pid": process.pid, "environment": environment}), encoding="utf-8")


def started(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((HERE / name).read_text(encoding="utf-8"))
    return found


def until_logged(name: str, event: str) -> None:
    """Wait until a container has logged an event."""
    began = time.monotonic()
    while event not in (log := (HERE / f"{name}.log").read_text(encoding="utf-8")):
        assert time.monotonic() - began < PATIENCE_SECONDS, log
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit({"docker": docker, "kubectl": kubectl}[sys.argv[1]](*sys.argv[2:]))
