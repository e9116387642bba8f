"""A fault of the sandbox as a command line writes it."""

import click
from click.shell_completion import CompletionItem

from contit_mcp.sandbox.faults import KINDS, Fault, parse_fault

_STATUSES = ("401", "403", "404", "409", "429", "500", "503")
"""Those of the statuses from 400 to 599 that Contit is expected to answer with."""


class _FaultType(click.ParamType[Fault]):
    name = "fault"

    def convert(self, value: str | Fault, param: click.Parameter | None, ctx: click.Context | None) -> Fault:
        if isinstance(value, Fault):
            return value
        try:
            return parse_fault(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Complete the kind; what follows it is a matter of taste."""
        del ctx, param
        kinds = {status: f"HTTP {status}; the request has no effect" for status in _STATUSES} | KINDS
        return [CompletionItem(kind, help=meaning) for kind, meaning in kinds.items() if kind.startswith(incomplete)]


FAULT = _FaultType()
"""The type of `--fault`."""
