"""The four things a user can do with Contit's assistant: ask, start, status, response.

`ask` is `start` and then `response` in one wait. Each wait is bounded and ends in a normal report with the
ids, so that a caller who cannot wait longer asks on with `response`. What is promised, and why, stands in
docs/architecture.md; how a run is started in `launching`, how it is waited for in `watching`.
"""

import time
from collections.abc import Callable

import anyio

from contit_mcp.api.client import ContitClient
from contit_mcp.api.paths import check_id
from contit_mcp.exceptions import (
    AnswerUnavailableError,
    APIError,
    NotFoundError,
    RunFailedError,
    RunNotFoundError,
    RunTimeoutError,
    RunUnreachableError,
    ServerClosingError,
)
from contit_mcp.launching import Launcher
from contit_mcp.polling import PollPolicy
from contit_mcp.prompts import usable_prompt
from contit_mcp.reports import NOBODY, Observer, RunReport, RunState
from contit_mcp.runs.claims import ReplayPolicy, delivery_after
from contit_mcp.runs.record import Delivery, Failure, Phase, Question, RunRecord, hash_prompt
from contit_mcp.runs.store import RunStore
from contit_mcp.watching import Watcher, ids


class Assistant:
    """Contit's assistant for any number of owners who share one credential.

    Args:
        client: Contit.
        store: What is remembered of runs.
        polling: How runs are waited for.
        replay: When an answer is given again; the store's own claims follow the same policy.
        now: Seconds since the epoch.
    """

    def __init__(
        self,
        client: ContitClient,
        store: RunStore,
        *,
        polling: PollPolicy | None = None,
        replay: ReplayPolicy | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._store = store
        self._watcher = Watcher(client, store, policy=polling, now=now)
        self._launcher = Launcher(client, store, self._watcher, now=now)
        self._replay = replay or ReplayPolicy()
        self._now = now
        self._waits: set[anyio.CancelScope] = set()
        self._closing = False

    async def ask(
        self,
        owner: str,
        prompt: str,
        thread_id: str | None = None,
        *,
        wait_seconds: float,
        observer: Observer = NOBODY,
    ) -> RunReport:
        """Ask, wait, and report the answer; after the wait, that the run is still going.

        Raises:
            InvalidArgumentError: The prompt or the thread id cannot be used.
            RunFailedError, RunTimeoutError, RunNotFoundError: The run ended without an answer.
            ThreadBusyError, StartUnknownError, ServerClosingError, APIError: It was not started, or nobody knows.
            RunUnreachableError: It was started, and then Contit refused to tell about it.
        """
        began = anyio.current_time()
        deadline = began + wait_seconds
        run, joined = await self._launch(owner, prompt, thread_id, deadline, observer, awaited=True)
        observer.started(*ids(run))
        return await self._answer(run, began, deadline, observer, joined=joined)

    async def start(
        self,
        owner: str,
        prompt: str,
        thread_id: str | None = None,
        *,
        wait_seconds: float,
        observer: Observer = NOBODY,
    ) -> RunReport:
        """Start a run and report its ids at once; only a busy thread is waited for.

        Raises:
            InvalidArgumentError: The prompt or the thread id cannot be used.
            ThreadBusyError, StartUnknownError, ServerClosingError, APIError: It was not started, or nobody knows.
        """
        deadline = anyio.current_time() + wait_seconds
        run, joined = await self._launch(owner, prompt, thread_id, deadline, observer, awaited=False)
        observer.started(*ids(run))
        return self._report(run, joined=joined)

    async def status(
        self, owner: str, thread_id: str, run_id: str, *, wait_seconds: float = 0.0, observer: Observer = NOBODY
    ) -> RunReport:
        """Report where a run stands; with a wait, as soon as it ends.

        Raises:
            InvalidArgumentError: An id cannot be one.
            RunNotFoundError: Contit does not know the run.
            APIError: Contit refused or could not.
        """
        deadline = anyio.current_time() + wait_seconds
        run = await self._find(owner, thread_id, run_id)
        observer.started(thread_id, run_id)
        if not run.ended:
            run = await self._watcher.look(run)
        if not run.ended and wait_seconds > 0:
            run = await self._until(deadline, run, observer)
        if run.failure is Failure.NOT_FOUND:
            raise RunNotFoundError(*ids(run))
        return self._report(run)

    async def response(
        self,
        owner: str,
        thread_id: str,
        run_id: str | None = None,
        *,
        wait_seconds: float,
        observer: Observer = NOBODY,
    ) -> RunReport:
        """Report a run's own answer, waiting for it; without a run id, of the thread's latest run.

        Raises:
            InvalidArgumentError: An id cannot be one.
            RunFailedError, RunTimeoutError, RunNotFoundError: There is no answer.
            AnswerUnavailableError: There was one, and it can no longer be told from another run's.
            APIError, RunUnreachableError: Contit refused or could not.
        """
        began = anyio.current_time()
        if run_id is None:
            latest = await self._store.latest(owner, check_id("thread_id", thread_id), now=self._now())
            if latest is None:
                return await self._latest_answer_of_unknown_run(thread_id)
            run = latest
        else:
            run = await self._find(owner, thread_id, run_id)
        observer.started(*ids(run))
        return await self._answer(run, began, began + wait_seconds, observer)

    def close(self) -> None:
        """Begin no more runs, and let every wait end now with what is known."""
        self._closing = True
        for scope in tuple(self._waits):
            scope.cancel()

    async def _launch(
        self, owner: str, prompt: str, thread_id: str | None, deadline: float, observer: Observer, *, awaited: bool
    ) -> tuple[RunRecord, bool]:
        if thread_id is not None:
            check_id("thread_id", thread_id)
        question = Question(owner, thread_id, hash_prompt(usable_prompt(prompt)))
        if self._closing:
            raise ServerClosingError
        with anyio.CancelScope() as scope:
            self._waits.add(scope)
            try:
                return await self._launcher.launch(
                    question, prompt, awaited=awaited, deadline=deadline, on_status=observer.status
                )
            finally:
                self._waits.discard(scope)
        raise ServerClosingError

    async def _find(self, owner: str, thread_id: str, run_id: str) -> RunRecord:
        """The remembered run; for one that is not remembered, a record made of its ids alone."""
        check_id("thread_id", thread_id)
        check_id("run_id", run_id)
        run = await self._store.find(owner, thread_id, run_id, now=self._now())
        return run or RunRecord(
            key=f"unknown {owner} {thread_id} {run_id}",
            question=Question(owner, thread_id, prompt_hash=""),
            asked_at=self._now(),
            delivery=Delivery.HANDED_OVER,
            phase=Phase.IN_PROGRESS,
            thread_id=thread_id,
            run_id=run_id,
        )

    async def _answer(
        self, run: RunRecord, began: float, deadline: float, observer: Observer, *, joined: bool = False
    ) -> RunReport:
        """Wait for the run's end and deliver its answer, or raise why there is none."""
        again = run.phase is Phase.COMPLETED and run.delivery is Delivery.UNSURE
        answered_before = run.ended
        if not run.ended:
            run = await self._end_of(run, deadline, observer)
        if not run.ended:
            return self._report(run, joined=joined)
        if run.failure is not None:
            raise _no_answer(run, limit=self._watcher.run_limit)
        answer = run.answer if run.answer is not None else await self._answer_not_kept(run)
        took = anyio.current_time() - began
        delivery = delivery_after(run, call_seconds=took, again=again, policy=self._replay)
        await self._store.delivered(run, delivery, now=self._now())
        given_again = joined and answered_before and run.ended_at is not None
        return self._report(
            run,
            response=answer,
            joined=joined,
            age_seconds=self._now() - run.ended_at if given_again and run.ended_at is not None else None,
        )

    async def _end_of(self, run: RunRecord, deadline: float, observer: Observer) -> RunRecord:
        """The run once it has ended, or as it stands at the deadline; Contit's passing faults are no end."""
        remembered = run.started_at is not None
        try:
            if not remembered:
                run = await self._watcher.look(run)
            if not run.ended:
                run = await self._until(deadline, run, observer)
        except APIError as error:
            if not error.retryable:
                raise RunUnreachableError(*ids(run), error) from error
            if not remembered:
                raise
        if run.ended and not remembered and run.failure is None:
            await self._refuse_if_replaced(run)
        return run

    async def _until(self, deadline: float, run: RunRecord, observer: Observer) -> RunRecord:
        if self._closing:
            return run
        with anyio.CancelScope(deadline=deadline) as scope:
            self._waits.add(scope)
            try:
                return await self._watcher.until_ended(run, observer.status)
            finally:
                self._waits.discard(scope)
        return run

    async def _answer_not_kept(self, run: RunRecord) -> str:
        """The answer of a completed run whose own copy is gone: the thread's, as long as no run came after it."""
        await self._refuse_if_replaced(run)
        try:
            return await self._client.thread_response(ids(run)[0])
        except NotFoundError as error:
            raise AnswerUnavailableError(*ids(run), replaced=False) from error

    async def _refuse_if_replaced(self, run: RunRecord) -> None:
        thread_id, run_id = ids(run)
        latest = await self._store.latest(run.question.owner, thread_id, now=self._now())
        if latest is not None and latest.run_id != run_id:
            raise AnswerUnavailableError(thread_id, run_id, replaced=True)

    async def _latest_answer_of_unknown_run(self, thread_id: str) -> RunReport:
        try:
            answer = await self._client.thread_response(thread_id)
        except NotFoundError as error:
            raise RunNotFoundError(thread_id, None) from error
        return RunReport(RunState.COMPLETED, thread_id, None, response=answer)

    def _report(
        self,
        run: RunRecord,
        *,
        response: str | None = None,
        joined: bool = False,
        age_seconds: float | None = None,
    ) -> RunReport:
        thread_id, run_id = ids(run)
        until = run.ended_at if run.ended_at is not None else self._now()
        return RunReport(
            RunState(run.phase.value),
            thread_id,
            run_id,
            response=response,
            elapsed_seconds=None if run.started_at is None else max(0.0, until - run.started_at),
            joined=joined,
            age_seconds=age_seconds,
            failure=run.failure,
        )


def _no_answer(run: RunRecord, *, limit: float) -> Exception:
    thread_id, run_id = ids(run)
    if run.failure is Failure.NO_END_SEEN:
        return RunTimeoutError(thread_id, run_id, after_seconds=limit)
    if run.failure is Failure.NOT_FOUND:
        return RunNotFoundError(thread_id, run_id)
    if run.failure is Failure.NO_ANSWER:
        return AnswerUnavailableError(thread_id, run_id, replaced=False)
    return RunFailedError(thread_id, run_id)
