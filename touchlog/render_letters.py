"""Dead letters on a terminal: by cause, one by one, and one of them as far as it can be read."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from touchlog.as_json import dumps
from touchlog.render import count, facts_table, harmless, one_line

_HEAD = 256
_A_LINE = 16


def by_cause(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Rows of error_class, stage, records, first_seen, last_seen, example, what_to_do."""
    total = sum(row["records"] for row in rows)
    if not total:
        return Text("no dead letters", style="green")
    names = ["error_class", "stage", "records", "first_seen", "last_seen", "example", "what_to_do"]
    return Group(
        facts_table(
            [name.replace("_", " ") for name in names],
            [[row[name] for name in names] for row in rows],
            numbers=["records"],
        ),
        Text(f"{count(total)} in all; one of them: touchlog dead-letters show ID", style="dim"),
    )


def one_by_one(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Rows of id, state, stage, error_class, error_message, attempts, first_seen, last_attempt."""
    if not rows:
        return Text("no dead letters", style="green")
    names = ["id", "state", "stage", "error_class", "error_message", "attempts", "first_seen", "last_attempt"]
    return facts_table(
        [name.replace("_", " ") for name in names],
        [[row[name] for name in names] for row in rows],
        numbers=["attempts"],
    )


def whole(told: Mapping[str, Any], value: bytes | None) -> RenderableType:
    """One letter: its facts, then its record, or the fields that could be read and the head of its bytes."""
    return Group(*_parts(told, value))


def came_of(told: Mapping[str, Any]) -> RenderableType:
    """What came of a redrive (`consumers.redrive.Told`), and why some are still parked."""
    parts: list[RenderableType] = []
    said = (
        f"{count(told['looked_at'])} looked at = {count(told['redriven'])} redriven + {count(told['duplicates'])} known"
        f" already + {count(told['parked'])} still parked + {count(told['discarded'])} discarded"
    )
    if told["dry_run"]:
        said = f"nothing was changed; it would be: {said}"
    parts.append(Text(said, style="yellow" if told["parked"] else "green"))
    why = Counter(
        (one["stage"], one["error_class"], one["error_message"]) for one in told["letters"] if one["state"] == "parked"
    )
    if why:
        rows = [[records, *cause] for cause, records in why.most_common(20)]
        parts.append(facts_table(["records", "stage", "error class", "error message"], rows, numbers=["records"]))
    return Group(*parts)


def _table(names: Sequence[str], rows: Sequence[Mapping[str, Any]], number: str) -> RenderableType:
    headers = [name.replace("_", " ") for name in names]
    return facts_table(headers, [[row[name] for name in names] for row in rows], numbers=[number])


def _parts(told: Mapping[str, Any], value: bytes | None) -> Iterator[RenderableType]:
    names = [
        *("id", "state", "stage", "error_class", "error_message", "attempts", "first_seen", "last_attempt"),
        *("timestamp", "key", "size", "schema_id", "schema_guid", "schema", "projection", "layout", "batch"),
    ]
    yield facts_table(["", ""], [[name.replace("_", " "), _said(told[name])] for name in names])
    if told["headers"]:
        yield Text()
        yield facts_table(["header", "value"], [[name, _said(text)] for name, text in told["headers"]])
    yield Text()
    if told["record"] is not None:
        yield Text("record", style="bold")
        yield Text(harmless(dumps(told["record"], indent=2)))
        return
    if told["fields"]:
        yield Text("fields before the first that cannot be read", style="bold")
        yield Text(harmless(dumps(told["fields"], indent=2)))
    yield Text(f"not read: {told['problem']}", style="yellow")
    if value:
        yield Text(f"the first {min(_HEAD, len(value))} of {count(len(value))} bytes", style="bold")
        yield Text(hex_dump(value[:_HEAD]))


def hex_dump(data: bytes) -> str:
    """`00000000  00 00 00 00 01 48 …  .....H…`, sixteen bytes a line."""
    lines = []
    for start in range(0, len(data), _A_LINE):
        line = data[start : start + _A_LINE]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in line)
        lines.append(f"{start:08x}  {line.hex(' '):<{3 * _A_LINE}} {shown}")
    return "\n".join(lines)


def _said(value: Any) -> str:
    return "-" if value is None else one_line(str(value))
