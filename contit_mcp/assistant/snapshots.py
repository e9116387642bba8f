"""Where a run stands, for callers who come again and again instead of waiting.

They are answered at once. Contit is asked no oftener than it would be polled, however many come and however often.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

import anyio

from contit_mcp.assistant.answering import Answerer
from contit_mcp.assistant.reports import NOBODY, Glance, Observer, report_on
from contit_mcp.assistant.shutdown import Waits
from contit_mcp.assistant.watching import LAG_SECONDS, LOOK_SECONDS, Watcher
from contit_mcp.errors import AnswerUnavailableError, APIError, RunError
from contit_mcp.runs.ledger import RunLedger
from contit_mcp.runs.record import Failure, Phase, RunRecord

_MOST_RUNS = 10_000
"""Of which it is remembered when they may be asked about again; the one unused for longest goes first."""


class Glancer:
    """Looks at runs in passing.

    Args:
        runs: Knows ends and answers, and who asks about a run.
        watcher: Asks about it.
        answerer: Delivers answers.
        waits: Where each question is counted.
        now: Seconds since the epoch.
    """

    def __init__(
        self,
        runs: RunLedger,
        watcher: Watcher,
        answerer: Answerer,
        waits: Waits,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._runs = runs
        self._watcher = watcher
        self._answerer = answerer
        self._waits = waits
        self._now = now
        self._again_at: OrderedDict[str, float] = OrderedDict()  # by key, on the event loop's clock

    async def glance(self, run: RunRecord, observer: Observer = NOBODY) -> Glance:
        """Where a run stands, and its answer if it has one. At most one question is put to Contit.

        Args:
            run: The run; one that is not remembered is as old as its `asked_at` says.
            observer: Knows whether the answer has been sent.

        Raises:
            APIError: Contit refused to tell, or could not repeat an answer. Before the end, passing faults are no news.
        """
        try:
            if not run.ended and self._may_ask(run):
                run = await self._asked_about(run)
            if run.ended:
                now = anyio.current_time()
                return Glance(await self._answerer.deliver(run, began=now, deadline=now, observer=observer))
        except RunError as error:
            return Glance(report_on(run, now=self._now()), failure=error)
        return Glance(report_on(run, now=self._now()))

    def _may_ask(self, run: RunRecord) -> bool:
        """Whether it is time to ask, and nobody else does; of several who come at once, one may."""
        now = anyio.current_time()
        elsewhere = run.held(self._now()) and not self._runs.holds(run)
        due = run.started_at is None or self._watcher.is_due(run)
        if elsewhere or not due or now < self._again_at.get(run.key, now):
            return False
        self._again_at[run.key] = now + self._watcher.pause(max(0.0, self._now() - run.asked_at))
        self._again_at.move_to_end(run.key)
        if len(self._again_at) > _MOST_RUNS:
            self._again_at.popitem(last=False)
        return True

    async def _asked_about(self, run: RunRecord) -> RunRecord:
        try:
            with self._waits.until(anyio.current_time() + LOOK_SECONDS):
                seen = await self._watcher.look(run, deadline=anyio.current_time())
                if run.started_at is not None:
                    return seen
                # The end of a task stays, so lag must not be one.
                if seen.failure is not Failure.NOT_FOUND or self._now() - run.asked_at >= LAG_SECONDS:
                    return await self._adopted(seen)
        except APIError as error:
            if not error.retryable:
                raise
        return run

    async def _adopted(self, run: RunRecord) -> RunRecord:
        """An unremembered run once it has ended is remembered from now on, so that its end stays as it was seen."""
        if run.phase is Phase.COMPLETED:
            try:
                await self._answerer.refuse_if_replaced(run)
            except AnswerUnavailableError:
                run = replace(run, answer=None)  # what was read is a later run's
        if run.ended:
            return await self._runs.adopted(run, now=self._now())
        if self._now() - run.asked_at < self._watcher.run_limit:
            return run
        return await self._runs.failed(replace(run, started_at=run.asked_at), Failure.NO_END_SEEN, now=self._now())
