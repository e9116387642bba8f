"""The tools, prompts and resources that the conformance suite calls, on our HTTP stack: run it as a module."""

import sys

import anyio

from contit_mcp.telemetry.logging import configure_logging
from tests.conformance import fixture_contents, fixture_inputs, fixture_tools
from tests.conformance.fixture_tasks import create_tasks_server
from tests.conformance.jobs import Jobs
from tests.conformance.serving import serve_fixtures


async def main() -> None:
    """Serve everything that the suite asks for until a signal comes."""
    async with anyio.create_task_group() as background:
        server = create_tasks_server(Jobs(background))
        for fixtures in (fixture_tools, fixture_inputs, fixture_contents):
            fixtures.register(server)
        await serve_fixtures(server)
        background.cancel_scope.cancel()


if __name__ == "__main__":
    configure_logging("WARNING" if "--quiet" in sys.argv else "INFO")
    anyio.run(main)
