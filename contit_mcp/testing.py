"""The sandbox for the tests of other projects: a context manager, and a pytest plugin with a fixture.

docs/sandbox.md shows both. A test module turns the plugin on with `pytest_plugins = ["contit_mcp.testing"]`.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import uvicorn

from contit_mcp.sandbox.app import create_sandbox
from contit_mcp.sandbox.options import DEFAULTS, SandboxOptions
from contit_mcp.sandbox.record import SandboxRecord


@dataclass(frozen=True)
class RunningSandbox:
    """A sandbox that answers on a port of this machine."""

    url: str
    api_key: str
    record: SandboxRecord  # the requests and runs that it has seen; takes faults and scripted answers

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead `contit-mcp` to this sandbox."""
        return {"CONTIT_BASE_URL": self.url, "CONTIT_API_KEY": self.api_key}


@contextmanager
def running_sandbox(options: SandboxOptions = DEFAULTS) -> Iterator[RunningSandbox]:
    """Run a sandbox on a free loopback port, in a thread of this process."""
    app = create_sandbox(options)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            deadline = time.monotonic() + 10.0
            while not server.started:
                if time.monotonic() > deadline:
                    raise TimeoutError("the sandbox did not start")
                time.sleep(0.01)
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            yield RunningSandbox(address, min(options.api_keys), app.state.sandbox)
        finally:
            server.should_exit = True
            thread.join()


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker of the fixture."""
    config.addinivalue_line("markers", "contit_sandbox(**options): the SandboxOptions of the fixture contit_sandbox")


@pytest.fixture
def contit_sandbox(request: pytest.FixtureRequest) -> Iterator[RunningSandbox]:
    """Run a sandbox for one test. `@pytest.mark.contit_sandbox(run_seconds=0)` sets its `SandboxOptions`."""
    marker = request.node.get_closest_marker("contit_sandbox")
    with running_sandbox(SandboxOptions(**marker.kwargs) if marker else DEFAULTS) as sandbox:
        yield sandbox
