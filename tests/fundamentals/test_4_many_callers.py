"""One server on the network for many callers: a real child process, over HTTP."""

from collections.abc import Iterator

import pytest

from tests.children import INITIALIZE, SEAL_KEY, Contit, Served, contit

ALICE, BOB = "alice-token-0123456789", "bob-token-0123456789-a"
QUESTION = {"prompt": "How many drafts are there?"}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Contit]:
    """The sandbox that the servers ask."""
    with contit() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def environment(upstream: Contit) -> dict[str, str]:
    """The settings of a server with a token for each of two callers."""
    return {
        "CONTIT_BASE_URL": upstream.url,
        "CONTIT_API_KEY": "sandbox-key",
        "CONTIT_MCP_AUTH": "token",
        "CONTIT_MCP_TOKENS": f"alice:{ALICE},bob:{BOB}",
        "CONTIT_MCP_SEAL_KEY": SEAL_KEY,
    }


@pytest.fixture(scope="module")
def server(environment: dict[str, str]) -> Iterator[Served]:
    """One server."""
    with Served(environment) as server:
        yield server


def ask(server: Served, token: str, **more: str) -> dict[str, object]:
    """Ask with a token, and return the structure of the result."""
    result = server.call("contit_ask", QUESTION | more, Authorization=f"Bearer {token}")
    structure: dict[str, object] = result["structuredContent"]
    return structure


def test_a_call_without_a_token_is_refused(server: Served) -> None:
    """The answer says what to send."""
    response = server.post(INITIALIZE)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_caller_asks_with_a_token_and_the_server_with_its_own_credential(server: Served, upstream: Contit) -> None:
    """The token never reaches Contit."""
    assert ask(server, ALICE)["status"] == "completed"
    assert set(upstream.keys) == {"sandbox-key"}


def test_a_caller_cannot_use_the_conversation_of_another(server: Served) -> None:
    """Ids are sealed for their owner; others get the error for an id that does not exist."""
    thread = str(ask(server, ALICE)["thread_id"])
    assert ask(server, ALICE, thread_id=thread)["thread_id"] == thread
    assert ask(server, BOB, thread_id=thread)["error"] == ask(server, BOB, thread_id="h1_made-up")["error"]


def test_any_replica_answers_any_call(server: Served, environment: dict[str, str]) -> None:
    """There are no sessions, and handles depend on the seal key alone."""
    thread = str(ask(server, ALICE)["thread_id"])
    with Served(environment) as replica:
        assert ask(replica, ALICE, thread_id=thread)["thread_id"] == thread
