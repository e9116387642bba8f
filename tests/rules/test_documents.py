"""What the documents say about the tree, about hosts and about errors is so."""

import ast
import inspect
import json
import re
from fnmatch import fnmatch
from pathlib import Path

from contit_mcp import errors
from contit_mcp.config.settings import Settings
from contit_mcp.config.sources import CONFIG_VARIABLE, load_settings
from contit_mcp.hosts.table import HOSTS
from contit_mcp.server.host_waits import WaitPolicy
from tests.rules.tree import PACKAGE, ROOT, kept_files, modules, place, told

HOSTS_PAGE = (ROOT / "docs" / "hosts.md").read_text(encoding="utf-8")
TROUBLE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")


def test_the_map_shows_every_room() -> None:
    """Each module and package directly in contit_mcp is on the map of docs/architecture.md."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    shown = {word.removeprefix("contit_mcp/").removesuffix("/") for word in re.findall(r"`([\w*./]+)`", page)}
    rooms = [path.parent.name for path in PACKAGE.glob("*/__init__.py")]
    rooms += [path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__")]
    missing = [room for room in sorted(rooms) if not any(fnmatch(room, pattern) for pattern in shown)]
    assert not missing, told(missing, "Give each a line of the map in docs/architecture.md: what it knows.")


def test_links_between_documents_arrive() -> None:
    dead = [
        f"{place(path)}: {target}"
        for path in kept_files()
        if path.suffix == ".md"
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8"))
        if not re.match(r"[a-z]+:", target) and not (path.parent / target).exists()
    ]
    assert not dead, told(dead, "Correct the link, or write the page.")


def test_what_answers_a_threat_is_where_the_threat_model_says() -> None:
    """Each file that docs/security.md names is there."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[\w.-]+/)+[\w-]+\.\w+)`", text))
    missing = sorted(name for name in named if not (ROOT / name).exists())
    assert len(named) > 30
    assert not missing, told(missing, "Say where it is now, in docs/security.md.")


def test_every_document_names_settings_that_exist() -> None:
    """Every CONTIT_MCP_… name in docs/, and every CONTIT_… name in the README."""
    known = {str(field.alias) for field in Settings.model_fields.values()} | {CONFIG_VARIABLE, "CONTIT_MCP_TLS"}
    wrong = [
        f"{place(path)}: {name}"
        for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
        for name in re.findall(rf"CONTIT_{'' if path.parent == ROOT else 'MCP_'}[A-Z_]*[A-Z]", path.read_text("utf-8"))
        if name not in known
    ]
    assert not wrong, told(wrong, "Write the setting's name as it is.")


def test_the_readmes_first_screen_is_three_steps_to_an_answer() -> None:
    """Install, tell the host, ask: within 40 lines; tests/cli/test_install.py follows them."""
    first = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:40]
    assert [line[:2] for line in first if re.match(r"\d\. ", line)] == ["1.", "2.", "3."]
    assert "   ~/.contit-mcp/bin/contit-mcp install claude-desktop --sandbox" in first


def test_the_settings_file_works_with_every_line_taken_in(tmp_path: Path) -> None:
    """As it stands, and with its comments opened: every key is known and every default valid."""
    example = (ROOT / "configs" / "contit-mcp.toml").read_text(encoding="utf-8")
    opened = re.sub(r"^# (?=[a-z_]+ = )", "", example, flags=re.MULTILINE)
    for name, text in (("as it stands.toml", example), ("opened.toml", opened)):
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        assert load_settings(file=file, environment={}) == load_settings(environment={})
    assert opened.count(" = ") >= len(Settings.model_fields)


def test_every_host_has_its_section() -> None:
    sections = dict(re.findall(r"^## (.+)\n((?:(?!^## ).*\n?)*)", HOSTS_PAGE, re.MULTILINE))
    missing = [
        f"{host.title}: {needed}"
        for host in HOSTS.values()
        for needed in (f"contit-mcp install {host.slug}`", f"configs/hosts/{host.slug}.stdio.{host.format}")
        if needed not in sections.get(host.title, "")
    ]
    assert not missing, told(missing, "Write its section of docs/hosts.md.")


def test_the_entry_by_hand_is_the_ready_one() -> None:
    """The page's JSON is configs/hosts/claude-desktop.stdio.json."""
    (block,) = re.findall(r"```json\n(.*?)```", HOSTS_PAGE, re.DOTALL)
    ready = (ROOT / "configs" / "hosts" / "claude-desktop.stdio.json").read_text(encoding="utf-8")
    assert json.loads(block) == json.loads(ready)


def test_the_waits_are_those_of_the_table() -> None:
    """Each row with a host's own name."""
    rows = re.findall(r"^\|[^|]*\| `([\w-]+)` \| (\d+) s \|", HOSTS_PAGE, re.MULTILINE)
    assert len(rows) >= 6
    for name, seconds in rows:
        assert WaitPolicy().seconds(None, host=name) == float(seconds), name
    assert WaitPolicy().seconds(None, host="some-host") == 45.0


def test_every_error_that_is_explained_is_one_of_ours() -> None:
    """A quoted line of docs/troubleshooting.md is a text of the code, with … for what varies."""
    quoted = re.findall(r"^> (.+)$", TROUBLE, re.MULTILINE)
    assert len(quoted) > 20
    ours = _texts()
    unknown = [text for text in quoted if not re.search(".*".join(map(re.escape, text.split("…"))), ours)]
    assert not unknown, told(unknown, "Write the text as the code has it.")


def _texts() -> str:
    """Every string of the code in a line, with … for what is filled in."""
    found = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
                found.append("".join(parts).replace("\n", " "))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value.replace("\n", " "))
    return "\n".join(found)


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
