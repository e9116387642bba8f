"""A fault of the sandbox as a command line writes it."""

import click

from contit_mcp.sandbox.faults import Fault, parse_fault


class _FaultType(click.ParamType[Fault]):
    name = "fault"

    def convert(self, value: str | Fault, param: click.Parameter | None, ctx: click.Context | None) -> Fault:
        if isinstance(value, Fault):
            return value
        try:
            return parse_fault(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


FAULT = _FaultType()
"""The type of `--fault`."""
