"""`touchlog audience`: whom to reach where with what, and who is left out."""

from typing import TYPE_CHECKING

import click

from projections.contact_rules import KIND_OF_CHANNEL, ORDER
from touchlog.options import Command, then_options, with_settings

if TYPE_CHECKING:
    from touchlog.settings import Settings
    from touchlog.then import Then

_EPILOG = """\b
Examples:
  touchlog audience offers
  touchlog audience offers --left-out
  touchlog audience news --channel email --csv > news.csv
  touchlog audience invoices --json

Without --channel everybody stands once, on the channel that suits them best; with it, everybody who may be reached
there, also those who would rather be reached elsewhere. No contact point stands twice. Where it is quiet now, it is
said until when. Exit code 1 when nobody is
known at all."""


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("content_type", type=click.Choice(list(ORDER)))
@click.option("--channel", type=click.Choice(list(KIND_OF_CHANNEL)), help="On this channel only.")
@click.option("--left-out", is_flag=True, help="Those who are left out, each with the reason.")
@click.option("--json", "form", flag_value="json", help="As a JSON array of objects, without the counts.")
@click.option("--csv", "form", flag_value="csv", help="As CSV with a header, without the counts.")
@click.option(
    "--rows",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Customers of a table on a terminal; 0 for all.",
)
@then_options
@with_settings("store", "query_timeout", "timezone")
def command(
    settings: "Settings",
    content_type: str,
    channel: str | None,
    left_out: bool,
    form: str | None,
    rows: int,
    then: "Then",
) -> None:
    """Show whom to reach where with news, offers, invoices or service.

    The view touchlog.audience: consent, reachability and preference of every customer decide, now or as of a time.
    """
    from touchlog.audience import counts, customers
    from touchlog.client import Reader
    from touchlog.commands.sql import write_rows

    with Reader(settings.store, timeout_s=settings.query_timeout) as reader:
        whom = customers(content_type, channel, left_out=left_out, now=then.now)
        if form is not None:
            with reader.batches(whom.sql, parameters=whom.parameters, then=then) as answer:
                write_rows(answer, form)
            return
        of_all = counts(content_type, channel, now=then.now)
        told = reader.sql(of_all.sql, parameters=of_all.parameters, then=then).to_pylist()
        if not told:
            click.echo("nobody is known yet; fold events first: touchlog project --until-caught-up", err=True)
            raise click.exceptions.Exit(1)
        found = reader.sql(whom.sql, parameters=whom.parameters, max_rows=rows or None, then=then).to_pylist()
    from touchlog.card_words import Clock
    from touchlog.render import console
    from touchlog.render_audience import audience

    clock = Clock(settings.zone, then.now)
    console().print(audience(content_type, channel, told, found, left_out=left_out, clock=clock))
