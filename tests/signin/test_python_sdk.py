"""From a bare URL to an answer with the Python SDK's own OAuth client."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.children import Served, in_thread
from tests.contit.test_tls_and_proxies import make_authority
from tests.http.issuer import KeyPair
from tests.signin.python_client import CALLBACK, Person
from tests.signin.stage import FIRST, Stage, stage

pytestmark = pytest.mark.anyio

QUESTIONS = ("How many drafts are there?", "How many pages are there?", "How many products are there?")
ALL_SCOPES = "contit:ask contit:read"


@pytest.mark.parametrize("revoked", [False, True])
async def test_it_registers_logs_in_and_renews_its_token_without_the_person(scene: Stage, revoked: bool) -> None:
    """It requests the advertised scope. After the revocation of the refresh token the person logs in again."""
    scene.provider.order(accessSeconds=1)
    person = Person()
    async with person.session(scene.url) as ask:
        assert "draft" in await ask(QUESTIONS[0])
        assert person.logins == ["contit:ask offline_access"]
        assert any(line.startswith("POST /reg 201") for line in scene.provider.order())
        assert scene.answered()[-1]["outcome"] == "completed"
        first = person.tokens
        assert first is not None
        assert person.client is not None
        if revoked:
            given = {"token": first.refresh_token, "client_id": person.client.client_id}
            given |= {"client_secret": person.client.client_secret} if person.client.client_secret else {}
            async with httpx.AsyncClient(trust_env=False) as http:
                answer = await http.post(f"{scene.provider.issuer}/token/revocation", data=given)
            assert answer.status_code == 200, answer.text
        await anyio.sleep(1.5)
        await ask(QUESTIONS[1])
    assert len(person.logins) == 1 + revoked
    assert person.tokens is not None
    assert person.tokens.access_token != first.access_token
    assert not revoked or "POST /token 400" in scene.provider.order()


@pytest.mark.parametrize("withdrawn", [False, True])
async def test_a_change_of_the_issuers_keys_costs_at_most_a_login(scene: Stage, withdrawn: bool) -> None:
    """Only if the key of the token is withdrawn does the person have to log in again."""
    person, colleague = Person(), Person()
    async with person.session(scene.url) as ask:
        await ask(QUESTIONS[0])
        scene.provider.sign_with(KeyPair(f"next, {withdrawn}"), *([] if withdrawn else [FIRST]))
        async with colleague.session(scene.url) as ask_as_well:
            await ask_as_well(QUESTIONS[1])
        await ask(QUESTIONS[2])
    assert (len(person.logins), len(colleague.logins)) == (1 + withdrawn, 1)


PLACES = [
    ("", "/.well-known/openid-configuration"),
    ("", "/.well-known/oauth-authorization-server"),
    ("/realms/x", "/realms/x/.well-known/openid-configuration"),
    ("/realms/x", "/.well-known/oauth-authorization-server/realms/x"),
    ("/realms/x", "/.well-known/openid-configuration/realms/x"),
]


@pytest.mark.parametrize(("path", "place"), PLACES)
async def test_the_issuers_metadata_is_found_at_each_well_known_url(tmp_path: Path, path: str, place: str) -> None:
    """By the client and by the server, if the issuer has it there alone."""
    with stage(tmp_path, path, only=place) as scene:
        person = Person()
        async with person.session(scene.url) as ask:
            assert "draft" in await ask()
        assert f"GET {place} 200" in scene.provider.order()


@pytest.fixture(scope="module")
def client_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Serve a client's metadata document; yield its URL and the certificate authority."""
    folder = tmp_path_factory.mktemp("client")
    authority = make_authority(folder)

    async def document(request: Request) -> JSONResponse:
        found = {"client_id": str(request.url), "client_name": "test-host", "redirect_uris": [CALLBACK]}
        grants = {"grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"]}
        return JSONResponse({**found, **grants, "token_endpoint_auth_method": "none"})

    app = Starlette(routes=[Route("/client.json", document)])
    with in_thread(app, ssl_certfile=folder / "server.pem") as url:
        yield f"{url.replace('http:', 'https:')}/client.json", authority.file


async def test_with_a_metadata_document_it_needs_no_registration(tmp_path: Path, client_page: tuple[str, Path]) -> None:
    """The URL of the document is its client id. It requests a scope that the operator adds later (step-up)."""
    page, authority = client_page
    person = Person(client_metadata_url=page)
    with stage(tmp_path, environment={"NODE_EXTRA_CA_CERTS": str(authority)}) as scene:
        async with person.session(scene.url) as ask:
            await ask(QUESTIONS[0])
        assert person.logins == ["contit:ask offline_access"]
        assert person.client is not None
        assert person.client.client_id == page
        assert not any("/reg" in line for line in scene.provider.order())
        scene.server.stop()
        changed = {**scene.server.environment, "CONTIT_MCP_JWT_SCOPES": ALL_SCOPES.replace(" ", ",")}
        with Served(changed, command=scene.server.command) as server:
            async with person.session(scene.url) as ask:
                await ask(QUESTIONS[1])
            refused = [line["status"] for line in server.named("http.request") if line["status"] >= 400]
    assert refused == [403]
    assert set(person.logins[-1].split()) >= set(ALL_SCOPES.split())
    assert len(person.logins) == 2
