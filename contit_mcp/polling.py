"""Wait for one run to end: ask, pause, ask again. Repeating a failed request is retrying, another module.

The caller's patience is not known here: it wraps the wait in a cancel scope, and whoever leaves stops the
polling before the next question.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio
import structlog

from contit_mcp.api.models import RunPhase, RunStatus
from contit_mcp.exceptions import APIError, APIStatusError
from contit_mcp.tally import current_tally

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PollSchedule:
    """How long to pause between two questions. Seconds.

    A short run is asked about often, since there its user feels each half second; a long one less often,
    in proportion to its age, so that what a pause adds stays a small share of the wait.

    Attributes:
        shortest: The pause at the beginning.
        share: Of the run's age, once that is more.
        longest: The pause of very long runs.
        jitter: Each pause is longer or shorter by up to this share, which spreads many runs apart.
    """

    shortest: float = 0.5
    share: float = 0.05
    longest: float = 5.0
    jitter: float = 0.1

    def pause(self, age: float, draw: Callable[[], float]) -> float:
        """Seconds to pause when the run is `age` seconds old; `draw` gives a number from 0 to 1."""
        steady = min(self.longest, max(self.shortest, age * self.share))
        return steady * (1 + self.jitter * (2 * draw() - 1))


@dataclass(frozen=True, slots=True)
class PollPolicy:
    """When a wait gives up by itself. Seconds.

    Attributes:
        schedule: The pauses.
        fault_seconds: Passing faults of Contit are tolerated for as long since the last good answer.
        run_seconds: A run that shows no end for as long is given up (the vendor names no limit).
    """

    schedule: PollSchedule = field(default_factory=PollSchedule)
    fault_seconds: float = 60.0
    run_seconds: float = 1_800.0


class NoEndSeen(Exception):  # noqa: N818 - not an error of its own: the caller turns it into one about its run
    """The run was still going when it was older than the policy allows."""


async def poll_until_ended(
    ask: Callable[[], Awaitable[RunStatus]],
    *,
    age: Callable[[], float],
    policy: PollPolicy,
    pause_first: bool,
    on_status: Callable[[str], None],
    draw: Callable[[], float] = random.random,
) -> RunPhase:
    """Ask until the run has ended, and return how.

    Args:
        ask: Asks Contit once, without retries.
        age: Seconds since the run was started.
        policy: When to give up.
        pause_first: Whether it has only just been started, so that asking at once is of no use.
        on_status: Told each word that differs from the one before.
        draw: Gives numbers from 0 to 1, for jitter.

    Raises:
        NoEndSeen: It was still going after `policy.run_seconds`; it was asked about after that.
        APIError: One that does not pass by itself, or the last of those that went on for too long.
    """
    good_at = anyio.current_time()
    word = None
    wait = policy.schedule.pause(age(), draw) if pause_first else 0.0
    while True:
        await anyio.sleep(wait)
        wait = policy.schedule.pause(age(), draw)
        current_tally().polls += 1
        try:
            status = await ask()
        except APIError as error:
            if not error.retryable or anyio.current_time() - good_at >= policy.fault_seconds:
                raise
            if isinstance(error, APIStatusError) and error.retry_after is not None:
                wait = max(wait, error.retry_after)
            current_tally().retries += 1
            log.debug("poll.fault", error=type(error).__name__, pause_seconds=round(wait, 3))
            continue
        good_at = anyio.current_time()
        if status.word != word:
            word = status.word
            on_status(word)
            if not status.documented:
                log.warning("poll.undocumented_status", word=word, taken_as=status.phase.value)
        if status.phase is not RunPhase.IN_PROGRESS:
            return status.phase
        if age() >= policy.run_seconds:
            raise NoEndSeen
