"""What a person decides about identity, as an event in the log: it counts as others do, and survives every rebuild."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal
from uuid import uuid4

from log.open import open_log
from producers.emit import EMIT
from producers.format import Options
from producers.publish import publish
from producers.rejects import RejectsFile
from producers.sources import source_of_bytes
from projections.identity_rules import UNIQUE, may_be_linked
from schemas.contact_points import normalised
from schemas.errors import ConfigurationError, DeliveryFailed
from schemas.event import build_event
from schemas.models import Assurance, ContactPoint, Event, Kind
from schemas.registry import open_registry
from schemas.topics import TOPICS
from touchlog.as_json import dumps
from touchlog.contact import CUSTOMER, contact_keys
from touchlog.settings import Settings

Verb = Literal["asserted", "retracted", "forbidden"]


def contact_of(text: str, *, region: str, as_key: bool) -> str:
    """The key of the one contact point that is meant, the likeliest; `as_key`: the text is a key as it stands.

    Raises ConfigurationError for a customer's id, and for what is no key.
    """
    if as_key:
        kind, _, value = text.partition(":")
        if kind not in set(Kind) or not value.strip():
            raise ConfigurationError("a key is written kind:value, as the views have it: phone:+46700000001")
        return text
    key = contact_keys(text, region=region)[0]
    if key.startswith(CUSTOMER):
        raise ConfigurationError(
            "a customer's id is what is decided about, and changes with it; name one of their contact points"
        )
    return key


def decision(verb: Verb, one: str, other: str, *, by: str, why: str, source: str, now: datetime) -> Event:
    """The event of a decision about two contact points, by their keys.

    `by` is kept as `agent`, `why` as `reason` and `summary`. Raises ConfigurationError when nothing can be decided
    about the two.
    """
    if not by.strip() or not why.strip():
        raise ConfigurationError('say who decides and why: --by team-7 --why "confirmed on the phone"')
    if one == other:
        raise ConfigurationError(f"both are {one}; name two contact points")
    if not may_be_linked(one, other):
        kinds = ", ".join(sorted(UNIQUE))
        raise ConfigurationError(
            f"nothing can be decided about these two: two of kind {kinds} are never one person, and an anonymous"
            " contact point is nobody's"
        )
    # Whoever says that two are strangers has not vouched for either.
    assurance = Assurance.ASSERTED if verb == "asserted" else Assurance.INFERRED
    return build_event(
        "identity",
        type=f"link.{verb}",
        reference=f"decision-{uuid4()}",
        occurred_at=now,
        observed_at=now,
        source=source,
        direction="report",
        contact_points=[_point(key, assurance) for key in (one, other)],
        agent=by.strip(),
        reason=why.strip(),
        summary=why.strip(),
    )


def ending(key: str, *, at: datetime, by: str, why: str, source: str, now: datetime) -> Event:
    """The event that a contact point, by its key, belongs to somebody else from `at`.

    `by` and `why` as in `decision`. Raises ConfigurationError when somebody or something is missing.
    """
    if not by.strip() or not why.strip():
        raise ConfigurationError('say who decides and why: --by team-7 --why "the operator gave the number away"')
    if key.startswith(f"{Kind.ANONYMOUS}:"):
        raise ConfigurationError("an anonymous contact point is nobody's, and cannot become somebody else's")
    return build_event(
        "identity",
        type="contact_point.ended",
        reference=f"decision-{uuid4()}",
        occurred_at=at,
        observed_at=now,
        source=source,
        direction="report",
        contact_points=[_point(key, Assurance.INFERRED)],
        agent=by.strip(),
        reason=why.strip(),
        summary=why.strip(),
    )


def publish_decision(event: Event, settings: Settings) -> None:
    """Bring the event into the log. Raises what the log and the registry raise, and DeliveryFailed when the log did not
    confirm it; it is in the rejects file then."""
    settings.make_data_dir()
    content = {"channel": event.channel, **event.model_dump(mode="json", exclude_none=True)}
    # Made already, from keys that may be of earlier rules: read as text it would get those of today.
    as_made = replace(EMIT, events=lambda _, __: iter([event]))
    with (
        open_log(settings.log, kafka_options=settings.kafka_options or None) as log,
        RejectsFile(settings.rejects) as rejects,
    ):
        log.create_topics(TOPICS, settings.partitions)
        report = publish(
            [source_of_bytes("touchlog identity", dumps(content).encode())],
            format=as_made,
            options=Options(observed_at=event.observed_at),
            log=log,
            registry=open_registry(settings.registry_url),
            rejects=rejects,
        )
    if report.error is not None:
        raise report.error
    if report.delivered != 1:
        raise DeliveryFailed(
            f"the log did not confirm the decision; it is kept in {settings.rejects}: type the same command again"
        )


def now() -> datetime:
    return datetime.now(UTC)


def _point(key: str, assurance: Assurance) -> ContactPoint:
    kind, _, value = key.partition(":")
    comparable = normalised(Kind(kind), value) == value
    return ContactPoint(kind=Kind(kind), value=value, assurance=assurance, normalised=comparable)
