"""1,000 questions while replicas are killed with -9, and Redis too: each has one run, and its own answer."""

import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from tests.replicas.contit import RecordingContit, contit_on_port
from tests.replicas.evidence import Evidence, summary
from tests.replicas.fleet import Replica, fleet
from tests.replicas.hosts import Hosts
from tests.replicas.nginx import nginx_before
from tests.replicas.plan import conversations
from tests.replicas.ports import free_port
from tests.redis_server import RedisServer, redis_server

pytestmark = pytest.mark.anyio

QUESTIONS = int(os.environ.get("CONTIT_TESTS_QUESTIONS", "1000"))
SEED = int(os.environ.get("CONTIT_TESTS_SEED", "6"))
AT_ONCE = int(os.environ.get("CONTIT_TESTS_AT_ONCE", "40"))


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Asyncio as in production: processes and sockets do not follow a virtual clock."""
    return "asyncio", {}


@dataclass
class Disaster:
    """Kills things, by turns."""

    replicas: list[Replica]
    redis: RedisServer
    evidence: Evidence

    async def replica(self, *which: int) -> None:
        """Kill these at once, and start them again."""
        for number in which:
            await self.replicas[number].kill()
        for number in which:
            await self.evidence.taken(self.replicas[number].now)
        async with anyio.create_task_group() as starting:
            for number in which:
                starting.start_soon(self.replicas[number].start)

    async def store(self) -> None:
        """Kill Redis, and start it again."""
        await anyio.to_thread.run_sync(self.redis.stop)
        await anyio.sleep(0.5)
        await anyio.to_thread.run_sync(self.redis.start)


def plan_of(disaster: Disaster) -> list[tuple[float, Callable[[], Awaitable[None]]]]:
    """What happens after which share of the questions."""
    return [
        (0.04, lambda: disaster.replica(0)),
        (0.12, lambda: disaster.replica(1)),
        (0.20, lambda: disaster.replica(0, 1)),
        (0.28, lambda: disaster.replica(0)),
        (0.45, disaster.store),
        (0.65, lambda: disaster.replica(1)),
    ]


@pytest.mark.parametrize("keeps", [True, False], ids=["redis-keeps", "redis-forgets"])
async def test_every_question_is_answered_by_its_one_run(keeps: bool, tmp_path: Path) -> None:
    """Whatever is killed, and however often (issue 6; design, section 3)."""
    began = time.monotonic()
    contit = RecordingContit()
    with anyio.fail_after(300), redis_server(tmp_path, port=free_port(), keeps=keeps) as redis:
        async with contit_on_port(contit) as base_url, fleet(base_url, redis.url) as replicas:
            evidence = Evidence(contit, replicas, redis.url, base_url)
            with nginx_before([replica.port for replica in replicas], tmp_path / "nginx") as nginx:
                async with Hosts(nginx.url, base_url, seed=SEED) as hosts:
                    await _ask_all(hosts, plan_of(Disaster(replicas, redis, evidence)))
    print(summary(evidence, hosts.questions, time.monotonic() - began))
    import json

    for replica in evidence.replicas:
        for life in replica.lives:
            for line in life.server.lines:
                if line["event"].startswith("store") or line["event"].startswith("limits"):
                    print(life.key, line)
    Path("/tmp/w/chaos-logs.jsonl").write_text(
        "\n".join(
            json.dumps({"key": life.key, **line})
            for replica in evidence.replicas
            for life in replica.lives
            for line in life.server.lines
        )
    )
    wrongs = evidence.wrongs(hosts.questions)
    assert not wrongs, "\n".join(wrongs)
    assert hosts.answered == QUESTIONS


async def _ask_all(hosts: Hosts, disasters: list[tuple[float, Callable[[], Awaitable[None]]]]) -> None:
    left = conversations(QUESTIONS, seed=SEED)

    async def seat() -> None:
        while left:
            await hosts.converse(left.pop())

    async def tell() -> None:
        while hosts.answered < QUESTIONS:
            await anyio.sleep(2)
            out = [q for q in hosts.questions if q.answer is None]
            print(f"{anyio.current_time():.0f}", hosts.answered, len(left), len(out), flush=True)
            if not left and len(out) < 6:
                for q in out:
                    print("   ", q.planned.prompt, [(a.tool, round(a.began), a.outcome) for a in q.attempts[-4:]])

    async def strike() -> None:
        for share, disaster in disasters:
            while hosts.answered < share * QUESTIONS:
                await anyio.sleep(0.02)
            import datetime

            print("strike", share, anyio.current_time(), datetime.datetime.now(datetime.timezone.utc), flush=True)
            await disaster()
            print("struck", share, anyio.current_time(), flush=True)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(strike)
        tasks.start_soon(tell)
        async with anyio.create_task_group() as seats:
            for _ in range(AT_ONCE):
                seats.start_soon(seat)
        tasks.cancel_scope.cancel()
