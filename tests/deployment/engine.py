"""Replaces docker and kubectl, without an engine and a cluster: it starts the programs of containers on this machine.

The programs are the real ones (contit-mcp, redis-server), with the settings, secrets and arguments that the command line or
the manifest gives them; only images, networks and isolation are not there. An option that it does not know is an error.

    python -m tests.deployment.engine docker run …
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from tests.deployment.manifests import COMPOSE, STATE, compose, container_of, in_place, kubernetes_object
from tests.rules.tree import ROOT

HERE = Path(os.environ.get("ENGINE", "engine"))
"""What is under way: one file a container."""

CONTIT_MCP = [sys.executable, "-m", "contit_mcp"]
IMAGE = "contit-mcp"
PATIENCE_SECONDS = 30.0


def main(program: str, *words: str) -> int:
    """Carry out one command line."""
    match (program, *words):
        case ("docker", "compose", command, *rest):
            return docker_compose(command, rest)
        case ("docker", command, *rest):
            return {
                "build": docker_build, "push": docker_push, "run": docker_run, "exec": docker_exec,
                "stop": docker_stop, "rm": docker_rm,
            }[command](rest)  # fmt: skip
        case ("kubectl", *rest):
            return kubectl(rest)
    raise LookupError(program)


def docker_build(words: list[str]) -> int:
    """There must be something to build; what comes of it `make container` tests."""
    parser = _parser("--tag/-t", "--build-arg")
    parser.add_argument("context", type=Path)
    given = parser.parse_args(words)
    assert (given.context / "Dockerfile").exists(), f"no Dockerfile in {given.context.absolute()}"
    (HERE / f"image-{given.tag.replace('/', '-')}").touch()
    return 0


def docker_push(words: list[str]) -> int:
    """Only what was built."""
    (name,) = words
    assert (HERE / f"image-{name.replace('/', '-')}").exists(), f"{name} was not built"
    return 0


def docker_run(words: list[str]) -> int:
    """The image's command, on the port that is published."""
    parser = _parser("--name", "--publish", "--cap-drop", "--security-opt", "--memory", "--volume", "--env*")
    parser.add_argument("--detach", action="store_true", required=True)
    parser.add_argument("--read-only", action="store_true")
    parser.add_argument("image", choices=[IMAGE])
    given = parser.parse_args(words)
    assert (HERE / f"image-{IMAGE}").exists(), "the image was not built before"
    address, port, inside = given.publish.split(":")
    assert (address, inside) == ("127.0.0.1", "8000")
    _, mounted = given.volume.split(":")
    assert mounted == STATE
    environment = dict(each.split("=", 1) for each in given.env or [])
    environment["CONTIT_MCP_STATE_DIR"] = str(HERE / "state")
    _start(given.name, environment, port)  # as an engine does: whether it listens yet is the reader's to find out
    return 0


def docker_exec(words: list[str]) -> int:
    """A command of the image beside its server."""
    name, command, *rest = words
    assert command == "contit-mcp"
    kept = json.loads((HERE / name).read_text(encoding="utf-8"))
    return subprocess.run([*CONTIT_MCP, *rest], env=os.environ | kept["environment"], check=False).returncode


def docker_stop(words: list[str]) -> int:
    """SIGTERM, and the code that comes of it."""
    (name,) = words
    pid = json.loads((HERE / name).read_text(encoding="utf-8"))["pid"]
    os.kill(pid, signal.SIGTERM)
    _until_logged(name, "server.stopped")
    return 0


def docker_rm(words: list[str]) -> int:
    """What was stopped."""
    for name in words:
        (HERE / name).unlink()
    return 0


def docker_compose(command: str, words: list[str]) -> int:
    """Of the whole file the Redis and one replica, which is reached where nginx would be."""
    assert Path("compose.yaml").resolve().relative_to(HERE.parent), "in the folder of compose.yaml"
    services = compose()["services"]
    if command == "exec":
        service, *rest = words
        assert service in services
        return docker_exec(["compose", *rest])
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for flag in ("--detach", "--wait", "--build", "--no-deps", "--force-recreate"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("services", nargs="*", choices=[*services, []])
    given = parser.parse_args(words)
    assert command in {"up", "build"}
    if command == "build" or given.services or (HERE / "compose").exists():
        return 0
    secrets = _with_redis(Path("secrets"), services["redis"]["command"], "/run/secrets/redis.conf", "@redis:6379/")
    environment = in_place(services["replica-1"]["environment"], "/run/secrets", secrets)
    (published,) = services["nginx"]["ports"]
    assert published == "127.0.0.1:8080:80"
    _start("compose", environment | {"CONTIT_MCP_METRICS_PORT": "0"}, os.environ["ENGINE_NGINX_PORT"])
    if given.wait:
        _until_logged("compose", "server.listening")
    return 0


def kubectl(words: list[str]) -> int:
    """What is applied must be there; secrets are kept, and `exec` runs with those that the deployment mounts."""
    if words[0] == "--namespace":
        assert words[1] == kubernetes_object("Namespace")["metadata"]["name"]
        words = words[2:]
    match words:
        case ["apply", "--filename", path]:
            assert list(yaml.safe_load_all(Path(path).read_text(encoding="utf-8")))
        case ["apply", "--kustomize", path]:
            kustomization = yaml.safe_load((Path(path) / "kustomization.yaml").read_text(encoding="utf-8"))
            for secret in kustomization["secretGenerator"]:
                kept = HERE / f"secret-{secret['name']}"
                shutil.rmtree(kept, ignore_errors=True)
                kept.mkdir()
                for file in secret["files"]:
                    shutil.copy(Path(path) / file, kept)
        case ["rollout", "status" | "undo", "deployment/contit-mcp"]:
            assert kubernetes_object("Deployment")
        case ["exec", "deployment/contit-mcp", "--", "contit-mcp", *rest]:
            return _in_pod(rest)
        case _:
            raise LookupError(words)
    return 0


def _in_pod(words: list[str]) -> int:
    deployment, redis = kubernetes_object("Deployment"), kubernetes_object("StatefulSet", "contit-mcp-redis")
    secrets = HERE / "secret-contit-mcp"
    shutil.copy(HERE / "secret-contit-mcp-redis" / "redis.conf", secrets / "redis.conf")
    arguments = container_of(redis)["args"]
    mounted = {volume["name"]: volume["mountPath"] for volume in container_of(redis)["volumeMounts"]}["secrets"]
    secrets = _with_redis(secrets, arguments, f"{mounted}/redis.conf", "@contit-mcp-redis:6379/")
    environment = {each["name"]: each["value"] for each in container_of(deployment)["env"]}
    (place,) = (each["mountPath"] for each in container_of(deployment)["volumeMounts"])
    environment = os.environ | in_place(environment, place, secrets)
    return subprocess.run([*CONTIT_MCP, *words], env=environment, check=False).returncode


def _with_redis(secrets: Path, command: list[str], config: str, address: str) -> Path:
    """Start the Redis of a manifest with its own arguments; gives the secrets with its address in them."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    ours = HERE / f"secrets-{port}"
    shutil.copytree(secrets, ours)
    url = (secrets / "store-url").read_text(encoding="utf-8")
    assert address in url, f"store-url names another Redis than {address}"
    (ours / "store-url").unlink()
    (ours / "store-url").write_text(url.replace(address, f"@127.0.0.1:{port}/"), encoding="utf-8")
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    assert program
    assert command[0] == "redis-server"
    assert config in command
    arguments = [str(ours / "redis.conf") if word == config else word for word in command[1:]]
    process = subprocess.Popen(
        [program, *arguments, "--bind", "127.0.0.1", "--port", str(port), "--dir", str(HERE)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    (HERE / f"redis-{port}").write_text(json.dumps({"pid": process.pid}), encoding="utf-8")
    began = time.monotonic()
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return ours
        except OSError:
            assert time.monotonic() - began < PATIENCE_SECONDS
            time.sleep(0.02)


def _start(name: str, environment: dict[str, str], port: str) -> None:
    """A server as the image starts it, but for its address: on this machine nobody else is to reach it."""
    image = ROOT / "configs" / "container" / "contit-mcp.toml"
    environment |= {"CONTIT_MCP_CONFIG": str(image), "CONTIT_MCP_HOST": "127.0.0.1", "CONTIT_MCP_PORT": port}
    log = HERE / f"{name}.log"
    with log.open("w", encoding="utf-8") as stderr:
        process = subprocess.Popen(
            [*CONTIT_MCP, "http"], env=os.environ | environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True,
        )  # fmt: skip
    (HERE / name).write_text(json.dumps({"pid": process.pid, "environment": environment}), encoding="utf-8")


def _until_logged(name: str, event: str) -> None:
    began = time.monotonic()
    while event not in (log := (HERE / f"{name}.log").read_text(encoding="utf-8")):
        assert time.monotonic() - began < PATIENCE_SECONDS, log
        time.sleep(0.05)


def _parser(*options: str) -> Any:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for option in options:
        names = option.removesuffix("*").split("/")
        parser.add_argument(*names, action="append" if option.endswith("*") else "store")
    return parser


if __name__ == "__main__":
    assert COMPOSE.exists()
    sys.exit(main(*sys.argv[1:]))
