"""`touchlog customer`: the card of one person."""

from typing import TYPE_CHECKING

import click

from touchlog.options import Command, Utf8, then_options, with_settings

if TYPE_CHECKING:
    from touchlog.settings import Settings
    from touchlog.then import Then

_EPILOG = """\b
Examples:
  touchlog customer ada@example.org
  touchlog customer "070-000 00 01" --region SE
  touchlog customer social:instagram:acme:17841400000000001
  touchlog customer C-17 --json
  touchlog customer +46700000001 --next-menu --json
  touchlog customer ada@example.org --as-of 2026-03-02 --known-at 2026-03-05

Works while touchlog project runs, and shows its last commit. Exit code 1 when nobody is known by CONTACT."""


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("contact", type=Utf8())
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--next-menu", is_flag=True, help="Instead of the card: the telephone menu for this caller.")
@then_options
@with_settings("store", "region", "timezone")
def command(settings: "Settings", contact: str, as_json: bool, next_menu: bool, then: "Then") -> None:
    """Show who a contact point belongs to: the agent's card.

    CONTACT is an e-mail address, a phone number, an account, a handle or a customer's id, as a person would type
    it; kind:value says which it is.
    """
    from touchlog.as_json import dumps
    from touchlog.client import Reader
    from touchlog.contact import contact_keys

    keys = contact_keys(contact, region=settings.region)
    with Reader(settings.store, timeout_s=settings.query_timeout) as reader:
        card = reader.menu(keys, then) if next_menu else reader.customer(keys, then)
    if card is None:
        click.echo(f"nobody is known by {contact}; looked for {', '.join(keys)}", err=True)
        raise click.exceptions.Exit(1)
    if as_json:
        click.echo(dumps(card, indent=2))
        return
    from touchlog.render import console

    out = console()
    if next_menu:
        from touchlog.render_menu import render_menu

        out.print(render_menu(card, zone=settings.zone, now=then.now))
        return
    from touchlog.render_card import WIDEST, render_card

    width = min(out.width, WIDEST)
    out.print(render_card(card, zone=settings.zone, now=then.now), width=width)
