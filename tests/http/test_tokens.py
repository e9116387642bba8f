"""Mode `token`: whose token passes, and how a list of tokens is written."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contit_mcp.config.settings import LONGEST_TOKEN, parse_tokens
from tests.children import INITIALIZE, SEAL_KEY, Contit, Served, rpc
from tests.http.issuer import bearer

ADA, BOB, NEW = "ada-token-0123456789-ab", "bob-token-0123456789-ab", "new-token-0123456789-ab"


@pytest.fixture(scope="module")
def tokens_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("tokens") / "tokens"
    file.write_text(f"ada:{ADA},bob:{BOB}\n")
    return file


@pytest.fixture(scope="module")
def server(upstream: Contit, tokens_file: Path) -> Iterator[Served]:
    environment = {"CONTIT_MCP_AUTH": "token", "CONTIT_MCP_TOKENS_FILE": str(tokens_file)}
    environment |= {"CONTIT_BASE_URL": upstream.url, "CONTIT_API_KEY": "sandbox-key", "CONTIT_MCP_SEAL_KEY": SEAL_KEY}
    with Served(environment, errors_expected=frozenset({"tokens.unusable"})) as server:
        yield server
        for arguments in ({"thread_id": ADA, "run_id": ADA}, {}):
            server.call("contit_status", arguments, X_Api_Key=ADA, **bearer(ADA))
        server.last("call.finished", tool="contit_status")
    for token in (ADA, BOB, NEW, "wrong-token"):
        assert token[:11] not in server.stderr, "no token is ever logged, nor a wrong one, nor its ends"


TWO_HEADERS = f"Bearer {ADA}\r\nAuthorization: Bearer {ADA}"
REFUSED = ["wrong-token-0123456789-ab", ADA[:-1], f"{ADA}x", ADA.upper(), "ada", f"ada:{ADA}"]
UNSEEN = [TWO_HEADERS, f"Bearer {ADA}, Bearer {BOB}", f"Bearer {ADA} {BOB}", "Bearer tökén-0123456789-abcdef",
          "Basic YWRhOmFkYQ==", ADA, "Bearer ", "Bearer " + "a" * 20_000]  # fmt: skip
CREDENTIALS: list[tuple[str, bool]] = [
    *((f"Authorization: Bearer {token}\r\n", True) for token in REFUSED),
    *((f"Authorization: {text}\r\n", False) for text in UNSEEN),
    ("", False),
    (f"X-Api-Key: {ADA}\r\nCookie: token={ADA}\r\nProxy-Authorization: Bearer {ADA}\r\n", False),
]


@pytest.mark.parametrize(("lines", "refused"), CREDENTIALS)
def test_without_one_known_token_nothing_is_served(server: Served, lines: str, refused: bool) -> None:
    """The challenge says whether one was refused, or none was seen (documented: RFC 6750, 3)."""
    head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Type: application/json\r\n"
    status, headers, body = server.raw(f"{head}{lines}\r\n{{}}".encode())
    assert status == 401
    assert headers["www-authenticate"] == ('Bearer error="invalid_token"' if refused else "Bearer")
    assert body.startswith(b'{"error":')
    assert len(body) < 200
    assert ADA.encode() not in body
    server.assert_unharmed()


def test_no_method_passes_without_a_token_nor_with_one_in_the_address(server: Served) -> None:
    """It would be in logs of proxies (documented: MCP authorization, "Token Requirements")."""
    for method in ("GET", "DELETE", "PUT", "OPTIONS"):
        assert server.http.request(method, server.url).status_code == 401
    for name in ("access_token", "token"):
        assert server.post(INITIALIZE, url=f"{server.url}?{name}={ADA}").status_code == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
def test_a_known_token_passes_under_its_name(server: Served, scheme: str) -> None:
    """The scheme's letters may be large or small (documented: RFC 9110, 11.1)."""
    assert server.post(rpc("ping"), Authorization=f"{scheme} {BOB}").status_code == 200
    assert server.last("http.request", caller="bob")["status"] == 200


def test_changed_tokens_hold_at_once_and_broken_ones_let_nobody_in(server: Served, tokens_file: Path) -> None:
    """A withdrawn token must not live on because its file is broken."""
    before = tokens_file.read_text()
    tokens_file.write_text(f"ada:{NEW}")
    assert server.post(rpc("ping"), **bearer(ADA)).status_code == 401
    assert server.post(rpc("ping"), **bearer(NEW)).status_code == 200
    for broken in (f"ada:{NEW},bob", "", "ada:short", None):
        tokens_file.unlink() if broken is None else tokens_file.write_text(broken)
        refused = server.post(rpc("ping"), **bearer(NEW))
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
        assert refused.json()["error"] == "tokens_unusable"
    short = "must give 'ada' a token of 20 to 8192 printable ASCII characters"
    server.last("tokens.unusable", problem=f"The text of {tokens_file} {short}.")
    missing = "The file that CONTIT_MCP_TOKENS_FILE names cannot be read: No such file or directory."
    server.last("tokens.unusable", problem=missing)
    tokens_file.write_text(before)
    assert server.post(rpc("ping"), **bearer(ADA)).status_code == 200
    server.assert_unharmed()


NAMES = st.from_regex(r"[A-Za-z0-9_.@-]{1,64}", fullmatch=True)
TOKENS = st.text(st.characters(codec="ascii", exclude_characters=","), min_size=18, max_size=24)


@given(st.lists(st.tuples(NAMES | st.text(max_size=3), TOKENS), max_size=4))
def test_tokens_are_read_as_written_or_refused_without_being_quoted(entries: list[tuple[str, str]]) -> None:
    """Against a description of the list in one regular expression."""
    text = ",".join(f"{name}:{token}" for name, token in entries)
    parts = [part.strip() for part in text.split(",") if part.strip()]
    read = [re.fullmatch(rf"([A-Za-z0-9_.@-]{{1,64}}):([\x21-\x7e]{{20,{LONGEST_TOKEN}}})", part) for part in parts]
    pairs = [(found[1], found[2]) for found in read if found]
    once = len({name for name, _ in pairs}) == len({token for _, token in pairs}) == len(parts)
    if pairs and len(pairs) == len(parts) and once:
        assert parse_tokens(text) == dict(pairs)
    else:
        with pytest.raises(ValueError, match="must|holds") as raised:
            parse_tokens(text)
        assert not any(token in str(raised.value) for _, token in entries)
