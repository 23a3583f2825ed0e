"""docs/event.md: every field is in it, and every example in it is published as it stands."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from producers.emit import emitted_events
from producers.format import Options
from schemas.cloudevents import cloudevents_headers
from schemas.codec import decode, encode, from_record
from schemas.contact_points import NAMESPACE as CONTACT_POINTS
from schemas.contact_points import RULES_VERSION, contact_point
from schemas.event import NAMESPACE
from schemas.models import EVENT_MODELS, Event, Kind
from schemas.registry import COMPATIBILITY, LockedRegistry
from schemas.topics import STREAMS
from tests.schemas.test_event import an_event

PAGE = (Path(__file__).parents[2] / "docs/event.md").read_text("utf-8")
BLOCKS = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
OPTIONS = Options(observed_at=datetime(2026, 4, 1, tzinfo=UTC), region="US")


def section(title):
    return re.split(r"^##+ ", PAGE.partition(f"\n## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def rows(text):
    """Cells of the tables' rows, without the heads."""
    found = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip().replace("\\|", "|") for cell in cells] for cells in found if set(cells[0]) != set("-")]


@pytest.mark.parametrize(
    "block", BLOCKS, ids=[f"{json.loads(one)['channel']} {json.loads(one)['type']}" for one in BLOCKS]
)
def test_an_example_is_published_as_it_stands(block):
    content = json.loads(block)
    [event] = emitted_events(content, OPTIONS)

    assert event.channel == content["channel"]
    assert all(point.normalised for point in event.contact_points)
    assert event.occurred_at == datetime.fromisoformat(content["occurred_at"])
    said = event.model_dump(mode="json", exclude_defaults=True)
    assert set(content) - {"channel"} <= set(said)
    for name in set(content) - {"channel", "contact_points", "occurred_at", "observed_at", "promised_at", "statement"}:
        assert said[name] == content[name], name
    schema_id, schema = LockedRegistry().current(event.channel)
    wire = encode(event, schema_id=schema_id, schema=schema)
    assert from_record(event.channel, decode(wire[5:], schema=schema)) == event


def test_every_stream_has_an_example():
    assert {json.loads(block)["channel"] for block in BLOCKS} == set(STREAMS)


def test_every_common_field_is_in_the_table_in_order():
    common = [cells for cells in rows(section("Fields")) if len(cells) == 5][1:]

    assert [cells[0] for cells in common] == [f"`{name}`" for name in Event.model_fields]
    for name, _, default, _, _ in common:
        required = Event.model_fields[name.strip("`")].is_required()
        assert required == (default == "" or name == "`type`"), name


def test_every_field_of_a_channel_is_in_the_table():
    found, stream = {}, ""
    for cells in [cells for cells in rows(section("Fields")) if len(cells) == 4][1:]:
        stream = cells[0] or stream
        found.setdefault(stream, []).extend(re.findall(r"`(\w+)`", cells[1]))

    own = {name: set(model.model_fields) - set(Event.model_fields) for name, model in EVENT_MODELS.items()}
    assert {name: set(names) for name, names in found.items()} == own


def test_the_rules_of_normalisation_do_what_they_say():
    assert f"## Normalisation, version {RULES_VERSION}\n" in PAGE
    kinds = set()
    for names, _, given, expected in rows(section(f"Normalisation, version {RULES_VERSION}"))[1:]:
        for kind in names.split(", "):
            text = given.strip("`")
            point = contact_point(kind, json.loads(text) if text.startswith("{") else text)
            assert (point.value, point.normalised) == (expected.strip("`"), True)
            kinds.add(kind)

    assert kinds == set(Kind)


def test_the_recipe_of_ids_is_the_one_that_is_used():
    text = section("The event id")

    assert f"`{NAMESPACE}`" in text
    assert f"`{CONTACT_POINTS}`" in text
    assert f"→ {an_event().event_id}\n" in text


def test_the_headers_are_those_that_are_written():
    text = section("On the wire")

    assert [name.strip("`") for name, _ in rows(text)[1:]] == [name for name, _ in cloudevents_headers(an_event())]
    assert COMPATIBILITY in text


@pytest.mark.parametrize("page", ["event.md", "errors.md", "event-types.md"])
def test_a_page_that_is_named_is_there(page):
    docs = Path(__file__).parents[2] / "docs"
    for named in re.findall(r"docs/([\w-]+\.md)", (docs / page).read_text("utf-8")):
        assert (docs / named).exists(), named
