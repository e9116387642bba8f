"""Our entry goes into any file of a host and comes out of it without a trace, or with a copy that is named."""

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contit_mcp.errors import ConfigurationError
from contit_mcp.hosts.formats import Addition, UneditableError, edited, read
from contit_mcp.hosts.host import Host, HostFile, LocalServer, RemoteServer, Server
from contit_mcp.hosts.installing import Installs, entry_in, install, uninstall
from contit_mcp.hosts.table import HOSTS

# --- Files as people and editors leave them: other servers, comments, odd white space, marks and line ends

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
    names = random.sample(WORDS, random.randint(0, 3))
    others = {name: {"command": "npx", "args": [random.choice(WORDS)]} for name in names}
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
    """TOML made of blocks, each at most once; keys outside of tables come first."""
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


# --- The properties

LOCAL: Server = LocalServer("/home/you/bin/contit-mcp", ("stdio",), {"CONTIT_API_KEY_FILE": 'C:\\you "x"\\key é'})
REMOTE: Server = RemoteServer("https://contit.example/mcp", "CONTIT_ASSISTANT_TOKEN")
# One host of each shape of an entry: a JSON member, one with an input beside it, a TOML table, a YAML element, a YAML member.
SLUGS = ("claude-code", "vscode", "codex", "continue", "goose")
for_each_shape = pytest.mark.parametrize("host", [HOSTS[slug] for slug in SLUGS], ids=SLUGS)


@for_each_shape
@settings(max_examples=60, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_install_and_uninstall_leave_a_file_byte_for_byte_as_it_was(host: Host, data: st.DataObject) -> None:
    """After install the file has all that it had, and our entry. A second install changes nothing."""
    text = data.draw(documents(host))
    server: Server = data.draw(st.sampled_from([LOCAL, REMOTE]))
    with tempfile.TemporaryDirectory() as folder:
        place, installs = installed(host, text, server, Path(folder))
        first = text_of(place)
        for addition in host.additions(server):
            assert addition.find(read(first, host.format)) == addition.value
        assert others(host, first) == others(host, text)
        if server is LOCAL or host.slug != "vscode":  # VS Code asks for the token
            assert entry_in(place) == server
        assert install(place, server, installs) == ("same", None)
        assert text_of(place) == first
        assert uninstall(place, installs) == {}
        assert text_of(place) == text
        assert [path.name for path in Path(folder).rglob("*") if path.is_file()] == ["file"]


@for_each_shape
@settings(max_examples=30, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data(), is_known=st.booleans())
def test_no_setting_is_lost_and_each_copy_is_named(host: Host, data: st.DataObject, *, is_known: bool) -> None:
    """The user may have added a setting after the install, and the state folder may be lost."""
    text = data.draw(documents(host))
    name = {host.named_by: "newcomer"} if host.named_by else {}
    newcomer = Addition(host.section, "newcomer", {"command": "npx"} | name, host.named_by)
    with tempfile.TemporaryDirectory() as folder:
        place, installs = installed(host, text, LOCAL, Path(folder))
        try:
            written = edited(text_of(place), host.format, removed=(), added=[newcomer])
            place.path.write_bytes(written.encode())
            copies = uninstall(place, installs if is_known else Installs(Path(folder) / "none")) or {}
        except (ConfigurationError, UneditableError):
            assert entry_in(place) == LOCAL
            return
        assert entry_in(place) is None
        document = read(text_of(place), host.format)
        assert newcomer.find(document) == newcomer.value
        assert others(host, text_of(place), newcomer) == others(host, text)
        assert [copy.read_bytes().decode() for copy in copies] == ([text, written] if is_known else [written])


def installed(host: Host, text: str, server: Server, folder: Path) -> tuple[HostFile, Installs]:
    place, installs = HostFile(host, folder / "file"), Installs(folder / "state")
    place.path.write_bytes(text.encode())
    install(place, server, installs)
    return place, installs


def text_of(place: HostFile) -> str:
    return place.path.read_bytes().decode()


def others(host: Host, text: str, *more: Addition) -> str:
    document = read(text, host.format)
    for addition in (*more, *host.additions()):
        document = addition.without(document)
    return json.dumps(document, default=repr)
