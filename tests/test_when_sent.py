"""What a transport that knows when a result has left makes of it: a crash before that loses no answer and no ids."""

from dataclasses import dataclass, field

import anyio
import pytest

from contit_mcp.assistant.reports import Note, Observer
from contit_mcp.runs.record import Phase
from tests.echo_contit import EchoContit, answer_to
from tests.stage import OWNER, set_stage

pytestmark = pytest.mark.anyio


@dataclass
class Sender(Observer):
    """A transport that is to note what it has sent."""

    notes: list[Note] = field(default_factory=list)

    def when_sent(self, note: Note) -> bool:
        self.notes.append(note)
        return True

    async def ends(self, *, sent: bool = True) -> None:
        """The result is out, or its caller has left before."""
        while self.notes:
            await self.notes.pop()(sent)


async def test_an_answer_that_was_noted_and_not_sent_goes_to_the_same_question() -> None:
    """Its process died in between; the other one waits until that is certain (design, section 3)."""
    contit, dead, living = EchoContit(), Sender(), Sender()
    first = set_stage(contit)
    second = set_stage(contit, first.store)
    opening = await first.assistant.ask(OWNER, "opening", wait_seconds=45, observer=living)
    await living.ends()
    await first.assistant.ask(OWNER, "q", opening.thread_id, wait_seconds=45, observer=dead)
    began = anyio.current_time()
    again = await second.assistant.ask(OWNER, "q", opening.thread_id, wait_seconds=45, observer=living)
    assert (again.response, again.joined) == (answer_to("q"), True)
    assert 9 < anyio.current_time() - began < 11
    await living.ends()
    assert contit.started("q") == 1
    assert not (await second.assistant.ask(OWNER, "q", opening.thread_id, wait_seconds=45)).joined
    assert contit.started("q") == 2


async def test_a_wait_that_is_too_short_for_certainty_gets_the_answer_too() -> None:
    """An answer twice is better than an error (our choice)."""
    contit = EchoContit()
    stage = set_stage(contit)
    opening = await stage.assistant.ask(OWNER, "opening", wait_seconds=45)
    await stage.assistant.ask(OWNER, "q", opening.thread_id, wait_seconds=45, observer=Sender())
    again = await stage.assistant.ask(OWNER, "q", opening.thread_id, wait_seconds=1)
    assert again.response == answer_to("q")
    assert contit.started("q") == 1


async def test_an_answer_whose_caller_left_while_it_was_sent_goes_to_the_same_question_at_once() -> None:
    """The transport has seen it leave (our choice)."""
    contit, sender = EchoContit(), Sender()
    stage = set_stage(contit)
    opening = await stage.assistant.ask(OWNER, "opening", wait_seconds=45)
    await stage.assistant.ask(OWNER, "q", opening.thread_id, wait_seconds=45, observer=sender)
    await sender.ends(sent=False)
    began = anyio.current_time()
    assert (await stage.assistant.ask(OWNER, "q", opening.thread_id, wait_seconds=45)).response == answer_to("q")
    assert anyio.current_time() - began < 0.1
    assert contit.started("q") == 1


async def test_the_same_question_that_comes_while_an_answer_leaves_is_a_new_one_once_it_has_left() -> None:
    """A caller who says "more" after "more" can be faster than our note (design, section 3)."""
    contit, sender = EchoContit(), Sender()
    stage = set_stage(contit)
    opening = await stage.assistant.ask(OWNER, "opening", wait_seconds=45)
    await stage.assistant.ask(OWNER, "more", opening.thread_id, wait_seconds=45, observer=sender)

    async def leaves() -> None:
        await anyio.sleep(0.3)
        await sender.ends()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(leaves)
        more = await stage.assistant.ask(OWNER, "more", opening.thread_id, wait_seconds=45)
    assert not more.joined
    assert contit.started("more") == 2


async def test_ids_that_were_not_sent_go_to_the_same_question_also_when_its_run_has_ended() -> None:
    """Whoever lost them has neither ids nor answer (design, section 3, "Single flight")."""
    contit, dead, living = EchoContit(), Sender(), Sender()
    stage = set_stage(contit)
    opening = await stage.assistant.ask(OWNER, "opening", wait_seconds=45)
    lost = await stage.assistant.start(OWNER, "q", opening.thread_id, wait_seconds=45, observer=dead)
    await anyio.sleep(10)
    again = await stage.assistant.start(OWNER, "q", opening.thread_id, wait_seconds=45, observer=living)
    assert (again.run_id, again.phase) == (lost.run_id, Phase.COMPLETED)
    assert contit.started("q") == 1
    started = await stage.assistant.start(OWNER, "other", opening.thread_id, wait_seconds=45, observer=living)
    await living.ends()
    await anyio.sleep(10)
    assert (await stage.assistant.start(OWNER, "other", opening.thread_id, wait_seconds=45)).run_id != started.run_id
