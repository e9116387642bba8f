"""Finds uses of names that other packages do not make public, by syntax tree.

It finds imports of modules and names with a leading underscore; reads of such attributes on anything but `self` and
`cls`; reads of `__self__`; and in a class with a base of another package, overrides of such names, and reads of those
that the class does not define.
"""

import ast
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

_OWN = "contit_mcp"
_ALLOWED_READS = frozenset({"_exit"})  # `os._exit` is documented


def violations(paths: Iterable[Path]) -> list[tuple[Path, int, str]]:
    """Return each use with its file and line."""
    found: list[tuple[Path, int, str]] = []
    for path in paths:
        uses = set(_uses(ast.parse(path.read_text(encoding="utf-8"))))
        found += [(path, line, text) for line, text in sorted(uses)]
    return found


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _is_foreign(module: str) -> bool:
    return module.split(".", maxsplit=1)[0] not in {_OWN, "tests", "benchmarks", "release"}


def _uses(tree: ast.Module) -> Iterator[tuple[int, str]]:
    imported = _imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            for name in (module + alias.name for alias in node.names):
                if _is_foreign(name) and any(map(_is_private, name.split("."))):
                    yield node.lineno, f"imports {name}"
        elif isinstance(node, ast.Attribute):
            own = ast.unparse(node.value) in {"self", "cls"}
            if (_is_private(node.attr) and not own and node.attr not in _ALLOWED_READS) or node.attr == "__self__":
                yield node.lineno, f"reads {ast.unparse(node)}"
        elif isinstance(node, ast.ClassDef):
            for base in _foreign_bases(node, imported):
                yield from _uses_of_base(node, base)


def _uses_of_base(node: ast.ClassDef, base: type) -> Iterator[tuple[int, str]]:
    """Find overrides of private names, and reads through `self` of names that the class itself does not define."""
    inside = list(ast.walk(node))
    methods = [item for item in inside if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)]
    on_self = [item for item in inside if isinstance(item, ast.Attribute) and ast.unparse(item.value) == "self"]
    own = {item.name for item in methods} | {item.attr for item in on_self if isinstance(item.ctx, ast.Store)}
    own |= {item.id for item in inside if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store)}
    for method in methods:
        if _is_private(method.name) and hasattr(base, method.name):
            yield method.lineno, f"overrides {base.__name__}.{method.name}"
    for item in on_self:
        if _is_private(item.attr) and item.attr not in own:
            yield item.lineno, f"reads self.{item.attr} of {base.__name__}"


def _imported(tree: ast.Module) -> dict[str, Any]:
    """Return what the imports of a module bind, by name, without those that fail on this machine."""
    names: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            with suppress(ImportError):
                exec(ast.unparse(node), names)
    return names


def _foreign_bases(node: ast.ClassDef, imported: dict[str, Any]) -> list[type]:
    """Return the base classes that another package defines."""
    found = []
    for base in node.bases:
        with suppress(NameError):  # a class of the module itself
            found.append(eval(ast.unparse(base.value if isinstance(base, ast.Subscript) else base), imported))
    return [base for base in found if isinstance(base, type) and _is_foreign(base.__module__)]
