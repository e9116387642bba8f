"""House rules. Each failure says how to comply."""

import ast
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from contit_mcp.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "contit_mcp").rglob("*.py"))
TRACKED = [
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    if (ROOT / name).is_file()
]
MAX_LINES = 260


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_short_documented_and_quiet(module: Path) -> None:
    """So that a stranger can read it in one go."""
    text = module.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert len(text.splitlines()) <= MAX_LINES, "split it by concept"
    assert ast.get_docstring(tree), "say in a docstring what the module is for"
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Call | ast.ExceptHandler):
            continue
        if isinstance(node, ast.stmt) and node in tree.body and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"say what {node.name} is"
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in {"print", "logging.basicConfig"}, "stdout belongs to the protocol"
        if isinstance(node, ast.ExceptHandler):
            assert not (len(node.body) == 1 and isinstance(node.body[0], ast.Pass) and node.type is None), "say which"
    if module.name == "__init__.py":
        rest = [node for node in tree.body[1:] if not isinstance(node, ast.Assign)]
        assert rest == [], "a package's __init__ is a docstring"


def test_no_registry_host_and_no_path_of_a_machine_is_committed() -> None:
    """They differ from place to place."""
    hosts = ["py" + "pi.org", "python" + "hosted", "registry." + "npmjs", "deb." + "debian"]
    forbidden = re.compile("|".join(map(re.escape, [*hosts, "/work" + "/main", "/root" + "/"])))
    for path in TRACKED:
        found = forbidden.search(path.read_text(encoding="utf-8", errors="replace"))
        assert found is None, f"{path.relative_to(ROOT)} holds {found and found.group()}: take it out"


def test_every_dependency_is_explained() -> None:
    """In one line of docs/architecture.md."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] + [one for extra in project["optional-dependencies"].values() for one in extra]
    explained = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for requirement in wanted:
        name = re.split(r"[^a-z0-9-]", requirement)[0]
        assert re.search(rf"^- .*`{name}`.*: ", explained, re.MULTILINE), f"explain {name} under Dependencies"


def test_the_map_names_every_room() -> None:
    """docs/architecture.md and the tree agree."""
    described = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for path in (ROOT / "contit_mcp").iterdir():
        if path.name.startswith("_") or path.suffix not in {"", ".py"}:
            continue
        stem = "settings_" if path.name.startswith("settings_") else path.name
        assert stem in described, f"say in docs/architecture.md what {path.name} knows"


def test_a_skipped_test_says_why() -> None:
    """And is counted."""
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith(
                ("pytest.mark.skip", "pytest.mark.xfail")
            ):
                assert any(keyword.arg == "reason" for keyword in node.keywords), f"{path.name}: give a reason"


def test_the_readmes_entry_is_a_command_that_exists() -> None:
    """Its JSON parses, its command and arguments are ours, its variables are settings."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```json\n(.*?)```", readme, re.DOTALL)
    entry = json.loads(block)["mcpServers"]["contit-assistant"]
    assert entry["command"].endswith("/contit-mcp")
    assert entry["args"] == ["stdio"]
    settings = (ROOT / "contit_mcp" / "settings.py").read_text(encoding="utf-8")
    for name in re.findall(r"CONTIT_[A-Z_]+", readme):
        assert f'"{name}"' in settings, f"{name} is no setting"


def test_links_in_documents_lead_somewhere() -> None:
    """Files move; links do not follow."""
    for path in TRACKED:
        if path.suffix == ".md":
            for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8")):
                assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_the_settings_file_works_with_every_line_taken_in(tmp_path: Path) -> None:
    """As it stands, and with its comments opened: then every key is known and every default valid."""
    example = (ROOT / "configs" / "contit-mcp.toml").read_text(encoding="utf-8")
    opened = re.sub(r"^# (?=[a-z_]+ = )", "", example, flags=re.MULTILINE)
    for name, text in (("as it stands.toml", example), ("opened.toml", opened)):
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        assert load_settings(file=file, environment={}) == load_settings(environment={})
    assert opened.count(" = ") >= len(Settings.model_fields)
