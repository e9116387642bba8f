"""The requirements are pinned, hashed and explained, and satisfy pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.rules.tree import ROOT, place, told

IMAGE = ROOT / "requirements.lock"
PINNED = [*sorted((ROOT / "requirements").glob("*.txt")), IMAGE]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ASKED = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = PROJECT["optional-dependencies"]
EXTRA = [Requirement(line) for lines in EXTRAS.values() for line in lines]


@pytest.mark.parametrize("path", PINNED, ids=lambda path: path.stem)
def test_every_requirement_is_one_version_with_its_hashes(path: Path) -> None:
    pinned = re.compile(r"[\w.-]+==[^\s;]+( ; [^\\]+?)?( --hash=sha256:[0-9a-f]{64})+")
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE)
    blocks = re.sub(r"\\\n\s*", "", text).splitlines()
    loose = [block[:80] for block in blocks if not pinned.fullmatch(block)]
    assert not loose, told(loose, f"Let `make lock` write {place(path)}.")


def test_the_pins_are_those_of_the_dependencies() -> None:
    """The pinned versions satisfy pyproject.toml, and its dependencies are the direct ones of runtime.txt."""
    wrong = []
    in_image = [Requirement(line) for extra in ("server", "redis", "otel") for line in EXTRAS[extra]]
    for path, asked in (
        (ROOT / "requirements" / "runtime.txt", ASKED),
        (ROOT / "requirements" / "test.txt", ASKED + EXTRA),
        (IMAGE, ASKED + in_image),
    ):
        pins = dict(re.findall(r"^([\w.-]+)==(\S+)", path.read_text(), flags=re.MULTILINE))
        wrong += [
            f"{place(path)}: {requirement}"
            for requirement in asked
            if not requirement.specifier.contains(pins.get(canonicalize_name(requirement.name), "0"))
        ]
    runtime = (ROOT / "requirements" / "runtime.txt").read_text()
    direct = re.findall(r"^([\w.-]+)==[^#]*?# via(?:\n\s+#)?[^=]*? contit-mcp ", runtime, flags=re.MULTILINE)
    wrong += sorted({*direct} ^ {canonicalize_name(requirement.name) for requirement in ASKED})
    assert not wrong, told(wrong, "Run `make lock`.")


def test_every_dependency_has_its_reason() -> None:
    """It is in a list item of docs/architecture.md, which says what it is for."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    items = re.findall(r"^\s*[-*] .*", page, flags=re.MULTILINE)
    silent = [
        requirement.name
        for requirement in ASKED + EXTRA
        if not any(re.search(rf"`{re.escape(requirement.name)}`.*\w{{4}}", item) for item in items)
    ]
    assert not silent, told(silent, "Say in docs/architecture.md, as a list item with its `name`, what it is for.")
