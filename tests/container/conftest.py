"""One engine and one built image for all tests of the folder."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.container.base_image import base_image
from tests.container.engine import Engine, find_engine
from tests.rules.tree import ROOT, kept_files

TAG = "localhost/contit-mcp:test"
CANARY = "THIS-MUST-NOT-BE-IN-ANY-LAYER"


@dataclass(frozen=True)
class Build:
    """What the image was built of."""

    image: str
    base: str
    context: Path  # what is committed, and what must stay outside
    options: list[str]  # what pip needs on this machine, as secrets


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return find_engine(tmp_path_factory.mktemp("engine"))


@pytest.fixture(scope="session")
def build(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Build]:
    """The image, built as anyone would from a clean clone in which secrets lie about."""
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
    """Its index and certificate authorities, if this machine has its own; the canary must not leave the build."""
    asked = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    index = subprocess.run(asked, capture_output=True, text=True, check=False)
    address = os.environ.get("PIP_INDEX_URL") or index.stdout.strip()
    lines = [f"# {CANARY}", "[global]", "timeout = 180", *([f"index-url = {address}"] if address else [])]
    (folder / "pip.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
    secrets = [f"id=pip_conf,src={folder / 'pip.conf'}"]
    if authorities := os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE"):
        secrets.append(f"id=ca_bundle,src={authorities}")
    return [f"--secret={secret}" for secret in secrets]
