"""What is wrong with an event, said without saying what is in it."""

from pydantic import BaseModel, ValidationError

from schemas.models import EVENT_MODELS, ContactPoint, Statement, Survey

_MODELS: tuple[type[BaseModel], ...] = (*EVENT_MODELS.values(), ContactPoint, Statement, Survey)
_FIELDS = frozenset(name for model in _MODELS for name in model.model_fields)
# The first quotes a part of what was given, the second speaks of the items of a text; every least length is one.
_IN_OUR_WORDS = {"uuid_parsing": "not a UUID", "too_short": "empty"}


def explain(error: ValidationError) -> str:
    """A validation error as `field: what is wrong`, without any value; a name that is no field's is `?`."""
    found = []
    for item in error.errors(include_input=False, include_url=False, include_context=False):
        where = _path(item["loc"])
        message = _IN_OUR_WORDS.get(item["type"], item["msg"])
        found.append(f"{where}: {message}" if where else message.removeprefix("Value error, "))
    return "; ".join(found)


def _path(location: tuple[int | str, ...]) -> str:
    """`contact_points.0.kind`; the names of attributes are given, so they are left out."""
    parts = []
    for part in location:
        parts.append(str(part) if isinstance(part, int) or part in _FIELDS else "?")
        if part == "attributes":
            break
    return ".".join(parts)
