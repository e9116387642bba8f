"""Probes and metrics: who may ask for them, and that they are true."""

from collections import Counter

import anyio
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from contit_mcp.sandbox.options import Fault, SandboxOptions
from contit_mcp.telemetry.metrics import Metrics
from tests.children import QUESTION, TOKEN_MODE, TOKENS, ask, call, caller, deployment, request_of, runs, samples
from tests.redis_server import RedisServer

pytestmark = pytest.mark.anyio

BY_ADDRESS = {"Host": "10.1.2.3:8000"}


async def test_probes_and_metrics_accept_any_host_and_mcp_only_the_listed_one() -> None:
    """Kubernetes and Prometheus send the pod's address as Host."""
    environment = {**TOKEN_MODE, "CONTIT_MCP_ALLOWED_HOSTS": "mcp.example"}
    async with deployment(None, **environment) as (server, _), caller(TOKENS["anna"]) as http:
        for path in ("healthz", "readyz", "metrics"):
            assert (await http.get(f"{server.base}/{path}", headers=BY_ADDRESS)).status_code == 200
        request = request_of("modern", "contit_start", {"prompt": QUESTION})
        for host, status in (("10.1.2.3:8000", 421), ("mcp.example", 200)):
            headers = request["headers"] | {"Host": host}
            assert (await http.post(server.url, json=request["json"], headers=headers)).status_code == status


@pytest.mark.parametrize("fault", ["delay", "503"])
async def test_a_contit_that_hangs_or_fails_makes_the_server_unready_within_seconds(fault: str) -> None:
    """The result is used for ten seconds, however many probes there are."""
    faults = (Fault(fault, on="status", times=None, seconds=60 if fault == "delay" else None),)
    probing = {"CONTIT_MCP_READY_PROBES_CONTIT": "true"}
    with anyio.fail_after(40):
        async with deployment(SandboxOptions(faults=faults), **probing) as (server, sandbox), caller() as http:
            found: list[int] = []

            async def probe() -> None:
                found.append((await http.get(f"{server.base}/readyz")).status_code)

            began = anyio.current_time()
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(probe)
            assert found == [503] * 20
            assert anyio.current_time() - began < 5
            asked = len(sandbox.requests)
            sandbox.clear_faults()
            await probe()
            assert found[-1] == 503
            assert len(sandbox.requests) == asked
            assert (await http.get(f"{server.base}/healthz")).status_code == 200
            assert (await server.metrics())["contit_mcp_ready"] == 0


async def test_metrics_have_a_port_of_their_own_and_both_formats() -> None:
    """OpenMetrics has the trace ids of calls as exemplars."""
    async with deployment(CONTIT_MCP_METRICS_PORT="0") as (server, _), caller() as http:
        await ask(http, server)
        assert (await http.get(f"{server.base}/metrics")).status_code == 404
        base = server.metrics_url.removesuffix("/metrics")
        for path in ("healthz", "readyz"):
            assert (await http.get(f"{base}/{path}", headers=BY_ADDRESS)).status_code == 200
        plain = await http.get(server.metrics_url, headers=BY_ADDRESS)
        assert plain.headers["content-type"].startswith("text/plain")
        assert samples(plain.text)["contit_mcp_calls_total{outcome=completed}{tool=contit_ask}"] == 1
        accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
        open_metrics = await http.get(server.metrics_url, headers=accept)
        assert open_metrics.headers["content-type"].startswith("application/openmetrics-text")
        families = text_string_to_metric_families(open_metrics.text)  # type: ignore[no-untyped-call]
        exemplars = {s.exemplar.labels["trace_id"] for f in families for s in f.samples if s.exemplar}
        assert exemplars == {server.named("call.finished")[0]["trace_id"]}


async def test_every_metric_counts_what_happened(own_redis: RedisServer) -> None:
    faults = (Fault("503", on="start", times=1, retry_after="0"),)
    environment = {**TOKEN_MODE, "CONTIT_MCP_STORE": own_redis.url}
    async with deployment(SandboxOptions(run_seconds=3, faults=faults), **environment) as (server, sandbox):
        async with caller(TOKENS["anna"]) as http, caller() as stranger:
            async with anyio.create_task_group() as tasks:  # one run for both, after one retry of its start
                tasks.start_soon(ask, http, server)
                await runs(sandbox, 1)
                tasks.start_soon(ask, http, server, "modern")
                both = {"calls_in_flight": 2, "requests_under_way{kind=call}": 2, "pollers": 1, "runs_in_flight": 1}
                gauges = {f"contit_mcp_{name}": float(count) for name, count in both.items()}.items()
                while not gauges <= (await server.metrics()).items():
                    await anyio.sleep(0.01)
            unknown = {"thread_id": "no", "run_id": "no", "session_id": "s", "chat_id": "c"}
            assert (await call(http, server, "contit_status", **unknown))["isError"]
            sandbox.add_fault(Fault("drop-before", on="start"))
            assert (await call(http, server, "contit_start", prompt="Never arrives"))["isError"]
            sandbox.add_fault(Fault("failed", on="start"))
            assert (await call(http, server, "contit_ask", prompt="How many pages are there?"))["isError"]
            assert (await stranger.post(server.url, **request_of("modern", "contit_ask", {}))).status_code == 401
            assert (await stranger.get(f"{server.base}/nowhere")).status_code == 404
            own_redis.stop()
            await call(http, server, "contit_start", prompt="Show me the three cheapest tents")
        found = await server.metrics()
        polled = sum(request.endpoint == "status" for request in sandbox.requests)
    answered = Counter(request.endpoint for request in sandbox.requests if request.status == 200)
    counted = ("contit_mcp_calls_total", "contit_mcp_upstream_requests_total")
    assert {name.removeprefix("contit_mcp_"): n for name, n in found.items() if name.startswith(counted)} == {
        "calls_total{outcome=completed}{tool=contit_ask}": 2, "calls_total{outcome=in_progress}{tool=contit_start}": 1,
        "calls_total{outcome=RunFailedError}{tool=contit_ask}": 1,
        "calls_total{outcome=RunNotFoundError}{tool=contit_status}": 1,
        "calls_total{outcome=StartUnknownError}{tool=contit_start}": 1,
        "upstream_requests_total{endpoint=start}{status=503}": 1,
        "upstream_requests_total{endpoint=start}{status=none}": 1,
        **{f"upstream_requests_total{{endpoint={name}}}{{status=200}}": n for name, n in answered.items()},
    }  # fmt: skip
    exactly = {
        "call_seconds_count{tool=contit_ask}": 3, "call_seconds_bucket{le=0.05}{tool=contit_ask}": 0,
        "upstream_seconds_count{endpoint=start}": answered["start"] + 2,
        "connection_wait_seconds_count": len(sandbox.requests),
        "upstream_in_flight": 0, "upstream_oldest_seconds": 0, "contit_reachable": 1, "backoff_stretch": 1,
        "runs_in_flight": 0, "pollers": 0, "store_usable": 0, "limits_local_only": 1,
        "upstream_retries_total": 1, "polls_total": polled, "deduplicated_asks_total": 1, "dropped_arguments_total": 2,
        "callers_left_total": 0, "unknown_starts_total": 1, "crashed_calls_total": 0,
        "rejected_requests_total{reason=unauthorized}": 1, "http_requests_total{path=other}{status=404}": 1,
        "http_requests_total{path=/mcp}{status=200}": 6, "requests_under_way_limit": 2_000, "ready": 1,
        "calls_in_flight": 0,
    }  # fmt: skip
    exactly = {f"contit_mcp_{name}": n for name, n in exactly.items()}
    exactly |= {"contit_runs_total{end=completed}": 1, "contit_runs_total{end=run_failed}": 1}
    exactly |= {f"contit_run_seconds_count{{end={end}}}": 1 for end in ("completed", "run_failed")}
    assert {name: found[name] for name in exactly} == exactly
    assert 3 < found["contit_mcp_call_seconds_sum{tool=contit_ask}"] < 15
    assert 3 <= found["contit_run_seconds_sum{end=completed}"] < 15
    assert found["contit_mcp_store_seconds_count{operation=claim}"] >= 3
    assert found["contit_mcp_store_errors_total"] >= 1
    assert found["contit_mcp_event_loop_lag_seconds_count"] > 0


def test_crashes_and_unknown_starts_are_counted_and_shown_as_0_before_the_first() -> None:
    """Prometheus sees no increase in a series that begins at 1."""
    metrics = Metrics()
    for outcome, expected in ((None, (0, 0)), ("UnexpectedError", (1, 0)), ("StartUnknownError", (1, 1))):
        if outcome is not None:
            metrics.count_call("contit_ask", outcome, 1.0, dropped=0, trace_id=None)
        found = samples(metrics.text("text/plain")[0].decode())
        assert (found["contit_mcp_crashed_calls_total"], found["contit_mcp_unknown_starts_total"]) == expected
