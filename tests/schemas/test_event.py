"""How an event is built, and what is refused."""

import json
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.contact_points import contact_point
from schemas.errors import InvalidEvent
from schemas.event import NAMESPACE, SUMMARY_LENGTH, build_event, derive_event_id, explain, ordered
from schemas.event_types import EVENT_TYPES
from schemas.models import EVENT_MODELS, Assurance, ContactPoint, EmailEvent, Kind, Role, Statement, Survey
from schemas.topics import STREAMS
from tests.schemas.event_strategies import unhurried

MOMENT = datetime(2026, 3, 2, 9, 14, 5, 123457, UTC)
ADA = contact_point("email", "ada@example.org")


def an_event(channel="email", **fields):
    return build_event(
        channel,
        **{
            "type": "message.received",
            "reference": "<1@example.org>",
            "occurred_at": MOMENT,
            "observed_at": MOMENT + timedelta(seconds=3),
            "source": "imap/acme",
            "direction": "inbound",
            "contact_points": [ADA],
            **fields,
        },
    )


class Nowhere(tzinfo):
    """A zone that does not say where it is: to Python a time in it is a naive one."""

    def utcoffset(self, _):
        return None


# event ids


def test_an_event_id_is_the_one_that_is_documented():
    said = "\x1f".join(["", "<1@example.org>", "message.received", "email:ada@example.org", "1772442845123457", ""])

    assert an_event().event_id == uuid5(NAMESPACE, said)
    assert UUID("6f9e0c0a-5c5f-5d0e-9a55-1f6d3f2f8a02") == NAMESPACE


def test_an_event_id_stays_for_ever():
    found = an_event(system="pbx/acme", discriminator="2").event_id

    assert found == UUID("61cdb3fb-0f3d-59a0-95bd-ae468364e225")


@unhurried
@given(st.datetimes(datetime(1996, 1, 1), datetime(9999, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - made aware
def test_an_event_id_does_not_depend_on_when_it_was_seen_or_in_which_zone(observed_at):
    there = timezone(timedelta(hours=-7))

    assert an_event(observed_at=observed_at, occurred_at=MOMENT.astimezone(there)).event_id == an_event().event_id


@pytest.mark.parametrize(
    "change",
    [
        {"reference": "<2@example.org>"},
        {"type": "message.opened"},
        {"contact_points": [contact_point("email", "bo@example.org")]},
        {"occurred_at": MOMENT + timedelta(microseconds=1)},
        {"occurred_at": MOMENT - timedelta(microseconds=1)},
        {"system": "imap/acme"},
        {"discriminator": "https://example.org/"},
    ],
)
def test_another_happening_has_another_id(change):
    assert an_event(**change).event_id != an_event().event_id


@pytest.mark.parametrize(
    "change",
    [
        {"source": "imap/other"},
        {"direction": "report"},
        {"summary": "Hello"},
        {"attributes": {"delivery": "2"}},
        {"source_event_id": "again"},
        {"contact_points": [ADA, contact_point("phone", "+46700000001", role="mentioned")]},
    ],
)
def test_what_is_told_besides_does_not_change_the_id(change):
    assert an_event(**change).event_id == an_event().event_id


@unhurried
@given(st.integers(0, 2**53))
def test_every_microsecond_has_its_own_id(microsecond):
    moment = datetime(1995, 1, 1, tzinfo=UTC) + timedelta(microseconds=microsecond)

    def derived(at):
        return derive_event_id("r", "t", "k", at)

    assert derived(moment) == uuid5(NAMESPACE, f"\x1fr\x1ft\x1fk\x1f{788918400000000 + microsecond}\x1f")
    assert derived(moment) != derived(moment + timedelta(microseconds=1))


def test_a_reference_that_cannot_be_written_has_an_id_all_the_same():
    assert derive_event_id("half \ud83d", "t", "k", MOMENT) == derive_event_id("half ?", "t", "k", MOMENT)


def test_an_id_that_is_given_is_kept():
    assert an_event(event_id="1b4e28ba-2fa1-5d2a-883f-0016d3cca427").event_id == UUID(
        "1b4e28ba-2fa1-5d2a-883f-0016d3cca427"
    )


# time


@pytest.mark.parametrize(
    "given_time",
    [
        datetime(1994, 12, 31, 23, 59, 59, 999999, UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime.min.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
        MOMENT + timedelta(days=1, seconds=3, microseconds=1),
        datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-14))),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
    ],
)
def test_an_absurd_time_is_replaced_and_kept(given_time):
    event = an_event(occurred_at=given_time, attributes={"plan": "gold"})

    assert event.occurred_at == event.observed_at == MOMENT + timedelta(seconds=3)
    assert event.attributes == {"plan": "gold", "given_occurred_at": given_time.isoformat()}


@pytest.mark.parametrize(
    "given_time", [datetime(1995, 1, 1, tzinfo=UTC), MOMENT, MOMENT + timedelta(days=1, seconds=3)]
)
def test_a_plausible_time_is_taken(given_time):
    event = an_event(occurred_at=given_time)

    assert event.occurred_at == given_time
    assert event.attributes == {}


def test_an_event_may_be_seen_in_the_last_year_of_all():
    last = datetime.max.replace(tzinfo=UTC)

    assert an_event(observed_at=last, occurred_at=last).occurred_at == last


def test_an_event_cannot_be_seen_before_1995():
    with pytest.raises(InvalidEvent, match=r"^occurred_at: before 1995"):
        an_event(observed_at=datetime(1990, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("name", ["occurred_at", "observed_at"])
@pytest.mark.parametrize("naive", [MOMENT.replace(tzinfo=None), MOMENT.replace(tzinfo=Nowhere())])
def test_a_naive_time_is_refused(name, naive):
    with pytest.raises(InvalidEvent, match=r"^occurred_at, observed_at: a time without offset$"):
        an_event(**{name: naive})


@pytest.mark.parametrize("name", ["read_up_to", "promised_at"])
def test_a_naive_time_besides_is_refused_by_its_name(name):
    with pytest.raises(InvalidEvent, match=f"^{name}: Input should have timezone info$"):
        an_event(**{name: MOMENT.replace(tzinfo=None)})


def test_a_model_refuses_what_building_would_have_mended():
    good = an_event()
    fields = {name: getattr(good, name) for name in EmailEvent.model_fields}
    for changed in ({"occurred_at": datetime(1990, 1, 1, tzinfo=UTC)}, {"occurred_at": MOMENT + timedelta(days=2)}):
        with pytest.raises(ValidationError, match=r"build events with schemas.event"):
            EmailEvent(**{**fields, **changed})


# contact points


def points(*given_points):
    return [contact_point(kind, value, assurance=assurance, role=role) for kind, value, assurance, role in given_points]


@pytest.mark.parametrize(
    ("given_points", "primary"),
    [
        ([("email", "a@example.org", "asserted", "self"), ("account", "c-1", "asserted", "self")], "account:C-1"),
        (
            [("account", "c-1", "claimed", "self"), ("email", "a@example.org", "asserted", "self")],
            "email:a@example.org",
        ),
        ([("account", "c-1", "attested", "cc"), ("visitor", "v", "inferred", "self")], "visitor:v"),
        ([("email", "nonsense", "attested", "self"), ("visitor", "v", "inferred", "self")], "visitor:v"),
        ([("anonymous", "call:1", "attested", "self"), ("phone", "nonsense", "inferred", "self")], "phone:nonsense"),
        ([("visitor", "v", "asserted", "self"), ("phone", "+46700000001", "asserted", "self")], "phone:+46700000001"),
        (
            [("email", "b@example.org", "asserted", "self"), ("email", "a@example.org", "asserted", "self")],
            "email:b@example.org",
        ),
        ([("phone", "+46700000001", "asserted", "mentioned")], "phone:+46700000001"),
    ],
)
def test_the_primary_is_the_strongest_self(given_points, primary):
    event = an_event(contact_points=points(*given_points))

    assert event.primary.key == primary
    assert event.primary is event.contact_points[0]
    assert len(event.contact_points) == len(given_points)


def test_a_point_told_twice_stays_once_with_the_surest():
    found = ordered(
        points(
            ("email", "Ada@example.org", "claimed", "self"),
            ("email", "ada@example.org", "attested", "self"),
            ("email", "ada@example.org", "inferred", "self"),
            ("email", "ada@example.org", "asserted", "cc"),
        )
    )

    assert [(point.assurance, point.role) for point in found] == [
        (Assurance.ATTESTED, Role.SELF),
        (Assurance.ASSERTED, Role.CC),
    ]


@unhurried
@given(st.permutations(points(*[(k, f"{k}:a:b", a, r) for k in Kind for a in Assurance for r in Role])))
def test_the_order_among_unequals_does_not_depend_on_the_order_given(given_points):
    ranks = [
        (p.role is not Role.SELF, p.kind is Kind.ANONYMOUS, not p.normalised, list(Assurance).index(p.assurance))
        for p in ordered(given_points)
    ]

    assert ranks == sorted(ranks)
    assert {p.key for p in ordered(given_points)} == {p.key for p in given_points}


def test_an_event_without_contact_point_is_refused():
    with pytest.raises(InvalidEvent, match=r"^contact_points: none given$"):
        an_event(contact_points=[])


# what is refused, and how it is said

SECRET = "zq-Ada-Secret-zq"


@pytest.mark.parametrize("channel", ["fax", "", "interactions.email"])
def test_a_channel_that_is_none_is_refused(channel):
    with pytest.raises(InvalidEvent, match=r"^channel: not one of email, chat, phone, post, social, identity$"):
        an_event(channel)


@pytest.mark.parametrize("stream", STREAMS)
def test_a_type_of_another_channel_is_refused(stream):
    types = {name for known in EVENT_TYPES.values() for name in known}
    for name in [*sorted(types - set(EVENT_TYPES[stream])), SECRET]:
        with pytest.raises(
            InvalidEvent, match=f"^type: no such event type on {stream}; docs/event-types.md lists them$"
        ):
            an_event(stream, type=name)
    for name in EVENT_TYPES[stream]:
        assert an_event(stream, type=name).type == name


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"source": ""}, "source: empty"),
        ({"source": "\x00"}, "source: empty"),
        ({"message_ref": ""}, "message_ref: empty"),
        ({"case_refs": [""]}, "case_refs.0: empty"),
        ({"direction": SECRET}, "direction: Input should be 'inbound', 'outbound' or 'report'"),
        ({"event_id": SECRET}, "event_id: not a UUID"),
        ({"machine": SECRET}, "machine: Input should be a valid boolean, unable to interpret input"),
        ({"attributes": {SECRET: 7}}, "attributes: Input should be a valid string"),
        ({"attributes": {46700000001: "x"}}, "attributes: Input should be a valid string"),
        ({SECRET: 1}, r"\?: Extra inputs are not permitted"),
        ({"subject": SECRET, "survey": {"kind": "nps", "score": 11, "scale_max": 10}}, "survey: .*above scale_max"),
        ({"statement": {"kind": SECRET}}, "statement.kind: Input should be 'prefer', .*"),
        ({"wait_s": 1}, "wait_s: Extra inputs are not permitted"),
        ({"bounce_class": "hard", "machine": 2}, "machine: .*"),
    ],
)
def test_what_breaks_the_contract_is_refused_by_the_name_of_the_field(fields, message):
    with pytest.raises(InvalidEvent, match=f"^{message}$") as caught:
        an_event(**fields)
    assert SECRET not in str(caught.value)


ODD = st.one_of(
    st.just(SECRET),
    st.just(SECRET.encode()),
    st.just([SECRET]),
    st.just({SECRET: SECRET}),
    st.just({"kind": SECRET, "value": SECRET, "score": SECRET, "scale_max": SECRET}),
    st.just([{"kind": "email", "value": 46700000001, SECRET: SECRET}]),
    st.just({"kind": "nps", "score": 46700000001, "scale_max": 10}),
    st.just(46700000001),
    st.just(467.00000001),
)


@pytest.mark.parametrize("stream", STREAMS)
@unhurried
@given(data=st.data())
def test_an_explanation_never_holds_a_value(stream, data):
    model = EVENT_MODELS[stream]
    good = an_event(stream, type="unknown")
    names = data.draw(st.lists(st.sampled_from(sorted(model.model_fields)), min_size=1, unique=True))
    fields = {name: getattr(good, name) for name in model.model_fields} | {name: data.draw(ODD) for name in names}
    try:
        model(**fields)
    except ValidationError as error:
        said = explain(error)
        assert said
        assert not any(part in said for part in (SECRET, "zq", "Ada", "Secret", "4670000", "467.0"))


@pytest.mark.parametrize(
    ("model", "fields"), [(ContactPoint, {"kind": SECRET}), (Statement, {}), (Survey, {"score": SECRET})]
)
def test_parts_of_an_event_are_explained_too(model, fields):
    with pytest.raises(ValidationError) as caught:
        model(**fields)
    assert SECRET not in explain(caught.value)
    assert ": " in explain(caught.value)


# records


def test_an_event_is_frozen():
    event = an_event(survey=Survey(kind="nps", score=9, scale_max=10))
    for record, name in ((event, "summary"), (event.primary, "value"), (event.survey, "score")):
        with pytest.raises(ValidationError, match=r"frozen"):
            setattr(record, name, "x")


def test_text_that_cannot_be_written_is_mended():
    event = an_event(summary="half \ud83d and \x00 nul", attributes={"k\x00": "\udfff"}, case_refs=["case:1\x00"])

    assert event.summary == "half ? and  nul"
    assert event.attributes == {"k": "?"}
    assert event.case_refs == ("case:1",)
    json.dumps(event.model_dump(mode="json"), ensure_ascii=False).encode()


def test_a_summary_is_cut():
    assert an_event(summary="ö" * 500).summary == "ö" * SUMMARY_LENGTH == "ö" * 200


def test_what_was_given_is_not_changed():
    attributes = {"plan": "gold"}
    an_event(occurred_at=datetime(1970, 1, 1, tzinfo=UTC), attributes=attributes)

    assert attributes == {"plan": "gold"}
