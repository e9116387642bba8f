"""What an on-call engineer sees while Contit or the store is in trouble: within 2 s, and one line in each direction."""

import itertools
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
import yaml
from anyio.abc import ByteStream, SocketAttribute, TaskStatus
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from contit_mcp.sandbox.options import Fault, SandboxOptions
from tests.children import (
    Served,
    ask,
    caller,
    deployment,
)
from tests.http.test_tasks import about, create, ended
from tests.redis_server import RedisServer, redis_server
from tests.rules.tree import ROOT

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        shutil.which("promtool") is None,
        reason="needs promtool (Debian: apt-get install prometheus), which computes alerts",
    ),
]

ALERTS = ROOT / "configs" / "prometheus" / "alerts.yaml"
ASKS = 50
OUTAGE_SECONDS = 20.0
SEEN_WITHIN = 6.0  # an idle machine shows it within 2 s; here many tests run side by side
SCRAPE_SECONDS = 0.25

Found = dict[str, float]


@dataclass
class Watch:
    """A Prometheus that scrapes twice a second, and computes the alerts of what it has scraped.

    Attributes:
        server: What is scraped.
        scrapes: When, and what was found, by series.
    """

    server: Served
    scrapes: list[tuple[float, Found]] = field(default_factory=list)

    async def scrape(self) -> None:
        """Scrape until cancelled."""
        async with caller() as http:
            while True:
                text = (await http.get(self.server.metrics_url)).text
                self.scrapes.append((time.monotonic(), series_in(text)))
                await anyio.sleep(SCRAPE_SECONDS)

    async def first(self, seen: Callable[[Found], bool], *, since: float, within: float) -> float:
        """Return after how many seconds something was seen first.

        Raises:
            AssertionError: It was not, in time.
        """
        while True:
            for at, found in self.scrapes:
                if at >= since and seen(found):
                    return at - since
            assert time.monotonic() - since < within, (sorted(self.scrapes[-1][1].items()), self.server.stderr)
            await anyio.sleep(0.05)

    def true_now(self, folder: Path) -> set[str]:
        """Return the alerts whose expressions are true after the last scrape."""
        rules = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
        names = {name for _, found in self.scrapes for name in found}
        series = [
            {"series": name, "values": " ".join(str(found.get(name, "_")) for _, found in self.scrapes)}
            for name in sorted(names)
        ]
        end = f"{int((len(self.scrapes) - 1) * SCRAPE_SECONDS * 1000)}ms"
        tests = [{"expr": rule["expr"], "eval_time": end, "exp_samples": []} for rule in rules]
        interval = f"{int(SCRAPE_SECONDS * 1000)}ms"
        file = folder / f"alerts-{time.monotonic_ns()}.yaml"
        test = {"interval": interval, "input_series": series, "promql_expr_test": tests}
        file.write_text(yaml.safe_dump({"evaluation_interval": interval, "tests": [test]}, width=10_000_000))
        ended = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
        said = ended.stdout + ended.stderr
        # promtool names the expressions that have samples, which none was expected to have.
        true = {rule["alert"] for rule in rules if any(f'expr: "{rule["expr"]}"' in line for line in blocks(said))}
        assert bool(true) == bool(ended.returncode), said
        return true


def blocks(said: str) -> list[str]:
    """Return promtool's failures, each as one text in which quotes are not escaped."""
    return [block.replace('\\"', '"') for block in re.split(r"\n(?=    expr: )", said)]


def series_in(text: str) -> Found:
    """Return samples by series, written as promtool reads them."""
    return {
        f'{sample.name}{{job="contit-mcp",instance="i"{"".join(f",{k}={chr(34)}{v}{chr(34)}" for k, v in sorted(sample.labels.items()))}}}': (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def total(found: Found, name: str, **labels: str) -> float:
    """Return the sum of the series with these labels."""
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    return sum(n for series, n in found.items() if series.startswith(f"{name}{{") and all(w in series for w in wanted))


@asynccontextmanager
async def watched(server: Served) -> AsyncIterator[Watch]:
    """Scrape while inside."""
    watch = Watch(server)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch.scrape)
        yield watch
        tasks.cancel_scope.cancel()


def warnings(server: Served, prefix: str) -> list[str]:
    """Return the events at WARNING with a prefix."""
    return [line["event"] for line in server.lines if line["event"].startswith(prefix) and line["level"] == "warning"]


OUTAGES: dict[str, tuple[Fault, str, Callable[[Found, Found], bool], set[str]]] = {
    "503": (
        Fault("503", times=None),
        "503",
        lambda before, now: total(now, "contit_mcp_upstream_requests_total", status="503") > 0,
        {"ContitMcpContitUnreachable", "ContitMcpContitFails"},
    ),
    "429": (
        Fault("429", times=None),
        "429",
        lambda before, now: total(now, "contit_mcp_upstream_requests_total", status="429") > 0,
        {"ContitMcpContitUnreachable", "ContitMcpThrottledByContit"},
    ),
    "black hole": (
        Fault("delay", times=None, seconds=60),
        "silence",
        lambda before, now: (
            total(now, "contit_mcp_upstream_oldest_seconds") >= 1 and total(now, "contit_mcp_upstream_in_flight") > 10
        ),
        {"ContitMcpContitUnreachable"},
    ),
}


async def test_an_outage_of_contit_is_seen_while_it_lasts(tmp_path: Path) -> None:
    """Three servers with 50 waiting asks each, side by side, each with another outage of 20 s."""
    with anyio.fail_after(100):
        async with anyio.create_task_group() as tasks:
            for name in OUTAGES:
                tasks.start_soon(one_outage, name, tmp_path)


async def one_outage(name: str, folder: Path) -> None:
    """Break Contit under 50 waiting asks, look meanwhile, and see all of them answered afterwards."""
    fault, cause, counted, alerts = OUTAGES[name]
    answers: list[dict[str, Any]] = []
    async with (
        deployment(SandboxOptions(run_seconds=15)) as (server, sandbox),
        watched(server) as watch,
        caller() as http,
        anyio.create_task_group() as asks,
    ):

        async def one(number: int) -> None:
            answers.append(await ask(http, server, prompt=f"How many drafts are there? {number}", wait_seconds=90))

        for number in range(ASKS):
            asks.start_soon(one, number)
        while len(sandbox.runs) < ASKS or total(watch.scrapes[-1][1], "contit_mcp_pollers") < ASKS:
            await anyio.sleep(0.05)
        await anyio.sleep(1)
        before = watch.scrapes[-1][1]
        assert total(before, "contit_mcp_contit_reachable") == 1
        sandbox.add_fault(fault)
        began = time.monotonic()
        await watch.first(partial(counted, before), since=began, within=SEEN_WITHIN)
        unreachable = partial(lambda found: total(found, "contit_mcp_contit_reachable") == 0)
        await watch.first(unreachable, since=began, within=SEEN_WITHIN)
        await anyio.sleep(SCRAPE_SECONDS * 2)
        soon = await anyio.to_thread.run_sync(watch.true_now, folder)
        await anyio.sleep(began + OUTAGE_SECONDS - time.monotonic())
        late = await anyio.to_thread.run_sync(watch.true_now, folder)
        during = watch.scrapes[-1][1]
        sandbox.clear_faults()
        await server.logged("contit.back")
    assert "ContitMcpContitUnreachable" in soon
    assert alerts <= late
    assert total(during, "contit_mcp_polls_total") > total(before, "contit_mcp_polls_total")
    assert warnings(server, "contit.") == ["contit.unreachable", "contit.back"]
    assert server.named("contit.unreachable")[0]["cause"] == cause
    assert server.named("contit.back")[0]["seconds"] > OUTAGE_SECONDS - SEEN_WITHIN
    assert [answer["status"] for answer in answers] == ["completed"] * ASKS
    assert not [line for line in server.lines if line["level"] == "error"]


@dataclass
class SlowWay:
    """A way to a Redis on which each answer takes longer.

    Attributes:
        to: The port of the Redis.
        seconds: How much longer.
        port: Where the way begins.
    """

    to: int
    seconds: float = 0.0
    port: int = 0

    async def open(self, *, task_status: TaskStatus[None]) -> None:
        """Carry connections until cancelled."""
        async with await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0) as listener:
            self.port = listener.extra(SocketAttribute.local_port)
            task_status.started()
            await listener.serve(self._carry)

    async def _carry(self, near: ByteStream) -> None:
        async with near, await anyio.connect_tcp("127.0.0.1", self.to) as far, anyio.create_task_group() as tasks:
            tasks.start_soon(self._copy, near, far, False)
            await self._copy(far, near, True)
            tasks.cancel_scope.cancel()

    async def _copy(self, source: ByteStream, sink: ByteStream, late: bool) -> None:
        with suppress(anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            while True:
                chunk = await source.receive()
                await anyio.sleep(self.seconds if late else 0)
                await sink.send(chunk)


@dataclass
class Trouble:
    """What happens to a store.

    Attributes:
        begin: Starts it.
        end: Ends it.
        shown: What the metrics show.
        alerts: What is true meanwhile.
        lines: The warnings, one in each direction.
    """

    begin: Callable[[RedisServer, SlowWay], object]
    end: Callable[[RedisServer, SlowWay], object]
    shown: Callable[[Found, Found], bool]
    alerts: set[str]
    lines: list[str]


def mean_seconds(before: Found, now: Found) -> float:
    """Return how long uses of the store took between two scrapes."""
    seconds, uses = (
        total(now, f"contit_mcp_store_seconds_{part}") - total(before, f"contit_mcp_store_seconds_{part}")
        for part in ("sum", "count")
    )
    return seconds / max(uses, 1)


def is_unusable(_: Found, found: Found) -> bool:
    """Whether the state says so, or an operation that does not end shows it."""
    return total(found, "contit_mcp_store_usable") == 0 or total(found, "contit_mcp_store_oldest_seconds") > 1


def command(redis: RedisServer, *words: str) -> None:
    """Send one command."""
    with Redis.from_url(redis.url) as client:
        client.execute_command(*words)


TROUBLES = {
    "slow": Trouble(
        lambda _, way: setattr(way, "seconds", 0.3),
        lambda _, way: setattr(way, "seconds", 0.0),
        lambda before, now: mean_seconds(before, now) > 0.25,
        {"ContitMcpStoreSlow"},
        ["store.slow", "store.fast"],
    ),
    "READONLY": Trouble(
        lambda redis, _: command(redis, "REPLICAOF", "127.0.0.1", "1"),
        lambda redis, _: command(redis, "REPLICAOF", "NO", "ONE"),
        is_unusable,
        {"ContitMcpStoreFails", "ContitMcpLimitsLocalOnly"},
        ["store.unusable", "store.back"],
    ),
    "hung": Trouble(
        lambda redis, _: redis.freeze(),
        lambda redis, _: redis.thaw(),
        is_unusable,
        {"ContitMcpStoreFails", "ContitMcpLimitsLocalOnly"},
        ["store.unusable", "store.back"],
    ),
}


async def test_a_store_in_trouble_is_seen_while_it_lasts(tmp_path: Path) -> None:
    """A slow, a read-only and a hung Redis, side by side, each under a steady stream of asks that never fail."""
    with anyio.fail_after(90):
        async with anyio.create_task_group() as tasks:
            for name, trouble in TROUBLES.items():
                folder = tmp_path / name
                folder.mkdir()
                await tasks.start(one_trouble, trouble, folder)


async def one_trouble(trouble: Trouble, folder: Path, *, task_status: TaskStatus[None]) -> None:
    """Let the store be in trouble for 8 s, and look meanwhile."""
    failed: list[dict[str, Any]] = []
    with redis_server(folder) as redis:
        way = SlowWay(redis.port)
        async with anyio.create_task_group() as tasks:
            await tasks.start(way.open)
            url = redis.url.replace(f":{redis.port}/", f":{way.port}/")
            environment = {"CONTIT_MCP_STORE": url, "CONTIT_MCP_SEAL_KEY": "k" * 32}
            environment["CONTIT_MCP_REQUESTS_PER_MINUTE"] = "100000"
            async with (
                deployment(SandboxOptions(run_seconds=1), **environment) as (server, _),
                watched(server) as watch,
                caller() as http,
                anyio.create_task_group() as asks,
            ):

                async def one(number: int) -> None:
                    answer = await ask(http, server, prompt=f"How many drafts are there? {number}")
                    failed.extend([answer] if answer["status"] != "completed" else [])

                async def stream() -> None:
                    for number in itertools.count():
                        asks.start_soon(one, number)
                        await anyio.sleep(0.2)

                task_status.started()
                async with anyio.create_task_group() as streaming:
                    streaming.start_soon(stream)
                    await anyio.sleep(8)  # until the other servers have started as well
                    before, told_before = watch.scrapes[-1][1], len(warnings(server, "store."))
                    began = time.monotonic()
                    await anyio.to_thread.run_sync(trouble.begin, redis, way)
                    await watch.first(partial(trouble.shown, before), since=began, within=SEEN_WITHIN + SCRAPE_SECONDS)
                    await anyio.sleep(began + 8 - time.monotonic())
                    true = await anyio.to_thread.run_sync(watch.true_now, folder)
                    await anyio.to_thread.run_sync(trouble.end, redis, way)
                    await server.logged(trouble.lines[1])
                    streaming.cancel_scope.cancel()
            tasks.cancel_scope.cancel()
    assert trouble.alerts <= true
    told = warnings(server, "store.")[told_before:]
    assert len(told) == len(set(told))  # a slow store can be unusable as well, once
    assert set(trouble.lines) <= set(told)
    assert len(warnings(server, "limits.")) <= 2
    assert failed == []


async def test_questions_count_alike_whether_asked_as_calls_or_as_tasks(tmp_path: Path) -> None:
    """40 questions, half of them failing, ring the same alert with the same numbers by end; no poll is a call."""
    seen: dict[str, tuple[Found, set[str]]] = {}
    with anyio.fail_after(80):
        async with anyio.create_task_group() as tasks:
            for way in ("calls", "tasks"):
                tasks.start_soon(forty_questions, way, tmp_path, seen)
    (calls, calls_alerts), (tasks_found, tasks_alerts) = seen["calls"], seen["tasks"]
    for found in (calls, tasks_found):
        assert total(found, "contit_runs_total", end="completed") == 20
        assert total(found, "contit_runs_total", end="run_failed") == 20
        assert total(found, "contit_run_seconds_count", end="run_failed") == 20
        assert total(found, "contit_mcp_callers_left_total") == 0
    assert total(calls, "contit_mcp_calls_total") == 40
    assert total(calls, "contit_mcp_calls_total", outcome="RunFailedError") == 20
    assert total(tasks_found, "contit_mcp_calls_total", outcome="task") == 41  # one question twice
    assert total(tasks_found, "contit_mcp_calls_total") == 41
    assert total(tasks_found, "contit_mcp_call_seconds_count") == 0
    assert calls_alerts == tasks_alerts == {"ContitMcpQuestionsFail"}


async def forty_questions(way: str, folder: Path, seen: dict[str, tuple[Found, set[str]]]) -> None:
    """Ask 40 questions at once, of which 20 fail, and note the metrics and the alerts that are true then."""
    faults = (Fault("failed", times=20),)
    environment = {"CONTIT_MCP_TASK_INLINE_SECONDS": "0", "CONTIT_MCP_REQUESTS_PER_MINUTE": "100000"}
    async with (
        deployment(SandboxOptions(run_seconds=4, faults=faults), **environment) as (server, sandbox),
        watched(server) as watch,
        caller() as http,
    ):
        await anyio.sleep(2)  # a rate is of what was scraped before as well

        async def one(number: int) -> None:
            prompt = f"How many drafts are there? {number}"
            if way == "calls":
                await ask(http, server, prompt=prompt)
            else:
                await ended(http, server, await create(http, server, prompt), every=1.0)

        async with anyio.create_task_group() as asks:
            for number in range(40):
                asks.start_soon(one, number)
            if way == "tasks":
                while len(sandbox.runs) < 40:
                    await anyio.sleep(0.05)
                cancelled = await create(http, server, "How many drafts are there? 0")
                await about(http, server, cancelled, "cancel")
                for _ in range(10):
                    assert (await about(http, server, cancelled))["result"]["status"] == "cancelled"
        await anyio.sleep(SCRAPE_SECONDS * 4)
        alerts = await anyio.to_thread.run_sync(watch.true_now, folder)
        seen[way] = watch.scrapes[-1][1], alerts
