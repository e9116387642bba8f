"""Files as people and editors leave them: other servers, comments, odd white space, marks and line ends."""

import json
import re
from typing import Any

from hypothesis import strategies as st

from contit_mcp.hosts.host import Host

WORDS = ("a", "disabled", "env", "args", "über", "x y", "//", "/* */", '"', "\\", "{", "}", ",", "#", "contit", "°")
TOML_BLOCKS = (
    "# a comment\n",
    'model = "o3"\n',
    "\n\n",
    "[tools]\nweb_search = true # yes\n",
    '[mcp_servers.other]\ncommand = \'npx\'\nargs = [\n  "-y", # why\n  "other",\n]\n',
    '[mcp_servers."quoted name".env]\nKEY = "value"\n',
    '[profiles.deep]\nprompt = """\n[mcp_servers.contit-assistant]\nis only text\n"""\n',
    "[[rules]]\nname = 'first'\n\n[[rules]]\nname = 'second'\n",
    "# [mcp_servers.contit-assistant]\n# command = 'not yet'\n",
    "\ttabbed = 1\n",
)
YAML_BLOCKS = (
    "# a comment\n",
    "\n",
    "name: Mine\n",
    "version: 1.0.0 # yes\n",
    "models:\n  - name: one\n    provider: openai\n\n  # two\n  - name: two\n",
    "prompt: |\n  extensions:\n    contit-assistant: only text\n\n",
    "folded: >-\n   some\n   text\n",
    "flow: {a: 1, b: [x, y]}\n",
    "anchored: &here\n  key: value\nagain: *here\n",
    "'quoted: key': \"a # b\"\n",
)


def json_document(draw: st.DrawFn, host: Host) -> str:
    """JSON with comments and trailing commas, in any style."""
    random = draw(st.randoms(use_true_random=False))
    others = {
        name: {"command": "npx", "args": [random.choice(WORDS)]} for name in random.sample(WORDS, random.randint(0, 3))
    }
    value: dict[str, Any] = {
        name: random.choice((1, True, None, "text", [], [1, {"a": {}}])) for name in WORDS[:4] if random.random() < 0.5
    }
    if random.random() < 0.7:
        value[host.section] = others
    if random.random() < 0.3:
        value["inputs"] = [{"id": "other", "type": "promptString"}] * random.randint(0, 2)
    items = random.sample(list(value.items()), len(value))
    text = json.dumps(dict(items), indent=random.choice((None, 0, 2, 4, "\t")), ensure_ascii=random.random() < 0.5)
    if random.random() < 0.3:
        text = re.sub(r"([^\s\[{,])(\n\s*[\]}])", r"\1,\2", text)
    if random.random() < 0.6:
        noise = ("\n", "\n", "\n\n", "// [ ,\n", ' /* { " */\n')
        text = "/* , */" + re.sub("\n", lambda _: random.choice(noise), text) + " // }"
    return text


def toml_document(draw: st.DrawFn, _: Host) -> str:
    """TOML made of blocks, each at most once; what stands without a table comes first."""
    blocks = draw(st.lists(st.sampled_from(TOML_BLOCKS), unique=True, max_size=6))
    return "".join(sorted(blocks, key=lambda block: "[" in block and block[0] != "#"))


def yaml_document(draw: st.DrawFn, host: Host) -> str:
    """YAML made of blocks, with the host's section in one of its spellings or without it."""
    other, empty, one = "other:\n{0}  type: stdio # kept\n{0}  cmd: npx\n", "{}", "{other: {cmd: npx}}"
    if host.named_by:
        other, empty, one = "- name: other\n{0}  command: npx\n", "[]", '[{name: "other"}]'
    spellings = [f"{host.section}:{rest}\n" for rest in ("", f" {empty}", " # none yet", f" {one}")]
    for indent in ("", "  ", "    ") if host.named_by else ("  ", "    "):
        spellings.append(f"{host.section}:\n{indent}{other.format(indent)}")
        spellings.append(f"{host.section}:\n{indent}# first\n{indent}{other.format(indent)}{indent}# last\n")
    blocks = draw(st.lists(st.sampled_from(YAML_BLOCKS), unique=True, max_size=6))
    section = draw(st.lists(st.sampled_from(spellings), max_size=1))
    return "".join(draw(st.permutations([*blocks, *section])))


@st.composite
def documents(draw: st.DrawFn, host: Host) -> str:
    """A file of the host's format, with or without a byte order mark, carriage returns, and a line end at its end."""
    text = {"json": json_document, "toml": toml_document, "yaml": yaml_document}[host.format](draw, host)
    text = text if draw(st.booleans()) else text.rstrip("\n")
    text = text.replace("\n", draw(st.sampled_from(("\n", "\r\n"))))
    return ("\ufeff" if draw(st.booleans()) else "") + text
