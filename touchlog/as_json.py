"""One JSON form for what views and cards hold: the command line, the server and the client all speak it."""

import base64
import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID


def plain(value: Any) -> Any:
    """The value in what JSON can say: times as ISO 8601 in UTC, ids and paths as text, bytes as base64.

    Whole decimals become integers, others numbers; what is no number (NaN, infinite) becomes null; an interval
    `{"months", "days", "nanoseconds"}`.
    """
    match value:
        case None | bool() | str():
            return value.value if isinstance(value, Enum) else value
        case int():
            return int(value)
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime():
            return (value if value.tzinfo is None else value.astimezone(UTC)).isoformat().replace("+00:00", "Z")
        case date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case UUID() | Path():
            return str(value)
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(bytes(value)).decode()
        case Mapping():
            return {str(plain(key)): plain(item) for key, item in value.items()}
        case tuple() if hasattr(value, "_asdict") or hasattr(value, "nanoseconds"):
            return _named(value)
        case list() | tuple() | set() | frozenset():
            return [plain(item) for item in value]
        case _:
            return str(value)


def dumps(value: Any, *, indent: int | None = None) -> str:
    """JSON text of the plain form."""
    return json.dumps(plain(value), ensure_ascii=False, indent=indent, allow_nan=False)


def _named(value: Any) -> dict[str, Any]:
    names = ("months", "days", "nanoseconds") if hasattr(value, "nanoseconds") else value._fields
    return {name: plain(getattr(value, name)) for name in names}
