"""In which order requests that come at once get on."""

import time

import anyio
import anyio.lowlevel
import pytest
from starlette.types import Message, Receive, Scope, Send

from contit_mcp.http.turns import GROUP, LONGEST_SECONDS, Turns

pytestmark = pytest.mark.anyio

STEPS = 3


@pytest.fixture
def anyio_backend() -> str:
    """Whether a loop is on time is seen in real time alone."""
    return "asyncio"


class Work:
    """Requests of some steps, each of which keeps the event loop to itself for a moment."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.seen: list[tuple[str, int]] = []

    async def __call__(self, scope: Scope, _: Receive, __: Send) -> None:
        self.seen.append(("begun", scope["number"]))
        for _step in range(STEPS):
            time.sleep(self._seconds)  # noqa: ASYNC251 - that is the point
            await anyio.lowlevel.checkpoint()
        self.seen.append(("done", scope["number"]))


async def receive() -> Message:
    """Nothing of it is read."""
    raise AssertionError


async def send(_: Message) -> None:
    """Nothing is answered."""
    raise AssertionError


def scope_of(number: int) -> Scope:
    """A request's."""
    return {"type": "http", "number": number}


async def serve(app: Turns, count: int) -> None:
    """So many requests at once."""
    async with anyio.create_task_group() as tasks:
        for number in range(count):
            tasks.start_soon(app, scope_of(number), receive, send)


async def test_those_that_came_first_are_done_before_those_that_came_last_have_begun() -> None:
    """Group by group; an event loop by itself begins all before one is done (our choice)."""
    work = Work(seconds=0.0005)
    await serve(Turns(work), 3 * GROUP)
    groups = [sorted(number // GROUP for what, number in work.seen if what == kind) for kind in ("begun", "done")]
    assert groups == [[0] * GROUP + [1] * GROUP + [2] * GROUP] * 2
    assert [number // GROUP for _, number in work.seen] == [0] * 2 * GROUP + [1] * 2 * GROUP + [2] * 2 * GROUP


async def test_a_few_begin_at_once() -> None:
    """None of them waits for anything (our choice)."""
    work = Work(seconds=0.0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve, Turns(work), GROUP)
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        assert [what for what, _ in work.seen].count("begun") == GROUP


async def test_where_the_event_loop_is_never_on_time_the_next_ones_begin_nevertheless() -> None:
    """Something else may keep it busy for ever (our choice)."""
    turns, began = Turns(Work(seconds=0.0)), time.monotonic()

    async def keep_busy() -> None:
        while True:
            time.sleep(0.01)  # noqa: ASYNC251 - that is the point
            await anyio.lowlevel.checkpoint()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(keep_busy)
            await serve(turns, 3 * GROUP)
            tasks.cancel_scope.cancel()
    assert time.monotonic() - began >= 2 * LONGEST_SECONDS


async def test_one_that_leaves_while_it_waits_holds_nobody_up() -> None:
    """Its turn passes (our choice)."""
    work = Work(seconds=0.0005)
    turns = Turns(work)

    async def leave() -> None:
        with anyio.move_on_after(0):
            await turns(scope_of(-1), receive, send)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve, turns, GROUP)
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            for _ in range(2 * GROUP):
                tasks.start_soon(leave)
            tasks.start_soon(serve, turns, GROUP)
    assert [what for what, number in work.seen if number >= 0].count("done") == 2 * GROUP
    assert -1 not in [number for _, number in work.seen]
