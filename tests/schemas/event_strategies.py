"""Any event that the models allow, whether it makes sense or not."""

import types
import typing
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from schemas.event_types import EVENT_TYPES
from schemas.models import CLOCK_TOLERANCE, EARLIEST, EVENT_MODELS, ContactPoint, Event, Statement, Survey

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For machines that do something else besides."""

TEXTS = st.text(max_size=30)
MOMENTS = st.datetimes(
    EARLIEST.replace(tzinfo=None),
    datetime(9999, 12, 30),  # noqa: DTZ001 - made aware
    timezones=st.just(UTC),
)
_SPECIAL: dict[str, st.SearchStrategy[Any]] = {
    "score": st.integers(0, 10),
    "scale_max": st.integers(10, 100),
    "wait_s": st.none() | st.integers(0, 2**31 - 1),
    "talk_s": st.none() | st.integers(0, 2**31 - 1),
    "case_refs": st.lists(st.text("abc:1ö", min_size=1), max_size=3).map(tuple),
    "attributes": st.dictionaries(TEXTS, TEXTS, max_size=3),
}
_REFERENCES = {"source", "conversation_ref", "message_ref", "answers_ref", "value"}


@st.composite
def any_event(draw: st.DrawFn, stream: str) -> Event:
    """An event of a stream, every optional field set or not."""
    observed_at = draw(MOMENTS)
    values = {name: draw(_field(name, hint)) for name, hint in _hints(EVENT_MODELS[stream]).items()}
    values["type"] = draw(st.sampled_from(sorted(EVENT_TYPES[stream])))
    values["observed_at"] = observed_at
    values["occurred_at"] = min(draw(MOMENTS), observed_at + draw(st.sampled_from([timedelta(0), CLOCK_TOLERANCE])))
    values["contact_points"] = tuple(draw(st.lists(_record(ContactPoint), min_size=1, max_size=3)))
    return EVENT_MODELS[stream](**values)


def _hints(model: type) -> dict[str, Any]:
    return {name: hint for name, hint in typing.get_type_hints(model).items() if name in model.model_fields}


def _record(model: type) -> st.SearchStrategy[Any]:
    return st.builds(model, **{name: _field(name, hint) for name, hint in _hints(model).items()})


def _field(name: str, hint: Any) -> st.SearchStrategy[Any]:
    if name in _SPECIAL:
        return _SPECIAL[name]
    arguments = typing.get_args(hint)
    if types.NoneType in arguments:
        return st.none() | _plain(name, next(one for one in arguments if one is not types.NoneType))
    return _plain(name, hint)


def _plain(name: str, hint: Any) -> st.SearchStrategy[Any]:
    if hint is str:
        # A text of nothing but what is taken out would be an empty reference.
        return (
            st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1) if name in _REFERENCES else TEXTS
        )
    if hint in (Statement, Survey):
        return _record(hint)
    if hint in (bool, UUID):
        return st.booleans() if hint is bool else st.uuids()
    return st.sampled_from(hint) if isinstance(hint, type) and issubclass(hint, str) else MOMENTS
