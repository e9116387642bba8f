"""Callers who share the server's Contit credential: nobody sees anything of another's."""

import json
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from contit_mcp.sandbox.options import SandboxOptions
from tests.children import SEAL_KEY, Contit, Served, contit
from tests.http.issuer import bearer, issuing

PROMPT = "How many articles are there?"
OLD, NEW = SEAL_KEY, "n" * 32
TOKENS = {"ada": "a" * 24, "bob": "b" * 24}
SHARED = {"CONTIT_API_KEY": "sandbox-key", "CONTIT_MCP_AUTH": "token", "CONTIT_MCP_SEAL_KEY": OLD} | {
    "CONTIT_MCP_TOKENS": ",".join(f"{name}:{token}" for name, token in TOKENS.items())
}
Deployment = tuple[Served, Contit, dict[str, str], dict[str, str]]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Contit]:
    """Where Contit is; runs take a moment, so that they can be met on their way."""
    with contit(SandboxOptions(run_seconds=0.4)) as upstream:
        yield upstream


@pytest.fixture(scope="module", params=["token", "jwt"])
def deployment(request: pytest.FixtureRequest, upstream: Contit) -> Iterator[Deployment]:
    """A server, Contit, and the headers of two callers."""
    if request.param == "token":
        with Served(SHARED | {"CONTIT_BASE_URL": upstream.url}) as server:
            yield server, upstream, bearer(TOKENS["ada"]), bearer(TOKENS["bob"])
    else:
        with issuing() as issuer, Served(issuer.settings(CONTIT_BASE_URL=upstream.url)) as server:
            yield server, upstream, bearer(issuer.token(sub="ada")), bearer(issuer.token(sub="bob"))


def calls_with(thread_id: str, run_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Every way to use ids."""
    both = {"thread_id": thread_id, "run_id": run_id}
    return [
        ("contit_status", both),
        ("contit_status", both | {"wait_seconds": 1}),
        ("contit_response", both),
        ("contit_response", {"thread_id": thread_id}),
        ("contit_ask", {"prompt": PROMPT, "thread_id": thread_id}),
        ("contit_start", {"prompt": PROMPT, "thread_id": thread_id}),
    ]


def ids_of(result: dict[str, Any]) -> tuple[str, str]:
    """The ids in a result."""
    return result["structuredContent"]["thread_id"], result["structuredContent"]["run_id"]


def test_anothers_ids_are_answered_like_ids_that_never_were(deployment: Deployment) -> None:
    """Byte for byte, but for the ids as they were sent, and without asking Contit."""
    server, upstream, ada, bob = deployment
    hers = ids_of(server.call("contit_ask", {"prompt": PROMPT}, **ada))
    his = ids_of(server.call("contit_start", {"prompt": "Any drafts?"}, **bob))
    made_up = ("h1_" + "A" * (len(hers[0]) - 3), "h1_" + "B" * (len(hers[1]) - 3))
    raw = (upstream.record.runs[-1].thread_id, upstream.record.runs[-1].run_id)
    swapped = (his[1], his[0])
    cut = (his[0][:-1], his[1][:-1])
    before = len(upstream.record.requests), len(upstream.record.runs)
    for given in ((hers[0], his[1]), (his[0], hers[1]), hers, raw, swapped, cut, made_up, ("x", "y"), ("h1_", "h1_")):
        for (tool, arguments), (_, plain) in zip(calls_with(*given), calls_with("THREAD", "RUN"), strict=True):
            if given[0] == his[0] and "run_id" not in arguments:
                continue  # his own thread
            answered = json.dumps(server.call(tool, arguments, **bob))
            expected = json.dumps(server.call(tool, plain, **bob))
            for name, sent in (("THREAD", given[0]), ("RUN", given[1])):
                answered = answered.replace(json.dumps(sent)[1:-1], name) if len(sent) > 3 else answered
                expected = expected if len(sent) > 3 else expected.replace(name, sent)
            assert answered == expected
            assert json.loads(answered)["isError"]
    assert (len(upstream.record.requests), len(upstream.record.runs)) == before
    assert server.call("contit_response", {"thread_id": hers[0], "run_id": hers[1]}, **ada)["isError"] is False


def test_the_same_question_of_two_callers_starts_two_runs(deployment: Deployment) -> None:
    """And of one caller one run: that it is joined shows that the other is told apart."""
    server, upstream, ada, bob = deployment
    question = {"prompt": f"List all drafts, please. {server.port}"}
    before = len(upstream.record.runs)
    found = [ids_of(server.call("contit_start", question, **who)) for who in (ada, bob, ada, bob)]
    assert len(upstream.record.runs) - before == 2
    assert found[0] == found[2]
    assert found[1] == found[3]
    assert not set(found[0]) & set(found[1])
    for who, (thread_id, run_id) in ((ada, found[0]), (bob, found[1])):
        waited = {"thread_id": thread_id, "run_id": run_id, "wait_seconds": 5}
        assert server.call("contit_response", waited, **who)["structuredContent"]["status"] == "completed"


def test_no_id_of_contit_reaches_a_caller(deployment: Deployment) -> None:
    """Neither in results nor in progress; the log has them."""
    server, upstream, ada, _ = deployment
    body = {"name": "contit_ask", "arguments": {"prompt": "Which pages?"}, "_meta": {"progressToken": "p"}}
    answer = server.post({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": body}, **ada)
    assert "notifications/progress" in answer.text
    for run in upstream.record.runs:
        assert run.thread_id not in answer.text
        assert run.run_id not in answer.text


def test_one_callers_flood_leaves_the_others_alone(upstream: Contit) -> None:
    """Limits are each caller's own."""
    with Served(SHARED | {"CONTIT_BASE_URL": upstream.url, "CONTIT_MCP_REQUESTS_PER_MINUTE": "5"}) as server:
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        statuses = [server.post(ping, **bearer(TOKENS["ada"])).status_code for _ in range(8)]
        assert statuses == [200] * 5 + [429] * 3
        assert server.post(ping, **bearer(TOKENS["bob"])).status_code == 200


def test_a_new_seal_key_is_put_before_the_old_one(upstream: Contit) -> None:
    """Handles live on until the old key is taken out, then they are unknown."""
    ada = bearer(TOKENS["ada"])
    found: dict[str, tuple[str, str]] = {}
    for keys, opens in ((OLD, []), (f"{NEW},{OLD}", [OLD]), (NEW, [f"{NEW},{OLD}"])):
        with Served(SHARED | {"CONTIT_BASE_URL": upstream.url, "CONTIT_MCP_SEAL_KEY": keys}) as server:
            for then, (thread_id, run_id) in found.items():
                handles = {"thread_id": thread_id, "run_id": run_id, "wait_seconds": 5}
                result = server.call("contit_response", handles, **ada)
                assert result["isError"] is (then not in opens), (then, keys)
            found[keys] = ids_of(server.call("contit_start", {"prompt": f"Any pages? {keys[0]}"}, **ada))


def test_all_pairs_of_ids_are_needed_to_read(deployment: Deployment) -> None:
    """A thread of one's own with a run of another thread of one's own is unknown too (documented: Contit's 404)."""
    server, _, ada, _ = deployment
    first, second = (
        ids_of(server.call("contit_ask", {"prompt": f"{prompt} {server.port}"}, **ada)) for prompt in ("A?", "B?")
    )
    for (thread_id, _), (_, run_id) in product((first, second), repeat=2):
        own = (thread_id, run_id) in {first, second}
        assert server.call("contit_status", {"thread_id": thread_id, "run_id": run_id}, **ada)["isError"] is not own
