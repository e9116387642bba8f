"""Waiting for one run to end, poll by poll."""

import io
import random
from collections.abc import Awaitable, Callable, Iterable

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.polls import followed, polls
from contit_mcp.assistant.schedule import NoEndSeen, Pace, PollPolicy, PollSchedule, poll_until_ended
from contit_mcp.contit.wire import RunPhase, RunStatus
from contit_mcp.errors import AuthenticationError, InternalServerError, NotFoundError, RateLimitError
from contit_mcp.telemetry.call_stats import start_call_stats

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
    ("word", "phase"),
    [
        ("completed", RunPhase.COMPLETED),
        ("COMPLETED", RunPhase.COMPLETED),
        ("failed", RunPhase.FAILED),
        ("Cancelled", RunPhase.FAILED),
        ("expired", RunPhase.FAILED),
        ("incomplete", RunPhase.FAILED),
    ],
)
async def test_a_word_for_an_end_ends_the_wait(word: str, phase: RunPhase) -> None:
    """Completed and failed (documented), other case and words (assumed)."""
    answers = Answers("in_progress", word)
    assert await wait(answers, answers.age) is phase
    assert len(answers.asked_at) == 2


@pytest.mark.parametrize("word", ["queued", "requires_action", "cancelling", "thinking hard"])
async def test_any_other_word_is_still_running_and_is_logged(word: str, logged: io.StringIO) -> None:
    """Known or unknown, it is no end; the raw word is kept for whoever looks (assumed)."""
    answers = Answers(word, "completed")
    words: list[str] = []
    assert await wait(answers, answers.age, words=words) is RunPhase.COMPLETED
    assert words == [word, "completed"]
    assert logged.getvalue().count("poll.undocumented_status") == 1
    assert word in logged.getvalue()


async def test_the_listener_hears_each_change_once() -> None:
    """A word that stays is no news."""
    answers = Answers("queued", "queued", "in_progress", "in_progress", "completed")
    words: list[str] = []
    await wait(answers, answers.age, words=words)
    assert words == ["queued", "in_progress", "completed"]


async def test_pauses_grow_with_the_run_and_stop_growing() -> None:
    """A first one of 1.25 s, then just under a second, growing to five."""
    ages_and_pauses = [(age, round(PollSchedule().pause(age, lambda: 0.5), 3)) for age in (0, 1.25, 30, 530, 1e9)]
    assert ages_and_pauses == [(0, 1.25), (1.25, 0.938), (30, 0.995), (530, 1.995), (1e9, 5.0)]


@given(age=st.floats(0, 1e6), later=st.floats(0, 1e6), draw=st.floats(0, 1))
async def test_a_pause_stays_within_its_jitter_and_never_shrinks_with_age(
    age: float, later: float, draw: float
) -> None:
    """Up to 10 % shorter or longer, never zero, and beyond the first one only ever longer."""
    schedule = PollSchedule()
    pause = schedule.pause(age, lambda: draw)
    steady = schedule.pause(age, lambda: 0.5)
    assert 0.9 * steady - 1e-9 <= pause <= 1.1 * steady + 1e-9
    assert schedule.shortest <= steady <= schedule.longest
    if age >= schedule.first:
        assert schedule.pause(age + later, lambda: 0.5) >= steady


@given(length=st.floats(0, 1_800), draws=st.randoms(use_true_random=False))
async def test_any_run_is_asked_about_about_once_a_second_at_the_most(length: float, draws: random.Random) -> None:
    """Whatever its length and the draws: few polls, and an end that is seen soon."""
    polls, lag = followed(length, lambda age: PollSchedule().pause(age, draws.random))
    assert polls <= 1 + length / 0.84
    assert lag <= max(1.1 * 1.25, 1.1 * (0.94 + 0.002 * (length + 6)))


async def test_on_average_it_asks_no_more_often_than_every_second_and_sees_ends_no_later() -> None:
    """On short, long-tailed and two-humped lengths (design, section 10)."""
    assert {row.name: row.ratio for row in polls(runs=5_000) if row.ratio is None or row.ratio > 1.01} == {}


async def test_passing_faults_are_tolerated_and_counted_as_retries() -> None:
    """5xx, 429 and network faults during the wait pass (our choice)."""
    stats = start_call_stats()
    answers = Answers(FAULT, FAULT, "in_progress", FAULT, "completed")
    assert await wait(answers, answers.age) is RunPhase.COMPLETED
    assert (stats.polls, stats.retries) == (5, 3)


async def test_faults_are_tolerated_by_time_since_the_last_good_answer() -> None:
    """Not by their number: after 10 s without a good answer the fault is told."""
    policy = PollPolicy(schedule=STEADY, fault_seconds=10.0)
    answers = Answers("in_progress", FAULT)
    with pytest.raises(InternalServerError):
        await wait(answers, answers.age, policy=policy)
    assert answers.asked_at[-2:] == [10.0, 10.5]  # the last good answer came at 0.5


async def test_a_good_answer_begins_the_tolerance_anew() -> None:
    """9 s of faults, a good answer, 9 s of faults: tolerated."""
    policy = PollPolicy(schedule=STEADY, fault_seconds=10.0)
    answers = Answers(*[FAULT] * 18, "in_progress", *[FAULT] * 18, "completed")
    assert await wait(answers, answers.age, policy=policy) is RunPhase.COMPLETED


async def test_retry_after_stretches_the_pause() -> None:
    """429 with Retry-After: 7 is asked again after 7 s, not sooner, and then at half the pace."""
    limited = RateLimitError("slow down", hint="later", status_code=429, retry_after=7.0)
    answers = Answers(limited, "in_progress", "completed")
    await wait(answers, answers.age)
    assert answers.asked_at == [0.5, 8.0, 9.0]  # half a pause later than it had to be: where others spread out


async def test_a_short_retry_after_does_not_shorten_the_pause() -> None:
    """The schedule, at half its pace, is the least pause."""
    limited = RateLimitError("slow down", hint="later", status_code=429, retry_after=0.1)
    answers = Answers(limited, "completed")
    await wait(answers, answers.age)
    assert answers.asked_at == [0.5, 1.5]


async def test_a_fault_other_than_429_is_the_business_of_its_run_alone() -> None:
    """503 with Retry-After: 7 is asked again after 7 s, and the pace stays."""
    fault = InternalServerError("fault", hint="later", status_code=503, retry_after=7.0)
    answers = Answers(fault, "in_progress", "completed")
    await wait(answers, answers.age)
    assert answers.asked_at == [0.5, 7.5, 8.0]


async def test_one_429_slows_all_runs_down_together_and_they_recover() -> None:
    """A burst of refusals counts once; without another one the pace is normal again after a while."""
    pace = Pace()
    for _ in range(50):
        pace.refused(None)
    assert pace.stretch == 2.0
    await anyio.sleep(10)
    pace.refused(None)  # the stretch had just halved
    assert pace.stretch == 2.0
    await anyio.sleep(9.9)
    assert pace.stretch == 2.0
    await anyio.sleep(30)
    assert pace.stretch == 1.0


async def test_while_contit_wants_to_be_left_alone_nobody_asks_and_then_not_all_at_once() -> None:
    """A hundred runs wait for the same moment."""
    pace, went_on = Pace(), []
    pace.refused(20.0)

    async def one(number: int) -> None:
        await pace.pause(1.0, random.Random(number).random)
        went_on.append(anyio.current_time() - began)

    began = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        for number in range(100):
            tasks.start_soon(one, number)
    assert min(went_on) >= 20.0
    assert max(went_on) - min(went_on) > 0.5


@given(refusals=st.lists(st.floats(0, 100), max_size=30))
async def test_the_pace_stays_within_its_bounds_whatever_contit_says(refusals: list[float]) -> None:
    """Never faster than the schedule, never slower than four times it."""
    pace = Pace()
    for seconds in refusals:
        pace.refused(seconds)
        assert 1.0 <= pace.stretch <= 4.0
        await anyio.sleep(seconds)
    await anyio.sleep(60)
    assert pace.stretch == 1.0


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


@pytest.mark.anyio
async def test_a_pause_that_ended_early_makes_none_negative(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timers of an event loop may be a millisecond early (seen at 5,000 asks at once: a fifth of them crashed)."""
    slept: list[float] = []

    async def early(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("contit_mcp.assistant.schedule.anyio.sleep", early)
    pace = Pace()
    for seconds in (1.0, 0.0, 0.0):
        await pace.pause(seconds, lambda: 0.5)
    assert slept == [1.0, 0.0, 0.0]
