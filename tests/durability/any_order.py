"""Everything that can happen to two processes with one store: each rule is one event, and Hypothesis orders them."""

from collections import Counter
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from contit_mcp.runs.memory import MemoryRunStore
from contit_mcp.runs.store import RunStore
from tests.durability.world import RETENTION, World
from tests.stage import wall_clock

OWNERS = ("owner-1", "owner-2")
COUNTS: Counter[str] = Counter()  # how often each event of the history happened, in all examples

prompts = st.sampled_from(["one", "two"])
waits = st.sampled_from([0.0, 3.0, 10.0, 45.0])
times = st.sampled_from([0.0, 0.01, 0.03, 0.06, 0.1, 0.3, 1.0, 3.0, 7.0, 16.0, 26.0, 60.0])


def can_call(machine: "AnyOrder") -> bool:
    return bool(machine.world.running)


def can_crash(machine: "AnyOrder") -> bool:
    return machine.may_crash and can_call(machine)


def someone_waits(machine: "AnyOrder") -> bool:
    return bool(machine.world.callers)


class AnyOrder(RuleBasedStateMachine):
    """Two processes on one store that never fails."""

    processes = 2
    may_crash = True
    strict = True  # whether all promises hold (`history`)

    @initialize(seed=st.integers(0, 9), busy=st.booleans(), store_seconds=st.sampled_from([0.0, 0.02, 0.7]))
    def begin(self, seed: int, busy: bool, store_seconds: float) -> None:
        self.world = World(self.connect, processes=self.processes, seed=seed)
        self.world.contit.accepts_on_busy = busy
        self.world.shared.seconds = store_seconds
        self.world.shared.memory_counts = not self.may_crash
        self.history = self.world.history
        self.history.strict = self.strict
        self.kept = MemoryRunStore(retention=RETENTION, now=wall_clock)

    def connect(self) -> RunStore:
        return self.kept

    @precondition(can_call)
    @rule(data=st.data(), kind=st.sampled_from(["ask", "ask", "start"]), prompt=prompts, wait=waits, meanwhile=times)
    def ask(self, data: st.DataObject, kind: str, prompt: str, wait: float, meanwhile: float) -> None:
        owner, thread_id = self._where(data)
        self.world.call(kind, self._process(data), owner=owner, wait=wait, prompt=prompt, thread_id=thread_id)
        self.world.pass_time(meanwhile)

    @precondition(lambda self: can_call(self) and any(call.prompt for call in self.history.calls))
    @rule(data=st.data(), wait=waits, meanwhile=times)
    def ask_the_same_again(self, data: st.DataObject, wait: float, meanwhile: float) -> None:
        """Repeat one of the two latest questions, as hosts do after they gave up."""
        before = data.draw(st.sampled_from([call for call in self.history.calls if call.prompt][:-3:-1]))
        question = {"prompt": before.prompt, "thread_id": before.thread_id}
        self.world.call("ask", self._process(data), owner=before.owner, wait=wait, **question)
        self.world.pass_time(meanwhile)

    @precondition(lambda self: can_call(self) and bool(self.history.seen_ids))
    @rule(data=st.data(), kind=st.sampled_from(["status", "response", "latest"]), wait=waits, meanwhile=times)
    def read(self, data: st.DataObject, kind: str, wait: float, meanwhile: float) -> None:
        runs = [run for ids in self.history.seen_ids if (run := self.history.run(*ids))]
        run = data.draw(st.sampled_from(runs[-4:]))
        ids = {"thread_id": run.thread_id, "run_id": None if kind == "latest" else run.run_id}
        tool = kind.replace("latest", "response")
        self.world.call(tool, self._process(data), owner=run.call.owner, wait=wait, **ids)
        self.world.pass_time(meanwhile)

    @precondition(someone_waits)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        self.world.leave(data.draw(st.integers(0, len(self.world.callers) - 1)))
        self.world.pass_time(0.0)

    @precondition(someone_waits)
    @rule(killed=st.booleans())
    def gone_while_an_answer_is_on_its_way(self, killed: bool) -> None:
        """Wait for such a moment, for 20 s at most."""
        for _ in range(200):
            self.world.pass_time(0.1)
            for index, caller in enumerate(self.world.callers):
                if any(run.delivering is caller.call for run in self.history.runs):
                    if killed and self.may_crash:
                        self.world.kill(caller.call.process)
                    else:
                        self.world.leave(index)
                    return

    @rule(seconds=times | st.sampled_from([RETENTION.answer + 100, RETENTION.record + 100]))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @precondition(can_crash)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        self.world.kill(self._process(data))
        self.world.pass_time(0.0)

    @precondition(can_crash)
    @rule(data=st.data(), prompt=prompts, wait=waits, later=times)
    def crash_in_the_named_window(self, data: st.DataObject, prompt: str, wait: float, later: float) -> None:
        """Kill a process after Contit accepted its start and before the ids are stored; then ask the same again."""
        number, (owner, thread_id) = self._process(data), self._where(data)
        question: dict[str, Any] = {"owner": owner, "prompt": prompt, "thread_id": thread_id, "wait": wait}
        call = self.world.call("ask", number, **question)
        for _ in range(200):
            if call.ended or any(run.stored for run in call.starts):
                return  # it was deduplicated or refused, or the window was missed
            if call.starts:
                self.world.kill(number)
                self.world.restart(number)
                self.world.pass_time(later)
                self.world.call("ask", number, **question)
                return
            self.world.pass_time(0.02)

    @precondition(lambda self: len(self.world.running) < self.processes)
    @rule()
    def restart(self) -> None:
        for number in range(self.processes):
            if number not in self.world.running:
                self.world.restart(number)

    @rule(lasts=st.sampled_from([0.2, 3.0, 20.0, 100.0]), word=st.sampled_from(["completed"] * 3 + ["failed"]))
    def next_runs(self, lasts: float, word: str) -> None:
        self.world.contit.lasts, self.world.contit.word = lasts, word

    @rule(
        arrives=st.sampled_from([0.05, 0.05, 2.0, 12.0, 21.0]),
        replies=st.sampled_from([0.05, 0.05, 2.0, 12.0]),
        reads=st.sampled_from([0.05, 0.05, 1.0, 2.0]),
    )
    def network(self, arrives: float, replies: float, reads: float) -> None:
        self.world.contit.arrives, self.world.contit.replies, self.world.contit.reads = arrives, replies, reads

    @rule(how=st.sampled_from(["503", "429"]))
    def the_next_start_is_refused(self, how: str) -> None:
        self.world.contit.refusals.append(how)

    def teardown(self) -> None:
        if not hasattr(self, "kept"):
            return
        try:
            self._bring_to_an_end()
        finally:
            COUNTS.update(self.history.counts)
            self.world.close()

    def _bring_to_an_end(self) -> None:
        """End all trouble, and check that all ids that a caller ever got work, in every process."""
        world = self.world
        world.shared.down = False
        world.shared.seconds = min(world.shared.seconds, 0.7)
        world.contit.arrives = world.contit.replies = world.contit.reads = 0.05
        world.contit.refusals.clear()
        self.restart()
        world.pass_time(200.0)
        assert not world.callers, "a call outlasted its wait"
        for (thread_id, run_id), owner in tuple(self.history.seen_ids.items()):
            for number in world.running:
                world.call("response", number, owner=owner, wait=5.0, thread_id=thread_id, run_id=run_id)
                world.pass_time(20.0)
                assert not world.callers, "a call outlasted its wait"
            run = self.history.run(thread_id, run_id)
            assert run is not None
            if self.strict and run.word == "completed" and world.now <= run.ends + RETENTION.answer:
                assert run.delivered, f"{run} has lost its answer"

    def _process(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.world.running)))

    def _where(self, data: st.DataObject) -> tuple[str, str | None]:
        """An owner, and one of its threads or a new one."""
        threads: list[tuple[str, str | None]] = sorted({(owner, at[0]) for at, owner in self.history.seen_ids.items()})
        return data.draw(st.sampled_from([*threads[-3:], *((owner, None) for owner in OWNERS)]))
