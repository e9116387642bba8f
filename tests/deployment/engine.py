"""Replaces docker and kubectl when docs/deployment.md is followed: a container is a process of this machine.

The process is the real contit-mcp, with the settings and secrets of the command line or the manifest, but with a store
in memory. An unknown command is an error.

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

HERE = Path(os.environ.get("ENGINE", "engine"))  # has a log for each container, and a JSON file while it runs
CONTIT_MCP = [sys.executable, "-m", "contit_mcp"]
PATIENCE_SECONDS = 30.0


def docker(*words: str) -> None:
    match words:
        case ("build", "-t", _, context):
            assert Path(context, "Dockerfile").exists()
        case ("run", "--detach", "--name", name, "--publish", published, *options, "contit-mcp"):
            address, port, inside = published.split(":")
            volume = options[options.index("--volume") + 1].split(":")[1]
            assert (address, inside, volume) == ("127.0.0.1", "8000", STATE)
            start(name, {"CONTIT_MCP_STATE_DIR": str(HERE / "state")}, port)
        case ("exec", name, *rest) | ("compose", "exec", name, *rest):
            run_in_image(rest, running(name)["environment"])
        case ("stop", name):
            os.kill(running(name)["pid"], signal.SIGTERM)
            until_logged(name, "server.stopped")
        case ("rm", name):
            (HERE / f"{name}.json").unlink()
        case ("compose", "up", *options):
            compose_up(options)
        case ("compose", "build") | ("push", _):
            pass
        case _:
            raise LookupError(words)


def kubectl(*words: str) -> None:
    match words:
        case ("apply", "--kustomize", folder):
            text = Path(folder, "kustomization.yaml").read_text(encoding="utf-8")
            for secret in yaml.safe_load(text)["secretGenerator"]:
                assert all(Path(folder, file).exists() for file in secret["files"])
        case ("--namespace", "contit-mcp", "exec", "deployment/contit-mcp", "--", *rest):
            container = container_of(kubernetes_object("Deployment"))
            (mount,) = container["volumeMounts"]
            environment = {each["name"]: each["value"] for each in container["env"]}
            secrets = Path("configs/kubernetes/secrets").absolute()
            run_in_image(rest, with_secrets(environment, mount["mountPath"], secrets, "contit-mcp-redis"))
        case ("--namespace", "contit-mcp", "rollout", "status" | "undo", "deployment/contit-mcp"):
            pass
        case _:
            raise LookupError(words)


def compose_up(words: list[str]) -> None:
    """Start one replica at the first call, on the port of nginx. At each call the secrets must exist."""
    services = {word for word in words if not word.startswith("--")}
    assert services <= compose()["services"].keys()
    assert {*words} - services <= {"--detach", "--wait", "--build", "--no-deps", "--force-recreate"}
    assert all(Path(secret["file"]).exists() for secret in compose()["secrets"].values())
    name, environment = "replica-1", compose()["services"]["replica-1"]["environment"]
    environment = with_secrets(environment, "/run/secrets", Path("secrets").absolute(), "redis")
    if not services:
        start(name, environment | {"CONTIT_MCP_METRICS_PORT": "0"}, os.environ["ENGINE_NGINX_PORT"])
        until_logged(name, "server.listening")


def with_secrets(environment: dict[str, str], mounted: str, secrets: Path, redis: str) -> dict[str, str]:
    """Return settings with a folder's secrets in place of the mounted ones; check those of Redis, and replace Redis."""
    password = (secrets / "redis.conf").read_text(encoding="utf-8").removeprefix("requirepass ").strip()
    assert (secrets / "store-url").read_text(encoding="utf-8").strip() == f"redis://:{password}@{redis}:6379/0"
    settings = {name: value.replace(mounted, str(secrets)) for name, value in environment.items()}
    assert settings.pop("CONTIT_MCP_STORE_FILE") == str(secrets / "store-url")
    return settings | {"CONTIT_MCP_STORE": "memory"}


def run_in_image(words: list[str], environment: dict[str, str]) -> None:
    """Run a command of the image, and end with its exit code."""
    assert words[0] == "contit-mcp"
    sys.exit(subprocess.run([*CONTIT_MCP, *words[1:]], env=os.environ | environment, check=False).returncode)


def start(name: str, environment: dict[str, str], port: str) -> None:
    """Start a server as the image does, but on loopback."""
    image = ROOT / "configs" / "container" / "contit-mcp.toml"
    environment |= {"CONTIT_MCP_CONFIG": str(image), "CONTIT_MCP_HOST": "127.0.0.1", "CONTIT_MCP_PORT": port}
    with (HERE / f"{name}.log").open("w", encoding="utf-8") as stderr:
        process = subprocess.Popen(
            [*CONTIT_MCP, "http"], env=os.environ | environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True,
        )  # fmt: skip
    with (HERE / f"{name}.json").open("w", encoding="utf-8") as file:
        json.dump({"pid": process.pid, "environment": environment}, file)


def running(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))
    return found


def until_logged(name: str, event: str) -> None:
    began = time.monotonic()
    while event not in (log := (HERE / f"{name}.log").read_text(encoding="utf-8")):
        assert time.monotonic() - began < PATIENCE_SECONDS, log
        time.sleep(0.05)


if __name__ == "__main__":
    {"docker": docker, "kubectl": kubectl}[sys.argv[1]](*sys.argv[2:])
