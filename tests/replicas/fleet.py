"""Replicas of `contit-mcp http` on ports of their own, which are killed and started again."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from tests.children import COMMAND, TOKEN_MODE, Served, free_port

CALLERS = ("anna", "marco", "jonas", "giulia", "sven")
TOKENS = {name: f"{name}-token-of-twenty-and-more" for name in CALLERS}
KEYS = frozenset(f"key-{name}-{number}" for name in "ab" for number in range(100))
"""Contit's credentials, one for each process, so that a request shows its process. Owners do not depend on them."""


@dataclass
class Life:
    """One process of a replica, from its start to its death. Times are on the event loop's clock."""

    key: str
    server: Served
    killed: float | None = None

    @property
    def started(self) -> set[str]:
        """The runs of which it has logged that their ids are stored."""
        return {line["run_id"] for line in self.server.named("run.started")}


@dataclass
class Replica:
    """One port, on which one process after another serves."""

    name: str
    port: int
    environment: Mapping[str, str]
    lives: list[Life] = field(default_factory=list)

    @property
    def now(self) -> Life:
        return self.lives[-1]

    async def start(self) -> None:
        key = f"key-{self.name}-{len(self.lives)}"
        environment = {**self.environment, "CONTIT_API_KEY": key}
        self.lives.append(Life(key, Served(environment, command=[*COMMAND, "http", "--port", str(self.port)])))
        self.now.server.start()
        await self.now.server.logged("server.listening")

    async def kill(self) -> None:
        life = self.now
        life.server.process.kill()
        await life.server.ended()
        life.killed = anyio.current_time()

    async def replace(self) -> None:
        """End it by SIGTERM, as an orchestrator does, and start another in its place."""
        code, _ = await self.now.server.end()
        assert code == 0
        await self.start()


@asynccontextmanager
async def fleet(contit_url: str, store_url: str) -> AsyncIterator[list[Replica]]:
    environment = TOKEN_MODE | {
        "CONTIT_BASE_URL": contit_url,
        "CONTIT_MCP_STORE": store_url,
        "CONTIT_MCP_TOKENS": ",".join(f"{name}:{token}" for name, token in TOKENS.items()),
        "CONTIT_MCP_REQUESTS_PER_MINUTE": "100000",
        "CONTIT_MCP_TRUSTED_PROXIES": "127.0.0.1",
    }
    replicas = [Replica(name, free_port(), environment) for name in "ab"]
    try:
        async with anyio.create_task_group() as starting:
            for replica in replicas:
                starting.start_soon(replica.start)
        yield replicas
    finally:
        with anyio.CancelScope(shield=True):
            for replica in replicas:
                if replica.lives:
                    replica.now.server.process.kill()  # without effect on one that has ended
                    await replica.now.server.ended()
