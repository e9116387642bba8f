"""`contit-mcp check` finds what keeps clients from signing in, and says whose side has to change it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from contit_mcp.cli.check_sign_in import check_sign_in
from contit_mcp.cli.findings import Finding
from contit_mcp.config.sources import load_settings
from tests.children import COMMAND, Served, free_port, in_thread
from tests.contit.test_tls_and_proxies import make_authority
from tests.http.issuer import AUDIENCE, OAUTH, Issuer, issuing

pytestmark = pytest.mark.anyio


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as issuer:
        says(issuer)
        yield issuer


def says(issuer: Issuer, **more: Any) -> None:
    """Publish metadata of an issuer that people can sign in at, with `more`; None leaves a field out."""
    issuer.says()
    ((place, metadata),) = issuer.metadata.items()
    endpoints = {name: f"https://login.example/{name}" for name in ("authorization_endpoint", "token_endpoint")}
    found = {**metadata, **endpoints, "code_challenge_methods_supported": ["S256"], **more}
    issuer.metadata = {place: {name: value for name, value in found.items() if value is not None}}


async def check(issuer: Issuer, token_file: Path | None = None, **environment: str) -> list[Finding]:
    """Return all findings; only a failure has a hint."""
    given = issuer.settings(CONTIT_MCP_PUBLIC_URL=f"http://127.0.0.1:{free_port()}/mcp") | environment
    with anyio.fail_after(30):
        findings = await check_sign_in(load_settings(environment=given), token_file)
    for finding in findings:
        assert (finding.hint is None) == (finding.good is not False), finding
    return findings


async def test_all_is_well_where_a_client_can_sign_in(issuer: Issuer, tmp_path: Path) -> None:
    """This server's metadata, the issuer's (RFC 8414 has another place for it), its keys, and a token."""
    (tmp_path / "token").write_text(issuer.token() + "\n", encoding="utf-8")
    port = free_port()
    url = f"http://127.0.0.1:{port}/mcp"
    environment = issuer.settings(CONTIT_MCP_PUBLIC_URL=url, CONTIT_MCP_JWT_AUDIENCE=AUDIENCE)
    with Served(environment, command=(*COMMAND, "http", "--port", str(port))):
        findings = await check(issuer, tmp_path / "token", **environment)
    assert [finding.verdict for finding in findings] == [
        'names the issuer and the scopes ["openid"]',
        "clients get an id by registration by hand only",
        "2 can be used",
        'accepted; its caller is "ada"',
    ]
    assert all(finding.good for finding in findings)
    issuer.metadata = {OAUTH: next(iter(issuer.metadata.values()))}
    assert [finding.good for finding in await check(issuer)] == [None, True, True]


async def test_problems_of_this_servers_own_metadata_are_told_apart(issuer: Issuer) -> None:
    """The server is not started, a proxy hides the metadata, or they are of another server or another issuer."""
    own, *_ = await check(issuer)
    assert (own.good, "start the server" in own.verdict) == (None, True)
    with in_thread(Issuer().app()) as url:
        own, *_ = await check(issuer, CONTIT_MCP_PUBLIC_URL=f"{url}/mcp")
    assert (own.good, "answers 404" in own.verdict, "proxy" in f"{own.hint}") == (False, True, True)
    metadata: dict[str, Any] = {}
    path = "/.well-known/oauth-protected-resource/mcp"
    with in_thread(Starlette(routes=[Route(path, lambda _: JSONResponse(metadata))])) as url:
        for resource, servers in ((f"{url}/mcp", ["https://x.example"]), ("https://x.example/mcp", [issuer.url])):
            metadata |= {"resource": resource, "authorization_servers": servers}
            own, *_ = await check(issuer, CONTIT_MCP_PUBLIC_URL=f"{url}/mcp")
            assert (own.good, "this server's side" in own.verdict) == (False, True)


@pytest.mark.parametrize(
    ("more", "good", "named"),
    [
        ({"authorization_endpoint": None}, False, "authorization_endpoint"),
        ({"token_endpoint": None}, False, "token_endpoint"),
        ({"code_challenge_methods_supported": None}, None, "PKCE"),  # as at Entra ID
        ({"code_challenge_methods_supported": ["plain"]}, False, "PKCE"),
        ({"code_challenge_methods_supported": "S256"}, False, "PKCE"),
    ],
)
async def test_a_gap_in_the_issuers_metadata_is_reported_as_the_issuers_side(
    issuer: Issuer, more: dict[str, Any], good: bool | None, named: str
) -> None:
    says(issuer, **more)
    _, metadata, keys = await check(issuer)
    assert (metadata.good, keys.good) == (good, True)
    assert named in metadata.verdict
    assert good is not False or "the issuer's side" in metadata.verdict


async def test_problems_of_the_issuers_answers_are_told_apart(issuer: Issuer, tmp_path: Path) -> None:
    """A slash too many (RFC 8414, 3.3), another issuer, no metadata, no keys, a closed port, an unknown CA."""
    _, metadata, keys = await check(issuer, CONTIT_MCP_JWT_ISSUER=f"{issuer.url}/")
    assert (metadata.good, keys.good, "this server's side" in metadata.verdict) == (False, True, True)
    assert metadata.hint == f"Set CONTIT_MCP_JWT_ISSUER={issuer.url}"
    issuer.says(issuer="https://other.example")
    assert all("of this issuer" in finding.verdict for finding in (await check(issuer))[1:])
    issuer.metadata = {}
    assert all("answers 404" in finding.verdict for finding in (await check(issuer))[1:])
    says(issuer)
    issuer.keys = []
    assert [finding.good for finding in await check(issuer)] == [None, True, False]
    gone = Issuer(f"http://127.0.0.1:{free_port()}")
    assert all("nothing listens there" in finding.verdict for finding in (await check(gone))[1:])
    authority, issuer = make_authority(tmp_path), Issuer()
    with in_thread(issuer.app(), ssl_certfile=tmp_path / "server.pem") as url:
        issuer.url = url.replace("http:", "https:")
        says(issuer)
        assert all("is not trusted" in finding.verdict for finding in (await check(issuer))[1:])
        assert all(finding.good for finding in (await check(issuer, CONTIT_CA_FILE=str(authority.file)))[1:])
    (finding,) = await check(Issuer("https://x.example"), CONTIT_CA_FILE=str(tmp_path / "none"))
    assert "none" in finding.verdict
    (finding,) = await check(issuer, None, CONTIT_MCP_PUBLIC_URL="")
    assert "CONTIT_MCP_PUBLIC_URL" in finding.verdict


TOKENS: dict[str, tuple[Callable[[Issuer], str], str, str]] = {  # how it is made, part of verdict and hint
    "expired": (lambda i: i.token(exp=1), "expired", "Get a new one"),
    "of another audience": (lambda i: i.token(aud="api"), "audience", '"api"'),
    "of another issuer": (lambda i: i.token(iss="https://x.example"), "another issuer", '"https://x.example"'),
    "without scopes": (lambda i: i.token(), "lacks the scope contit.ask; it has null", '["api://x/contit.ask"]'),
    "with another scope": (lambda i: i.token(scp=["ask"]), 'it has ["ask"]', "CONTIT_MCP_JWT_SCOPES"),
    "bound to a key": (lambda i: i.token(cnf={"jkt": "x"}), "(cnf)", "DPoP"),
    "for the client": (lambda i: i.token(nonce="n"), "id token", "send the access token"),
    "of an unknown key": (lambda i: i.token(headers={"kid": "x"}), "not a valid one", '"kid": "x"'),
    "without a subject": (lambda i: i.token(sub=None), "not a valid one", "sub"),
    "opaque": (lambda _: "opaque-token", "not a signed JWT", "audience"),
    "binary": (lambda _: "\udcff", "cannot be read", "text file"),
}


@pytest.mark.parametrize("case", TOKENS)
async def test_a_token_is_judged_as_the_server_would(issuer: Issuer, tmp_path: Path, case: str) -> None:
    """The finding quotes claims of the token, and never the token."""
    make, verdict, hint = TOKENS[case]
    file, text = tmp_path / "token", make(issuer)
    file.write_text(text, encoding="utf-8", errors="surrogateescape")
    scopes = {"CONTIT_MCP_JWT_SCOPES": "contit.ask", "CONTIT_MCP_JWT_ADVERTISED_SCOPES": "api://x/contit.ask"}
    *_, token = await check(issuer, file, CONTIT_MCP_JWT_AUDIENCE=AUDIENCE, **scopes)
    assert token.good is False
    assert verdict in token.verdict
    assert hint in f"{token.hint}"
    assert text.strip()[-20:] not in f"{token}" or len(text) < 20


async def test_where_a_proxy_signs_in_only_keys_and_tokens_are_checked(issuer: Issuer, tmp_path: Path) -> None:
    """Clients talk to the proxy alone, and it serves the metadata."""
    (tmp_path / "token").write_text(issuer.token(), encoding="utf-8")
    issuer.metadata = {}
    proxy = {"CONTIT_MCP_JWT_HEADER": "Cf-Access-Jwt-Assertion", "CONTIT_MCP_JWT_JWKS_URL": f"{issuer.url}/keys"}
    found = await check(issuer, tmp_path / "token", CONTIT_MCP_JWT_AUDIENCE=AUDIENCE, **proxy)
    assert [finding.good for finding in found] == [None, True, True]
    assert "Cf-Access-Jwt-Assertion" in found[0].verdict
