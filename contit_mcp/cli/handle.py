"""contit-mcp handle: from the sealed id that a caller reports to Contit's ids, which the log has."""

from datetime import UTC, datetime

import click

from contit_mcp.cli.options import GivenOptions, given_options
from contit_mcp.errors import ConfigurationError, InvalidArgumentError
from contit_mcp.server.services import configured_credential
from contit_mcp.server.tasks import TaskId
from contit_mcp.server.tenancy import Sealer, sealer_of_credential

_AS_THE_SERVER = "Set CONTIT_MCP_SEAL_KEY as the server has it."


@click.command()
@click.argument("handle")
@given_options
def command(given: GivenOptions, *, handle: str) -> None:
    """Open a handle that a caller reports (h1_...), and print Contit's ids, by which the log is searched.

    The seal keys open the handles of all callers: the keys of CONTIT_MCP_SEAL_KEY are tried, and for
    tasks where no seal key is set, the key that is derived from the credential. Contit is not asked.

    \b
    Examples:
      contit-mcp handle h1_5kD2... || echo "sealed with another key"
    """
    settings = given.load()
    try:
        keys = settings.seal_keys()
        sealer = Sealer(keys) if keys else sealer_of_credential(configured_credential(settings).identity())
    except ConfigurationError as exc:
        raise ConfigurationError(f"No key can open it: {str(exc).rstrip('.')}.", hint=_AS_THE_SERVER) from exc
    opened = sealer.reveal(handle.strip())
    if opened is None:
        hint = f"Copy the whole handle, from h1_ to its end. {_AS_THE_SERVER}"
        raise InvalidArgumentError("None of the keys opens this handle: it was cut, or sealed with another.", hint=hint)
    kind, _, text = opened
    lines = {f"{kind}_id": text}
    if kind == "task":
        task = TaskId.read(text)
        asked_at = datetime.fromtimestamp(task.created_at, UTC).isoformat(timespec="seconds")
        lines = {"asked_at": asked_at, "thread_id": task.thread_id, "run_id": task.run_id}
    for name, value in {"kind": kind, **lines}.items():
        click.echo(f"{name}: {value}")
