"""Finds uses of names that other packages do not make public, by syntax tree.

Found are: imports of modules and names with a leading underscore; reads of such attributes on anything but `self` and
`cls`; overrides and reads through `self` of such names of a foreign base class; reads of `__self__`.
"""

import ast
import importlib
import inspect
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

_OWN = "contit_mcp"
_ALLOWED_READS = frozenset({"_exit"})
"""`os._exit` is documented."""


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
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef):
            continue
        own_names = {item.name for item in ast.walk(node) if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)}
        for base in filter(None, (_foreign_base(expression, tree) for expression in node.bases)):
            private = {name for name in dir(base) if _is_private(name)} | _instance_names(base)
            for item in ast.walk(node):
                if (
                    isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)
                    and item.name in private
                    and _is_private(item.name)
                ):
                    yield item.lineno, f"overrides {base.__name__}.{item.name}"
                on_self = isinstance(item, ast.Attribute) and ast.unparse(item.value) == "self"
                if isinstance(item, ast.Attribute) and on_self and item.attr in private - own_names:
                    yield item.lineno, f"reads self.{item.attr} of {base.__name__}"


def _instance_names(base: type) -> set[str]:
    """Return the private attributes that the methods of a class, or of its bases, set on `self`."""
    names: set[str] = set()
    methods = [each for kind in base.__mro__[:-1] for each in vars(kind).values() if inspect.isfunction(each)]
    for method in methods:
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(method)))
        except (OSError, SyntaxError):  # made without a file
            continue
        names |= {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
            and _is_private(node.attr)
        }
    return names


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
