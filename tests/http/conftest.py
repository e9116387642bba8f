"""One Contit and one server for the tests of a module, which may name settings in `SETTINGS`. All in real time."""

from collections.abc import Iterator

import pytest

from tests.children import Contit, Served, anyio_backend, contit
from tests.redis_server import own_redis

__all__ = ["anyio_backend", "own_redis"]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Contit]:
    with contit() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, upstream: Contit) -> Iterator[Served]:
    settings = {"CONTIT_BASE_URL": upstream.url, "CONTIT_API_KEY": "sandbox-key"}
    with Served(settings | getattr(request.module, "SETTINGS", {})) as server:
        yield server
