"""The TypeScript SDK's own clients: of today in each mode, and of the line before."""

import shutil

import pytest

from tests.hosts.installing import node, npm_packages
from tests.hosts.trials import PROGRAMS, Trial, npm_version

OLD, NEW = "@modelcontextprotocol/sdk", "@modelcontextprotocol/client"


def call(trial: Trial, program: str, package: str, mode: str = "") -> None:
    """Run a program where it finds its packages: beside them."""
    place = npm_packages("typescript_sdk", OLD, NEW).parents[1] / program
    shutil.copy(PROGRAMS / program, place)
    version = f"{npm_version(package)} {mode}".strip()
    trial.call("TypeScript SDK", lambda: trial.program(str(place), node() / "node", mode=mode), version=version)


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28", "auto"])
def test_2_x_gets_the_answers_and_ids_in_text_and_in_structure(trial: Trial, mode: str) -> None:
    """Each of the two stands alone (design). It checks the structure against the published schema."""
    call(trial, "typescript_2.mjs", NEW, mode)


def test_1_x_gets_the_answers_and_ids_in_text_and_in_structure(trial: Trial) -> None:
    """Likewise."""
    call(trial, "typescript_1.mjs", OLD)
