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


async def test_it_registers_logs_in_and_gets_an_answer(scene: Stage) -> None:
    """It finds the issuer, registers, requests the advertised scope, and sends its token."""
    person = Person()
    async with person.session(scene.url) as ask:
        assert "draft" in await ask()
    assert person.logins == ["contit:ask offline_access"]
    assert any(line.startswith("POST /reg 201") for line in scene.provider.order())
    assert scene.answered()[-1]["outcome"] == "completed"


async def test_it_renews_its_token_without_the_person(scene: Stage) -> None:
    """Access tokens are short; the refresh token gets new ones."""
    scene.provider.order(accessSeconds=1)
    person = Person()
    async with person.session(scene.url) as ask:
        await ask(QUESTIONS[0])
        first = person.tokens
        await anyio.sleep(1.5)
        await ask(QUESTIONS[1])
    assert len(person.logins) == 1
    assert person.tokens is not None
    assert first is not None
    assert person.tokens.access_token != first.access_token


async def test_after_its_refresh_token_was_revoked_the_person_logs_in_again(scene: Stage) -> None:
    """Nothing else can help, and the host gets there by itself."""
    scene.provider.order(accessSeconds=1)
    person = Person()
    async with person.session(scene.url) as ask:
        await ask(QUESTIONS[0])
        assert person.tokens is not None
        assert person.client is not None
        given = {"token": person.tokens.refresh_token, "client_id": person.client.client_id}
        given |= {"client_secret": person.client.client_secret} if person.client.client_secret else {}
        async with httpx.AsyncClient(trust_env=False) as http:
            revoked = await http.post(f"{scene.provider.issuer}/token/revocation", data=given)
        assert revoked.status_code == 200, revoked.text
        await anyio.sleep(1.5)
        await ask(QUESTIONS[1])
    assert len(person.logins) == 2
    assert "POST /token 400" in scene.provider.order()


async def test_the_issuers_keys_change_without_a_gap(scene: Stage) -> None:
    """A token of the new key and one of the old are both taken, at once."""
    scene.provider.order(accessSeconds=1)
    person, colleague = Person(), Person()
    async with person.session(scene.url) as ask:
        await ask(QUESTIONS[0])
        scene.provider.sign_with(KeyPair("next"), FIRST)
        await anyio.sleep(1.5)
        await ask(QUESTIONS[1])
    async with colleague.session(scene.url) as ask:
        await ask(QUESTIONS[2])
    assert (len(person.logins), len(colleague.logins)) == (1, 1)


async def test_after_its_key_was_withdrawn_the_person_logs_in_again(scene: Stage) -> None:
    """The token is refused as soon as the server has seen the new keys, and the host gets a new one."""
    person, colleague = Person(), Person()
    async with person.session(scene.url) as ask:
        await ask(QUESTIONS[0])
        scene.provider.sign_with(KeyPair("new"))
        async with colleague.session(scene.url) as ask_as_well:
            await ask_as_well(QUESTIONS[1])
        await ask(QUESTIONS[2])
    assert (len(person.logins), len(colleague.logins)) == (2, 1)


async def test_without_a_required_scope_it_can_still_sign_in(tmp_path: Path) -> None:
    """`openid` is advertised then: asked for no scope at all, this provider grants nothing and denies access."""
    with stage(tmp_path, settings={"CONTIT_MCP_JWT_SCOPES": ""}) as scene:
        person = Person()
        async with person.session(scene.url) as ask:
            assert "draft" in await ask()
    assert person.logins == ["openid offline_access"]


PLACES = {
    "": ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"),
    "/realms/x": (
        "/realms/x/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server/realms/x",
        "/.well-known/openid-configuration/realms/x",
    ),
}


@pytest.mark.parametrize(("path", "place"), [(path, place) for path, places in PLACES.items() for place in places])
async def test_the_issuers_metadata_is_found_in_each_form(tmp_path: Path, path: str, place: str) -> None:
    """By the client and by the server, where the issuer offers that form alone."""
    with stage(tmp_path, path, only=place) as scene:
        person = Person()
        async with person.session(scene.url) as ask:
            assert "draft" in await ask()
        assert f"GET {place} 200" in scene.provider.order()


@pytest.fixture(scope="module")
def client_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The URL of a client's metadata document, and the certificate authority of its server."""
    folder = tmp_path_factory.mktemp("client")
    authority = make_authority(folder)

    async def document(request: Request) -> JSONResponse:
        return JSONResponse(
            {
                "client_id": str(request.url),
                "client_name": "test-host",
                "redirect_uris": [CALLBACK],
                "grant_types": ["authorization_code", "refresh_token"],
                "response_types": ["code"],
                "token_endpoint_auth_method": "none",
            }
        )

    app = Starlette(routes=[Route("/client.json", document)])
    with in_thread(app, ssl_certfile=folder / "server.pem") as url:
        yield f"{url.replace('http:', 'https:')}/client.json", authority.file


async def test_with_a_metadata_document_it_needs_no_registration(tmp_path: Path, client_page: tuple[str, Path]) -> None:
    """The URL of the document is its client id. A scope that the operator adds later is asked for then (step-up)."""
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


async def test_a_metadata_document_that_the_issuer_does_not_trust_is_told(
    tmp_path: Path, client_page: tuple[str, Path]
) -> None:
    """Its certificate is unknown there. The person sees the issuer's page, and the server is asked nothing more."""
    page, _ = client_page
    with stage(tmp_path) as scene, pytest.raises(ExceptionGroup) as raised:
        async with Person(client_metadata_url=page).session(scene.url) as ask:
            await ask()
    assert "invalid_client" in f"{raised.getrepr()}"
