"""The documents are right about the tree, hosts, settings and errors."""

import ast
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


def test_each_module_and_package_of_the_top_level_is_on_the_map_of_the_architecture() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    shown = {word.removeprefix("contit_mcp/").removesuffix("/") for word in re.findall(r"`([\w*./]+)`", page)}
    parts = [path.parent.name for path in PACKAGE.glob("*/__init__.py")]
    parts += [path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__")]
    missing = [part for part in sorted(parts) if not any(fnmatch(part, pattern) for pattern in shown)]
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


def test_each_file_that_the_threat_model_names_exists() -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[\w.-]+/)+[\w-]+\.\w+)`", text))
    missing = sorted(name for name in named if not (ROOT / name).exists())
    assert len(named) > 30
    assert not missing, told(missing, "Correct the path in docs/security.md.")


def test_every_document_names_settings_that_exist() -> None:
    """Every CONTIT_MCP_… name in docs/, and every CONTIT_… name in the README."""
    known = {str(field.alias) for field in Settings.model_fields.values()} | {CONFIG_VARIABLE}
    wrong = [
        f"{place(path)}: {name}"
        for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
        for name in re.findall(rf"CONTIT_{'MCP_' * (path.parent != ROOT)}[A-Z_]*[A-Z]\b", path.read_text("utf-8"))
        if name not in known
    ]
    assert not wrong, told(wrong, "Write the setting's name as it is.")


def test_the_settings_files_can_be_used(tmp_path: Path) -> None:
    """Each line of the commented one is a known key and its default."""
    commented, opened = ROOT / "configs" / "contit-mcp.toml", tmp_path / "opened.toml"
    text = re.sub(r"^# (?=[a-z_]+ = )", "", commented.read_text(encoding="utf-8"), flags=re.MULTILINE)
    opened.write_text(text, encoding="utf-8")
    assert text.count(" = ") >= len(Settings.model_fields)
    for file in (commented, opened):
        assert load_settings(file=file, environment={}) == load_settings(environment={})
    assert load_settings(file=ROOT / "configs" / "container" / "contit-mcp.toml", environment={})


def test_every_host_has_its_section_in_the_page_of_hosts() -> None:
    sections = dict(re.findall(r"^## (.+)\n((?:(?!^## ).*\n?)*)", HOSTS_PAGE, re.MULTILINE))
    missing = [
        f"{host.title}: {needed}"
        for host in HOSTS.values()
        for needed in (f"contit-mcp install {host.slug}`", f"configs/hosts/{host.slug}.stdio.{host.format}")
        if needed not in sections.get(host.title, "")
    ]
    assert not missing, told(missing, "Write its section of docs/hosts.md.")


def test_the_entry_in_the_page_of_hosts_is_the_ready_one_for_claude_desktop() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", HOSTS_PAGE, re.DOTALL)
    ready = (ROOT / "configs" / "hosts" / "claude-desktop.stdio.json").read_text(encoding="utf-8")
    assert json.loads(block) == json.loads(ready)


def test_the_page_of_hosts_has_the_waits_that_hosts_get() -> None:
    rows = re.findall(r"^\|[^|]*\| `([\w-]+)` \| (\d+) s \|", HOSTS_PAGE, re.MULTILINE)
    assert len(rows) >= 6
    for name, seconds in rows:
        assert WaitPolicy().seconds(None, host=name) == float(seconds), name
    assert WaitPolicy().seconds(None, host="some-host") == 45.0


def test_every_error_that_is_explained_is_one_of_ours() -> None:
    """Each quoted line of docs/troubleshooting.md is a string of the code, with … for its variable parts."""
    quoted = re.findall(r"^> (.+)$", TROUBLE, re.MULTILINE)
    assert len(quoted) > 20
    ours = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                ours.append("".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                ours.append(node.value)
    lines = "\n".join(text.replace("\n", " ") for text in ours)
    unknown = [text for text in quoted if not re.search(".*".join(map(re.escape, text.split("…"))), lines)]
    assert not unknown, told(unknown, "Write the text as the code has it.")


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    """A line may name several classes, and belongs to the class above it that is less indented."""
    drawn: set[str] = set()
    above: list[str] = ["Exception"]
    for line in str(errors.__doc__).split("\n\n")[1].splitlines():
        depth = (len(line) - len(line.lstrip("│├└─ "))) // 4
        names = re.findall(r"\b[A-Z]\w*Error\b", line)
        for name in names:
            assert getattr(errors, name).__base__.__name__ == above[depth], f"{name} is drawn below another class."
        above[depth + 1 :] = names[-1:]
        drawn |= set(names)
    defined = {name for name, kind in vars(errors).items() if isinstance(kind, type)}
    assert drawn == defined, "Draw each class of contit_mcp/errors.py in its docstring, below the one it derives from."
