"""One server on the network for many callers: a real process, over HTTP."""

from collections.abc import Iterator

import pytest

from tests.children import INITIALIZE, SEAL_KEY, Contit, Served, contit
from tests.fundamentals.conftest import QUESTION

ALICE, BOB = "alice-token-0123456789", "bob-token-0123456789-a"


@pytest.fixture(scope="module")
def upstream() -> Iterator[Contit]:
    """A Contit on a port."""
    with contit() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def environment(upstream: Contit) -> dict[str, str]:
    """The settings of a server with a token for each of two callers, and one credential of Contit for both."""
    return {
        "CONTIT_BASE_URL": upstream.url,
        "CONTIT_API_KEY": "sandbox-key",
        "CONTIT_MCP_AUTH": "token",
        "CONTIT_MCP_TOKENS": f"alice:{ALICE},bob:{BOB}",
        "CONTIT_MCP_SEAL_KEY": SEAL_KEY,
    }


@pytest.fixture(scope="module")
def server(environment: dict[str, str]) -> Iterator[Served]:
    """A `contit-mcp http` with these settings."""
    with Served(environment) as server:
        yield server


def ask(server: Served, token: str, **more: str) -> dict[str, str]:
    """Ask as the caller with this token, and return the fields of the result."""
    result = server.call("contit_ask", {"prompt": QUESTION, **more}, Authorization=f"Bearer {token}")
    fields: dict[str, str] = result["structuredContent"]
    return fields


def test_a_call_without_a_token_is_refused(server: Served) -> None:
    """The response says what kind of credential to send."""
    response = server.post(INITIALIZE)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_caller_asks_with_a_token_and_the_server_with_its_own_credential(server: Served, upstream: Contit) -> None:
    """The token never reaches Contit."""
    assert ask(server, ALICE)["status"] == "completed"
    assert set(upstream.keys) == {"sandbox-key"}


def test_a_caller_cannot_use_the_conversation_of_another(server: Served) -> None:
    """Ids are encrypted for their caller. For all others they are unknown, as ids that never existed."""
    thread_id = ask(server, ALICE)["thread_id"]
    assert ask(server, ALICE, thread_id=thread_id)["thread_id"] == thread_id
    assert ask(server, BOB, thread_id=thread_id)["error"] == ask(server, BOB, thread_id="h1_made-up")["error"]


def test_any_replica_answers_any_call(server: Served, environment: dict[str, str]) -> None:
    """There are no sessions, and every server with the same seal key can decrypt the ids."""
    thread_id = ask(server, ALICE)["thread_id"]
    with Served(environment) as replica:
        assert ask(replica, ALICE, thread_id=thread_id)["thread_id"] == thread_id
