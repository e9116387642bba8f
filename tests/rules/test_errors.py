"""The drawing in contit_mcp/errors.py is the truth about the classes below it."""

import inspect
import re

from contit_mcp import errors


def drawn() -> dict[str, str | None]:
    """Each class of the drawing and the class it hangs from; a line may name several, and go on in the next."""
    parents: dict[str, str | None] = {}
    above: list[str] = []
    drawing = str(errors.__doc__).split("\n\n")[1]
    for line in drawing.splitlines():
        depth = len(line) - len(line.lstrip("│├└─ "))
        names = re.findall(r"\b[A-Z]\w*Error\b", line)
        del above[depth // 4 :]
        for name in names:
            parents[name] = above[-1] if above else None
        above.append(names[-1])
    return parents


def defined() -> dict[str, str | None]:
    """Each class of the module and the class it derives from."""
    classes = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]
    return {kind.__name__: base.__name__ if (base := kind.__base__) in classes and base else None for kind in classes}


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    """Who reads the drawing knows every error there is."""
    assert drawn() == defined(), (
        "Draw each class of contit_mcp/errors.py in its docstring, below the one it derives from."
    )
