"""What the documents say about hosts, and which errors they explain, is so."""

import ast
import json
import re

from contit_mcp.hosts.table import HOSTS
from contit_mcp.server.host_waits import WaitPolicy
from tests.rules.tree import ROOT, modules, told

HOSTS_PAGE = (ROOT / "docs" / "hosts.md").read_text(encoding="utf-8")
TROUBLE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")


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
