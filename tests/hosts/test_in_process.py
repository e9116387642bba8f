"""The Python API in an environment with the wheel and the frameworks: their clients in process, FastAPI, and pyright."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from contit_mcp.testing import running_sandbox
from release.project import build
from tests.hosts.bench import PROGRAMS
from tests.hosts.installing import node, npm_packages, python_packages
from tests.rules.tree import ROOT

ANSWER = "There are 20 draft items: 12 articles, 5 products and 3 pages."
CLIENTS = "Assistant,SDK legacy,SDK auto,FastMCP,LangChain,pydantic-ai,FastAPI legacy,FastAPI auto".split(",")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment in which the wheel is installed; its dependencies are pinned."""
    wheel = build(tmp_path_factory.mktemp("wheel"))
    found = python_packages("in_process") / "python"
    pip = [str(found), "-m", "pip", "--disable-pip-version-check", "-qq", "install", "--no-deps", "--force-reinstall"]
    subprocess.run([*pip, str(wheel)], check=True)
    return found


def test_every_client_in_the_process_is_answered(python: Path, tmp_path: Path) -> None:
    """The program runs outside of the repository, so that only the wheel is there; stdout has its line alone."""
    program = shutil.copy(PROGRAMS / "in_process.py", tmp_path)
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    with running_sandbox() as sandbox:
        command = [python, program, sandbox.url]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == dict.fromkeys(CLIENTS, ANSWER)


@pytest.mark.parametrize("strictness", ["strict", "standard"])
def test_pyright_knows_the_types_as_a_user_sees_them(python: Path, tmp_path: Path, strictness: str) -> None:
    """Against the installed wheel, not the sources. Only the mistakes marked in as_a_user.py are reported."""
    shutil.copy(ROOT / "tests" / "python_api" / "as_a_user.py", tmp_path)
    strict = {"reportUnnecessaryTypeIgnoreComment": True, "enableTypeIgnoreComments": False}
    options = json.dumps({"typeCheckingMode": strictness, **strict})
    (tmp_path / "pyrightconfig.json").write_text(options, encoding="utf-8")
    command = [str(npm_packages("pyright", "pyright") / "pyright"), "--outputjson", "--pythonpath", str(python), "."]
    environment = os.environ | {"PATH": f"{node()}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=300, check=False)
    report = json.loads(done.stdout)
    assert report["generalDiagnostics"] == []
    assert report["summary"]["filesAnalyzed"] == 1
