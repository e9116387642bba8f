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
    """The name of the base; `BASE_IMAGE` in the environment decides, where it is set.

    Raises:
        AssertionError: Its registry is out of reach, and nothing here can make one.
    """
    named = re.search(r"^ARG BASE_IMAGE=(\S+)$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    assert named is not None
    wanted = os.environ.get("BASE_IMAGE", named[1])
    have = engine.run("image", "inspect", wanted, check=False).returncode == 0
    if have or engine.run("pull", wanted, check=False, seconds=300).returncode == 0:
        return wanted
    if engine.run("image", "inspect", TAG, check=False).returncode == 0:
        return TAG
    if "BASE_IMAGE" in os.environ or shutil.which("mmdebstrap") is None:
        raise AssertionError(f"{wanted} cannot be pulled, and without mmdebstrap (Debian) no base can be made.")
    return _of_debian_packages(engine)


def _of_debian_packages(engine: Engine) -> str:
    """As `python:…-slim` is: Python under /usr/local/bin, certificates, no documentation."""
    archive = engine.folder / "base.tar"
    command = [
        "mmdebstrap",
        "--variant=minbase",
        "--include=python3,python3-venv,ca-certificates,netbase,tzdata",
        "--format=tar",
        *(f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("doc", "locale", "man")),
        '--customize-hook=ln -s ../../bin/python3 "$1/usr/local/bin/python3"',
        SUITE,
        str(archive),
        *_sources(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    path = "PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    engine.run("import", "--change", f"ENV {path}", "--change", "ENV LANG=C.UTF-8", archive, TAG)
    archive.unlink()
    return TAG


def _sources() -> list[str]:
    """The mirrors that this machine's own packages come from."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    found = dict.fromkeys(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    return [
        f"deb {mirror} {SUITE}{'-security' if 'security' in mirror else ''} main"
        for mirror in found
        if "debian" in mirror or "security" in mirror
    ]
