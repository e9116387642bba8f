"""contit-mcp completion: what a shell needs to complete our commands and options."""

import click
from click.shell_completion import get_completion_class

_VARIABLE = "_CONTIT_MCP_COMPLETE"
"""By it the script asks us; click takes the name from the program's."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script by which your shell completes contit-mcp.

    One line in the file that your shell reads at its start is all it takes:

    \b
      bash   echo 'eval "$(contit-mcp completion bash)"' >> ~/.bashrc
      zsh    echo 'eval "$(contit-mcp completion zsh)"' >> ~/.zshrc
      fish   echo 'contit-mcp completion fish | source' >> ~/.config/fish/config.fish

    \b
    Examples:
      eval "$(contit-mcp completion bash)"
      contit-mcp completion zsh
    """
    completion = get_completion_class(shell)
    assert completion is not None  # noqa: S101 - click has one for each of the choices
    click.echo(completion(ctx.find_root().command, {}, "contit-mcp", _VARIABLE).source())
