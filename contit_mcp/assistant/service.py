"""The assistant: ask, start, status, response. Start reading here.

`ask` is `start` and then `response` in one wait. Each wait is bounded and ends in a normal report with the ids, so that
a caller that cannot wait longer continues with `response`. `starting` turns a question into a run; `waiting` sees the
run end and binds its answer to it. docs/architecture.md has the terms, the promises and the reasons.
"""

import secrets
from dataclasses import replace

import anyio
import anyio.lowlevel

from contit_mcp import errors
from contit_mcp.assistant.reports import NULL_OBSERVER, Observer, RunReport
from contit_mcp.assistant.starting import RunStarter
from contit_mcp.assistant.waiting import POLL_SECONDS, YOUNG_SECONDS, DrainScope, PollPolicy, RunWaiter
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.wire import check_id
from contit_mcp.runs.claims import Claim, Deduplicated
from contit_mcp.runs.record import Delivery, Failure, Phase, RunRecord, untracked_run
from contit_mcp.runs.store import RunStore, Transition
from contit_mcp.telemetry.call_stats import NULL_LISTENER, Listener

SLOW_CALL_SECONDS = 4.0  # a call that lasted longer may have returned its answer too late for its host
_REPLAY_SECONDS = 120.0  # for this long, the same question on a new thread then gets its answer once more


class Assistant:
    """Contit's assistant for any number of owners that share one credential. `contit_mcp.Assistant` uses it.

    Several assistants can share one `drain`, to be closed together. `replays` says whether the answer of a slow call is
    returned once more (`SLOW_CALL_SECONDS`). Methods raise a `RunError` about a run, an `InvalidArgumentError` before
    any request, a `ServerClosingError`, and an `APIError` if Contit refused or failed before a run was known.
    """

    def __init__(
        self,
        client: ContitClient,
        store: RunStore,
        *,
        polling: PollPolicy,
        replays: bool = True,
        drain: DrainScope | None = None,
        listener: Listener = NULL_LISTENER,
    ) -> None:
        process = secrets.token_hex(8)
        self._client = client
        self._store = store
        self._run_limit = polling.run_seconds
        self._replays = replays
        self._drain = drain or DrainScope()
        self._waiter = RunWaiter(client, store, process=process, policy=polling, listener=listener)
        self._starter = RunStarter(client, store, self._waiter, process=process)

    async def ask(
        self,
        owner: str,
        prompt: str,
        thread_id: str | None = None,
        *,
        wait_seconds: float,
        answer_seconds: float | None = None,
        observer: Observer = NULL_OBSERVER,
        title: str | None = None,
    ) -> RunReport:
        """Ask, wait, and report the answer; after the wait, report that the run is in progress.

        `answer_seconds` limits the part of the wait after the start. The title is stored with the run.
        """
        began = anyio.current_time()
        deadline = began + wait_seconds
        with self._drain.starting():
            claim = await self._starter.find_or_start(
                owner, prompt, thread_id, delivery=Delivery.OWED, deadline=deadline, observer=observer, title=title
            )
        observer.started(*claim.record.ids)
        if answer_seconds is not None:
            deadline = min(deadline, anyio.current_time() + answer_seconds)
        return await self._answer(claim, began=began, deadline=deadline, observer=observer)

    async def start(
        self,
        owner: str,
        prompt: str,
        thread_id: str | None = None,
        *,
        wait_seconds: float,
        observer: Observer = NULL_OBSERVER,
        title: str | None = None,
    ) -> RunReport:
        """Start a run and report its ids at once; wait only while the thread is busy. Arguments as for `ask`."""
        deadline = anyio.current_time() + wait_seconds
        with self._drain.starting():
            claim = await self._starter.find_or_start(
                owner, prompt, thread_id, delivery=Delivery.DELIVERED, deadline=deadline, observer=observer, title=title
            )
        await self._owe_if_cancelled(claim.record)
        observer.started(*claim.record.ids)
        report = self._report(claim.record)
        return replace(report, deduplicated=isinstance(claim, Deduplicated), maybe_twice=claim.interrupted)

    async def status(
        self, owner: str, thread_id: str, run_id: str, *, wait_seconds: float = 0.0, observer: Observer = NULL_OBSERVER
    ) -> RunReport:
        """Report the state of a run; wait up to `wait_seconds` for its end."""
        deadline = anyio.current_time() + wait_seconds
        run = await self._find(owner, thread_id, run_id, fresh=False)  # the poll tells whether it has ended since
        observer.started(thread_id, run_id)
        if not run.ended:
            run = await self._poll_once(run, deadline)
        if not run.ended and wait_seconds > 0:  # a wait of 0 s would still take and release the lease
            run = await self._wait(run, deadline, observer)
        if run.failure is Failure.NOT_FOUND:
            raise errors.RunNotFoundError(*run.ids)
        return self._report(run)

    async def response(
        self,
        owner: str,
        thread_id: str,
        run_id: str | None = None,
        *,
        wait_seconds: float,
        observer: Observer = NULL_OBSERVER,
    ) -> RunReport:
        """Report a run's own answer, waiting for it; without a run id, that of the thread's latest run."""
        began = anyio.current_time()
        deadline = began + wait_seconds
        if run_id is None:
            latest = await self._store.find(owner, check_id("thread_id", thread_id))
            if latest is None:
                try:
                    text = await self._read(thread_id, deadline)
                except errors.NotFoundError as error:
                    raise errors.RunNotFoundError(thread_id, None) from error
                return RunReport(Phase.COMPLETED, thread_id, None, response=text)
            run = latest
        else:
            run = await self._find(owner, thread_id, run_id)
        observer.started(*run.ids)
        return await self._answer(Claim(run), began=began, deadline=deadline, observer=observer)

    async def snapshot(self, owner: str, thread_id: str, run_id: str, *, asked_at_ms: int) -> RunReport:
        """Report, without waiting, the state of the run of one ask, with its answer if it has one.

        Contit is polled no more often than by a waiting call, however many snapshots are taken. Several asks can share
        a run; this one was made at `asked_at_ms` (since the epoch).
        """
        run = await self._store.find(owner, thread_id, run_id)
        if run is None:
            run = untracked_run(owner, thread_id, run_id, now=asked_at_ms / 1000)
        if asked_at_ms in run.cancelled:
            return replace(self._report(run), cancelled=True)
        try:
            if not run.ended and self._waiter.may_poll_for_snapshot(run):
                run = await self._polled_for_snapshot(run)
            if run.ended:
                now = anyio.current_time()
                return await self._deliver(run, began=now, deadline=now)
        except errors.RunError as error:
            return replace(self._report(run), error=error)
        return self._report(run)

    async def cancel(self, owner: str, thread_id: str, run_id: str, *, asked_at_ms: int) -> None:
        """Store that one ask was cancelled, if its run is known, for its snapshots to report. The run goes on."""
        run = await self._store.find(owner, thread_id, run_id)
        if run is not None:
            await self._store.change(run, lambda run, _: run.cancelled_at(asked_at_ms))

    async def runs(self, owner: str, limit: int = 20) -> list[RunReport]:
        """Report the owner's newest runs as they are stored, newest first, without answers."""
        return [self._report(run) for run in await self._store.recent(owner, limit)]

    def close(self) -> None:
        """Start no more runs, and end every wait now with what is known."""
        self._drain.close()

    async def _find(self, owner: str, thread_id: str, run_id: str, *, fresh: bool = True) -> RunRecord:
        """Return the run as stored, or an untracked record of it. Unless `fresh`, it may be as last seen here."""
        check_id("thread_id", thread_id)
        check_id("run_id", run_id)
        find = self._store.find if fresh else self._store.last_seen
        run = await find(owner, thread_id, run_id)
        return run or untracked_run(owner, thread_id, run_id, now=self._store.now())

    async def _answer(self, claim: Claim, *, began: float, deadline: float, observer: Observer) -> RunReport:
        """Wait for the run's end and report its answer; at the deadline, report that it is in progress."""
        run, deduplicated = claim.record, isinstance(claim, Deduplicated)
        if not run.ended:
            # It may have ended while nothing polled it. If the ask was deduplicated, the starter has polled already.
            run = await self._until_ended(run, deadline, observer, poll_first=not deduplicated)
        report = await self._deliver(run, began=began, deadline=deadline) if run.ended else self._report(run)
        age = self._waiter.age(run) if deduplicated and claim.record.ended else None
        return replace(report, deduplicated=deduplicated, maybe_twice=claim.interrupted, age_seconds=age)

    async def _until_ended(self, run: RunRecord, deadline: float, observer: Observer, *, poll_first: bool) -> RunRecord:
        """Return the run: ended, or in flight at the deadline or after a fault of Contit that may pass."""
        try:
            if not run.tracked or (poll_first and self._waiter.is_due(run)):
                run = await self._poll_once(run, deadline)
            if not run.ended:
                run = await self._wait(run, deadline, observer)
        except errors.APIError as error:
            if not error.retryable:
                raise errors.RunUnreachableError(*run.ids, error) from error
            if not run.tracked:
                raise
            return run
        if not run.tracked and run.phase is Phase.COMPLETED:
            await self._refuse_if_replaced(run)
        return run

    async def _wait(self, run: RunRecord, deadline: float, observer: Observer) -> RunRecord:
        """Return the run once it has ended, or as it is at the deadline."""
        with self._drain.cancellable(deadline):
            return await self._waiter.until_ended(run, observer.status)
        return run

    async def _poll_once(self, run: RunRecord, deadline: float) -> RunRecord:
        """Poll once, even if the deadline leaves no time for it."""
        until = max(deadline, anyio.current_time() + POLL_SECONDS)
        with self._drain.cancellable(until):
            return await self._waiter.poll_once(run, deadline=until)
        if not run.tracked:
            raise _not_in_time()
        return run

    async def _polled_for_snapshot(self, run: RunRecord) -> RunRecord:
        polled = run
        try:
            with self._drain.cancellable(anyio.current_time() + POLL_SECONDS):
                polled = await self._waiter.poll_once(run, deadline=anyio.current_time())
        except errors.APIError as error:
            if not error.retryable:
                raise
        if run.tracked or not polled.ended:
            return polled
        # An untracked run that has ended is stored from now on: the end of a task must stay as it was seen.
        if polled.failure is Failure.NOT_FOUND and self._waiter.age(run) < YOUNG_SECONDS:
            return run  # replication lag
        if polled.phase is Phase.COMPLETED:
            try:
                await self._refuse_if_replaced(polled)
            except errors.AnswerUnavailableError:
                polled = replace(polled, answer=None)  # the answer that was read is a later run's
        adopted = replace(polled, started_at=polled.asked_at, run_seconds=self._waiter.age(polled))
        return await self._store.change(adopted, lambda run, _: run)

    async def _deliver(self, run: RunRecord, *, began: float, deadline: float) -> RunReport:
        """Report a run that has ended, with its answer, and store that it was delivered; or raise why it has none."""
        if run.failure is not None:
            raise _no_answer(run, run.failure, limit=self._run_limit)
        text = run.answer if run.answer is not None else await self._read_again(run, deadline)
        is_slow = anyio.current_time() - began > SLOW_CALL_SECONDS
        may_replay = self._replays and is_slow and run.question.thread_id is None
        if run.tracked and (may_replay or run.delivery is Delivery.OWED or run.replay_until is not None):
            await self._owe_if_cancelled(
                run, lambda run, now: run.delivered(replay_until=now + _REPLAY_SECONDS if may_replay else None)
            )
        return self._report(run, response=text)

    async def _read_again(self, run: RunRecord, deadline: float) -> str:
        """Return the answer of a completed run that is no longer stored: the thread's, unless a later run is known."""
        await self._refuse_if_replaced(run)
        try:
            text = await self._read(run.ids[0], deadline)
        except errors.NotFoundError as error:
            raise errors.AnswerUnavailableError(*run.ids, replaced=False) from error
        except errors.APIResponseValidationError as error:
            raise errors.AnswerUnreadableError(*run.ids) from error
        await self._refuse_if_replaced(run)  # another run may have ended while this was read
        return text

    async def _read(self, thread_id: str, deadline: float) -> str:
        until = max(deadline, anyio.current_time() + POLL_SECONDS)
        with self._drain.cancellable(until):
            return await self._client.thread_response(thread_id, deadline=until)
        raise _not_in_time()

    async def _refuse_if_replaced(self, run: RunRecord) -> None:
        """Refuse the thread's answer for a run after which another one is known."""
        latest = await self._store.find(run.question.owner, run.ids[0])
        if latest is not None and latest.ids != run.ids:
            raise errors.AnswerUnavailableError(*run.ids, replaced=True)

    async def _owe_if_cancelled(self, run: RunRecord, transition: Transition | None = None) -> None:
        """Store the transition, if any. If the caller has cancelled meanwhile, store that it is owed the answer."""
        try:
            if transition is not None:
                await self._store.change(run, transition)
            await anyio.lowlevel.checkpoint_if_cancelled()
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await self._store.change(run, lambda run, _: run.owed())
            raise

    def _report(self, run: RunRecord, *, response: str | None = None) -> RunReport:
        elapsed = run.run_seconds if run.ended else self._waiter.age(run)
        return RunReport(
            run.phase,
            *run.ids,
            response=response,
            elapsed_seconds=None if run.started_at is None else elapsed,
            failure=run.failure,
            asked_at=run.asked_at if run.tracked else None,
            ended_at=run.ended_at,
            title=run.title,
        )


def _not_in_time() -> errors.APITimeoutError:
    return errors.APITimeoutError("Contit did not answer in time.", hint="Try again.", may_have_arrived=True)


def _no_answer(run: RunRecord, failure: Failure, *, limit: float) -> errors.RunError:
    if failure is Failure.NO_END_SEEN:
        return errors.RunTimeoutError(*run.ids, after_seconds=limit)
    if failure is Failure.NO_ANSWER:
        return errors.AnswerUnavailableError(*run.ids, replaced=False)
    return errors.RunNotFoundError(*run.ids) if failure is Failure.NOT_FOUND else errors.RunFailedError(*run.ids)
