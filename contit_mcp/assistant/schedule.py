"""Polls one run until it has ended. Repeating a failed request is retrying (`contit.retries`).

The caller's deadline is not known here: the caller wraps the wait in a cancel scope, which stops the polling.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio

from contit_mcp.contit.retries import Backoff
from contit_mcp.contit.wire import RunPhase, RunStatus
from contit_mcp.errors import APIError
from contit_mcp.telemetry.call_stats import current_call_stats
from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PollSchedule:
    """How long to pause between two polls. Seconds.

    A language model never answers at once, so the first poll comes a little later than after a second; the poll that
    this saves pays for shorter pauses afterwards. A run that has lasted long usually goes on for long, so pauses grow
    with its age. `benchmarks/polls.py` compares this with polling every second: no more polls and no more lag, for
    short, long-tailed and two-humped lengths.

    Attributes:
        first: The pause after the start.
        shortest: The second pause.
        growth: Seconds that each second of the run's age adds.
        longest: The most they grow to.
        jitter: Each pause is longer or shorter by up to this share, which spreads many runs apart.
    """

    first: float = 1.25
    shortest: float = 0.935
    growth: float = 0.002
    longest: float = 5.0
    jitter: float = 0.1

    def pause(self, age: float, draw: Callable[[], float]) -> float:
        """Return the seconds to pause when the run is `age` seconds old; `draw` returns a number from 0 to 1."""
        steady = max(min(self.longest, self.shortest + self.growth * age), self.first - age)
        return steady * (1 + self.jitter * (2 * draw() - 1))


@dataclass(frozen=True, slots=True)
class PollPolicy:
    """When a wait ends by itself. Seconds.

    Attributes:
        schedule: The pauses.
        fault_seconds: How long passing faults of Contit are tolerated since the last good answer.
        run_seconds: How long a run may show no end before it is given up (the vendor names no limit).
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
    is_too_old: Callable[[], bool],
    policy: PollPolicy,
    pause_first: bool,
    on_status: Callable[[str], None],
    backoff: Backoff,
    draw: Callable[[], float] = random.random,
) -> RunPhase:
    """Poll until the run has ended, and return how.

    Args:
        ask: Polls once, without retries.
        age: Returns the seconds since the run was started.
        is_too_old: Whether the run is given up if it has not ended.
        policy: When to give up.
        pause_first: Whether the run has just been started, so that a poll at once would be wasted.
        on_status: Takes each status word that differs from the one before.
        backoff: Shared by all requests of the client, which reports every outcome to it.
        draw: Returns numbers from 0 to 1, for jitter.

    Raises:
        NoEndSeen: It was still going when it was too old; it was polled after that.
        APIError: One that does not pass by itself, or the last of those that went on for too long.
    """
    good_at = anyio.current_time()
    word = None
    wait = policy.schedule.pause(age(), draw) if pause_first else 0.0
    while True:
        await backoff.pause(wait, draw)
        wait = policy.schedule.pause(age(), draw)
        current_call_stats().count("poll")
        try:
            status = await ask()
        except APIError as error:
            if not error.retryable or anyio.current_time() - good_at >= policy.fault_seconds:
                raise
            current_call_stats().count("retry")
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
        if is_too_old():
            raise NoEndSeen
