"""What no file of the repository may hold."""

import re

import pytest

from tests.rules.tree import kept_files, place, told

# What is forbidden, and what to do instead.
FORBIDDEN = {
    r"pypi\.org|pythonhosted\.org|registry\.npmjs\.org|deb\.debian\.org|crates\.io": (
        "Leave the registry's address out; `make lock` writes requirements without one."
    ),
    r"(?<![\w.~*$}-])/(?:root|work|home/(?!you\b)\w+|Users/(?!you\b)\w+)/": (
        "Write the path from the project's root, or /home/you in an example."
    ),
    # What Python 3.11.7 has and 3.11.2 has not (the two were compared). Debian 12 has 3.11.2.
    r"\b(?:(?:data|tar|fully_trusted|extraction)_filter|(?:unpack_archive|extract(?:all)?)\([^)]*filter=|Filter[E]rror|"
    r"(?:Absolute(?:Path|Link)|(?:Link)?OutsideDestination|SpecialFile)Error|pickle_by_(?:enum|global)_name)\b": (
        "Use what Python 3.11.2 has."
    ),
    "^(?:<{7}|>{7}|={7}$)": "Settle the merge.",
}


@pytest.mark.parametrize("pattern", FORBIDDEN)
def test_no_file_has_the_address_of_a_registry_a_path_of_one_machine_or_a_conflict(pattern: str) -> None:
    found = [
        f"{place(path, number)}: {match[0]}"
        for path in kept_files()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if (match := re.search(pattern, line))
    ]
    assert not found, told(found, FORBIDDEN[pattern])
