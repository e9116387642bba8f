"""The container engine of this machine, Docker or Podman. Containers use the host's network or none."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Done = subprocess.CompletedProcess[str]

BARE_MACHINE = """
[containers]
# Where the limits cannot be raised, the defaults of containers are refused.
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
runtime = "runc"
"""
"""Settings of Podman where no systemd runs, as inside most CI machines."""


@dataclass
class Engine:
    """A container engine, by its command, with a folder for its files."""

    command: str
    folder: Path
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))

    def run(self, *arguments: str | Path, check: bool = True, seconds: float = 120) -> Done:
        """Run the engine's command to its end."""
        line = [self.command, *map(str, arguments)]
        done = subprocess.run(
            line, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds,
            check=False,
        )  # fmt: skip
        assert not (check and done.returncode), f"{line}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def build(self, context: Path, tag: str, base: str, *options: str) -> Done:
        """Build an image; the caller checks the exit code."""
        podman = ("--format", "docker") if Path(self.command).name == "podman" else ()  # its own has no health checks
        named = ("-t", tag, "-f", context / "Dockerfile", "--build-arg", f"BASE_IMAGE={base}")
        return self.run("build", "--network", "host", *podman, *named, *options, context, check=False, seconds=600)

    def inspect(self, name: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(self.run("inspect", name).stdout)
        return found[0]

    @contextmanager
    def container(self, image: str, *options: str | Path) -> Iterator[str]:
        """Run a container; yield its name, and remove it at the end."""
        name = self.run("run", "-d", *options, image).stdout.strip()
        try:
            yield name
        finally:
            self.run("rm", "-f", "-v", name)

    def logs(self, name: str) -> str:
        done = self.run("logs", name)
        return done.stdout + done.stderr


def find_engine(folder: Path) -> Engine:
    """Return the engine of this machine."""
    for command in filter(None, map(shutil.which, ("docker", "podman"))):
        engine = Engine(command, folder)
        if Path(command).name == "podman" and not Path("/run/systemd/system").exists():
            settings = folder / "containers.conf"
            settings.write_text(BARE_MACHINE, encoding="utf-8")
            engine.environment["CONTAINERS_CONF"] = str(settings)
        if engine.run("info", check=False).returncode == 0:
            return engine
    raise AssertionError("No container engine works here. On Debian as root: apt-get install podman runc mmdebstrap")
