"""Wait for one run to end: ask, pause, ask again. Repeating a failed request is retrying, another module.

The caller's patience is not known here: it wraps the wait in a cancel scope, and whoever leaves stops the
polling before the next question.
"""

import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio

from contit_mcp.contit.models import RunPhase, RunStatus
from contit_mcp.errors import APIError, APIStatusError, RateLimitError
from contit_mcp.telemetry.call_stats import current_tally
from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PollSchedule:
    """How long to pause between two questions. Seconds.

    No answer of a language model is there at once, so the first question comes a little later than a second; the
    poll that this saves pays for shorter pauses afterwards. A run that has lasted for long will mostly go on for
    long, so pauses grow with its age. `benchmarks/polls.py` holds this against asking every second: no more polls
    and no more lag, for short, long-tailed and two-humped lengths.

    Attributes:
        first: The pause after the start.
        shortest: What those after it begin with.
        growth: What each second of the run's age adds.
        longest: What they grow to.
        jitter: Each pause is longer or shorter by up to this share, which spreads many runs apart.
    """

    first: float = 1.25
    shortest: float = 0.935
    growth: float = 0.002
    longest: float = 5.0
    jitter: float = 0.1

    def pause(self, age: float, draw: Callable[[], float]) -> float:
        """Seconds to pause when the run is `age` seconds old; `draw` gives a number from 0 to 1."""
        steady = max(min(self.longest, self.shortest + self.growth * age), self.first - age)
        return steady * (1 + self.jitter * (2 * draw() - 1))


class Pace:
    """Slows all polls of one process down together when Contit says 429, and lets them recover.

    Each refusal doubles every pause, once a `settle`; without another one the stretch halves in each `settle`. And
    while this process itself is behind with its work, each pause is longer by as much as the last one ended late:
    polls would only add to the work.

    Args:
        most: How often a pause is stretched at the most.
        settle: Seconds. Several refusals of one burst count once.
    """

    def __init__(self, *, most: float = 4.0, settle: float = 10.0) -> None:
        self._most = most
        self._settle = settle
        self._stretch = 1.0
        self._since: float | None = None
        self._not_before = -math.inf
        self._late = 0.0

    def refused(self, retry_after: float | None) -> None:
        """Contit has said 429, and perhaps for how long."""
        now = anyio.current_time()
        self._not_before = max(self._not_before, now + (retry_after or 0.0))
        if self._since is None or now - self._since >= self._settle:
            self._stretch = min(self._most, self.stretch * 2)
            self._since = now

    @property
    def stretch(self) -> float:
        """What pauses are multiplied by now; 1 when all is well."""
        if self._since is None:
            return 1.0
        settled = int((anyio.current_time() - self._since) / self._settle)
        return max(1.0, self._stretch * 0.5**settled)

    async def pause(self, seconds: float, draw: Callable[[], float]) -> None:
        """Pause for `seconds`, and longer where Contit wants it. Who waited for the same moment goes on spread out."""
        began, pause = anyio.current_time(), seconds * self.stretch + self._late
        await anyio.sleep(pause)
        now = anyio.current_time()
        self._late = max(0.0, now - began - pause)  # timers may be early
        while (left := self._not_before - now) > 0:
            await anyio.sleep(left + seconds * self.stretch * draw())
            now = anyio.current_time()


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
    pace: Pace | None = None,
    draw: Callable[[], float] = random.random,
) -> RunPhase:
    """Ask until the run has ended, and return how.

    Args:
        ask: Asks Contit once, without retries.
        age: Seconds since the run was started.
        policy: When to give up.
        pause_first: Whether it has only just been started, so that asking at once is of no use.
        on_status: Told each word that differs from the one before.
        pace: Shared by all who poll.
        draw: Gives numbers from 0 to 1, for jitter.

    Raises:
        NoEndSeen: It was still going after `policy.run_seconds`; it was asked about after that.
        APIError: One that does not pass by itself, or the last of those that went on for too long.
    """
    good_at = anyio.current_time()
    pace = pace or Pace()
    word = None
    wait = policy.schedule.pause(age(), draw) if pause_first else 0.0
    while True:
        await pace.pause(wait, draw)
        wait = policy.schedule.pause(age(), draw)
        current_tally().polls += 1
        try:
            status = await ask()
        except APIError as error:
            if not error.retryable or anyio.current_time() - good_at >= policy.fault_seconds:
                raise
            if isinstance(error, RateLimitError):
                pace.refused(error.retry_after)
            elif isinstance(error, APIStatusError) and error.retry_after is not None:
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
