"""Start a run for a question, or return the run that it has already. A thread never has two known runs at once."""

from dataclasses import replace

import anyio
import anyio.lowlevel

from contit_mcp import errors
from contit_mcp.assistant.reports import Observer
from contit_mcp.assistant.waiting import POLL_SECONDS, RunWaiter
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.wire import NOT_CONTIT_HINT, StartedRun, check_id
from contit_mcp.runs.claims import POLL_LEASE_SECONDS, RENEW_SECONDS, Claim, Deduplicated, Granted
from contit_mcp.runs.record import START_LEASE_SECONDS, Delivery, Failure, Phase, Question, RunRecord, intent_to_start
from contit_mcp.runs.store import RunStore
from contit_mcp.telemetry.call_stats import current_call_stats
from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)

MAX_PROMPT_LENGTH = 32_000  # characters; Contit documents no limit, and a runaway agent could send anything
_BUSY_STATUSES = frozenset({400, 409, 422, 500})  # a prompt on a busy thread; assumed (docs/contit-api.md)
_CLAIM_PAUSE_SECONDS = 0.05  # between two claims while another call sends the start
_LEFT_FOR_START_SECONDS = 5.0  # must be left of a wait after a busy thread: a start cannot be cut short


class RunStarter:
    """Turns questions into runs; `process` is the name of this process in leases."""

    def __init__(self, client: ContitClient, store: RunStore, waiter: RunWaiter, *, process: str) -> None:
        self._client = client
        self._store = store
        self._waiter = waiter
        self._process = process

    async def find_or_start(
        self,
        owner: str,
        prompt: str,
        thread_id: str | None,
        *,
        delivery: Delivery,
        deadline: float,
        observer: Observer,
        title: str | None,
    ) -> Claim:
        """Return the question's run: a new one, or another call's.

        A busy thread is waited for until the deadline, and its run's answer is stored.
        """
        if thread_id is not None:
            check_id("thread_id", thread_id)
        question = Question.of(owner, thread_id, _usable(prompt))
        awaited_start = awaited_run = None
        while True:
            now = self._store.now()
            intent = intent_to_start(question, delivery=delivery, process=self._process, now=now, title=title)
            with anyio.CancelScope(shield=True):  # a grant must not be lost with a caller that leaves in the middle
                claim = await self._store.claim(intent)
            run = claim.record
            if isinstance(claim, Granted):
                await self._check_may_start(claim, awaited_start, awaited_run, deadline)
                try:
                    return replace(claim, record=await self._start(claim, prompt, deadline))
                except _IntentLapsed:
                    continue
            if run.phase is Phase.STARTING:
                awaited_start = run if isinstance(claim, Deduplicated) else awaited_start
                await self._let_it_start(deadline)
            elif isinstance(claim, Deduplicated):
                if not await self._ended_unseen(run):
                    if delivery is Delivery.OWED and run.delivery is not Delivery.OWED and not run.ended:
                        run = await self._store.change(run, lambda run, _: run if run.ended else run.owed())
                    current_call_stats().count("join")
                    return Deduplicated(run)
            else:
                awaited_run = run
                await self._let_it_end(run, deadline, observer)

    async def _check_may_start(
        self, claim: Granted, awaited_start: RunRecord | None, awaited_run: RunRecord | None, deadline: float
    ) -> None:
        """Give the grant back, and raise, if a start now could double a run or outlast the caller's wait."""
        refusal: errors.ContitError | None = None
        if claim.interrupted and awaited_start is not None and awaited_start.leased(self._store.now()):
            # A live process gave up the start that was waited for; its caller got a StartUnknownError too.
            refusal = errors.StartUnknownError(claim.record.question.thread_id)
        elif awaited_run is not None and anyio.current_time() + _LEFT_FOR_START_SECONDS > deadline:
            refusal = errors.ThreadBusyError(*awaited_run.ids)
        if refusal is not None:
            await self._give_back(claim.record, maybe_sent=claim.interrupted)
            raise refusal

    async def _ended_unseen(self, run: RunRecord) -> bool:
        """Return whether a run that is stored as in flight had ended while nothing polled it: if so, claim anew."""
        if run.ended or not self._waiter.is_due(run):
            return False
        try:
            with anyio.CancelScope(deadline=anyio.current_time() + POLL_SECONDS):
                return (await self._waiter.poll_once(run, deadline=anyio.current_time())).ended
        except errors.AnswerUnreadableError:
            await self._waiter.end(run, failure=Failure.NO_ANSWER)  # the question is asked anew
            return True
        except errors.APIError:
            pass  # the wait for the run reports it
        return False

    async def _start(self, claim: Granted, prompt: str, deadline: float) -> RunRecord:
        intent, maybe_sent = claim.record, claim.interrupted
        kept: list[RunRecord] = []

        def check() -> None:
            """Check that the intent stands for as long as sending its start may take."""
            if not intent.leased(self._store.now() + START_LEASE_SECONDS - RENEW_SECONDS):
                raise _IntentLapsed

        async def keep(started: StartedRun) -> None:
            run = await self._store.change(intent, lambda run, now: self._started(run, started, now))
            self._waiter.started_here(run)
            kept.append(run)

        thread_id = intent.question.thread_id
        try:
            await anyio.lowlevel.checkpoint_if_cancelled()
            await self._client.start_run(prompt, thread_id, before=check, keep=keep, deadline=deadline)
        except errors.APIError as error:
            refusal = _meaning_of(error, thread_id)
            maybe_sent = maybe_sent or isinstance(refusal, errors.StartUnknownError)
            raise refusal from error
        finally:
            if not kept:
                await self._give_back(intent, maybe_sent=maybe_sent)
        log.info("run.started", owner=intent.question.owner, thread_id=kept[0].thread_id, run_id=kept[0].run_id)
        return kept[0]

    def _started(self, intent: RunRecord, ids: StartedRun, now: float) -> RunRecord:
        """Return the started run, leased to this process if a caller waits for it, and else to none."""
        run = intent.started(ids.thread_id, ids.run_id, now=now)
        if run.delivery is Delivery.OWED:
            return run.leased_to(self._process, seconds=POLL_LEASE_SECONDS, now=now)
        return run.released_by(self._process)

    async def _give_back(self, intent: RunRecord, *, maybe_sent: bool) -> None:
        """Forget an intent. If Contit may have the start, only end the lease: then the question is `interrupted`."""
        if maybe_sent:
            await self._waiter.release(intent)
            return
        with anyio.CancelScope(shield=True):
            await self._store.release(intent)

    async def _let_it_start(self, deadline: float) -> None:
        if anyio.current_time() + _CLAIM_PAUSE_SECONDS > deadline:
            raise errors.APITimeoutError(
                "Another call is still sending this question, or another one on this thread, to Contit.",
                hint="Ask again in the same words: the same question returns that run instead of starting another.",
                may_have_arrived=False,
            )
        await anyio.sleep(_CLAIM_PAUSE_SECONDS)

    async def _let_it_end(self, run: RunRecord, deadline: float, observer: Observer) -> None:
        try:
            with anyio.fail_after(deadline - anyio.current_time()):
                await self._waiter.until_ended(run, observer.status)
        except errors.AnswerUnreadableError:
            await self._waiter.end(run, failure=Failure.NO_ANSWER)  # or the thread would stay busy
        except (errors.APIError, TimeoutError) as error:
            raise errors.ThreadBusyError(*run.ids) from error


class _IntentLapsed(Exception):  # noqa: N818 - not an error: the question is claimed anew
    """A retry was put off for so long that another process may have started the question meanwhile."""


def _usable(prompt: str) -> str:
    if not prompt.strip():
        raise errors.InvalidArgumentError("The prompt is blank.", hint="Say in prompt what you want to know.")
    if len(prompt) > MAX_PROMPT_LENGTH:
        raise errors.InvalidArgumentError(
            f"The prompt has {len(prompt):,} characters; {MAX_PROMPT_LENGTH:,} are allowed.",
            hint="Ask for less at a time, and leave out what Contit already holds.",
        )
    if any("\ud800" <= character <= "\udfff" for character in prompt):
        raise errors.InvalidArgumentError(
            "The prompt is not valid Unicode text.", hint="Send it again without broken characters."
        )
    return prompt


def _meaning_of(error: errors.APIError, thread_id: str | None) -> errors.ContitError:
    """Return what the failure of a start means for its caller."""
    if isinstance(error, errors.APIStatusError) and thread_id is not None:
        if isinstance(error, errors.NotFoundError):
            return errors.RunNotFoundError(thread_id)
        if error.status_code in _BUSY_STATUSES:
            return errors.ThreadBusyError(thread_id, None)
    if isinstance(error, errors.NotFoundError):
        message = "The server at CONTIT_BASE_URL is not Contit's API: it answered a new question with 404."
        return errors.NotFoundError(message, hint=NOT_CONTIT_HINT, status_code=404)
    # The run may exist although no ids came. After a 503, alone of all 5xx, nothing can have been accepted.
    may_run = (
        isinstance(error, errors.APIResponseValidationError)
        or (isinstance(error, errors.APIConnectionError) and error.may_have_arrived)
        or (isinstance(error, errors.InternalServerError) and error.status_code != 503)
    )
    return errors.StartUnknownError(thread_id) if may_run else error
