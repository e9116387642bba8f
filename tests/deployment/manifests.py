"""The shipped manifests, Dockerfile and guide, parsed. It imports little, because `engine` starts often."""

import re
from functools import cache
from typing import Any

import yaml

from tests.rules.tree import ROOT

KUBERNETES = ROOT / "configs" / "kubernetes"
COMPOSE = ROOT / "configs" / "compose" / "compose.yaml"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")

USER_ID = int(re.findall(r"^USER (\d+):", DOCKERFILE, re.MULTILINE)[0])
PORT = int(re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE)[0])
STATE = re.findall(r"^VOLUME (\S+)$", DOCKERFILE, re.MULTILINE)[0]
DRAIN_SECONDS = 5  # at most (docs/architecture.md)


@cache
def kubernetes_objects() -> tuple[dict[str, Any], ...]:
    return tuple(
        found
        for path in sorted(KUBERNETES.glob("*.yaml"))
        if path.name != "kustomization.yaml"
        for found in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    )


def kubernetes_object(kind: str, name: str = "contit-mcp") -> dict[str, Any]:
    (found,) = (each for each in kubernetes_objects() if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return found


def container_of(deployment: dict[str, Any]) -> dict[str, Any]:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = container
    return found


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return found
