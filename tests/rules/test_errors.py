"""The drawing in contit_mcp/errors.py is the truth about the classes below it."""

import inspect
import re

from contit_mcp import errors


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    """Each class hangs from the one it derives from; a line may name several, and go on in the next."""
    drawn: dict[str, str | None] = {}
    above: list[str] = []
    for line in str(errors.__doc__).split("\n\n")[1].splitlines():
        del above[(len(line) - len(line.lstrip("│├└─ "))) // 4 :]
        names = re.findall(r"\b[A-Z]\w*Error\b", line)
        drawn |= dict.fromkeys(names, above[-1] if above else None)
        above.append(names[-1])
    classes = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]
    defined = {
        kind.__name__: base.__name__ if (base := kind.__base__) in classes and base else None for kind in classes
    }
    assert drawn == defined, "Draw each class of contit_mcp/errors.py in its docstring, below the one it derives from."
