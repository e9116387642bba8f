"""From a question to its run: start it, or join the one that already answers it. Never two runs on a thread."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import anyio
import anyio.lowlevel

from contit_mcp.assistant.watching import LOOK_SECONDS, Watcher, ids
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.models import StartedRun
from contit_mcp.errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    ContitError,
    InternalServerError,
    NotFoundError,
    RunNotFoundError,
    StartUnknownError,
    ThreadBusyError,
)
from contit_mcp.runs.claims import Granted, Joined, is_being_sent
from contit_mcp.runs.ledger import RunLedger
from contit_mcp.runs.record import Delivery, Phase, Question, RunRecord
from contit_mcp.telemetry.call_stats import current_tally
from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)

_BUSY_STATUSES = frozenset({400, 409, 422, 500})
"""What a prompt on a busy thread may be answered with; assumed (contit-api.md, "Not documented", 4)."""

_STARTING_PAUSE = 0.05
"""Seconds between two looks at what another call has under way, a start or the sending of an answer; it lasts about
one request."""

_START_SECONDS = 5.0
"""What must be left of a wait after a turn was waited for: a start cannot be cut short, and must not outlast it."""

_NOT_STARTED = 503
"""The one 5xx after which nothing can have been accepted."""


@dataclass(frozen=True, slots=True)
class Launched:
    """A question's run.

    Attributes:
        run: The run.
        joined: Whether it was there before.
        interrupted: Whether an earlier start of the same question was cut off, so that it may run twice.
    """

    run: RunRecord
    joined: bool = False
    interrupted: bool = False


class Launcher:
    """Turns questions into runs.

    Args:
        client: Contit.
        runs: Decides who may start.
        watcher: Sees the run end that a question has to wait for.
        now: Seconds since the epoch.
    """

    def __init__(
        self, client: ContitClient, runs: RunLedger, watcher: Watcher, *, now: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._runs = runs
        self._watcher = watcher
        self._now = now

    async def launch(
        self,
        question: Question,
        prompt: str,
        *,
        delivery: Delivery,
        deadline: float,
        on_status: Callable[[str], None],
    ) -> Launched:
        """Return the question's run.

        A busy thread is waited for, and the answer of the run before is kept, as long as the deadline allows.

        Args:
            question: What is asked.
            prompt: Its text.
            delivery: Whether the caller waits for the answer, or takes the ids.
            deadline: On the event loop's clock.
            on_status: Told the status words of a run that is waited for.

        Raises:
            ThreadBusyError: Another run is going on the thread until after the deadline, or Contit says so.
            StartUnknownError: The start was sent and no answer came.
            RunNotFoundError: Contit does not know the thread.
            APIError: Contit refused or could not.
        """
        joined = waited_for = None
        while True:
            with anyio.CancelScope(shield=True):  # whose caller leaves in the middle must know what it was granted
                claim = await self._runs.claim(question, delivery=delivery, now=self._now())
            run = claim.record
            if isinstance(claim, Granted):
                await self._may_start(claim, joined, waited_for, deadline)
                try:
                    return Launched(await self._start(claim, prompt, deadline), interrupted=claim.interrupted)
                except _IntentLapsed:
                    continue
            if run.phase is Phase.STARTING:
                joined = run if isinstance(claim, Joined) else joined
                await self._let_it_start(deadline)
            elif isinstance(claim, Joined):
                if is_being_sent(run, self._now()) and anyio.current_time() + _STARTING_PAUSE < deadline:
                    await anyio.sleep(_STARTING_PAUSE)
                elif not await self._ended_unseen(run):
                    if delivery is Delivery.AWAITED:
                        run = await self._runs.awaited(run, now=self._now())
                    current_tally().joins += 1
                    return Launched(run, joined=True)
            else:
                waited_for = run
                await self._let_it_end(run, deadline, on_status)

    async def _may_start(
        self, claim: Granted, joined: RunRecord | None, waited_for: RunRecord | None, deadline: float
    ) -> None:
        """Give the grant back where using it could double a run, or outlast the caller."""
        refusal: ContitError | None = None
        if claim.interrupted and joined is not None and joined.held(self._now()):
            # The start that was joined did not end with its process: whoever sent it was told that its fate is unknown.
            refusal = StartUnknownError(claim.record.question.thread_id)
        elif waited_for is not None and anyio.current_time() + _START_SECONDS > deadline:
            refusal = ThreadBusyError(*ids(waited_for))
        if refusal is not None:
            await self._give_back(claim.record, maybe_sent=claim.interrupted)
            raise refusal

    async def _ended_unseen(self, run: RunRecord) -> bool:
        """Whether a run that is remembered as going on has ended while nobody asked: then it is no longer joined."""
        if run.ended or not self._watcher.is_due(run):
            return False
        try:
            with anyio.CancelScope(deadline=anyio.current_time() + LOOK_SECONDS):
                return (await self._watcher.look(run, deadline=anyio.current_time())).ended
        except APIError:
            pass  # whoever waits for the run next is told
        return False

    async def _start(self, claim: Granted, prompt: str, deadline: float) -> RunRecord:
        intent, maybe_sent = claim.record, claim.interrupted
        kept: list[RunRecord] = []

        async def keep(started: StartedRun) -> None:
            kept.append(await self._runs.started(intent, started.thread_id, started.run_id, now=self._now()))

        def still_ours() -> None:
            if not self._runs.may_send(intent, now=self._now()):
                raise _IntentLapsed

        thread_id = intent.question.thread_id
        try:
            await anyio.lowlevel.checkpoint_if_cancelled()
            await self._client.start_run(prompt, thread_id, before=still_ours, keep=keep, deadline=deadline)
        except APIError as error:
            refusal = _about_the_start(error, thread_id)
            maybe_sent = maybe_sent or isinstance(refusal, StartUnknownError)
            raise refusal from error
        finally:
            if not kept:
                await self._give_back(intent, maybe_sent=maybe_sent)
        log.info("run.started", thread_id=kept[0].thread_id, run_id=kept[0].run_id)
        return kept[0]

    async def _give_back(self, intent: RunRecord, *, maybe_sent: bool) -> None:
        """Forget a grant; one that Contit may have got stays as if its process had died, so that a retry says so."""
        if maybe_sent:
            await self._runs.let_go(intent, now=self._now())
            return
        with anyio.CancelScope(shield=True):
            await self._runs.release(intent)

    async def _let_it_start(self, deadline: float) -> None:
        if anyio.current_time() + _STARTING_PAUSE > deadline:
            raise APITimeoutError(
                "Another call is still sending a question to Contit on this conversation.",
                hint="Ask again with the same words: it joins that run instead of starting a second one.",
                may_have_arrived=False,
            )
        await anyio.sleep(_STARTING_PAUSE)

    async def _let_it_end(self, run: RunRecord, deadline: float, on_status: Callable[[str], None]) -> None:
        try:
            with anyio.CancelScope(deadline=deadline):
                await self._watcher.until_ended(run, on_status)
                return
        except APIError as error:
            raise ThreadBusyError(*ids(run)) from error
        raise ThreadBusyError(*ids(run))


class _IntentLapsed(Exception):  # noqa: N818 - no error: the question is claimed anew
    """A retry was put off for so long that another process may have started the question meanwhile."""


def _about_the_start(error: APIError, thread_id: str | None) -> ContitError:
    """What a failed start means to whoever asked."""
    if isinstance(error, APIStatusError) and thread_id is not None:
        if isinstance(error, NotFoundError):
            return RunNotFoundError(thread_id, None)
        if error.status_code in _BUSY_STATUSES:
            return ThreadBusyError(thread_id, None)
    return StartUnknownError(thread_id) if _may_have_been_accepted(error) else error


def _may_have_been_accepted(error: APIError) -> bool:
    """Whether the run may exist although no ids came: then asking again could run the question twice."""
    if isinstance(error, APIConnectionError):
        return error.may_have_arrived
    if isinstance(error, InternalServerError):
        return error.status_code != _NOT_STARTED
    return isinstance(error, APIResponseValidationError)
