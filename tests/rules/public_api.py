"""Finds uses of names that other packages do not make public, by syntax tree.

Found are: imports of modules and names with a leading underscore; reads of such attributes on anything but `self` and
`cls`; in a class with a foreign base, overrides of such names and reads of those that it does not define; `__self__`.
"""

import ast
import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path

_OWN = "contit_mcp"
_ALLOWED_READS = frozenset({"_exit"})  # `os._exit` is documented


def violations(paths: Iterable[Path]) -> list[tuple[Path, int, str]]:
    """Return each use with its file and line."""
    found: list[tuple[Path, int, str]] = []
    for path in paths:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found += [
            (path, line, text)
            for line, text in sorted(set(_of_imports(tree)) | set(_of_reads(tree)) | set(_of_classes(tree)))
        ]
    return found


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _is_foreign(module: str) -> bool:
    return module.split(".", maxsplit=1)[0] not in {_OWN, "tests", "benchmarks", "release"}


def _of_imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            modules = [node.module]
            for alias in node.names:
                if _is_foreign(node.module) and _is_private(alias.name):
                    yield node.lineno, f"imports {alias.name} of {node.module}"
        for module in modules:
            if _is_foreign(module) and any(map(_is_private, module.split("."))):
                yield node.lineno, f"imports {module}"


def _of_reads(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        own = isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}
        if (_is_private(node.attr) and not own and node.attr not in _ALLOWED_READS) or node.attr == "__self__":
            yield node.lineno, f"reads {ast.unparse(node)}"


def _of_classes(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Find overrides of private names, and reads through `self` of names that the class itself does not define."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef):
            continue
        inside = list(ast.walk(node))
        methods = [item for item in inside if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)]
        on_self = [item for item in inside if isinstance(item, ast.Attribute) and ast.unparse(item.value) == "self"]
        own = {item.name for item in methods} | {item.attr for item in on_self if isinstance(item.ctx, ast.Store)}
        own |= {item.id for item in inside if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store)}
        for base in filter(None, (_foreign_base(expression, tree) for expression in node.bases)):
            for method in methods:
                if _is_private(method.name) and hasattr(base, method.name):
                    yield method.lineno, f"overrides {base.__name__}.{method.name}"
            for item in on_self:
                if _is_private(item.attr) and item.attr not in own:
                    yield item.lineno, f"reads self.{item.attr} of {base.__name__}"


def _foreign_base(expression: ast.expr, tree: ast.Module) -> type | None:
    """Return the class that an expression names, if another package defines it and it can be imported."""
    parts = ast.unparse(expression.value if isinstance(expression, ast.Subscript) else expression).split(".")
    for node in ast.walk(tree):
        aliases = node.names if isinstance(node, ast.Import | ast.ImportFrom) else []
        for alias in aliases:
            if (alias.asname or alias.name).split(".")[0] != parts[0]:
                continue
            if isinstance(node, ast.ImportFrom):
                module, names = node.module or "", [alias.name, *parts[1:]]
            else:
                module, names = alias.name, parts[len(alias.name.split(".")) if alias.asname is None else 1 :]
            if not module or not _is_foreign(module):
                return None
            try:
                found: object = importlib.import_module(module)
                for name in names:
                    found = getattr(found, name)
            except (ImportError, AttributeError):
                return None
            return found if isinstance(found, type) else None
    return None
