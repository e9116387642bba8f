"""What an on-call engineer sees while Contit or the store is in trouble: within 2 s, and in one log line at each end.

The servers of a test run side by side. A lock, `turn`, keeps others from starting while a trouble has to be seen.
"""

import itertools
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import yaml
from anyio.abc import ByteStream, SocketAttribute
from redis import Redis

from contit_mcp.sandbox.options import Fault, SandboxOptions
from contit_mcp.sandbox.record import SandboxRecord
from tests.children import QUESTION, SEAL_KEY, Served, ask, caller, deployment, samples
from tests.deployment.test_watching import RULES
from tests.http.test_tasks import create, ended
from tests.redis_server import RedisServer, redis_server

REASON = "needs promtool (Debian: apt-get install prometheus), which computes alerts"
needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason=REASON)
pytestmark = [pytest.mark.anyio, pytest.mark.no_cover, needs_promtool]

ASKS = 50
OUTAGE_SECONDS = 20.0
SEEN_WITHIN = 2.0
SCRAPE_SECONDS = 0.25
MOST_DELAY = 1.5  # seconds by which this process itself may be late

Found = dict[str, float]


@dataclass
class Watch:
    """A deployment whose metrics are scraped all the time, as Prometheus does."""

    server: Served
    sandbox: SandboxRecord
    http: httpx.AsyncClient
    scrapes: list[Found] = field(default_factory=list)
    delay: float = 0.0  # of the last scrape: how late this process woke up for it, and how long it took

    @property
    def last(self) -> Found:
        return self.scrapes[-1]

    async def scrape(self) -> None:
        due = time.monotonic()
        while True:
            text = (await self.http.get(self.server.metrics_url)).text
            self.delay = time.monotonic() - due
            self.scrapes.append(samples(text))
            due = time.monotonic() + SCRAPE_SECONDS
            await anyio.sleep(SCRAPE_SECONDS)

    async def sees(self, *shown: Callable[[Found], bool], since: float) -> None:
        """Wait until one scrape shows all of it. SEEN_WITHIN is the bound, plus what this process itself was late."""
        known, late = len(self.scrapes), 0.0
        while not any(all(each(found) for each in shown) for found in self.scrapes[known:]):
            late = min(MOST_DELAY, max(late, self.delay))
            assert time.monotonic() - since < SEEN_WITHIN + SCRAPE_SECONDS + late, (late, sorted(self.last.items()))
            await anyio.sleep(0.02)

    async def alerts(self, folder: Path, count: int | None = None) -> set[str]:
        """Return the alerts whose expressions are true after all scrapes, or after the first `count` of them."""
        scrapes = self.scrapes[:count]
        interval = f"{int(SCRAPE_SECONDS * 1_000)}ms"
        series = [
            {"series": promtool_name(name), "values": " ".join(str(found.get(name, "_")) for found in scrapes)}
            for name in sorted({name for found in scrapes for name in found})
        ]
        eval_time = f"{int((len(scrapes) - 1) * SCRAPE_SECONDS * 1_000)}ms"
        expected = [{"expr": rule["expr"], "eval_time": eval_time, "exp_samples": []} for rule in RULES]
        test = {"interval": interval, "input_series": series, "promql_expr_test": expected}
        file = folder / f"alerts-{time.monotonic_ns()}.yaml"
        file.write_text(yaml.safe_dump({"evaluation_interval": interval, "tests": [test]}, width=10_000_000))
        promtool = partial(subprocess.run, ["promtool", "test", "rules", file], capture_output=True, text=True)
        done = await anyio.to_thread.run_sync(promtool)
        # promtool names the expressions that have samples, because none was expected to have any.
        failures = re.split(r"\n(?=    expr: )", (done.stdout + done.stderr).replace('\\"', '"'))
        true = {rule["alert"] for rule in RULES if any(f'expr: "{rule["expr"]}"' in each for each in failures)}
        assert bool(true) == bool(done.returncode), failures
        return true


def promtool_name(series: str) -> str:
    """Return a series as promtool reads it, with the labels that Prometheus adds."""
    labels = [("job", "contit-mcp"), ("instance", "i"), *re.findall(r"\{(\w+)=([^}]*)\}", series)]
    written = ",".join(f'{name}="{value}"' for name, value in labels)
    return series.partition("{")[0] + "{" + written + "}"


@asynccontextmanager
async def watched(options: SandboxOptions, **environment: str) -> AsyncIterator[Watch]:
    async with deployment(options, **environment) as served, caller() as http, anyio.create_task_group() as tasks:
        watch = Watch(*served, http)
        tasks.start_soon(watch.scrape)
        while not watch.scrapes:
            await anyio.sleep(0.01)
        yield watch
        tasks.cancel_scope.cancel()


def warnings(server: Served, prefix: str) -> list[str]:
    return [line["event"] for line in server.lines if line["event"].startswith(prefix) and line["level"] == "warning"]


def total(found: Found, start: str) -> float:
    """Return the sum of all series whose name, with its first labels, begins so."""
    return sum(value for series, value in found.items() if series.startswith(start))


def answers_with(status: str, found: Found) -> bool:
    return any(f"{{status={status}}}" in series and value for series, value in found.items())


def is_silent(found: Found) -> bool:
    return found["contit_mcp_upstream_oldest_seconds"] >= 1 and found["contit_mcp_upstream_in_flight"] > 10


def is_unreachable(found: Found) -> bool:
    return found["contit_mcp_contit_reachable"] == 0


# The fault, the cause that the log names, what the metrics show, and the further alerts that are true at its end.
OUTAGES: list[tuple[Fault, str, Callable[[Found], bool], set[str]]] = [
    (Fault("503", times=None), "503", partial(answers_with, "503"), {"ContitMcpContitFails"}),
    (Fault("429", times=None), "429", partial(answers_with, "429"), {"ContitMcpThrottledByContit"}),
    (Fault("delay", times=None, seconds=60), "silence", is_silent, set()),
]


async def watch_outage(
    fault: Fault, cause: str, shows: Callable[[Found], bool], alerts: set[str], turn: anyio.Lock, folder: Path
) -> None:
    """Let Contit fail for 20 s under 50 waiting asks, which are answered afterwards; check what is seen of it."""
    answers: list[str] = []
    await turn.acquire()
    async with watched(SandboxOptions(run_seconds=20)) as watch, caller() as http, anyio.create_task_group() as asks:
        server, sandbox = watch.server, watch.sandbox

        async def one(number: int) -> None:
            answers.append((await ask(http, server, prompt=f"{QUESTION} {number}", wait_seconds=120))["status"])

        for number in range(ASKS):
            asks.start_soon(one, number)
            await anyio.sleep(1 / ASKS)  # a second later they begin to poll, spread over each second
        while watch.last["contit_mcp_pollers"] < ASKS or watch.last["contit_mcp_polls_total"] < 2 * ASKS:
            await anyio.sleep(0.05)
        before, began = watch.last, time.monotonic()
        assert not is_unreachable(before)
        sandbox.add_fault(fault)
        await watch.sees(shows, is_unreachable, since=began)
        soon = len(watch.scrapes)
        turn.release()
        await anyio.sleep(began + OUTAGE_SECONDS - time.monotonic())
        end = len(watch.scrapes)
        sandbox.clear_faults()
        with anyio.fail_after(30):
            await server.logged("contit.back")
    assert answers == ["completed"] * ASKS
    assert not [line for line in server.lines if line["level"] == "error"]
    assert warnings(server, "contit.") == ["contit.unreachable", "contit.back"]
    assert server.named("contit.unreachable")[0]["cause"] == cause
    assert server.named("contit.back")[0]["seconds"] > OUTAGE_SECONDS - SEEN_WITHIN - MOST_DELAY
    assert watch.scrapes[end - 1]["contit_mcp_polls_total"] > before["contit_mcp_polls_total"]
    assert "ContitMcpContitUnreachable" in await watch.alerts(folder, soon)
    assert alerts | {"ContitMcpContitUnreachable"} <= await watch.alerts(folder, end)


async def test_an_outage_of_contit_is_seen_while_it_lasts(tmp_path: Path) -> None:
    turn = anyio.Lock()
    async with anyio.create_task_group() as tasks:
        for row in OUTAGES:
            tasks.start_soon(watch_outage, *row, turn, tmp_path)


@dataclass
class SlowProxy:
    """A TCP proxy before a Redis, which delays each answer by `seconds`."""

    redis: RedisServer
    seconds: float = 0.0

    async def carry(self, near: ByteStream) -> None:
        far = await anyio.connect_tcp("127.0.0.1", self.redis.port)
        async with near, far, anyio.create_task_group() as tasks:
            tasks.start_soon(self._copy, near, far, False)
            await self._copy(far, near, True)
            tasks.cancel_scope.cancel()

    async def _copy(self, source: ByteStream, sink: ByteStream, late: bool) -> None:
        with suppress(anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            async for chunk in source:
                await anyio.sleep(self.seconds if late else 0)
                await sink.send(chunk)


def trouble(kind: str, proxy: SlowProxy, *, begins: bool) -> None:
    """Begin or end a trouble of a Redis."""
    match kind:
        case "slow":
            proxy.seconds = 0.3 if begins else 0
        case "read-only":
            with Redis.from_url(proxy.redis.url) as client:
                client.execute_command("REPLICAOF", *(("127.0.0.1", "1") if begins else ("NO", "ONE")))
        case "hung":
            proxy.redis.freeze() if begins else proxy.redis.thaw()


def is_slow(before: Found, now: Found) -> bool:
    """Whether store operations between two scrapes took more than a quarter of a second on average."""
    names = ("contit_mcp_store_seconds_sum", "contit_mcp_store_seconds_count")
    seconds, uses = (total(now, name) - total(before, name) for name in names)
    return seconds / max(uses, 1) > 0.25


def is_unusable(_: Found, now: Found) -> bool:
    """Whether the store is known to be unusable, or an operation on it lasts for more than a second."""
    return now["contit_mcp_store_usable"] == 0 or now["contit_mcp_store_oldest_seconds"] > 1


UNUSABLE = {"ContitMcpStoreFails", "ContitMcpLimitsLocalOnly"}
# Its kind, what two scrapes show, the alerts that are true at its end, and the warnings at its beginning and its end.
STORE_TROUBLES: list[tuple[str, Callable[[Found, Found], bool], set[str], set[str]]] = [
    ("slow", is_slow, {"ContitMcpStoreSlow"}, {"store.slow", "store.fast"}),
    ("read-only", is_unusable, UNUSABLE, {"store.unusable", "store.back"}),
    ("hung", is_unusable, UNUSABLE, {"store.unusable", "store.back"}),
]


async def watch_trouble(
    kind: str, shows: Callable[[Found, Found], bool], alerts: set[str], told: set[str], turn: anyio.Lock,
    proxy: SlowProxy, folder: Path,
) -> None:  # fmt: skip
    """Let a Redis be in trouble for 8 s under a steady stream of asks, of which none may fail; check what is seen."""
    failed: list[dict[str, Any]] = []
    await turn.acquire()
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, proxy.carry)
        port = listener.extra(SocketAttribute.local_port)
        store = {"CONTIT_MCP_STORE": proxy.redis.url.replace(f":{proxy.redis.port}/", f":{port}/")}
        store |= {"CONTIT_MCP_SEAL_KEY": SEAL_KEY, "CONTIT_MCP_REQUESTS_PER_MINUTE": "100000"}
        async with (
            watched(SandboxOptions(run_seconds=1), **store) as watch,
            caller() as http,
            anyio.create_task_group() as asks,
            anyio.create_task_group() as streaming,
        ):
            server = watch.server

            async def one(number: int) -> None:
                answer = await ask(http, server, prompt=f"{QUESTION} {number}")
                failed.extend([answer] if answer["status"] != "completed" else [])

            async def stream() -> None:
                for number in itertools.count():
                    asks.start_soon(one, number)
                    await anyio.sleep(0.2)

            streaming.start_soon(stream)
            await anyio.sleep(2)
            before, known, began = watch.last, len(warnings(server, "store.")), time.monotonic()
            trouble(kind, proxy, begins=True)
            await watch.sees(partial(shows, before), since=began)
            turn.release()
            await anyio.sleep(began + 8 - time.monotonic())
            end = len(watch.scrapes)
            trouble(kind, proxy, begins=False)
            with anyio.fail_after(30):
                while not told <= set(warnings(server, "store.")[known:]):
                    await anyio.sleep(0.05)
            streaming.cancel_scope.cancel()
        tasks.cancel_scope.cancel()
    assert failed == [], server.named("call.crashed")
    logged = warnings(server, "store.")[known:]
    assert len(logged) == len(set(logged)), logged  # a slow store can be unusable as well, once
    assert len(warnings(server, "limits.")) <= 2
    assert alerts <= await watch.alerts(folder, end)


async def test_a_store_in_trouble_is_seen_while_it_lasts(tmp_path: Path) -> None:
    turn = anyio.Lock()
    with ExitStack() as stack:
        async with anyio.create_task_group() as tasks:
            for row in STORE_TROUBLES:
                proxy = SlowProxy(stack.enter_context(redis_server(tmp_path)))
                tasks.start_soon(watch_trouble, *row, turn, proxy, tmp_path)


async def ask_forty(way: str, folder: Path, seen: dict[str, tuple[Found, set[str]]]) -> None:
    """Ask 40 questions at once, of which 20 fail; note the metrics and the alerts that are true then."""
    faults = (Fault("failed", times=20),)
    environment = {"CONTIT_MCP_TASK_INLINE_SECONDS": "0", "CONTIT_MCP_REQUESTS_PER_MINUTE": "100000"}
    async with watched(SandboxOptions(run_seconds=4, faults=faults), **environment) as watch, caller() as http:
        await anyio.sleep(2)  # a rate needs scrapes from before, too

        async def one(number: int) -> None:
            prompt = f"{QUESTION} {number}"
            if way == "calls":
                await ask(http, watch.server, prompt=prompt)
            else:
                await ended(http, watch.server, await create(http, watch.server, prompt), every=1.0)

        async with anyio.create_task_group() as asks:
            for number in range(40):
                asks.start_soon(one, number)
        await anyio.sleep(SCRAPE_SECONDS * 4)
        seen[way] = watch.last, await watch.alerts(folder)


async def test_questions_count_alike_whether_asked_as_calls_or_as_tasks(tmp_path: Path) -> None:
    """40 questions, half of them failing, make the same alert true with the same numbers; a poll is no call."""
    seen: dict[str, tuple[Found, set[str]]] = {}
    async with anyio.create_task_group() as tasks:
        for way in ("calls", "tasks"):
            tasks.start_soon(ask_forty, way, tmp_path, seen)
    for found, alerts in seen.values():
        ends = {end: total(found, f"contit_runs_total{{end={end}}}") for end in ("completed", "run_failed")}
        assert ends == {"completed": 20, "run_failed": 20}
        assert total(found, "contit_run_seconds_count{end=run_failed}") == 20
        assert total(found, "contit_mcp_calls_total") == 40
        assert alerts == {"ContitMcpQuestionsFail"}
    assert total(seen["calls"][0], "contit_mcp_calls_total{outcome=RunFailedError}") == 20
    assert total(seen["tasks"][0], "contit_mcp_calls_total{outcome=task}") == 40
