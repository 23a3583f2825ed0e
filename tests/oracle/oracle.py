"""All views of a log, one event at a time, with dicts and lists: written from docs/views.md alone.

It shares no code with the projections, only the tables of `schemas` and the settings of `projections.identity_rules`
and `projections.contact_rules`.
Where docs/views.md leaves a choice, the docstring of the function that takes it says which.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from schemas.models import Event
from tests.oracle.audience import audience
from tests.oracle.consent import consent
from tests.oracle.contact_points import contact_points
from tests.oracle.contacts import contacts, journeys, moves
from tests.oracle.continuations import continuations
from tests.oracle.conversations import as_they_end, conversations, histories
from tests.oracle.customers import customers
from tests.oracle.entries import entries_of
from tests.oracle.friction import channel_usage, friction
from tests.oracle.identity import identify, identity_links, identity_review
from tests.oracle.invoices import invoices
from tests.oracle.items import items
from tests.oracle.preference import channel_preference
from tests.oracle.response_times import response_times, response_times_by_agent, response_times_by_queue
from tests.oracle.satisfaction import satisfaction, survey_answers
from tests.oracle.sharing import shared_timeline
from tests.oracle.threads import conversation_of_threads
from tests.oracle.timeline import interactions, timeline
from tests.oracle.topics import topics
from tests.oracle.waits import waits


def fold(
    events: Iterable[Event], now: datetime, metrics: list[dict[str, Any]] | None = None
) -> dict[str, list[dict[str, Any]]]:
    """Rows of every view (but those of "Operations") of a log, as known at `now` (aware), with these definitions of
    response times (as in a metrics.toml; the packaged ones unless given).

    Events come in any order; of several with one event_id the first is taken. Rows are dicts from column to value:
    ids as str, times as aware UTC datetimes, days as dates, lists as lists, JSON parsed. Columns of `interactions`
    that tell of the folding are left out: observed_at, customer_id_then, topic_name, partition, log_offset, batch.
    """
    now = now.astimezone(UTC)
    entries = entries_of(events)
    who = identify(entries)
    # Statements about identity hold no choices, surveys or topics of the customer's.
    said = [entry for entry in entries if entry.on_a_channel]
    threads = conversation_of_threads(entries)
    shown = histories(entries, threads)

    rows: dict[str, list[dict[str, Any]]] = {}
    rows["interactions"] = interactions(entries, who, threads)
    rows["items"] = items(entries, who)
    rows["timeline"] = timeline(entries, who, threads, rows["items"])
    rows["shared_timeline"] = shared_timeline(entries, who, rows["timeline"])
    rows["contact_points"] = contact_points(entries, who)
    rows["conversations"] = conversations(shown, who, now)
    rows["continuations"] = continuations(rows["conversations"])
    rows["waits"] = waits(histories(as_they_end(entries, threads), threads), who, metrics)
    rows["response_times"] = response_times(rows["waits"])
    rows["response_times_by_agent"] = response_times_by_agent(rows["waits"])
    rows["response_times_by_queue"] = response_times_by_queue(rows["waits"])
    rows["consent"] = consent(said, who, now)
    rows["channel_preference"] = channel_preference(
        said, who, now, points=rows["contact_points"], items=rows["items"], consent=rows["consent"]
    )
    rows["audience"] = audience(now, points=rows["contact_points"], preference=rows["channel_preference"])
    rows["invoices"] = invoices(entries, who)
    rows["customers"] = customers(
        entries,
        who,
        now,
        points=rows["contact_points"],
        timeline=rows["timeline"],
        conversations=rows["conversations"],
        preference=rows["channel_preference"],
    )
    rows["topics"] = topics(said, who, now)
    rows["survey_answers"] = survey_answers(said, who, threads, rows["conversations"])
    rows["satisfaction"] = satisfaction(rows["survey_answers"])
    rows["contacts"] = contacts(as_they_end(said, threads), who, threads, rows["conversations"])
    rows["moves"] = moves(rows["contacts"])
    rows["journeys"] = journeys(rows["moves"])
    rows["friction"] = friction(rows["contacts"])
    rows["channel_usage"] = channel_usage(rows["timeline"])
    rows["identity_links"] = identity_links(who)
    rows["identity_review"] = identity_review(who)
    return rows
