"""What the documents say about the tree is so."""

import re
from fnmatch import fnmatch
from pathlib import Path

from contit_mcp.config.settings import Settings
from contit_mcp.config.sources import CONFIG_VARIABLE, load_settings
from tests.rules.tree import PACKAGE, ROOT, kept_files, place, told


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
