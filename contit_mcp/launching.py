"""From a question to its run: start it, or join the one that already answers it. Never two runs on a thread."""

import time
from collections.abc import Callable

import anyio
import structlog

from contit_mcp.api.client import ContitClient
from contit_mcp.api.models import StartedRun
from contit_mcp.exceptions import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    NotFoundError,
    RunNotFoundError,
    StartUnknownError,
    ThreadBusyError,
)
from contit_mcp.runs.claims import Granted, Joined
from contit_mcp.runs.record import Phase, Question, RunRecord
from contit_mcp.runs.store import RunStore
from contit_mcp.watching import Watcher, ids

log = structlog.get_logger(__name__)

_BUSY_STATUSES = frozenset({400, 409, 422, 500})
"""What a prompt on a busy thread may be answered with; assumed (contit-api.md, "Not documented", 4)."""

_STARTING_PAUSE = 0.05
"""Seconds between two looks at a start that another call has under way; it lasts about one request."""


class Launcher:
    """Turns questions into runs.

    Args:
        client: Contit.
        store: Decides who may start.
        watcher: Sees the run end that a question has to wait for.
        now: Seconds since the epoch.
    """

    def __init__(
        self, client: ContitClient, store: RunStore, watcher: Watcher, *, now: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._store = store
        self._watcher = watcher
        self._now = now

    async def launch(
        self, question: Question, prompt: str, *, awaited: bool, deadline: float, on_status: Callable[[str], None]
    ) -> tuple[RunRecord, bool]:
        """Return the question's run, and whether it was there before.

        A busy thread is waited for, and the answer of the run before is kept, as long as the deadline allows.

        Args:
            question: What is asked.
            prompt: Its text.
            awaited: Whether the caller waits for the answer.
            deadline: On the event loop's clock.
            on_status: Told the status words of a run that is waited for.

        Raises:
            ThreadBusyError: Another run is going on the thread until after the deadline, or Contit says so.
            StartUnknownError: The start was sent and no answer came.
            RunNotFoundError: Contit does not know the thread.
            APIError: Contit refused or could not.
        """
        while True:
            claim = await self._store.claim(question, awaited=awaited, now=self._now())
            if isinstance(claim, Granted):
                return await self._start(claim.record, prompt, deadline), False
            run = claim.record
            if run.phase is Phase.STARTING:
                await self._let_it_start(deadline)
            elif isinstance(claim, Joined):
                return run, True
            else:
                await self._let_it_end(run, deadline, on_status)

    async def _start(self, intent: RunRecord, prompt: str, deadline: float) -> RunRecord:
        kept: list[RunRecord] = []

        async def keep(started: StartedRun) -> None:
            kept.append(await self._store.started(intent.key, started.thread_id, started.run_id, now=self._now()))

        thread_id = intent.question.thread_id
        try:
            await self._client.start_run(prompt, thread_id, keep=keep, deadline=deadline)
        except APIError as error:
            raise _about_the_start(error, thread_id) from error
        finally:
            if not kept:
                with anyio.CancelScope(shield=True):
                    await self._store.release(intent.key)
        log.info("run.started", thread_id=kept[0].thread_id, run_id=kept[0].run_id)
        return kept[0]

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


def _about_the_start(error: APIError, thread_id: str | None) -> Exception:
    """What a failed start means to whoever asked."""
    if isinstance(error, APIConnectionError) and error.may_have_arrived:
        return StartUnknownError(thread_id)
    if thread_id is None or not isinstance(error, APIStatusError):
        return error
    if isinstance(error, NotFoundError):
        return RunNotFoundError(thread_id, None)
    return ThreadBusyError(thread_id, None) if error.status_code in _BUSY_STATUSES else error
