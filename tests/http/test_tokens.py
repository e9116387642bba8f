"""Mode `token`: whose token passes, and how a list of tokens is written."""

from collections.abc import Iterator
from pathlib import Path

import pytest

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
        server.call("contit_status", {"thread_id": ADA, "run_id": ADA}, X_Api_Key=ADA, **bearer(ADA))
        server.last("call.finished", tool="contit_status")
    for token in (ADA, BOB, NEW, "wrong-token"):
        assert token[:11] not in server.stderr, "neither a token nor a wrong one is ever logged, nor its beginning"


UNKNOWN = ["wrong-token-0123456789-ab", ADA[:-1], f"{ADA}x", ADA.upper(), "ada", f"ada:{ADA}"]
NO_TOKEN = [
    *(f"Authorization: {text}\r\n" for text in (
        f"Bearer {ADA}\r\nAuthorization: Bearer {ADA}", f"Bearer {ADA}, Bearer {BOB}", f"Bearer {ADA} {BOB}", ADA,
        "Bearer tökén-0123456789-abcdef", "Basic YWRhOmFkYQ==", "Bearer ", "Bearer " + "a" * 20_000,
    )),
    "", f"X-Api-Key: {ADA}\r\nCookie: token={ADA}\r\nProxy-Authorization: Bearer {ADA}\r\n",
]  # fmt: skip
CREDENTIALS = [
    *((f"Authorization: Bearer {token}\r\n", 'Bearer error="invalid_token"') for token in UNKNOWN),
    *((lines, "Bearer") for lines in NO_TOKEN),
]


@pytest.mark.parametrize(("lines", "challenge"), CREDENTIALS)
def test_without_one_known_token_nothing_is_served(server: Served, lines: str, challenge: str) -> None:
    """The challenge says whether a token was refused or there was none (documented: RFC 6750, 3)."""
    head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Type: application/json\r\n"
    status, headers, body = server.raw(f"{head}{lines}\r\n{{}}".encode())
    assert (status, headers["www-authenticate"]) == (401, challenge)
    assert body.startswith(b'{"error":')
    assert len(body) < 200
    assert ADA.encode() not in body
    server.assert_unharmed()


def test_no_method_passes_without_a_token_nor_with_one_in_the_url(server: Served) -> None:
    """Proxies would log it (documented: MCP authorization, "Token Requirements")."""
    for method in ("GET", "DELETE", "PUT", "OPTIONS"):
        assert server.http.request(method, server.url).status_code == 401
    for name in ("access_token", "token"):
        assert server.post(INITIALIZE, url=f"{server.url}?{name}={ADA}").status_code == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
def test_a_known_token_passes_under_its_name(server: Served, scheme: str) -> None:
    """The scheme ignores case (documented: RFC 9110, 11.1)."""
    assert server.post(rpc("ping"), Authorization=f"{scheme} {BOB}").status_code == 200
    assert server.last("http.request", caller="bob")["status"] == 200


def test_a_changed_file_is_used_at_once_and_a_broken_one_lets_nobody_in(server: Served, tokens_file: Path) -> None:
    """A withdrawn token does not stay valid because the file is broken."""
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


UNREADABLE = [
    "", "ada", f"ada {ADA}", f":{ADA}", f"a b:{ADA}", f"{'n' * 65}:{ADA}", f"ada:{ADA},bob", f"ada:{ADA},ada:{BOB}",
    f"ada:{ADA},bob:{ADA}", f"ada:{ADA[:19]}", f"ada:{ADA}{'x' * LONGEST_TOKEN}", f"ada:{ADA} x", f"ada:{ADA}é",
]  # fmt: skip


@pytest.mark.parametrize("text", UNREADABLE)
def test_a_list_of_tokens_that_is_not_as_documented_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="must|holds") as raised:
        parse_tokens(text)
    assert ADA[:19] not in str(raised.value)


def test_names_and_tokens_have_their_documented_characters_and_lengths() -> None:
    expected = {"A.d_a-1@x": "~!" * 10, "n" * 64: "t" * LONGEST_TOKEN}
    assert parse_tokens(" , ".join(f"{name}:{token}" for name, token in expected.items())) == expected
