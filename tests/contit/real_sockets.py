"""Fixtures of the tests that ask a real port: real time, and no proxy that the machine may have."""

import pytest


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Real time, since real sockets are waited for."""
    return "asyncio", {}


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever proxies the machine has."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
