"""The command `touchlog`: its commands by what they are for, and how errors end."""

import importlib
import sys
from typing import Any

import click

from schemas.errors import TouchlogError

SECTIONS: dict[str, tuple[str, ...]] = {
    "Begin here": ("demo",),
    "Bring events in": ("produce", "emit", "formats"),
    "Fold them": ("project",),
    "Ask": ("customer", "audience", "sql", "metrics"),
    "Who is who": ("identity",),
    "Replay it": ("rebuild", "diff", "switch", "retire", "verify"),
    "Look after it": ("status", "dead-letters", "log", "completion"),
}
"""Each command is `touchlog/commands/<name>.py` (`_` for `-`) with a click command named `command`, imported when it is
needed."""

_UNEXPECTED = 70
_INTERRUPTED = 130

_EPILOG = """\b
Examples:
  touchlog demo
  touchlog produce email mails/
  touchlog project --until-caught-up
  touchlog customer ada@example.org
  touchlog sql "SELECT channel, count(*) FROM touchlog.timeline GROUP BY channel"

Every setting is an option (--batch-size), a variable of the environment (TOUCHLOG_BATCH_SIZE) or a line of
touchlog.toml (batch_size = 30000); the first of these that is given counts."""


class Sections(click.Group):
    """Commands under headings, loaded one by one, and errors as one message that says the way out."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (the form is click's)
        return [name for names in SECTIONS.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        found: click.Command = importlib.import_module(f"touchlog.commands.{cmd_name.replace('-', '_')}").command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(len(name) for name in self.list_commands(ctx))
        limit = formatter.width - 6 - width
        for section, names in SECTIONS.items():
            commands = [(name, self.get_command(ctx, name)) for name in names]
            if not commands:
                continue
            rows = [(name.ljust(width), command.get_short_help_str(limit)) for name, command in commands if command]
            with formatter.section(click.style(section, bold=True)):
                formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TouchlogError as error:
            if ctx.params.get("traceback"):
                raise
            _say(str(error))
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            _say("interrupted")
            ctx.exit(_INTERRUPTED)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            if ctx.params.get("traceback"):
                raise
            # Its text may hold what customers wrote.
            _say(
                f"an unexpected {type(error).__name__}: a fault of touchlog; to see where, type touchlog --traceback …"
            )
            ctx.exit(_UNEXPECTED)


def _say(message: str) -> None:
    click.echo(f"{click.style('touchlog:', fg='red', bold=True)} {message}", err=True)


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"touchlog {version('touchlog')}")
        ctx.exit()


@click.group(
    cls=Sections,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--traceback", is_flag=True, help="Show where an error came from, as Python does.")
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def cli(traceback: bool) -> None:
    """Everything that happens between an organisation and its customers, on every channel.

    Payloads of channel systems become events in a log; the log is folded into DuckDB views; the views are asked.
    """


def main() -> None:
    """The console script."""
    sys.exit(cli.main(prog_name="touchlog"))
