"""The four things a user can do with Contit's assistant: ask, start, status, response.

`ask` is `start` and then `response` in one wait. Each wait is bounded and ends in a normal report with the
ids, so that a caller who cannot wait longer goes on with `response`. What is promised, and why, stands in
docs/architecture.md; how a question becomes a run in `launching`, how a run becomes an answer in `answering`.
"""

import time
from collections.abc import Callable
from dataclasses import replace

import anyio

from contit_mcp.assistant.answering import Answerer
from contit_mcp.assistant.prompts import usable_prompt
from contit_mcp.assistant.reports import NOBODY, Glance, Observer, RunReport, report_on
from contit_mcp.assistant.schedule import PollPolicy
from contit_mcp.assistant.shutdown import LAUNCHING_SECONDS, Waits
from contit_mcp.assistant.snapshots import Glancer
from contit_mcp.assistant.starting import Launched, Launcher
from contit_mcp.assistant.watching import Watcher, ids
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.wire import check_id
from contit_mcp.errors import RunNotFoundError, ServerClosingError
from contit_mcp.runs.claims import ReplayPolicy
from contit_mcp.runs.ledger import RunLedger
from contit_mcp.runs.record import Delivery, Failure, Question, RunRecord, hash_prompt, unremembered
from contit_mcp.runs.store import RunStore


class Assistant:
    """Contit's assistant for any number of owners who share one credential.

    Args:
        client: Contit.
        store: What is remembered of runs.
        polling: How runs are waited for.
        replay: When an answer is given again; the store's own claims follow the same policy.
        waits: Where every wait is counted; several assistants can share it, to be closed together.
        now: Seconds since the epoch.
    """

    def __init__(
        self,
        client: ContitClient,
        store: RunStore,
        *,
        polling: PollPolicy | None = None,
        replay: ReplayPolicy | None = None,
        waits: Waits | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._runs = runs = RunLedger(store)
        self._waits = waits or Waits()
        self._watcher = Watcher(client, runs, policy=polling, now=now)
        self._launcher = Launcher(client, runs, self._watcher, now=now)
        self._answerer = Answerer(client, runs, self._watcher, self._waits, replay=replay, now=now)
        self._glancer = Glancer(runs, self._watcher, self._answerer, self._waits, now=now)
        self._now = now

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
        launched = await self._launch(owner, prompt, thread_id, deadline, observer, Delivery.AWAITED)
        observer.started(*ids(launched.run))
        report = await self._answerer.answer(
            launched.run, began=began, deadline=deadline, observer=observer, joined=launched.joined, look=False
        )
        return replace(report, maybe_twice=launched.interrupted)

    async def start(
        self,
        owner: str,
        prompt: str,
        thread_id: str | None = None,
        *,
        wait_seconds: float,
        observer: Observer = NOBODY,
        awaited: bool = False,
    ) -> RunReport:
        """Start a run and report its ids at once; only a busy thread is waited for.

        Where the caller comes back for the answer, and it is there already and still owed, the report has it.

        Args:
            owner: Who asks.
            prompt: What.
            thread_id: The conversation that is continued.
            wait_seconds: For a busy thread.
            observer: Told how it goes on.
            awaited: Whether the caller comes back for the answer, with `glance`.

        Raises:
            InvalidArgumentError: The prompt or the thread id cannot be used.
            ThreadBusyError, StartUnknownError, ServerClosingError, APIError: It was not started, or nobody knows.
            RunError: The run that was joined has ended without an answer.
        """
        began = anyio.current_time()
        deadline = began + wait_seconds
        handed_over: list[RunRecord] = []

        async def note(sent: bool) -> None:  # noqa: FBT001 - a `Note`
            for run in handed_over if sent else ():
                await self._runs.handed_over(run, now=self._now())

        delivery = Delivery.AWAITED
        if not awaited:
            delivery = Delivery.HANDING_OVER if observer.when_sent(note) else Delivery.HANDED_OVER
        launched = await self._launch(owner, prompt, thread_id, deadline, observer, delivery)
        handed_over.append(launched.run)
        observer.started(*ids(launched.run))
        if awaited and launched.run.ended:
            return await self._answerer.answer(
                launched.run, began=began, deadline=deadline, observer=observer, joined=launched.joined, look=False
            )
        if awaited and not launched.joined:
            await self._runs.let_go(launched.run, now=self._now())  # nobody here asks about it until someone comes
        report = report_on(launched.run, now=self._now(), joined=launched.joined)
        return replace(report, maybe_twice=launched.interrupted)

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
            run = await self._answerer.look(run, deadline)
        if not run.ended and wait_seconds > 0:  # a wait that has no time would still take and give back the run's hold
            run = await self._answerer.wait(run, deadline, observer)
        if run.failure is Failure.NOT_FOUND:
            raise RunNotFoundError(*ids(run))
        return report_on(run, now=self._now())

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
            latest = await self._runs.latest(owner, check_id("thread_id", thread_id), now=self._now())
            if latest is None:
                return await self._answerer.latest(thread_id, began + wait_seconds)
            run = latest
        else:
            run = await self._find(owner, thread_id, run_id)
        observer.started(*ids(run))
        return await self._answerer.answer(
            run, began=began, deadline=began + wait_seconds, observer=observer, joined=False, look=True
        )

    async def glance(self, owner: str, thread_id: str, run_id: str, *, ask: int, observer: Observer = NOBODY) -> Glance:
        """Tell without waiting where the run of one ask stands, and its answer once it has one.

        Args:
            owner: Who asked.
            thread_id: The run's thread.
            run_id: The run.
            ask: When it was asked, in milliseconds since the epoch; several asks can have joined the same run.
            observer: Knows whether the answer has been sent.

        Raises:
            APIError: Contit refused to tell, or could not repeat an answer. Before the end, passing faults are no news.
        """
        found = await self._runs.find(owner, thread_id, run_id, now=self._now())
        run = unremembered(owner, thread_id, run_id, now=ask / 1000)
        if found is not None:
            run = await self._runs.refreshed(found, now=self._now())
        if ask in run.cancelled:
            return Glance(report_on(run, now=self._now()), cancelled=True)
        return await self._glancer.glance(run, observer)

    async def cancel(self, owner: str, thread_id: str, run_id: str, *, ask: int) -> None:
        """Note that one ask is no longer wanted, where its run is remembered; the run goes on (see `glance`)."""
        run = await self._runs.find(owner, thread_id, run_id, now=self._now())
        if run is not None:
            await self._runs.cancelled(run, ask, now=self._now())

    def close(self) -> None:
        """Begin no more runs, and let every wait end now with what is known."""
        self._waits.close()

    async def _launch(
        self,
        owner: str,
        prompt: str,
        thread_id: str | None,
        deadline: float,
        observer: Observer,
        delivery: Delivery,
    ) -> Launched:
        if thread_id is not None:
            check_id("thread_id", thread_id)
        question = Question(owner, thread_id, hash_prompt(usable_prompt(prompt)))
        if self._waits.closing:
            raise ServerClosingError
        with self._waits.until(grace=LAUNCHING_SECONDS):
            return await self._launcher.launch(
                question, prompt, delivery=delivery, deadline=deadline, on_status=observer.status
            )
        raise ServerClosingError

    async def _find(self, owner: str, thread_id: str, run_id: str) -> RunRecord:
        """The remembered run; for one that is not remembered, a record made of its ids alone."""
        check_id("thread_id", thread_id)
        check_id("run_id", run_id)
        run = await self._runs.find(owner, thread_id, run_id, now=self._now())
        return run or unremembered(owner, thread_id, run_id, now=self._now())
