"""The stage that most tests share. All in real time."""

from collections.abc import Iterator

import pytest

from tests.children import anyio_backend
from tests.signin.stage import FIRST, Stage, stage

__all__ = ["anyio_backend"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Yield one provider and one server for the tests of a module."""
    with stage(tmp_path_factory.mktemp("stage")) as found:
        yield found


@pytest.fixture
def scene(shared: Stage) -> Stage:
    """Return the shared stage, reset to its first state."""
    shared.provider.order(only=None, accessSeconds=300, scopes="contit:ask contit:read")
    if shared.provider.key is not FIRST:
        shared.provider.sign_with(FIRST)
    return shared
