"""What an on-call engineer sees while Contit or the store is in trouble: within 2 s, and one line in each direction.

Servers run side by side, and their troubles begin one after the other, so that each is seen on a quiet machine.
"""

import itertools
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest
import yaml
from anyio.abc import ByteStream, SocketAttribute
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from contit_mcp.sandbox.options import Fault, SandboxOptions
from contit_mcp.sandbox.record import SandboxRecord
from tests.children import SEAL_KEY, Served, ask, caller, deployment
from tests.http.test_tasks import about, create, ended
from tests.redis_server import RedisServer, redis_server
from tests.rules.tree import ROOT

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None,
    reason="needs promtool (Debian: apt-get install prometheus), which computes alerts",
)
pytestmark = [pytest.mark.anyio, needs_promtool]

ALERTS = ROOT / "configs" / "prometheus" / "alerts.yaml"
RULES = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
ASKS = 50
OUTAGE_SECONDS = 20.0
SEEN_WITHIN = 2.0
SCRAPE_SECONDS = 0.25
MOST_DELAY = 1.5  # of this process's own lateness a test allows for so much

Found = dict[str, float]


@dataclass
class Watch:
    """A Prometheus that scrapes one server, and computes the alerts of what it has scraped."""

    server: Served
    http: httpx.AsyncClient
    scrapes: list[Found] = field(default_factory=list)
    delay: float = 0.0  # how late the last scrape was, by this process's sleep and by the answer

    @property
    def last(self) -> Found:
        return self.scrapes[-1]

    async def scrape(self) -> None:
        due = time.monotonic()
        while True:
            text = (await self.http.get(self.server.metrics_url)).text
            self.delay = time.monotonic() - due
            self.scrapes.append(series_in(text))
            due = time.monotonic() + SCRAPE_SECONDS
            await anyio.sleep(SCRAPE_SECONDS)

    async def sees(self, *shown: Callable[[Found], bool], since: float) -> None:
        """Wait until one scrape shows all of it, within the bound and what this process itself was late."""
        known, late = len(self.scrapes), 0.0
        while not any(all(each(found) for each in shown) for found in self.scrapes[known:]):
            late = min(MOST_DELAY, max(late, self.delay))
            assert time.monotonic() - since < SEEN_WITHIN + SCRAPE_SECONDS + late, (late, sorted(self.last.items()))
            await anyio.sleep(0.02)

    def alerts(self, folder: Path, count: int) -> set[str]:
        """Return the alerts whose expressions are true after so many scrapes."""
        scrapes = self.scrapes[:count]
        series = [
            {"series": name, "values": " ".join(str(found.get(name, "_")) for found in scrapes)}
            for name in sorted({name for found in scrapes for name in found})
        ]
        milliseconds = int(SCRAPE_SECONDS * 1_000)
        end = f"{(len(scrapes) - 1) * milliseconds}ms"
        tests = [{"expr": rule["expr"], "eval_time": end, "exp_samples": []} for rule in RULES]
        test = {"interval": f"{milliseconds}ms", "input_series": series, "promql_expr_test": tests}
        file = folder / f"alerts-{time.monotonic_ns()}.yaml"
        whole = {"evaluation_interval": f"{milliseconds}ms", "tests": [test]}
        file.write_text(yaml.safe_dump(whole, width=10_000_000))
        done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
        # promtool names the expressions that have samples, which none was expected to have.
        failures = re.split(r"\n(?=    expr: )", (done.stdout + done.stderr).replace('\\"', '"'))
        true = {rule["alert"] for rule in RULES if any(f'expr: "{rule["expr"]}"' in each for each in failures)}
        assert bool(true) == bool(done.returncode), failures
        return true


@asynccontextmanager
async def watched(server: Served) -> AsyncIterator[Watch]:
    async with caller() as http, anyio.create_task_group() as tasks:
        watch = Watch(server, http)
        tasks.start_soon(watch.scrape)
        while not watch.scrapes:
            await anyio.sleep(0.01)
        yield watch
        tasks.cancel_scope.cancel()


def series_in(text: str) -> Found:
    """Return samples by series, written as promtool reads them."""
    found = {}
    for sample in (each for family in text_string_to_metric_families(text) for each in family.samples):
        labels = {"job": "contit-mcp", "instance": "i", **dict(sorted(sample.labels.items()))}
        written = ",".join(f'{label}="{value}"' for label, value in labels.items())
        if not sample.name.endswith("_created"):
            found[f"{sample.name}{{{written}}}"] = sample.value
    return found


def total(found: Found, name: str, **labels: str) -> float:
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    return sum(n for series, n in found.items() if series.startswith(f"{name}{{") and all(w in series for w in wanted))


def warnings(server: Served, prefix: str) -> list[str]:
    return [line["event"] for line in server.lines if line["event"].startswith(prefix) and line["level"] == "warning"]


def answers_with(status: str, found: Found) -> bool:
    return total(found, "contit_mcp_upstream_requests_total", status=status) > 0


def is_silent(found: Found) -> bool:
    oldest, waiting = (total(found, f"contit_mcp_upstream_{name}") for name in ("oldest_seconds", "in_flight"))
    return oldest >= 1 and waiting > 10


def is_unreachable(found: Found) -> bool:
    return total(found, "contit_mcp_contit_reachable") == 0


# The fault, the cause that the log names, what the counters show, and the alerts that are true at its end.
OUTAGES: list[tuple[Fault, str, Callable[[Found], bool], set[str]]] = [
    (Fault("503", times=None), "503", partial(answers_with, "503"), {"ContitMcpContitFails"}),
    (Fault("429", times=None), "429", partial(answers_with, "429"), {"ContitMcpThrottledByContit"}),
    (Fault("delay", times=None, seconds=60), "silence", is_silent, set()),
]


@asynccontextmanager
async def fifty_asks() -> AsyncIterator[tuple[Watch, SandboxRecord]]:
    """Yield a watched server and its Contit under 50 waiting asks, which are all answered at the end."""
    answers: list[str] = []
    async with (
        deployment(SandboxOptions(run_seconds=20)) as (server, sandbox),
        watched(server) as watch,
        caller() as http,
        anyio.create_task_group() as asks,
    ):

        async def one(number: int) -> None:
            answer = await ask(http, server, prompt=f"How many drafts are there? {number}", wait_seconds=120)
            answers.append(answer["status"])

        for number in range(ASKS):
            asks.start_soon(one, number)
        while total(watch.last, "contit_mcp_pollers") < ASKS:
            await anyio.sleep(0.05)
        yield watch, sandbox
    assert answers == ["completed"] * ASKS
    assert not [line for line in server.lines if line["level"] == "error"]


async def test_an_outage_of_contit_is_seen_while_it_lasts(tmp_path: Path) -> None:
    """503, 429 and a black hole, each for 20 s under 50 waiting asks."""
    async with AsyncExitStack() as stack:
        stages = [await stack.enter_async_context(fifty_asks()) for _ in OUTAGES]
        seen: list[tuple[float, Found, int]] = []
        for (watch, sandbox), (fault, _, counted, _) in zip(stages, OUTAGES, strict=True):
            before = watch.last
            assert not is_unreachable(before)
            sandbox.add_fault(fault)
            began = time.monotonic()
            await watch.sees(counted, is_unreachable, since=began)
            seen.append((began, before, len(watch.scrapes)))
        late: list[int] = []
        for (watch, sandbox), (began, _, _) in zip(stages, seen, strict=True):
            await anyio.sleep(max(0, began + OUTAGE_SECONDS - time.monotonic()))
            late.append(len(watch.scrapes))
            sandbox.clear_faults()
        for watch, _ in stages:
            with anyio.fail_after(30):
                await watch.server.logged("contit.back")
    for (watch, _), (_, cause, _, alerts), (_, before, soon), end in zip(stages, OUTAGES, seen, late, strict=True):
        assert warnings(watch.server, "contit.") == ["contit.unreachable", "contit.back"]
        assert watch.server.named("contit.unreachable")[0]["cause"] == cause
        assert watch.server.named("contit.back")[0]["seconds"] > OUTAGE_SECONDS - SEEN_WITHIN - MOST_DELAY
        assert total(watch.scrapes[end - 1], "contit_mcp_polls_total") > total(before, "contit_mcp_polls_total")
        for count, expected in ((soon, {"ContitMcpContitUnreachable"}), (end, alerts)):
            assert expected <= await anyio.to_thread.run_sync(watch.alerts, tmp_path, count)


@dataclass
class SlowWay:
    """A way to a Redis, begun at `port`, on which each answer takes `seconds` longer."""

    to: int
    seconds: float = 0.0
    port: int = 0

    async def open(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
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
            async for chunk in source:
                await anyio.sleep(self.seconds if late else 0)
                await sink.send(chunk)


def command(redis: RedisServer, *words: str) -> None:
    with Redis.from_url(redis.url) as client:
        client.execute_command(*words)


def is_slow(before: Found, now: Found) -> bool:
    """Whether uses of the store took a quarter second between two scrapes."""
    seconds, uses = (
        total(now, f"contit_mcp_store_seconds_{part}") - total(before, f"contit_mcp_store_seconds_{part}")
        for part in ("sum", "count")
    )
    return seconds / max(uses, 1) > 0.25


def is_unusable(_: Found, found: Found) -> bool:
    """Whether the state says so, or an operation that does not end shows it."""
    return total(found, "contit_mcp_store_usable") == 0 or total(found, "contit_mcp_store_oldest_seconds") > 1


FAILS = {"ContitMcpStoreFails", "ContitMcpLimitsLocalOnly"}
Change = Callable[[RedisServer, SlowWay], object]
# How it begins and ends, what the metrics show, the alerts that are true meanwhile, and a warning in each direction.
TROUBLES: list[tuple[Change, Change, Callable[[Found, Found], bool], set[str], set[str]]] = [
    (lambda _, way: setattr(way, "seconds", 0.3), lambda _, way: setattr(way, "seconds", 0.0),
     is_slow, {"ContitMcpStoreSlow"}, {"store.slow", "store.fast"}),
    (lambda redis, _: command(redis, "REPLICAOF", "127.0.0.1", "1"), lambda redis, _: command(redis, "REPLICAOF", "NO", "ONE"),
     is_unusable, FAILS, {"store.unusable", "store.back"}),
    (lambda redis, _: redis.freeze(), lambda redis, _: redis.thaw(),
     is_unusable, FAILS, {"store.unusable", "store.back"}),
]  # fmt: skip


@asynccontextmanager
async def steady_asks(redis: RedisServer) -> AsyncIterator[tuple[Watch, RedisServer, SlowWay]]:
    """Yield a watched server with a Redis of its own under a steady stream of asks, of which none may fail."""
    failed: list[dict[str, Any]] = []
    way = SlowWay(redis.port)
    async with anyio.create_task_group() as tasks:
        await tasks.start(way.open)
        store = {"CONTIT_MCP_STORE": redis.url.replace(f":{redis.port}/", f":{way.port}/")}
        store |= {"CONTIT_MCP_SEAL_KEY": SEAL_KEY, "CONTIT_MCP_REQUESTS_PER_MINUTE": "100000"}
        async with (
            deployment(SandboxOptions(run_seconds=1), **store) as (server, _),
            watched(server) as watch,
            caller() as http,
            anyio.create_task_group() as asks,
            anyio.create_task_group() as streaming,
        ):

            async def one(number: int) -> None:
                answer = await ask(http, server, prompt=f"How many drafts are there? {number}")
                failed.extend([answer] if answer["status"] != "completed" else [])

            async def stream() -> None:
                for number in itertools.count():
                    asks.start_soon(one, number)
                    await anyio.sleep(0.2)

            streaming.start_soon(stream)
            yield watch, redis, way
            streaming.cancel_scope.cancel()
        tasks.cancel_scope.cancel()
    assert failed == [], server.named("call.crashed")


async def test_a_store_in_trouble_is_seen_while_it_lasts(tmp_path: Path) -> None:
    """A slow, a read-only and a hung Redis, each for 8 s."""
    async with AsyncExitStack() as stack:
        stages = []
        for _ in TROUBLES:
            redis = stack.enter_context(redis_server(tmp_path))
            stages.append(await stack.enter_async_context(steady_asks(redis)))
        await anyio.sleep(2)
        began: list[tuple[float, int]] = []
        for (watch, redis, way), (begin, _, shown, _, _) in zip(stages, TROUBLES, strict=True):
            before, told = watch.last, len(warnings(watch.server, "store."))
            began.append((time.monotonic(), told))
            await anyio.to_thread.run_sync(begin, redis, way)
            await watch.sees(partial(shown, before), since=began[-1][0])
        late: list[int] = []
        for (watch, redis, way), (_, end, _, _, _), (at, _) in zip(stages, TROUBLES, began, strict=True):
            await anyio.sleep(max(0, at + 8 - time.monotonic()))
            late.append(len(watch.scrapes))
            await anyio.to_thread.run_sync(end, redis, way)
        for (watch, _, _), (_, _, _, _, lines), (_, told) in zip(stages, TROUBLES, began, strict=True):
            with anyio.fail_after(30):
                while not lines <= set(warnings(watch.server, "store.")[told:]):
                    await anyio.sleep(0.05)
    for (watch, _, _), (_, _, _, alerts, _), (_, told), count in zip(stages, TROUBLES, began, late, strict=True):
        after = warnings(watch.server, "store.")[told:]
        assert len(after) == len(set(after)), after  # a slow store can be unusable as well, once
        assert len(warnings(watch.server, "limits.")) <= 2
        assert alerts <= await anyio.to_thread.run_sync(watch.alerts, tmp_path, count)


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
        seen[way] = watch.last, await anyio.to_thread.run_sync(watch.alerts, folder, len(watch.scrapes))


async def test_questions_count_alike_whether_asked_as_calls_or_as_tasks(tmp_path: Path) -> None:
    """40 questions, half of them failing, ring the same alert with the same numbers by end; no poll is a call."""
    seen: dict[str, tuple[Found, set[str]]] = {}
    with anyio.fail_after(80):
        async with anyio.create_task_group() as tasks:
            for way in ("calls", "tasks"):
                tasks.start_soon(forty_questions, way, tmp_path, seen)
    for found, alerts in seen.values():
        assert total(found, "contit_runs_total", end="completed") == 20
        assert total(found, "contit_runs_total", end="run_failed") == 20
        assert total(found, "contit_run_seconds_count", end="run_failed") == 20
        assert total(found, "contit_mcp_callers_left_total") == 0
        assert alerts == {"ContitMcpQuestionsFail"}
    calls, tasked = seen["calls"][0], seen["tasks"][0]
    assert total(calls, "contit_mcp_calls_total") == 40
    assert total(calls, "contit_mcp_calls_total", outcome="RunFailedError") == 20
    assert total(tasked, "contit_mcp_calls_total", outcome="task") == 41  # one question twice
    assert total(tasked, "contit_mcp_calls_total") == 41
    assert total(tasked, "contit_mcp_call_seconds_count") == 0
