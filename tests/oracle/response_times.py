"""response_times and its like: waits summed up by channel, agent or queue, and day."""

from collections import defaultdict
from typing import Any

Row = dict[str, Any]
OF_ALL = ("definition", "definition_version", "measure")


def response_times(waits: list[Row]) -> list[Row]:
    """One row per definition, measure, channel and UTC day on which a wait began."""
    return _by(waits, "channel")


def response_times_by_agent(waits: list[Row]) -> list[Row]:
    """The same of each agent who ended a wait."""
    rows = _by([wait for wait in waits if wait["agent"] is not None], "agent", "channel")
    return [{name: value for name, value in row.items() if name not in {"abandoned", "open"}} for row in rows]


def response_times_by_queue(waits: list[Row]) -> list[Row]:
    """The same of each queue."""
    return _by([wait for wait in waits if wait["queue"] is not None], "queue", "channel")


def _by(waits: list[Row], *names: str) -> list[Row]:
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for wait in waits:
        groups[(*(wait[name] for name in (*OF_ALL, *names)), wait["began_at"].date())].append(wait)
    return [dict(zip((*OF_ALL, *names, "day"), key, strict=True)) | _summed_up(group) for key, group in groups.items()]


def _summed_up(waits: list[Row]) -> Row:
    counted = sorted(wait["counted_s"] for wait in waits if wait["answered"])
    return {
        "waits": len(waits),
        "answered": len(counted),
        "closed": sum(wait["ended_by"] == "closed" and not wait["answered"] for wait in waits),
        "abandoned": sum(wait["ended_by"] == "abandoned" for wait in waits),
        "open": sum(wait["ended_by"] is None for wait in waits),
        "p50_s": quantile(counted, tenths=5),
        "p90_s": quantile(counted, tenths=9),
        "target_s": waits[0]["target_s"],
        "within_target": sum(wait["within_target"] is True for wait in waits),
    }


def quantile(ordered: list[int], *, tenths: int) -> int | None:
    """The smallest value that at least so many tenths of all values do not exceed."""
    if not ordered:
        return None
    needed = -(-len(ordered) * tenths // 10)
    found: int = ordered[needed - 1]
    return found
