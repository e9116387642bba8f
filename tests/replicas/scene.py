"""All of it together: Contit, Redis, two replicas, nginx before them, and the hosts that ask there."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from tests.children import free_port
from tests.redis_server import RedisServer, redis_server
from tests.replicas.contit import RecordingContit, contit_on_port
from tests.replicas.evidence import Evidence
from tests.replicas.fleet import Replica, fleet
from tests.replicas.hosts import Hosts
from tests.replicas.nginx import Nginx, nginx_before
from tests.replicas.plan import Conversation

Event = tuple[float, Callable[[], Awaitable[None]]]
"""What happens, and after which share of the questions was answered."""

SETTLING_SECONDS = 15.0
"""For each replica to show that it uses Redis again; longer only where nobody asks it any more."""

REDIS_SECONDS = 0.5
"""How long Redis is away."""


@dataclass
class Scene:
    """See the module."""

    contit: RecordingContit
    redis: RedisServer
    replicas: list[Replica]
    nginx: Nginx
    hosts: Hosts
    evidence: Evidence

    async def kill(self, *which: int) -> None:
        """Kill these replicas at once, and start them again."""
        for number in which:
            await self.replicas[number].kill()
        for number in which:
            await self.evidence.taken(self.replicas[number].now)
        await self.start(*which)

    async def start(self, *which: int) -> None:
        """Start these replicas."""
        async with anyio.create_task_group() as starting:
            for number in which:
                starting.start_soon(self.replicas[number].start)

    async def kill_redis(self) -> None:
        """Kill Redis, start it again, and wait until every replica uses it: two failures at once are more than is promised."""
        await anyio.to_thread.run_sync(self.redis.stop)
        self.evidence.outages.append(anyio.current_time())
        await anyio.sleep(REDIS_SECONDS)
        await anyio.to_thread.run_sync(self.redis.start)
        with anyio.move_on_after(SETTLING_SECONDS):
            for server in [replica.now.server for replica in self.replicas]:
                await server.logged("run.started", len(server.named("run.started")) + 3)
                await server.logged("store.back", len(server.named("store.unusable")))

    async def play(self, conversations: Sequence[Conversation], *, at_once: int, events: Sequence[Event]) -> None:
        """Let the hosts hold their conversations, so many at once, while these events happen."""
        left = list(conversations)
        total = sum(len(conversation.questions) for conversation in left)

        async def converse() -> None:
            while left:
                await self.hosts.converse(left.pop())

        async def happen() -> None:
            for share, event in events:
                while self.hosts.answered < share * total:
                    await anyio.sleep(0.02)
                await event()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(happen)
            for _ in range(at_once):
                tasks.start_soon(converse)


@asynccontextmanager
async def scene(folder: Path, *, keeps: bool = True, seed: int = 0, **settings: str) -> AsyncIterator[Scene]:
    """All of it, ready.

    Args:
        folder: For Redis and nginx.
        keeps: Whether Redis keeps what it knows when it is killed.
        seed: Of all chances.
        settings: Of the replicas.
    """
    contit = RecordingContit(seed=seed)
    with redis_server(folder, port=free_port(), keeps=keeps) as redis:
        async with contit_on_port(contit) as base_url, fleet(base_url, redis.url, settings) as replicas:
            evidence = Evidence(contit, replicas, redis.url, base_url)
            with nginx_before([replica.port for replica in replicas], folder / "nginx") as nginx:
                async with Hosts(nginx.url, base_url, seed=seed) as hosts:
                    yield Scene(contit, redis, replicas, nginx, hosts, evidence)
