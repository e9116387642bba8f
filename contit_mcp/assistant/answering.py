"""From a run to its answer: wait for its end, and give its own answer or say why there is none."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import anyio
import anyio.lowlevel

from contit_mcp.assistant.reports import Observer, RunReport, report_on
from contit_mcp.assistant.shutdown import Waits
from contit_mcp.assistant.watching import LOOK_SECONDS, Watcher, ids
from contit_mcp.contit.client import ContitClient
from contit_mcp.errors import (
    AnswerUnavailableError,
    APIError,
    APITimeoutError,
    NotFoundError,
    RunError,
    RunFailedError,
    RunNotFoundError,
    RunTimeoutError,
    RunUnreachableError,
)
from contit_mcp.runs.claims import ReplayPolicy, delivery_after
from contit_mcp.runs.ledger import RunLedger
from contit_mcp.runs.record import Failure, Phase, RunRecord


class Answerer:
    """Delivers answers.

    Args:
        client: Contit.
        runs: Knows ends, answers, and what came after them.
        watcher: Waits for ends.
        waits: Where each wait is counted.
        replay: What makes a delivery unsure.
        now: Seconds since the epoch.
    """

    def __init__(
        self,
        client: ContitClient,
        runs: RunLedger,
        watcher: Watcher,
        waits: Waits,
        *,
        replay: ReplayPolicy | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._runs = runs
        self._watcher = watcher
        self._waits = waits
        self._replay = replay or ReplayPolicy()
        self._now = now

    async def answer(
        self, run: RunRecord, *, began: float, deadline: float, observer: Observer, joined: bool, look: bool
    ) -> RunReport:
        """Wait for the run's end and report its answer; at the deadline, that it is still going.

        Args:
            run: The run, remembered or made of its ids alone.
            began: When the call began, on the event loop's clock.
            deadline: When its wait ends.
            observer: Told of status words.
            joined: Whether another call had started the run for the same question.
            look: Whether the run may have ended while nobody asked: then it is asked about at once.

        Raises:
            RunError: There is no answer to give.
            APIError: Contit cannot be asked about a run of which nothing else is known.
        """
        answered_at = run.ended_at if joined else None
        if not run.ended:
            run = await self._end_of(run, deadline, observer, look=look)
        if not run.ended:
            return report_on(run, now=self._now(), joined=joined)
        report = await self.deliver(run, began=began, deadline=deadline, observer=observer)
        age = None if answered_at is None or run.started_at is None else self._now() - run.started_at
        return replace(report, joined=joined, age_seconds=age)

    async def deliver(self, run: RunRecord, *, began: float, deadline: float, observer: Observer) -> RunReport:
        """The report of a run that has ended, with its answer; that it was given is noted.

        Args:
            run: The run.
            began: When the call began, on the event loop's clock.
            deadline: When its wait ends.
            observer: Knows whether the answer has been sent.

        Raises:
            RunError: There is no answer to give.
            APIError: The answer was not kept, and Contit did not repeat it.
        """
        if run.failure is not None:
            raise _no_answer(run, run.failure, limit=self._watcher.run_limit)
        text = run.answer if run.answer is not None else await self._not_kept(run, deadline)
        now = self._now()
        delivery = delivery_after(run, call_seconds=anyio.current_time() - began, policy=self._replay)

        async def sent_or_not(sent: bool) -> None:  # noqa: FBT001 - a `Note`
            await self._runs.delivered(run, delivery if sent else run.delivery, now=self._now())

        if observer.when_sent(sent_or_not):
            # Until then whoever asks the same waits to hear of it: this process may die before the answer is sent.
            await self._note(run, self._runs.sending(run, now=now))
        else:
            await self._note(run, self._runs.delivered(run, delivery, now=now))
        return report_on(run, now=now, response=text)

    async def _note(self, run: RunRecord, delivery: Awaitable[None]) -> None:
        """Note the delivery; take it back from a caller that leaves meanwhile, so that its retry gets the answer."""
        try:
            await delivery
            await anyio.lowlevel.checkpoint_if_cancelled()
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await self._runs.delivered(run, run.delivery, now=self._now())
            raise

    async def latest(self, thread_id: str, deadline: float) -> RunReport:
        """The latest answer of a thread of which no run is remembered.

        Raises:
            RunNotFoundError: Contit knows no such thread, or has no answer on it.
            APIError: Contit refused or could not.
        """
        try:
            text = await self._read(thread_id, deadline)
        except NotFoundError as error:
            raise RunNotFoundError(thread_id, None) from error
        return RunReport(Phase.COMPLETED, thread_id, None, response=text)

    async def look(self, run: RunRecord, deadline: float) -> RunRecord:
        """Ask once where a run stands, also where the deadline leaves no time for it.

        Raises:
            APIError: Contit could not be asked about it.
        """
        until = _long_enough(deadline)
        with self._waits.until(until):
            return await self._watcher.look(run, deadline=until)
        if run.started_at is None:
            raise _not_in_time()
        return run

    async def wait(self, run: RunRecord, deadline: float, observer: Observer) -> RunRecord:
        """The run once it has ended, or as it stands at the deadline.

        Raises:
            APIError: Contit could not be asked about it.
        """
        with self._waits.until(deadline):
            return await self._watcher.until_ended(run, observer.status)
        return run

    async def _end_of(self, run: RunRecord, deadline: float, observer: Observer, *, look: bool) -> RunRecord:
        """The run's end, where it comes in time; Contit's passing faults are no end."""
        if run.started_at is None:
            return await self._end_of_unremembered(run, deadline, observer)
        try:
            if look and self._watcher.is_due(run):
                run = await self.look(run, deadline)
            return run if run.ended else await self.wait(run, deadline, observer)
        except APIError as error:
            if error.retryable:
                return run
            raise RunUnreachableError(*ids(run), error) from error

    async def _end_of_unremembered(self, run: RunRecord, deadline: float, observer: Observer) -> RunRecord:
        """Nothing is known of it: so a fault is told as it is, and its answer is one only if no other run is known."""
        try:
            seen = await self.look(run, deadline)
            if not seen.ended:
                seen = await self.wait(seen, deadline, observer)
        except APIError as error:
            if error.retryable:
                raise
            raise RunUnreachableError(*ids(run), error) from error
        if seen.phase is Phase.COMPLETED:
            await self.refuse_if_replaced(seen)
        return seen

    async def _not_kept(self, run: RunRecord, deadline: float) -> str:
        """The answer of a completed run whose own copy is gone: the thread's, as long as no run came after it."""
        await self.refuse_if_replaced(run)
        try:
            text = await self._read(ids(run)[0], deadline)
        except NotFoundError as error:
            raise AnswerUnavailableError(*ids(run), replaced=False) from error
        await self.refuse_if_replaced(run)  # another run may have ended while this was read
        return text

    async def _read(self, thread_id: str, deadline: float) -> str:
        until = _long_enough(deadline)
        with self._waits.until(until):
            return await self._client.thread_response(thread_id, deadline=until)
        raise _not_in_time()

    async def refuse_if_replaced(self, run: RunRecord) -> None:
        """Refuse the thread's answer for a run after which another one is known.

        Raises:
            AnswerUnavailableError: One is.
        """
        thread_id, run_id = ids(run)
        latest = await self._runs.latest(run.question.owner, thread_id, now=self._now())
        if latest is not None and latest.run_id != run_id:
            raise AnswerUnavailableError(thread_id, run_id, replaced=True)


def _long_enough(deadline: float) -> float:
    return max(deadline, anyio.current_time() + LOOK_SECONDS)


def _not_in_time() -> APITimeoutError:
    return APITimeoutError("Contit did not answer in time.", hint="Try again.", may_have_arrived=True)


def _no_answer(run: RunRecord, failure: Failure, *, limit: float) -> RunError:
    thread_id, run_id = ids(run)
    match failure:
        case Failure.RUN_FAILED:
            return RunFailedError(thread_id, run_id)
        case Failure.NO_END_SEEN:
            return RunTimeoutError(thread_id, run_id, after_seconds=limit)
        case Failure.NOT_FOUND:
            return RunNotFoundError(thread_id, run_id)
        case Failure.NO_ANSWER:
            return AnswerUnavailableError(thread_id, run_id, replaced=False)
