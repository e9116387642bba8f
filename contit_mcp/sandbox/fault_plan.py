"""Which fault a request meets: the sandbox's faults in their order, with what is left of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from contit_mcp.sandbox.faults import parse_faults

if TYPE_CHECKING:
    from collections.abc import Iterable

    from contit_mcp.sandbox.faults import Endpoint, Fault


@dataclass
class _Pending:
    fault: Fault
    skip: int
    left: int | None


@dataclass
class FaultPlan:
    """The faults still to come. A request meets one fault at most: the first in order that is due."""

    _pending: list[_Pending] = field(default_factory=list)

    @classmethod
    def of(cls, faults: Iterable[Fault]) -> FaultPlan:
        """Make a plan of the faults, in their order."""
        plan = cls()
        for fault in faults:
            plan.add(fault)
        return plan

    def add(self, fault: Fault) -> None:
        """Put one more fault at the end of the plan."""
        self._pending.append(_Pending(fault, skip=fault.after, left=fault.times))

    def clear(self) -> None:
        """Forget every fault still to come."""
        self._pending.clear()

    def next_for(self, endpoint: Endpoint) -> Fault | None:
        """Return the fault this request meets, and count it; only faults up to that one see the request."""
        for pending in self._pending:
            if not pending.fault.happens_on(endpoint):
                continue
            if pending.skip:
                pending.skip -= 1
                continue
            if pending.left is not None:
                pending.left -= 1
                if not pending.left:
                    self._pending.remove(pending)
            return pending.fault
        return None


def fault_in_header(text: str, endpoint: Endpoint) -> Fault | None:
    """Return the fault that X-Sandbox-Fault orders for this one request. Raises ValueError for bad text."""
    faults = parse_faults(text)
    if any(fault.times != 1 or fault.after for fault in faults):
        msg = "times and after have no meaning in a header, which speaks of its own request only"
        raise ValueError(msg)
    return next((fault for fault in faults if fault.happens_on(endpoint)), None)
