"""`touchlog identity`: why people are one customer, and deciding otherwise."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from touchlog.options import Command, Utf8, with_settings

if TYPE_CHECKING:
    from schemas.models import Event
    from touchlog.client import Reader
    from touchlog.contact import Ask
    from touchlog.deciding import Verb
    from touchlog.settings import Settings

_EPILOG = """\b
Examples:
  touchlog identity explain ada@example.org +46700000001
  touchlog identity review
  touchlog identity link ada@example.org C-17 --by team-7 --why "showed her card"
  touchlog identity never ada@example.org bob@example.org --by team-7 --why "brothers, one telephone"
  touchlog identity ended +46700000001 --at 2026-03-01 --by team-7 --why "given to a new subscriber"
  touchlog identity as-of 2026-03-02 ada@example.org C-17

Decisions are events in the log: they count once they are folded, survive every rebuild, and each is undone by another.
The newest about two contact points counts."""

_DECIDED = {
    "asserted": "are one person",
    "retracted": "are one person no more by anybody's word; evidence between them stays (touchlog identity never)",
    "forbidden": "are two people, whatever the evidence says",
}
_NOBODY = 1


@click.group(epilog=_EPILOG)
def command() -> None:
    """Explain who is who, and decide it.

    A and B are contact points, as a person would type them; kind:value says which kind one is.
    """


def _pair(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.argument("one", type=Utf8(), metavar="A")(click.argument("other", type=Utf8(), metavar="B")(function))


_json = click.option("--json", "as_json", is_flag=True, help="As JSON.")


def _deciding(function: Callable[..., Any]) -> Callable[..., Any]:
    for decorate in (
        with_settings("log", "registry", "partitions", "region", "account"),
        _json,
        click.option(
            "--keys", "as_keys", is_flag=True, help="A and B are keys, kind:value, exactly as views have them."
        ),
        click.option("--why", required=True, type=Utf8(), metavar="WHY", help="Why: kept in the event."),
        click.option("--by", required=True, type=Utf8(), metavar="WHO", help="Who decides: kept in the event."),
        _pair,
    ):
        function = decorate(function)
    return function


@command.command("link", cls=Command)
@_deciding
def link_command(**given: Any) -> None:
    """Say that A and B are one person.

    Stronger than any evidence; two accounts never become one all the same.
    """
    _decide("asserted", **given)


@command.command("unlink", cls=Command)
@_deciding
def unlink_command(**given: Any) -> None:
    """Take back that A and B are one person, or two.

    What evidence says counts again.
    """
    _decide("retracted", **given)


@command.command("never", cls=Command)
@_deciding
def never_command(**given: Any) -> None:
    """Say that A and B are two people, whatever the evidence says.

    This cuts the link between the two; where evidence leads round it, explain tells which.
    """
    _decide("forbidden", **given)


@command.command("ended", cls=Command)
@click.argument("one", type=Utf8(), metavar="A")
@click.option("--at", metavar="TIME", help="When, 2026-03-01 or 2026-03-01T09:00+01:00; now unless given.")
@click.option("--by", required=True, type=Utf8(), metavar="WHO", help="Who decides: kept in the event.")
@click.option("--why", required=True, type=Utf8(), metavar="WHY", help="Why: kept in the event.")
@click.option("--keys", "as_key", is_flag=True, help="A is a key, kind:value, exactly as views have it.")
@_json
@with_settings("log", "registry", "partitions", "region", "account")
def ended_command(
    settings: "Settings", one: str, at: str | None, by: str, why: str, as_key: bool, as_json: bool
) -> None:
    """Say that A belongs to somebody else since a time.

    A number given to a new subscriber, a household that moved: what happened until then stays with whom it was, and
    what comes later is another customer's.
    """
    from touchlog.deciding import contact_of, ending, now, publish_decision
    from touchlog.then import Then

    moment = now()
    key = contact_of(one, region=settings.region, as_key=as_key)
    since = Then.of(at, None).happened or moment
    event = ending(key, at=since, by=by, why=why, source=f"touchlog/{settings.account}", now=moment)
    publish_decision(event, settings)
    _tell(event, f"{key} is another's since {since.isoformat()}", as_json)


@command.command("explain", cls=Command)
@_pair
@_json
@with_settings("store", "region", "query_timeout")
def explain_command(settings: "Settings", one: str, other: str, as_json: bool) -> None:
    """Show the evidence that makes A and B one customer, or where it is cut.

    Of several ways from A to B the strongest is shown: that whose weakest link is the strongest. Exit code 1 when
    nobody is known by A or by B.
    """
    from touchlog.explaining import explained
    from touchlog.render_identity import way

    with _reader(settings) as reader:
        ask = _asking(reader)
        told = explained(ask, *(_known(ask, text, settings.region) for text in (one, other)))
    _show(told, as_json, way)


@command.command("review", cls=Command)
@_json
@with_settings("store", "query_timeout")
def review_command(settings: "Settings", as_json: bool) -> None:
    """Show what a person should look at: conflicts and shared contact points.

    The view touchlog.identity_review.
    """
    from touchlog.render_identity import to_review

    with _reader(settings) as reader:
        rows = reader.sql("FROM touchlog.identity_review ORDER BY reason, contact_point, other, kind").to_pylist()
    _show(rows, as_json, to_review)


@command.command("as-of", cls=Command)
@click.argument("time", metavar="TIME")
@click.argument("one", type=Utf8(), metavar="A")
@click.argument("other", type=Utf8(), metavar="[B]", required=False)
@click.option("--known-at", metavar="TIME", help="Only what had been folded by then.")
@_json
@with_settings("store", "region", "query_timeout")
def as_of_command(
    settings: "Settings", time: str, one: str, other: str | None, known_at: str | None, as_json: bool
) -> None:
    """Show who A was by what had happened at TIME, and whether B was the same.

    TIME is 2026-03-02 or 2026-03-02T09:00+01:00. Exit code 1 when nobody was known by A or by B then.
    """
    from touchlog.contact import contact_keys
    from touchlog.render_identity import who_then
    from touchlog.then import Then

    then = Then.of(time, known_at)
    people = []
    with _reader(settings) as reader:
        for text in (one, other):
            if text is not None:
                card = reader.customer(contact_keys(text, region=settings.region), then)
                points = [] if card is None else [point["contact_point"] for point in card["contact_points"]]
                who = None if card is None else str(card["customer_id"])
                people.append({"asked": text, "customer_id": who, "contact_points": sorted(points)})
    known = all(person["customer_id"] for person in people)
    told = {
        **then.to_json(),
        "one": people[0],
        "other": people[1] if other is not None else None,
        "same": known and people[0]["customer_id"] == people[-1]["customer_id"] if other is not None else None,
    }
    _show(told, as_json, who_then)
    if not known:
        raise click.exceptions.Exit(_NOBODY)


def _decide(
    verb: "Verb", settings: "Settings", one: str, other: str, by: str, why: str, as_keys: bool, as_json: bool
) -> None:
    from touchlog.deciding import contact_of, decision, now, publish_decision

    keys = [contact_of(text, region=settings.region, as_key=as_keys) for text in (one, other)]
    event = decision(verb, *keys, by=by, why=why, source=f"touchlog/{settings.account}", now=now())
    publish_decision(event, settings)
    _tell(event, f"{keys[0]} and {keys[1]} {_DECIDED[verb]}", as_json)


def _tell(event: "Event", what: str, as_json: bool) -> None:
    if as_json:
        from touchlog.as_json import dumps

        click.echo(dumps({"channel": event.channel, **event.model_dump(mode="json", exclude_none=True)}, indent=2))
        return
    click.echo(f"{what}: event {event.event_id}, in the views once it is folded")


def _known(ask: "Ask", text: str, region: str) -> str:
    from touchlog.contact import contact_keys, first_known

    keys = contact_keys(text, region=region)
    # As it stands, too: a key of earlier rules.
    found = first_known(ask, [*keys, text.strip()])
    if found is None:
        click.echo(f"nobody is known by {text}; looked for {', '.join(keys)}", err=True)
        raise click.exceptions.Exit(_NOBODY)
    return found


def _reader(settings: "Settings") -> "Reader":
    from touchlog.client import Reader

    return Reader(settings.store, timeout_s=settings.query_timeout)


def _asking(reader: "Reader") -> "Ask":
    def ask(sql: str, parameters: Sequence[Any]) -> Sequence[tuple[Any, ...]]:
        answer = reader.sql(sql, parameters=parameters)
        return list(zip(*(column.to_pylist() for column in answer.columns), strict=True))

    return ask


def _show(told: Any, as_json: bool, render: Callable[[Any], Any]) -> None:
    if as_json:
        from touchlog.as_json import dumps

        click.echo(dumps(told, indent=2))
        return
    from touchlog.render import console

    console().print(render(told))
