"""What the stand-in model does in every dialect: it calls tools as it is told, and keeps what it was shown."""

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Shown:
    """What one request put before the model."""

    tools: tuple[str, ...]  # the names of those that it may call
    results: tuple[str, ...]  # what came back from its calls so far, as the host wrote it
    said: str = ""  # what its user, and its host in the user's name, have written


@dataclass(frozen=True)
class ToolCall:
    tool: str
    arguments: dict[str, Any]
    number: int


Step = Callable[[Sequence[str]], tuple[str, dict[str, Any]]]
"""Returns the next call, a tool of ours and its arguments, for the results so far."""


def ids_in(text: str) -> dict[str, str]:
    """Return the ids that a model finds in a result, whatever notation the host uses."""
    found = {name: re.search(rf"{name}\W{{1,12}}([\w-]{{6,}})", text) for name in ("thread_id", "run_id")}
    return {name: match[1] for name, match in found.items() if match}


def ask(prompt: str, **more: Any) -> Step:
    return lambda _: ("contit_ask", {"prompt": prompt, **more})


def follow_up(prompt: str, **more: Any) -> Step:
    """Ask in the conversation that the last result names."""

    def step(results: Sequence[str]) -> tuple[str, dict[str, Any]]:
        return "contit_ask", {"prompt": prompt, "thread_id": ids_in(results[-1]).get("thread_id", ""), **more}

    return step


def fetch() -> Step:
    """Fetch the answer of the run that the last result names."""
    return lambda results: ("contit_response", ids_in(results[-1]))


@dataclass
class Model:
    """Takes its steps one by one, each with the results of the ones before, and then ends the turn."""

    offered: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    said: str = ""
    _steps: Sequence[Step] = ()
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def play(self, *steps: Step) -> None:
        """Forget what was shown, and take these steps next."""
        self.offered, self.seen, self.said, self._steps = (), (), "", steps

    def answer(self, shown: Shown) -> ToolCall | str:
        """Return the model's turn: a call, or its last words."""
        if not any(_OURS.search(tool) for tool in shown.tools):
            deferred = tuple(dict.fromkeys(_DEFERRED.findall(shown.said)))
            if deferred and set(shown.tools) >= _BRIDGE:
                return self._through_the_bridge(shown, deferred)
            return "Nothing to add."  # a side question of the host's, as for a title
        self.offered, self.said = shown.tools, shown.said
        if len(shown.results) >= len(self.seen):
            self.seen = shown.results
        if len(shown.results) >= len(self._steps):
            return "That is all."
        name, arguments = self._steps[len(shown.results)](shown.results)
        tool = next(tool for tool in shown.tools if tool.endswith(name))
        return ToolCall(tool, arguments, next(self._numbers))

    def _through_the_bridge(self, shown: Shown, deferred: tuple[str, ...]) -> ToolCall | str:
        """Answer a host that shows only the names of our tools: ask for their schemas first, then call them."""
        if not shown.results:
            return ToolCall("tool_search", {"query": f"select:{','.join(deferred)}"}, next(self._numbers))
        turn = self.answer(Shown(deferred, shown.results[1:], shown.said))
        if isinstance(turn, str):
            return turn
        return ToolCall("tool_call", {"name": turn.tool, "arguments": turn.arguments}, turn.number)

    @property
    def our_tools(self) -> set[str]:
        """Return our tools among those offered, without the prefixes that hosts add."""
        return {tool[tool.rindex("contit_") :] for tool in self.offered if _OURS.search(tool)}


_OURS = re.compile(r"contit_(?:ask|start|status|response)$")
_DEFERRED = re.compile(r"[\w-]*contit_(?:ask|start|status|response)(?=\")")
_BRIDGE = frozenset({"tool_search", "tool_call"})
"""The tools of Qwen Code that find and call the tools of servers."""
