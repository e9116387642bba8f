"""What is shipped to deploy with, as its readers see it. It imports little: the stand-ins for programs start often."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.rules.tree import ROOT

KUBERNETES = ROOT / "configs" / "kubernetes"
COMPOSE = ROOT / "configs" / "compose" / "compose.yaml"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")

USER_ID = int(re.findall(r"^USER (\d+):", DOCKERFILE, re.MULTILINE)[0])
PORT = int(re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE)[0])
STATE = re.findall(r"^VOLUME (\S+)$", DOCKERFILE, re.MULTILINE)[0]
DRAIN_SECONDS = 5
"""The longest drain (docs/architecture.md)."""


@cache
def kubernetes_objects() -> tuple[dict[str, Any], ...]:
    """Every object of every file, those too that are to be taken in first."""
    return tuple(
        found
        for path in sorted(KUBERNETES.glob("*.yaml"))
        if path.name != "kustomization.yaml"
        for found in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    )


def kubernetes_object(kind: str, name: str = "contit-mcp") -> dict[str, Any]:
    """One of them."""
    (found,) = (each for each in kubernetes_objects() if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return found


def container_of(deployment: dict[str, Any]) -> dict[str, Any]:
    """The one container of its pods."""
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = container
    return found


def compose() -> dict[str, Any]:
    """The compose file, with its anchors followed."""
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return found


def in_place(environment: dict[str, str], secrets: str, folder: Path) -> dict[str, str]:
    """Settings of a manifest, with the files of secrets in a folder of this machine."""
    return {name: value.replace(secrets, str(folder)) for name, value in environment.items()}
