"""Everything together: Contit, Redis, two replicas, nginx in front of them, and the hosts that ask it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from contit_mcp.sandbox.app import create_sandbox
from contit_mcp.sandbox.options import Fault, SandboxOptions, ScriptedAnswer
from tests.children import caller, free_port, on_port
from tests.redis_server import RedisServer, redis_server
from tests.replicas.evidence import Contit, Evidence
from tests.replicas.fleet import KEYS, Replica, fleet
from tests.replicas.hosts import Hosts, conversations
from tests.replicas.nginx import Nginx, running_nginx

Event = tuple[float, Callable[[], Awaitable[None]]]
"""The share of the questions that are answered when it happens, and what happens."""

REPLY_SECONDS = 0.05  # from accepting a start until its ids are sent; a process can be killed in between
SETTLING_SECONDS = 15.0  # until each replica uses Redis again; it takes longer only if nobody asks that replica
REDIS_SECONDS = 0.5  # how long Redis is away


@dataclass
class Scene:
    """See the module."""

    redis: RedisServer
    replicas: list[Replica]
    nginx: Nginx
    hosts: Hosts
    evidence: Evidence

    async def kill(self, *which: int) -> None:
        for number in which:
            await self.replicas[number].kill()
        for number in which:
            await self.evidence.note_stored_runs(self.replicas[number].now)
        async with anyio.create_task_group() as starting:
            for number in which:
                starting.start_soon(self.replicas[number].start)

    async def kill_redis(self) -> None:
        """Kill Redis, start it again, and wait until every replica uses it, as two failures at once are not covered."""
        await anyio.to_thread.run_sync(self.redis.stop)
        self.evidence.outages.append(anyio.current_time())
        await anyio.sleep(REDIS_SECONDS)
        await anyio.to_thread.run_sync(self.redis.start)
        with anyio.move_on_after(SETTLING_SECONDS):
            for server in [replica.now.server for replica in self.replicas]:
                await server.logged("run.started", len(server.named("run.started")) + 3)
                await server.logged("store.back", len(server.named("store.unusable")))

    async def play(self, questions: int, *, seed: int, at_once: int, events: Sequence[Event]) -> None:
        """Let the hosts ask this many questions, `at_once` at a time, while these events happen."""
        left = conversations(questions, seed=seed)

        async def converse() -> None:
            for conversation in left:  # all share the iterator
                await self.hosts.converse(conversation)

        async def happen() -> None:
            for share, event in events:
                while self.hosts.answered < share * questions:
                    await anyio.sleep(0.02)
                await event()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(happen)
            for _ in range(at_once):
                tasks.start_soon(converse)


@asynccontextmanager
async def scene(
    folder: Path, *, keeps: bool = True, seed: int = 0, run_seconds: tuple[float, float] = (0.2, 1.1)
) -> AsyncIterator[Scene]:
    """Yield all of it, ready. `run_seconds`: of prompts that end with an even digit, and of the others."""
    slow_reply = Fault("delay", on="start", times=None, seconds=REPLY_SECONDS)
    app = create_sandbox(SandboxOptions(api_keys=KEYS, faults=(slow_reply,)))
    contit = Contit(app, app.state.sandbox)
    for pattern, seconds in zip((r"^(.*[02468]\W?)$", "^(.*)$"), run_seconds, strict=True):
        contit.record.add(answers=[ScriptedAnswer(pattern=pattern, answer=r"Answer to: \1", seconds=seconds)])
    with redis_server(folder, port=free_port(), keeps=keeps) as redis:
        async with on_port(contit) as base_url, fleet(base_url, redis.url) as replicas:
            evidence = Evidence(contit, replicas, redis.url, base_url)
            with running_nginx([replica.port for replica in replicas], folder / "nginx") as nginx:
                async with caller() as http:
                    yield Scene(redis, replicas, nginx, Hosts(http, nginx.url, base_url, seed=seed), evidence)
