"""How modules are cut: named after what they know, and packages that are only rooms."""

import ast

from tests.rules.tree import PACKAGE, modules, place, told

SAY_NOTHING = {"base", "common", "core", "helper", "helpers", "manager", "misc", "util", "utils"}


def test_a_module_is_named_after_what_it_knows() -> None:
    """No drawers for odds and ends."""
    vague = [place(path) for path in modules() if SAY_NOTHING & {path.stem, *path.stem.split("_")}]
    assert not vague, told(vague, f"Name it after the one thing it knows; none of {', '.join(sorted(SAY_NOTHING))}.")


def test_a_package_is_a_docstring() -> None:
    """Importing one module imports nothing else, so that the start is quick. The top has the public names."""
    full = []
    for path in modules():
        if path.name != "__init__.py":
            continue
        tree = ast.parse(path.read_text())
        if not ast.get_docstring(tree) or (len(tree.body) > 1 and path.parent != PACKAGE):
            full.append(place(path))
    assert not full, told(
        full, "Leave a docstring alone in __init__.py, and import from the module that has the thing."
    )
