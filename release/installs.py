"""Install the artifacts into empty environments, in every way that we name to users, and try each."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from release.project import NAME, ROOT, VERSION, ReleaseError, claimed_pythons, pinned_requirements, run
from release.trying import try_command

TOOLS = Path(sys.executable).parent
"""Where the pinned uv, pipx and cyclonedx-py are."""


@dataclass(frozen=True, slots=True)
class Installer:
    """Installs one artifact in one way, below one scratch folder."""

    artifact: Path
    scratch: Path

    def with_pip(self) -> str:
        """As the README says: venv and pip, with the newest versions that pyproject.toml allows."""
        run(base_python(), "-m", "venv", self.scratch / "venv")
        python = self.scratch / "venv" / "bin" / "python"
        run(python, "-m", "pip", "install", "--quiet", "--no-input", self.artifact, env=outside())
        return self._try(self.scratch / "venv" / "bin" / NAME)

    def with_uv(self, python: str | Path, *, options: tuple[str, ...] = ()) -> str:
        """With uv, for one Python; `options` say which versions."""
        run(TOOLS / "uv", "venv", "--quiet", "--python", python, self.scratch / "venv", env=outside())
        environment = outside() | {"VIRTUAL_ENV": str(self.scratch / "venv")}
        run(TOOLS / "uv", "pip", "install", "--quiet", *options, self.artifact, env=environment)
        return self._try(self.scratch / "venv" / "bin" / NAME)

    def with_uvx(self) -> str:
        """`uv tool run --from`, as a host's entry has it, with nothing installed before."""
        environment = outside() | {"UV_TOOL_DIR": str(self.scratch / "tools")}
        command: list[str | Path] = [
            TOOLS / "uv",
            "tool",
            "run",
            "--quiet",
            "--python",
            base_python(),
            "--from",
            self.artifact,
            NAME,
        ]
        said = run(*command, "--version", cwd=self.scratch, env=environment).strip()
        if said != f"{NAME} {VERSION}":
            raise ReleaseError(f"uv tool run says {said!r}.")
        if "It works." not in run(*command, "demo", cwd=self.scratch, env=environment):
            raise ReleaseError("uv tool run … demo does not say that it works.")
        return "version, demo"

    def with_pipx(self) -> str:
        """With pipx."""
        environment = outside() | {
            "PIPX_HOME": str(self.scratch / "pipx"),
            "PIPX_BIN_DIR": str(self.scratch / "bin"),
            "PIPX_MAN_DIR": str(self.scratch / "man"),
            "PATH": os.defpath,
        }
        run(TOOLS / "pipx", "install", "--python", base_python(), self.artifact, env=environment)
        return self._try(self.scratch / "bin" / NAME)

    def with_tested_versions(self, bill: Path) -> str:
        """With exactly the versions that the tests ran with, by their hashes; writes the bill of materials.

        Raises:
            ReleaseError: Something else was installed than what is pinned.
        """
        run(TOOLS / "uv", "venv", "--quiet", "--python", base_python(), self.scratch / "venv", env=outside())
        environment = outside() | {"VIRTUAL_ENV": str(self.scratch / "venv")}
        install: list[str | Path] = [TOOLS / "uv", "pip", "install", "--quiet"]
        run(*install, "--require-hashes", "--requirements", ROOT / "requirements" / "runtime.txt", env=environment)
        run(*install, "--no-deps", self.artifact, env=environment)
        works = self._try(self.scratch / "venv" / "bin" / NAME)
        return f"{works}; {write_bill(self.scratch / 'venv' / 'bin' / 'python', self.artifact, bill)}"

    def _try(self, command: Path) -> str:
        return try_command(command, self.scratch / "home")


def write_bill(python: Path, wheel: Path, bill: Path) -> str:
    """A CycloneDX bill of materials of a wheel, from the environment that it is installed in.

    Raises:
        ReleaseError: It lists something else than the package and what is pinned for it here.
    """
    project: list[str | Path] = ["--pyproject", ROOT / "pyproject.toml", "--mc-type", "application"]
    options = ["--output-reproducible", "--validate", *project]
    run(TOOLS / "cyclonedx-py", "environment", *options, "--output-file", bill, python)
    listed = json.loads(bill.read_text(encoding="utf-8"))
    # The version is dynamic, so the project's file does not have it; and a bill is of one file.
    listed["metadata"]["component"] |= {
        "version": VERSION,
        "purl": f"pkg:pypi/{NAME}@{VERSION}",
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(wheel.read_bytes()).hexdigest()}],
    }
    bill.write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")
    components: dict[str, str] = {
        str(canonicalize_name(part["name"])): part["version"] for part in listed["components"]
    }
    pins: dict[str, str] = {
        str(canonicalize_name(pin.name)): next(iter(pin.specifier)).version
        for pin in pinned_requirements()
        if pin.marker is None or pin.marker.evaluate()
    }
    if components.pop(NAME, VERSION) != VERSION or components != pins:
        wrong = sorted(set(components.items()) ^ set(pins.items()))
        raise ReleaseError(f"The bill of materials is not what is pinned: {wrong[:5]}.")
    return f"bill of {len(components)} components"


def pythons() -> dict[str, Path | None]:
    """Return for each version of Python in the classifiers one on this machine that runs, or None."""
    return {version: _python(version) for version in claimed_pythons()}


def base_python() -> Path:
    """The Python that this environment was made with."""
    return Path(getattr(sys, "_base_executable", sys.executable))


def outside() -> dict[str, str]:
    """This environment, as if nothing of the checkout were active."""
    hidden = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    return {name: value for name, value in os.environ.items() if name not in hidden and not name.startswith("CONTIT_")}


def _python(version: str) -> Path | None:
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [shutil.which(f"python{version}"), *sorted(map(str, pyenv.glob(f"{version}.*/bin/python")))]
    for candidate in [str(base_python()), *(path for path in found if path)]:
        asked = [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode == 0 and done.stdout.split(maxsplit=1)[0] == version:
            return Path(done.stdout.split(maxsplit=1)[1].strip())
    return None
