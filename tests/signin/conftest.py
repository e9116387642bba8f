"""The stage that most tests share."""

from collections.abc import Iterator

import pytest

from tests.signin.stage import FIRST, Stage, stage


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Asyncio as in production: processes and sockets do not follow a virtual clock."""
    return "asyncio", {}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One provider and one server for the tests of a module."""
    with stage(tmp_path_factory.mktemp("stage")) as found:
        yield found


@pytest.fixture
def scene(shared: Stage) -> Stage:
    """The shared stage, as it was at its start."""
    shared.provider.order(only=None, accessSeconds=300, scopes="contit:ask contit:read")
    if shared.provider.key is not FIRST:
        shared.provider.sign_with(FIRST)
    return shared
