"""Waiting for one run to end, poll by poll."""

from collections.abc import Awaitable, Callable, Iterable

import anyio
import pytest

from contit_mcp.assistant.schedule import NoEndSeen, PollPolicy, PollSchedule, poll_until_ended
from contit_mcp.contit.retries import Backoff
from contit_mcp.contit.wire import RunPhase, RunStatus
from contit_mcp.errors import AuthenticationError, InternalServerError, NotFoundError

pytestmark = pytest.mark.anyio

STEADY = PollSchedule(first=0.5, shortest=0.5, growth=0.0, longest=5.0, jitter=0.0)
FAULT = InternalServerError("fault", hint="later", status_code=500)


class Answers:
    """Gives one answer or error after another, the last one for ever, and notes when it was asked."""

    def __init__(self, *answers: str | Exception) -> None:
        self._answers = list(answers)
        self.asked_at: list[float] = []
        self.began = anyio.current_time()

    async def __call__(self) -> RunStatus:
        """Answer one poll."""
        self.asked_at.append(round(anyio.current_time() - self.began, 6))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return RunStatus(status=answer)

    def age(self) -> float:
        """Seconds since the first line of the test."""
        return anyio.current_time() - self.began


async def wait(
    ask: Callable[[], Awaitable[RunStatus]],
    age: Callable[[], float],
    *,
    policy: PollPolicy | None = None,
    pause_first: bool = True,
    words: list[str] | None = None,
) -> RunPhase:
    """Poll with a steady schedule."""
    heard: list[str] = [] if words is None else words
    policy = policy or PollPolicy(schedule=STEADY)
    return await poll_until_ended(
        ask,
        age=age,
        is_too_old=lambda: age() >= policy.run_seconds,
        policy=policy,
        pause_first=pause_first,
        on_status=heard.append,
        backoff=Backoff(),
        draw=lambda: 0.5,
    )


async def test_a_fresh_run_is_first_asked_about_after_the_shortest_pause() -> None:
    """Asking in the instant of the start would always hear "not yet"."""
    answers = Answers("in_progress", "in_progress", "completed")
    assert await wait(answers, answers.age) is RunPhase.COMPLETED
    assert answers.asked_at == [0.5, 1.0, 1.5]


async def test_an_older_run_is_asked_about_at_once() -> None:
    """It may have ended long ago."""
    answers = Answers("completed")
    assert await wait(answers, answers.age, pause_first=False) is RunPhase.COMPLETED
    assert answers.asked_at == [0.0]


@pytest.mark.parametrize(
    "error", [AuthenticationError("no", hint="-", status_code=401), NotFoundError("no", hint="-", status_code=404)]
)
async def test_a_fault_that_does_not_pass_is_told_at_once(error: Exception) -> None:
    """A refused credential or an unknown run is not asked about again."""
    answers = Answers("in_progress", error)
    with pytest.raises(type(error)):
        await wait(answers, answers.age)
    assert len(answers.asked_at) == 2


async def test_a_run_without_an_end_is_given_up_exactly_at_the_limit() -> None:
    """The poll that finds the run at its limit is the last one."""
    policy = PollPolicy(schedule=PollSchedule(first=10, shortest=10, growth=0, longest=10, jitter=0), run_seconds=30.0)
    answers = Answers("in_progress")
    with pytest.raises(NoEndSeen):
        await wait(answers, answers.age, policy=policy)
    assert answers.asked_at == [10.0, 20.0, 30.0]


async def test_a_run_past_its_limit_is_asked_about_once_more() -> None:
    """Its answer may have come while nobody asked."""
    answers = Answers("completed")
    assert await wait(answers, lambda: 99_999.0, pause_first=False) is RunPhase.COMPLETED


async def test_whoever_leaves_stops_the_polling_before_the_next_poll() -> None:
    """A cancelled wait asks no more."""
    answers = Answers("in_progress")
    with anyio.move_on_after(1.2):
        await wait(answers, answers.age)
    asked = len(answers.asked_at)
    await anyio.sleep(60)
    assert asked == len(answers.asked_at) == 2


def test_durations_of_the_default_policy() -> None:
    """The numbers that the documentation names."""
    policy = PollPolicy()
    numbers: Iterable[float] = (
        policy.run_seconds,
        policy.fault_seconds,
        policy.schedule.first,
        policy.schedule.shortest,
        policy.schedule.longest,
    )
    assert tuple(numbers) == (1_800.0, 60.0, 1.25, 0.935, 5.0)
