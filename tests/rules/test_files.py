"""What no file of the repository may hold, and what every file of a kind must be."""

import json
import re
import tomllib

import pytest

from tests.rules.tree import kept_files, place, told

# Written with a slash for the last dot, so that this file does not break its own rule.
REGISTRIES = re.compile(
    "pypi/org|pythonhosted/org|registry.npmjs/org|deb.debian/org|crates/io".replace(".", r"\.").replace("/", r"\.")
)
MACHINE_PATHS = re.compile(r"(?<![\w.~*$}-])/(?:root|work|home/(?!you\b)\w+|Users/(?!you\b)\w+)/")


@pytest.mark.parametrize(
    ("pattern", "how"),
    [
        (REGISTRIES, "Leave the registry's address out; `make lock` writes requirements without one."),
        (MACHINE_PATHS, "Write the path from the project's root, or /home/you in an example."),
        (re.compile("^(?:<{7}|>{7}|={7}$)"), "Settle the merge."),
    ],
)
def test_no_file_names_a_registry_or_a_path_of_one_machine_or_holds_an_unsettled_merge(
    pattern: re.Pattern[str], how: str
) -> None:
    found = [
        f"{place(path, number)}: {match[0]}"
        for path in kept_files()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if (match := pattern.search(line))
    ]
    assert not found, told(found, how)


def test_configurations_can_be_read() -> None:
    readers = {".json": json.loads, ".toml": tomllib.loads}
    broken = []
    for path in kept_files():
        if path.suffix in readers:
            try:
                readers[path.suffix](path.read_text(encoding="utf-8"))
            except ValueError as exc:
                broken.append(f"{place(path)}: {exc}")
    assert not broken, told(broken, "Correct the syntax.")
