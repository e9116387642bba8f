"""One engine, one base and one built image for all tests of the folder."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.container.engine import Engine, find_engine
from tests.rules.tree import ROOT, kept_files

TAG = "localhost/contit-mcp:test"
CANARY = "THIS-MUST-NOT-BE-IN-ANY-LAYER"
SUITE = "trixie"  # the Debian release with the Python that the image is pinned for
BASE_TAG = "localhost/contit-mcp-base:test"


@dataclass(frozen=True)
class Build:
    """The built image, and what it was built from."""

    image: str
    base: str
    context: Path  # a clone, with a secret and leftovers that must not get into the image
    options: list[str]  # pip's settings on this machine, as build secrets


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return find_engine(tmp_path_factory.mktemp("engine"))


@pytest.fixture(scope="session")
def build(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Build]:
    """Build the image in a clone that also has a secret and a leftover file."""
    context = tmp_path_factory.mktemp("clone")
    for path in kept_files():
        copy = context / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    (context / ".env").write_text(f"CONTIT_API_KEY={CANARY}\n", encoding="utf-8")
    (context / "contit_mcp" / "__pycache__").mkdir()
    (context / "contit_mcp" / "__pycache__" / "left.pyc").write_text(CANARY, encoding="utf-8")
    made = Build(TAG, base_image(engine), context, _what_pip_needs(tmp_path_factory.mktemp("secrets")))
    done = engine.build(context, TAG, made.base, *made.options)
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    yield made
    engine.run("rmi", "-f", TAG)


def _what_pip_needs(folder: Path) -> list[str]:
    """Return this machine's index and certificate authorities as build secrets, with the canary in one of them."""
    asked = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    index = subprocess.run(asked, capture_output=True, text=True, check=False)
    address = os.environ.get("PIP_INDEX_URL") or index.stdout.strip()
    lines = [f"# {CANARY}", "[global]", "timeout = 180", *([f"index-url = {address}"] if address else [])]
    (folder / "pip.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
    secrets = [f"id=pip_conf,src={folder / 'pip.conf'}"]
    if authorities := os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE"):
        secrets.append(f"id=ca_bundle,src={authorities}")
    return [f"--secret={secret}" for secret in secrets]


def base_image(engine: Engine) -> str:
    """Return the name of the base image: that of `BASE_IMAGE`, or of the Dockerfile, or one made of Debian packages."""
    (named,) = re.findall(r"^ARG BASE_IMAGE=(\S+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    wanted = os.environ.get("BASE_IMAGE", named)
    for name, verb in ((wanted, "inspect"), (wanted, "pull"), (BASE_TAG, "inspect")):
        if engine.run("image", verb, name, check=False, seconds=300).returncode == 0:
            return name
    if "BASE_IMAGE" in os.environ or shutil.which("mmdebstrap") is None:
        raise AssertionError(f"{wanted} cannot be pulled, and without mmdebstrap (Debian) no base can be made.")
    return _of_debian_packages(engine)


def _of_debian_packages(engine: Engine) -> str:
    """Make an image like `python:…-slim` from this machine's mirrors: Python in /usr/local/bin, no documentation."""
    targets = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    mirrors = dict.fromkeys(subprocess.run(targets, capture_output=True, text=True, check=True).stdout.split())
    archive = engine.folder / "base.tar"
    command = [
        "mmdebstrap", "--variant=minbase", "--format=tar",
        "--include=python3,python3-venv,ca-certificates,netbase,tzdata",
        *(f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("doc", "locale", "man")),
        '--customize-hook=ln -s ../../bin/python3 "$1/usr/local/bin/python3"', SUITE, str(archive),
        *(f"deb {mirror} {SUITE}{'-security' if 'security' in mirror else ''} main" for mirror in mirrors
          if "debian" in mirror or "security" in mirror),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    path = "PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    engine.run("import", "--change", f"ENV {path}", "--change", "ENV LANG=C.UTF-8", archive, BASE_TAG)
    archive.unlink()
    return BASE_TAG
