"""What all tests share: virtual time by default, and logging that is configured as in production."""

import io
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from contit_mcp.telemetry.logging import configure_logging
from tests.virtual_time import VirtualTimeLoop

settings.register_profile("any machine", deadline=None)  # a slow machine is no fault of the code
settings.load_profile("any machine")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts a background job with SIGINT ignored, and child processes would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Asyncio in virtual time. A test of real processes or ports overrides this with `("asyncio", {})`."""
    return "asyncio", {"loop_factory": VirtualTimeLoop}


@pytest.fixture(autouse=True)
def logged() -> Iterator[io.StringIO]:
    """Everything that is logged during the test, at DEBUG, as JSON lines."""
    stream = io.StringIO()
    configure_logging("DEBUG", stream=stream, as_json=True)
    yield stream


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Start the child processes of a test without coverage if it has the marker `no_cover` of pytest-cov.

    Coverage doubles the time of tests that start many processes or commands, and other tests run the same lines.
    """
    with pytest.MonkeyPatch.context() as patch:
        if item.get_closest_marker("no_cover"):
            patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        return (yield)
