"""How the image is built, and what is in it."""

import re
import shutil
import tarfile
from pathlib import Path

from tests.container.conftest import CANARY, Build
from tests.container.engine import Engine


def test_a_package_whose_hash_differs_is_not_installed(engine: Engine, build: Build, tmp_path: Path) -> None:
    context = tmp_path / "altered"
    shutil.copytree(build.context, context)
    lock = context / "requirements.lock"
    text = lock.read_text(encoding="utf-8")
    (block,) = re.findall(r"^structlog==(?:.*\\\n)+.*", text, re.MULTILINE)
    lock.write_text(text.replace(block, re.sub(r"sha256:[0-9a-f]{8}", "sha256:deadbeef", block)), encoding="utf-8")
    done = engine.build(context, "localhost/contit-mcp:altered", build.base, "--target=builder", *build.options)
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stdout + done.stderr


def test_no_layer_has_secrets_or_files_that_only_the_build_needs(engine: Engine, build: Build, tmp_path: Path) -> None:
    """No build secret, no untracked file of the clone, no pip, sources or package lists."""
    archive = tmp_path / "image.tar"
    engine.run("save", "-o", archive, build.image)
    files: set[str] = set()
    with tarfile.open(archive) as image:
        for member in image.getmembers():
            content = image.extractfile(member)
            data = content.read() if content else b""
            assert CANARY.encode() not in data, member.name
            if member.name.endswith((".tar", "/layer")) or data[257:262] == b"ustar":
                with tarfile.open(fileobj=image.extractfile(member)) as layer:
                    files |= {entry.name.removeprefix("./") for entry in layer.getmembers() if entry.isfile()}
    ours = {name for name in files if name.startswith("opt/venv/")}
    assert any(name.endswith("site-packages/contit_mcp/assistant/service.py") for name in ours)
    unwanted = re.compile(
        r"^(src|wheels|opt/build)/|^opt/venv/.*/(pip|hatchling|pytest|tests/container)/|\.env$|^var/lib/apt/lists/.*_"
        r"|^var/cache/apt/.*\.bin$|^(etc/pip\.conf|run/secrets/)"
    )
    assert not sorted(name for name in files if unwanted.search(name))


def test_the_image_declares_how_it_is_run_and_adds_less_than_120_mb_to_its_base(engine: Engine, build: Build) -> None:
    found = engine.inspect(build.image)
    config = found["Config"]
    health = config.get("Healthcheck") or found["Healthcheck"]
    assert set(config["ExposedPorts"]) == {"8000/tcp"}
    assert set(config["Volumes"]) == {"/var/lib/contit-mcp"}
    assert config.get("StopSignal", "SIGTERM") in {"SIGTERM", "15"}
    assert health["Test"] == ["CMD", "/usr/local/bin/contit-mcp", "healthcheck"]
    assert config["Labels"]["org.opencontainers.image.licenses"] == "MIT"
    assert not any(variable.startswith("CONTIT_") for variable in config["Env"])
    assert found["Size"] - engine.inspect(build.base)["Size"] < 120_000_000
