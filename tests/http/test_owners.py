"""Callers who share the server's Contit credential see nothing of each other."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contit_mcp.sandbox.options import SandboxOptions
from tests.children import SEAL_KEY, Contit, Served, contit, messages_in, rpc
from tests.http.issuer import bearer, issuing

PROMPT = "How many articles are there?"
OLD, NEW = SEAL_KEY, "n" * 32
TOKENS = {"ada": "a" * 24, "bob": "b" * 24}
SHARED = {"CONTIT_API_KEY": "sandbox-key", "CONTIT_MCP_AUTH": "token", "CONTIT_MCP_SEAL_KEY": OLD} | {
    "CONTIT_MCP_TOKENS": ",".join(f"{name}:{token}" for name, token in TOKENS.items())
}
Headers = dict[str, str]
Deployment = tuple[Served, Contit, Headers, Headers]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Contit]:
    """Runs take a moment here, so that they are in progress when they are asked for."""
    with contit(SandboxOptions(run_seconds=0.4)) as upstream:
        yield upstream


@pytest.fixture(scope="module", params=["token", "jwt"])
def deployment(request: pytest.FixtureRequest, upstream: Contit) -> Iterator[Deployment]:
    """Yield a server, Contit, and the headers of two callers."""
    if request.param == "token":
        with Served(SHARED | {"CONTIT_BASE_URL": upstream.url}) as server:
            yield server, upstream, bearer(TOKENS["ada"]), bearer(TOKENS["bob"])
    else:
        with issuing() as issuer, Served(issuer.settings(CONTIT_BASE_URL=upstream.url)) as server:
            yield server, upstream, bearer(issuer.token(sub="ada")), bearer(issuer.token(sub="bob"))


def ids_of(result: dict[str, Any]) -> tuple[str, str]:
    return result["structuredContent"]["thread_id"], result["structuredContent"]["run_id"]


def failures(server: Served, who: Headers, thread_id: str, run_id: str, *, both_ids: bool = False) -> list[str]:
    """Return the errors of all calls with these ids (`both_ids`: of those that take both), with all ids taken out."""
    thread: dict[str, Any] = {"thread_id": thread_id}
    both = thread | {"run_id": run_id}
    calls = [("contit_status", both), ("contit_status", both | {"wait_seconds": 1}), ("contit_response", both)]
    if not both_ids:
        calls += [("contit_response", thread)]
        calls += [(tool, thread | {"prompt": PROMPT}) for tool in ("contit_ask", "contit_start")]
    found = [server.call(tool, arguments, **who) for tool, arguments in calls]
    assert all(result["isError"] for result in found)
    texts = [re.sub(r'(?<="trace_id": ")[0-9a-f]{32}', "", json.dumps(result)) for result in found]
    return [text.replace(thread_id, "ID").replace(run_id, "ID") for text in texts]


def test_the_ids_of_another_are_answered_like_ids_that_never_existed(deployment: Deployment) -> None:
    """Byte for byte, and without a request to Contit."""
    server, upstream, ada, bob = deployment
    hers = ids_of(server.call("contit_ask", {"prompt": PROMPT}, **ada))
    his = ids_of(server.call("contit_start", {"prompt": "Any drafts?"}, **bob))
    raw = (upstream.record.runs[-1].thread_id, upstream.record.runs[-1].run_id)
    swapped, cut = (his[1], his[0]), (his[0][:-1], his[1][:-1])
    made_up = ("h1_" + "A" * (len(hers[0]) - 3), "h1_" + "B" * (len(hers[1]) - 3))
    before = len(upstream.record.requests), len(upstream.record.runs)
    unknown = failures(server, bob, "thread_never", "run_never")
    for thread_id, run_id in (hers, (hers[0], his[1]), raw, swapped, cut, made_up, ("h1_", "h1_")):
        assert failures(server, bob, thread_id, run_id) == unknown
    assert failures(server, bob, his[0], hers[1], both_ids=True) == unknown[:3]
    assert (len(upstream.record.requests), len(upstream.record.runs)) == before
    assert server.call("contit_response", {"thread_id": hers[0], "run_id": hers[1]}, **ada)["isError"] is False


def test_the_same_question_of_two_callers_starts_two_runs(deployment: Deployment) -> None:
    """The same question of one caller is deduplicated."""
    server, upstream, ada, bob = deployment
    question = {"prompt": f"List all drafts, please. {server.port}"}
    before = len(upstream.record.runs)
    hers, his, *again = (ids_of(server.call("contit_start", question, **who)) for who in (ada, bob, ada, bob))
    assert len(upstream.record.runs) - before == 2
    assert again == [hers, his]
    assert not set(hers) & set(his)


def test_a_new_seal_key_is_put_before_the_old_one(upstream: Contit) -> None:
    """Handles that were sealed with the old key are good until it is removed."""
    ada, both = bearer(TOKENS["ada"]), f"{NEW},{OLD}"
    sealed: dict[str, tuple[str, str]] = {}
    for keys, known in ((OLD, []), (both, [OLD]), (NEW, [both])):
        with Served(SHARED | {"CONTIT_BASE_URL": upstream.url, "CONTIT_MCP_SEAL_KEY": keys}) as server:
            for sealed_with, (thread_id, run_id) in sealed.items():
                handles = {"thread_id": thread_id, "run_id": run_id, "wait_seconds": 5}
                result = server.call("contit_response", handles, **ada)
                assert result["isError"] is (sealed_with not in known), (sealed_with, keys)
            sealed[keys] = ids_of(server.call("contit_start", {"prompt": f"Any pages? {keys[0]}"}, **ada))


def request(server: Served, who: Headers, method: str, **params: Any) -> dict[str, Any]:
    (message,) = messages_in(server.post(rpc(method, params), **who))
    outcome: dict[str, Any] = message["result"] if "result" in message else message["error"]
    return outcome


def completing(argument: str, value: str = "", **known: str) -> tuple[str, dict[str, Any]]:
    """Return a completion request for an argument of the resource template of answers."""
    template = {"type": "ref/resource", "uri": "contit://runs/{thread_id}/{run_id}"}
    params: dict[str, Any] = {"ref": template, "argument": {"name": argument, "value": value}}
    return "completion/complete", params | ({"context": {"arguments": known}} if known else {})


def test_lists_answers_and_completions_are_the_callers_own(deployment: Deployment) -> None:
    server, upstream, ada, bob = deployment
    hers = server.call("contit_ask", {"prompt": f"List all articles of {server.port}, please"}, **ada)
    his = server.call("contit_ask", {"prompt": f"List all products of {server.port}, please"}, **bob)
    (thread, run), own = ids_of(hers), ids_of(his)
    uri, never = f"contit://runs/{thread}/{run}", "contit://runs/h1_never/h1_never"
    uris = ("contit://runs", uri, f"contit://runs/{thread}/{own[1]}", f"contit://runs/{own[0]}/{run}")
    tries: list[tuple[str, dict[str, Any]]] = [
        ("resources/list", {}), ("resources/templates/list", {}), *(("resources/read", {"uri": each}) for each in uris),
        *(completing("thread_id", value) for value in ("", thread, thread[:6])),
        *(completing("run_id", value) for value in ("", run[:6])),
        *(completing("run_id", value, thread_id=thread) for value in ("", run)),
    ]  # fmt: skip
    raw = {value for each in upstream.record.runs for value in (each.thread_id, each.run_id)}
    secrets = {thread, run, hers["structuredContent"]["response"], *raw}
    for method, params in tries:
        outcome = request(server, bob, method, **params)
        seen = json.dumps({key: value for key, value in outcome.items() if key != "data"}, ensure_ascii=False)
        assert not [secret for secret in secrets if secret in seen], (method, params, seen)
    never_was, not_his = (request(server, bob, "resources/read", uri=each) | {"data": None} for each in (never, uri))
    assert never_was == not_his
    runs = json.loads(request(server, ada, "resources/read", uri="contit://runs")["contents"][0]["text"])["runs"]
    assert uri in {each["uri"] for each in runs}
    assert "title" not in runs[0]
    assert uri in {each["uri"] for each in request(server, ada, "resources/list")["resources"]}
    answer = request(server, ada, "resources/read", uri=uri)["contents"][0]["text"]
    assert answer == hers["structuredContent"]["response"]
    method, params = completing("run_id", thread_id=thread)
    assert request(server, ada, method, **params)["completion"]["values"] == [run]


WORDS = "quokka marmalade zeppelin"
# Settings, the headers of a caller, and whether its titles are stored.
MODES: dict[str, tuple[dict[str, str], Headers, bool]] = {
    "one person": ({}, {}, True),
    "switched off": ({"CONTIT_MCP_TITLES": "off"}, {}, False),
    "tokens": (SHARED, bearer(TOKENS["ada"]), False),
    "tokens, switched on": (SHARED | {"CONTIT_MCP_TITLES": "on"}, bearer(TOKENS["ada"]), False),
    "callers' own credentials": ({"CONTIT_MCP_AUTH": "caller"}, {"X_Api_Key": "sandbox-key"}, False),
}


@pytest.mark.parametrize("mode", MODES)
def test_a_title_is_stored_only_where_one_person_uses_the_server(upstream: Contit, mode: str, tmp_path: Path) -> None:
    """Else no word of the question is in the bytes of the store."""
    environment, who, kept = MODES[mode]
    given = {"CONTIT_BASE_URL": upstream.url, "CONTIT_MCP_STORE": f"sqlite:{tmp_path / 'runs.sqlite'}"}
    given |= {} if mode == "callers' own credentials" else {"CONTIT_API_KEY": "sandbox-key"}
    with Served(given | environment) as server:
        server.call("contit_start", {"prompt": f"{WORDS} and more"}, **who)
        listed = request(server, who, "resources/read", uri="contit://runs")["contents"][0]["text"]
        stored = b"".join(path.read_bytes() for path in tmp_path.glob("runs.sqlite*"))
    assert len(stored) > 100
    words = [word for word in WORDS.split() if word.encode() in stored or word in listed]
    assert words == (WORDS.split() if kept else [])
