"""What no file of the repository may hold, and what every file of a kind must be."""

import json
import re
import tomllib

from tests.rules.tree import kept_files, place, told

# Written with a slash for the last dot, so that this file does not break its own rule.
REGISTRIES = re.compile(
    "pypi/org|pythonhosted/org|registry.npmjs/org|deb.debian/org|crates/io".replace(".", r"\.").replace("/", r"\.")
)
MACHINE_PATHS = re.compile(r"(?<![\w.~*$}-])/(?:root|work|home/(?!you\b)\w+|Users/(?!you\b)\w+)/")


def test_no_file_names_a_package_registry() -> None:
    """The index is the choice of the installation, so that a company's mirror works."""
    found = _found(REGISTRIES)
    assert not found, told(found, "Leave the registry's address out; `make lock` writes requirements without one.")


def test_no_file_names_a_path_of_one_machine() -> None:
    """Everything works from any folder. Examples say /home/you or /Users/you."""
    found = _found(MACHINE_PATHS)
    assert not found, told(found, "Write the path from the project's root, or /home/you in an example.")


def test_no_file_holds_an_unsettled_merge() -> None:
    """It was in the changelog once."""
    found = _found(re.compile("^(?:<{7}|>{7}|={7}$)"))
    assert not found, told(found, "Settle the merge.")


def test_configurations_can_be_read() -> None:
    """Every JSON and TOML file parses, so that a copied example works."""
    readers = {".json": json.loads, ".toml": tomllib.loads}
    broken = []
    for path in kept_files():
        if path.suffix in readers:
            try:
                readers[path.suffix](path.read_text(encoding="utf-8"))
            except ValueError as exc:
                broken.append(f"{place(path)}: {exc}")
    assert not broken, told(broken, "Correct the syntax.")


def _found(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{place(path, number)}: {match[0]}"
        for path in kept_files()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if (match := pattern.search(line))
    ]
