"""Callers who share the server's Contit credential: nobody sees anything of another's."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis

from contit_mcp.sandbox.options import SandboxOptions
from tests.children import SEAL_KEY, Contit, Served, contit, messages_in, rpc
from tests.http.issuer import bearer, issuing
from tests.redis_server import redis_server

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
    return result["structuredContent"]["thread_id"], result["structuredContent"]["run_id"]


def test_anothers_ids_are_answered_like_ids_that_never_were(deployment: Deployment) -> None:
    """Byte for byte, but for the ids as they were sent and the id of the trace, and without asking Contit."""
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
            answered, expected = (
                re.sub(r'(?<="trace_id": ")[0-9a-f]{32}', "", json.dumps(server.call(tool, given_arguments, **bob)))
                for given_arguments in (arguments, plain)
            )
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
    hers, his, hers_again, his_again = (
        ids_of(server.call("contit_start", question, **who)) for who in (ada, bob, ada, bob)
    )
    assert len(upstream.record.runs) - before == 2
    assert (hers, his) == (hers_again, his_again)
    assert not set(hers) & set(his)


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


def request(server: Served, asked: tuple[str, dict[str, Any]], **who: str) -> dict[str, Any]:
    (message,) = messages_in(server.post(rpc(*asked), **who))
    outcome: dict[str, Any] = message["result"] if "result" in message else message["error"]
    return outcome


def reading(uri: str) -> tuple[str, dict[str, Any]]:
    return "resources/read", {"uri": uri}


ANSWER = {"type": "ref/resource", "uri": "contit://runs/{thread_id}/{run_id}"}


def completion(argument: str, value: str = "", **known: str) -> tuple[str, dict[str, Any]]:
    """Ask for the values of an argument of the template of answers."""
    asked = {"ref": ANSWER, "argument": {"name": argument, "value": value}}
    return "completion/complete", asked | ({"context": {"arguments": known}} if known else {})


def test_lists_answers_and_completions_are_the_callers_own(deployment: Deployment) -> None:
    """Whatever a caller tries with the ids of another, it sees nothing of the other's; its own it sees."""
    server, upstream, ada, bob = deployment
    hers = server.call("contit_ask", {"prompt": f"List all articles of {server.port}, please"}, **ada)
    his = server.call("contit_ask", {"prompt": f"List all products of {server.port}, please"}, **bob)
    (thread, run), own = ids_of(hers), ids_of(his)
    uri, never = f"contit://runs/{thread}/{run}", "contit://runs/h1_never/h1_never"
    tries = [
        ("resources/list", {}), ("resources/templates/list", {}), reading("contit://runs"), reading(uri),
        reading(f"contit://runs/{thread}/{own[1]}"), reading(f"contit://runs/{own[0]}/{run}"),
        *(completion("thread_id", value) for value in ("", thread, thread[:6])),
        *(completion("run_id", value) for value in ("", run[:6])),
        *(completion("run_id", value, thread_id=thread) for value in ("", run)),
    ]  # fmt: skip
    raw = {value for each in upstream.record.runs for value in (each.thread_id, each.run_id)}
    secrets = {thread, run, hers["structuredContent"]["response"], *raw}
    for asked in tries:
        outcome = request(server, asked, **bob)
        seen = json.dumps({key: value for key, value in outcome.items() if key != "data"}, ensure_ascii=False)
        assert not [secret for secret in secrets if secret in seen], (asked, seen)
    never_was, not_his = (request(server, reading(each), **bob) | {"data": None} for each in (never, uri))
    assert never_was == not_his
    runs = json.loads(request(server, reading("contit://runs"), **ada)["contents"][0]["text"])["runs"]
    assert uri in {each["uri"] for each in runs}
    assert "title" not in runs[0]
    assert uri in {each["uri"] for each in request(server, ("resources/list", {}), **ada)["resources"]}
    assert request(server, reading(uri), **ada)["contents"][0]["text"] == hers["structuredContent"]["response"]
    completed = request(server, completion("run_id", thread_id=thread), **ada)
    assert completed["completion"]["values"] == [run]


WORDS = "quokka marmalade zeppelin"
MODES: dict[str, tuple[dict[str, str], dict[str, str], bool]] = {
    "one person": ({}, {}, True),
    "switched off": ({"CONTIT_MCP_TITLES": "off"}, {}, False),
    "tokens": (SHARED, bearer(TOKENS["ada"]), False),
    "tokens, switched on": (SHARED | {"CONTIT_MCP_TITLES": "on"}, bearer(TOKENS["ada"]), False),
    "callers' own credentials": ({"CONTIT_MCP_AUTH": "caller"}, {"X_Api_Key": "sandbox-key"}, False),
}


@pytest.mark.parametrize("store", ["sqlite", "redis"])
@pytest.mark.parametrize("mode", MODES)
def test_a_title_is_stored_where_one_person_uses_the_server_and_nowhere_else(
    upstream: Contit, mode: str, store: str, tmp_path: Path
) -> None:
    """Seen in the bytes of the store; no part of the question is in them otherwise."""
    environment, who, kept = MODES[mode]
    with ExitStack() as stack:
        shared = stack.enter_context(redis_server(tmp_path)) if store == "redis" else None
        place = shared.url if shared else f"sqlite:{tmp_path / 'runs.sqlite'}"
        given = {"CONTIT_BASE_URL": upstream.url, "CONTIT_MCP_STORE": place, "CONTIT_MCP_SEAL_KEY": OLD}
        given |= {} if mode == "callers' own credentials" else {"CONTIT_API_KEY": "sandbox-key"}
        server = stack.enter_context(Served(given | environment))
        server.call("contit_start", {"prompt": f"{WORDS} and more"}, **who)
        listed = request(server, reading("contit://runs"), **who)["contents"][0]["text"]
        stored = in_redis(place) if shared else b"".join(path.read_bytes() for path in tmp_path.glob("runs.sqlite*"))
    assert len(stored) > 100
    words = [word for word in WORDS.split() if word.encode() in stored or word in listed]
    assert words == (WORDS.split() if kept else [])


def in_redis(url: str) -> bytes:
    with redis.Redis.from_url(url) as client:
        keys = list(client.scan_iter())
        return b"\n".join([*keys, *(client.dump(key) for key in keys)])
