"""The image that ours stands on: the Dockerfile's own, the one that is named, or one made of Debian's packages."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.container.engine import Engine

SUITE = "trixie"
"""The Debian release whose Python the image is pinned for."""

TAG = "localhost/contit-mcp-base:test"
DOCKERFILE = Path(__file__).parents[2] / "Dockerfile"


def base_image(engine: Engine) -> str:
    """Return the name of the base; `BASE_IMAGE` in the environment decides, where it is set."""
    (named,) = re.findall(r"^ARG BASE_IMAGE=(\S+)$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    wanted = os.environ.get("BASE_IMAGE", named)
    for name, verb in ((wanted, "inspect"), (wanted, "pull"), (TAG, "inspect")):
        if engine.run("image", verb, name, check=False, seconds=300).returncode == 0:
            return name
    if "BASE_IMAGE" in os.environ or shutil.which("mmdebstrap") is None:
        raise AssertionError(f"{wanted} cannot be pulled, and without mmdebstrap (Debian) no base can be made.")
    return _of_debian_packages(engine)


def _of_debian_packages(engine: Engine) -> str:
    """Make an image as `python:…-slim` is: Python under /usr/local/bin, certificates, no documentation.

    The mirrors are those that this machine's own packages come from.
    """
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
    engine.run("import", "--change", f"ENV {path}", "--change", "ENV LANG=C.UTF-8", archive, TAG)
    archive.unlink()
    return TAG
