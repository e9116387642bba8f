"""One ask from its start to its answer, in this process: no server, no protocol between."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import anyio
import httpx

from contit_mcp.assistant.reports import Observer, RunReport
from contit_mcp.cli.credential import credential_name, no_credential
from contit_mcp.cli.interruption import Interruption
from contit_mcp.cli.outcome import NextCommands, Outcome, outcome_of, outcome_of_error
from contit_mcp.cli.spinner import Spinner
from contit_mcp.config.settings import Settings
from contit_mcp.errors import ContitError
from contit_mcp.runs.claims import ReplayPolicy
from contit_mcp.runs.record import Phase
from contit_mcp.server.context import open_context
from contit_mcp.server.request_state import Caller

_MARGIN_SECONDS = 60.0
"""What a wait without an end of its own lasts beyond the limit of a run, so that the run's end is seen first."""

_PAUSE_SECONDS = 2.0
"""Before Contit is asked again, when it could not be for so long that the wait below gave up."""

_PRINTED = ReplayPolicy(slow_call=math.inf)
"""However long it took: what is printed has reached who asked, so the same question later is a new one."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is wanted: an answer to a prompt, or that of a run.

    Attributes:
        prompt: The question; None to fetch an answer.
        thread_id: The conversation.
        run_id: The run to fetch; None for the conversation's latest.
        wait_seconds: How long; None until the run ends.
    """

    prompt: str | None
    thread_id: str | None = None
    run_id: str | None = None
    wait_seconds: float | None = None


class Follower(Observer):
    """Follows the run: the ids for whoever is interrupted, and Contit's word for the spinner."""

    def __init__(self, spinner: Spinner, on_started: Callable[[str, str], None]) -> None:
        self.thread_id: str | None = None
        self.run_id: str | None = None
        self._spinner = spinner
        self._on_started = on_started

    def started(self, thread_id: str, run_id: str) -> None:
        """The ids exist: from here on nothing can be lost."""
        if (self.thread_id, self.run_id) != (thread_id, run_id):
            self.thread_id, self.run_id = thread_id, run_id
            self._on_started(thread_id, run_id)
        self.status("in_progress")

    def status(self, word: str) -> None:
        """Contit's word for the run."""
        self._spinner.say(f"{word[:40]}  (Ctrl-C: leave it running)" if self.run_id else f"thread busy: {word[:40]}")


async def get_answer(
    request: Request,
    settings: Settings,
    commands: NextCommands,
    on_started: Callable[[str, str], None],
    transport: httpx.AsyncBaseTransport | None,
) -> Outcome:
    """Ask or fetch, and wait.

    Args:
        request: What is wanted.
        settings: The configuration.
        commands: What can be done next.
        on_started: Told the ids as soon as they are known.
        transport: Stands in for the network: the embedded sandbox.
    """
    spinner = Spinner()
    spinner.say("asking Contit" if request.prompt is not None else "looking at the run")
    follower = Follower(spinner, on_started)
    interruption = Interruption()
    outcome: Outcome | None = None
    with spinner.shown():
        async with anyio.create_task_group() as beside:
            beside.start_soon(spinner.turn)
            try:
                report = await _wait(request, settings, follower, interruption, spinner, transport)
                outcome = outcome_of(report, commands, interrupted=interruption.happened)
            except ContitError as error:
                about = follower.thread_id, follower.run_id
                outcome = outcome_of_error(error, commands, about=about, interrupted=interruption.happened)
            beside.cancel_scope.cancel()
    assert outcome is not None  # noqa: S101 - both ways set it
    return outcome


async def _wait(
    request: Request,
    settings: Settings,
    follower: Follower,
    interruption: Interruption,
    spinner: Spinner,
    transport: httpx.AsyncBaseTransport | None,
) -> RunReport:
    if credential_name(settings) is None:
        raise no_credential()
    patience = request.wait_seconds
    if patience is None:
        patience = settings.run_limit_seconds + _MARGIN_SECONDS
    deadline = anyio.current_time() + patience

    async with open_context(settings, transport=transport, replay=_PRINTED) as context:

        def leave() -> None:
            spinner.say("leaving (Ctrl-C: at once)")
            context.close()

        with interruption.watched(first=leave, second=spinner.leave_at_once):
            assistant = context.tenant(Caller())
            if request.prompt is not None:
                report = await assistant.ask(
                    request.prompt, request.thread_id, wait_seconds=patience, observer=follower
                )
            else:
                assert request.thread_id is not None  # noqa: S101 - the command line has seen to it
                report = await assistant.response(
                    request.thread_id, request.run_id, wait_seconds=patience, observer=follower
                )
            # It is also told to be in progress when Contit could not be asked about it for a while.
            while report.phase is Phase.IN_PROGRESS and not interruption.happened:
                if anyio.current_time() + _PAUSE_SECONDS >= deadline:
                    break
                spinner.say("Contit cannot be asked; trying again  (Ctrl-C: leave it running)")
                await interruption.pause(_PAUSE_SECONDS)
                report = await assistant.response(
                    report.thread_id,
                    report.run_id,
                    wait_seconds=deadline - anyio.current_time(),
                    observer=follower,
                )
            return report
