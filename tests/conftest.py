"""What all tests share: virtual time by default, and logging that is configured as in production."""

import io
import os
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


@pytest.fixture(scope="module")
def unmeasured() -> Iterator[None]:
    """Start child processes without coverage, which would double their time. Other tests run the same lines."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("COVERAGE_")]:
            patch.delenv(name)
        yield
