"""The fields of a payload's objects, which may be missing, odd or of the wrong sort."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from producers.format import Options
from producers.times import read_time
from schemas.errors import InvalidEvent
from schemas.models import well_formed

__all__ = ["LONGEST_REFERENCE", "Fields", "well_formed"]

LONGEST_REFERENCE = 1_000

_YES = frozenset({"true", "yes", "y", "1", "on"})
_NO = frozenset({"false", "no", "n", "0", "off"})


@dataclass(frozen=True, slots=True)
class Fields:
    """An object of a payload, read leniently: absent, null and blank are the same; a number may be text.

    Every name may be a path (`meta.sender.email`; a key spelled so goes first), and several names are
    spellings of one field: the first that is there counts.
    """

    content: Mapping[str, Any]
    path: str = ""

    @classmethod
    def of(cls, content: Any, path: str = "") -> "Fields":
        """The fields of an object; raises InvalidEvent when it is none."""
        if not isinstance(content, Mapping):
            raise InvalidEvent(f"{path or 'payload'}: not an object")
        return cls(content, path)

    def has(self, *names: str) -> bool:
        """Whether one of the fields is there, and neither null nor blank."""
        return self.value(*names) is not None

    def value(self, *names: str) -> Any:
        """The first that is there, as it is, or None."""
        content = self.content
        for name in names:
            found = content.get(name)
            if found is None and "." in name:
                found = self._inside(name)
            if found is not None and not (isinstance(found, str) and not found.strip()):
                return found
        return None

    def text(self, *names: str) -> str | None:
        """Text without outer blanks, or None; numbers and truth values become text."""
        found = self.value(*names)
        return None if found is None else _as_text(found, self, names)

    def ref(self, *names: str) -> str | None:
        """Text that refers to something: as `text`, of at most 1,000 characters."""
        found = self.text(*names)
        if found is not None and len(found) > LONGEST_REFERENCE:
            raise InvalidEvent(f"{self.where(*names)}: longer than {LONGEST_REFERENCE} characters")
        return found

    def required(self, *names: str) -> str:
        """As `ref`; raises InvalidEvent when none is there."""
        found = self.ref(*names)
        if found is None:
            raise InvalidEvent(f"{self.where(*names)}: missing")
        return found

    def texts(self, *names: str) -> list[str]:
        """A list of texts; one text alone is a list of one. Blank ones are left out."""
        found = self.value(*names)
        if found is None:
            return []
        items = found if isinstance(found, list | tuple) else [found]
        return [text for item in items if item is not None and (text := _as_text(item, self, names))]

    def number(self, *names: str) -> float | None:
        """A finite number, also when written as text."""
        found = self.value(*names)
        if found is None:
            return None
        try:
            number = math.nan if isinstance(found, bool) else float(found)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise InvalidEvent(f"{self.where(*names)}: not a number")
        return number

    def whole(self, *names: str) -> int | None:
        """A whole number, also when written as text or as 3.0."""
        number = self.number(*names)
        if number is not None and not number.is_integer():
            raise InvalidEvent(f"{self.where(*names)}: not a whole number")
        return None if number is None else int(number)

    def flag(self, *names: str) -> bool | None:
        """Yes or no, also as text or 1 and 0."""
        found = self.value(*names)
        if found is None or isinstance(found, bool):
            return found
        word = (_as_text(found, self, names) or "").lower()
        if word not in _YES | _NO:
            raise InvalidEvent(f"{self.where(*names)}: neither true nor false")
        return word in _YES

    def time(self, *names: str, options: Options | None = None) -> datetime | None:
        """A point in time in UTC (`producers.times`), or None."""
        found = self.value(*names)
        return None if found is None else read_time(found, options, field=self.where(*names))

    def required_time(self, *names: str, options: Options | None = None) -> datetime:
        """As `time`; raises InvalidEvent when none is there."""
        found = self.time(*names, options=options)
        if found is None:
            raise InvalidEvent(f"{self.where(*names)}: missing")
        return found

    def within(self, *names: str) -> "Fields":
        """An object inside; one without fields when it is absent."""
        found = self.value(*names)
        return Fields.of({} if found is None else found, self.where(*names))

    def each(self, *names: str) -> "list[Fields]":
        """The objects of a list; one object alone is a list of one."""
        found = self.value(*names)
        if found is None:
            return []
        where = self.where(*names)
        if isinstance(found, Mapping):
            return [Fields(found, where)]
        if not isinstance(found, list | tuple):
            raise InvalidEvent(f"{where}: not a list")
        return [Fields.of(item, f"{where}.{place}") for place, item in enumerate(found) if item is not None]

    def where(self, *names: str) -> str:
        """The place of the field that counts, or of the first spelling; for messages."""
        name = next((name for name in names if self.has(name)), names[0])
        return f"{self.path}.{name}" if self.path else name

    def _inside(self, name: str) -> Any:
        inner: Any = self.content
        for step in name.split("."):
            if not isinstance(inner, Mapping):
                return None
            inner = inner.get(step)
        return inner


def _as_text(value: Any, fields: Fields, names: tuple[str, ...]) -> str | None:
    """Text of what stands in the first of the fields that is there; where that is matters to a message alone."""
    if isinstance(value, str):
        return well_formed(value).strip() or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if not math.isfinite(value) or abs(value) >= 1e18:
            raise InvalidEvent(f"{fields.where(*names)}: not text")
        value = int(value) if value.is_integer() else value
    if isinstance(value, int):
        if abs(value) >= 10**40:
            raise InvalidEvent(f"{fields.where(*names)}: not text")
        return str(value)
    if not isinstance(value, float):
        raise InvalidEvent(f"{fields.where(*names)}: not text")
    return str(value)
