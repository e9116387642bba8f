"""What operators' programs ask: probes and metrics, by address, at any time, and right."""

from collections import Counter

import anyio
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from contit_mcp.sandbox.options import Fault, SandboxOptions
from contit_mcp.telemetry.metrics import Metrics
from tests.children import QUESTION, TOKEN_MODE, TOKENS, ask, call, caller, deployment, request_of, runs, samples
from tests.redis_server import redis_server

pytestmark = pytest.mark.anyio

BY_ADDRESS = {"Host": "10.1.2.3:8000"}


async def test_probes_and_scrapers_come_by_address_while_mcp_is_known_by_its_name_alone() -> None:
    """Kubernetes and Prometheus send the pod's address as Host, and no Origin."""
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
    """However many ask, it is asked once."""
    faults = (Fault(fault, on="status", times=None, seconds=60 if fault == "delay" else None),)
    with anyio.fail_after(40):
        probing = {"CONTIT_MCP_READY_PROBES_CONTIT": "true"}
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
    """OpenMetrics carries the trace ids of calls along."""
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


async def test_every_metric_counts_what_happened(tmp_path_factory: pytest.TempPathFactory) -> None:
    """One deployment, known traffic, each number known before."""
    faults = (Fault("503", on="start", times=1, retry_after="0"),)
    with redis_server(tmp_path_factory.mktemp("redis")) as redis:
        environment = {**TOKEN_MODE, "CONTIT_MCP_STORE": redis.url}
        async with deployment(SandboxOptions(run_seconds=3, faults=faults), **environment) as (server, sandbox):
            async with caller(TOKENS["anna"]) as http, caller() as stranger:
                async with anyio.create_task_group() as tasks:  # one run for both, after one retry of its start
                    tasks.start_soon(ask, http, server)
                    await runs(sandbox, 1)
                    tasks.start_soon(ask, http, server, "modern")
                    while (found := await server.metrics())["contit_mcp_calls_in_flight"] != 2 or (
                        found["contit_mcp_pollers"] != 1
                    ):
                        await anyio.sleep(0.01)
                    assert found["contit_mcp_requests_under_way{kind=call}"] == 2
                    assert (found["contit_mcp_runs_in_flight"], found["contit_mcp_pollers"]) == (1, 1)
                unknown = {"thread_id": "no", "run_id": "no", "session_id": "s", "chat_id": "c"}
                assert (await call(http, server, "contit_status", **unknown))["isError"]
                sandbox.add_fault(Fault("drop-before", on="start"))
                assert (await call(http, server, "contit_start", prompt="Never arrives"))["isError"]
                assert (await stranger.post(server.url, **request_of("modern", "contit_ask", {}))).status_code == 401
                assert (await stranger.get(f"{server.base}/nowhere")).status_code == 404
                redis.stop()
                await call(http, server, "contit_start", prompt="Show me the three cheapest tents")
            found = await server.metrics()
            polled = sum(request.endpoint == "status" for request in sandbox.requests)
    started = Counter(request.endpoint for request in sandbox.requests if request.status == 200)
    upstream = {(endpoint, "200"): count for endpoint, count in started.items()}
    upstream |= {("start", "503"): 1, ("start", "none"): 1}
    calls = {
        ("completed", "contit_ask"): 2, ("RunNotFoundError", "contit_status"): 1,
        ("in_progress", "contit_start"): 1, ("StartUnknownError", "contit_start"): 1,
    }  # fmt: skip
    wholly = {  # every series of these
        "contit_mcp_calls_total": {f"{{outcome={o}}}{{tool={t}}}": n for (o, t), n in calls.items()},
        "contit_mcp_upstream_requests_total": {f"{{endpoint={e}}}{{status={s}}}": n for (e, s), n in upstream.items()},
    }
    for name, expected in wholly.items():
        assert {key.removeprefix(name): n for key, n in found.items() if key.startswith(name)} == expected
    exactly = {
        "call_seconds_count{tool=contit_ask}": 2, "call_seconds_bucket{le=0.05}{tool=contit_ask}": 0,
        "upstream_seconds_count{endpoint=start}": started["start"] + 2,
        "connection_wait_seconds_count": len(sandbox.requests),
        "upstream_in_flight": 0, "upstream_oldest_seconds": 0, "contit_reachable": 1, "backoff_stretch": 1,
        "runs_in_flight": 0, "pollers": 0, "store_usable": 0, "limits_local_only": 1,
        "upstream_retries_total": 1, "polls_total": polled, "deduplicated_asks_total": 1, "dropped_arguments_total": 2,
        "callers_left_total": 0, "unknown_starts_total": 1, "crashed_calls_total": 0,
        "rejected_requests_total{reason=unauthorized}": 1, "http_requests_total{path=other}{status=404}": 1,
        "http_requests_total{path=/mcp}{status=200}": 5, "requests_under_way_limit": 2_000, "ready": 1,
        "calls_in_flight": 0,
    }  # fmt: skip
    exactly = {f"contit_mcp_{name}": n for name, n in exactly.items()}
    exactly |= {"contit_runs_total{end=completed}": 1, "contit_runs_total{end=run_failed}": 0}
    exactly |= {"contit_run_seconds_count{end=completed}": 1}
    assert {name: found[name] for name in exactly} == exactly
    assert 3 < found["contit_mcp_call_seconds_sum{tool=contit_ask}"] < 15
    assert 3 <= found["contit_run_seconds_sum{end=completed}"] < 15
    assert found["contit_mcp_store_seconds_count{operation=claim}"] >= 3
    assert found["contit_mcp_store_errors_total"] >= 1
    assert found["contit_mcp_event_loop_lag_seconds_count"] > 0
    assert found["process_resident_memory_bytes"] > 0
    assert any(name.startswith("contit_mcp_build_info") for name in found)


def test_a_crash_and_an_unknown_start_have_counts_that_are_there_before_the_first() -> None:
    """Prometheus sees a rise only of what was there before, and a label's first value was not."""
    metrics = Metrics()
    for outcome, expected in ((None, (0, 0)), ("UnexpectedError", (1, 0)), ("StartUnknownError", (1, 1))):
        if outcome is not None:
            metrics.count_call("contit_ask", outcome, 1.0, dropped=0, trace_id=None)
        found = samples(metrics.text("text/plain")[0].decode())
        assert (found["contit_mcp_crashed_calls_total"], found["contit_mcp_unknown_starts_total"]) == expected
