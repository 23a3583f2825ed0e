"""Golden files: `tests/samples/<channel>/<format>/<name>` in, `<name>.events.json` out.

`python -m tests.producers.golden email chat` writes anew what comes out, to be read in the diff before it is kept.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from producers.format import Format, Options
from producers.formats import FORMATS
from schemas.errors import InvalidEvent
from schemas.models import Event

SAMPLES = Path(__file__).parent.parent / "samples"
EXPECTED = ".events.json"
OBSERVED_AT = datetime(2026, 3, 4, 12, tzinfo=UTC)
OPTIONS = Options(
    observed_at=OBSERVED_AT, account="acme", region="SE", our_domains=frozenset({"acme.example"}), timezone="UTC"
)


def samples(channel: str) -> list[Path]:
    """The golden inputs of a channel."""
    found = sorted(SAMPLES.joinpath(channel).rglob(f"*{EXPECTED}"))
    return [path.with_name(path.name.removesuffix(EXPECTED)) for path in found]


def format_of(path: Path) -> Format:
    """A sample's format, by the folders it lies in."""
    channel, name = path.parent.parent.name, path.parent.name
    return next(known for known in FORMATS if (known.channel, known.name) == (channel, name))


def expected(path: Path) -> Any:
    """What has to come out of a golden input."""
    return json.loads(path.with_name(path.name + EXPECTED).read_text(encoding="utf-8"))


def outcome(path: Path, options: Options = OPTIONS) -> list[dict[str, Any]]:
    """What comes out: for every payload its place, and its events or the reason why there are none."""
    known = format_of(path)
    found: list[dict[str, Any]] = []
    with path.open("rb") as stream:
        for payload in known.payloads(stream, options):
            place = {"line": payload.line, "item": payload.item}
            try:
                if payload.error is not None:
                    raise InvalidEvent(payload.error)
                found.append({**place, "events": [told(event) for event in known.events(payload.content, options)]})
            except InvalidEvent as error:
                found.append({**place, "reject": str(error)})
    return found


def told(event: Event) -> dict[str, Any]:
    """An event as JSON, without observed_at and what was left at its default."""
    fields = {"channel": event.channel, **event.model_dump(mode="json", exclude_defaults=True, exclude={"observed_at"})}
    for point in fields["contact_points"]:
        point.setdefault("assurance", "asserted")
    return fields


def events_of(path: Path, options: Options = OPTIONS) -> list[Event]:
    """All events of a file; what is rejected is left out."""
    known = format_of(path)
    found: list[Event] = []
    with path.open("rb") as stream:
        for payload in known.payloads(stream, options):
            try:
                if payload.error is None:
                    found += list(known.events(payload.content, options))
            except InvalidEvent:
                continue
    return found


def main(channels: list[str]) -> None:
    """Writes the expected files of these channels."""
    for path in sorted(path for channel in channels for path in SAMPLES.joinpath(channel).glob("*/*")):
        if path.name.endswith(EXPECTED) or path.suffix == ".md" or path.name == "twitter-customer-care.jsonl":
            continue
        text = json.dumps(outcome(path), ensure_ascii=False, indent=1)
        path.with_name(path.name + EXPECTED).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
