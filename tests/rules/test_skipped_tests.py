"""A test that does not run says why."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.rules.tree import ROOT, place, told

MARKS = {"skip", "skipif", "xfail"}
CALLS = MARKS | {"importorskip"}


def test_a_test_that_is_skipped_says_why() -> None:
    """`reason=` says under which condition the test runs."""
    silent = [found for path in sorted((ROOT / "tests").rglob("*.py")) for found in _without_reason(path)]
    assert not silent, told(silent, 'Give each of them a reason="…".')


def _without_reason(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _of_pytest(node.func, CALLS)]
    called = {id(call.func) for call in calls}
    for call in calls:
        if not any(keyword.arg == "reason" and not _is_empty(keyword.value) for keyword in call.keywords):
            yield place(path, call.lineno)
    for node in ast.walk(tree):
        if _of_pytest(node, MARKS, "pytest.mark.") and id(node) not in called and isinstance(node, ast.Attribute):
            yield place(path, node.lineno)


def _of_pytest(node: ast.AST, names: set[str], prefix: str = "pytest.") -> bool:
    return isinstance(node, ast.Attribute) and node.attr in names and ast.unparse(node).startswith(prefix)


def _is_empty(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and not node.value
