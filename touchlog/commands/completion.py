"""`touchlog completion`: the shell completes commands, options and formats."""

import click

from touchlog.options import Command

_EPILOG = """\b
Examples:
  echo 'eval "$(touchlog completion bash)"' >> ~/.bashrc
  echo 'eval "$(touchlog completion zsh)"' >> ~/.zshrc
  touchlog completion fish > ~/.config/fish/completions/touchlog.fish"""


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the script that completes touchlog in a shell."""
    from click.shell_completion import get_completion_class

    from touchlog.cli import cli

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"click knows no completion for {shell}")
    click.echo(found(cli, {}, "touchlog", "_TOUCHLOG_COMPLETE").source())
