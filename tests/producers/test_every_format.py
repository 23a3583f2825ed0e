"""What every format keeps, whoever wrote it: golden files, recognition, and harm from whatever stands in a payload.

A new format is covered by its samples alone: `tests/samples/<channel>/<format>/<name>` and `<name>.events.json`
(`tests/producers/golden.py` writes the second, to be read before it is kept).
"""

import copy
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from producers.emit import EMIT
from producers.format import Format, Payload
from producers.formats import FORMATS, recognise
from producers.json_stream import json_payloads
from producers.sources import HEAD
from schemas.errors import InvalidEvent
from schemas.models import Channel
from tests.producers.golden import (
    OBSERVED_AT,
    OPTIONS,
    events_of,
    expected,
    format_of,
    outcome,
    samples,
)
from tests.producers.mutations import mutated, mutated_bytes, places
from tests.producers.wire import check_outcome, read_back

PATHS = [path for channel in Channel for path in samples(channel) if path.parent.parent.name == channel]
LATER = replace(OPTIONS, observed_at=OBSERVED_AT + timedelta(days=30))
HARD = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))

BOM, MARK = b"\xef\xbb\xbf", "Planted"

every_sample = pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.parent.name}/{path.name}")
every_format = pytest.mark.parametrize("known", FORMATS, ids=lambda known: f"{known.channel}-{known.name}")


@every_sample
def test_a_sample_gives_the_events_written_beside_it(path: Path) -> None:
    assert outcome(path) == expected(path)


@every_sample
def test_a_sample_is_recognised_as_what_it_is_and_as_nothing_else(path: Path) -> None:
    assert recognise(path.parent.parent.name, path.read_bytes()[:HEAD]) is format_of(path)


@every_sample
def test_ids_do_not_depend_on_when_it_was_read_and_events_come_back_from_avro(path: Path) -> None:
    first, second = events_of(path), events_of(path, LATER)
    assert [event.event_id for event in first] == [event.event_id for event in second]
    assert [read_back(event) for event in first] == first


@every_sample
def test_a_payload_is_published_or_refused_with_a_reason(path: Path) -> None:
    assert all(item.get("events") or item.get("reject") for item in outcome(path))


@every_sample
def test_a_sample_is_recognised_however_it_is_laid_out_and_cut(path: Path) -> None:
    raw, known = path.read_bytes(), format_of(path)
    assert [*_laid_out(raw), *_cut_off(raw)]
    for head in (*_laid_out(raw), *_cut_off(raw)):
        assert recognise(known.channel, head[:HEAD]) is known


@every_format
def test_no_reason_quotes_what_stands_in_a_payload(known: Format) -> None:
    for content in copy.deepcopy(_plain_contents(known)):
        for holder, key in list(places(content)):
            kept = holder[key]
            for planted in (f"{MARK}@example.org", [MARK], {MARK: [MARK]}):
                holder[key] = planted
                assert MARK not in _reason(known, content)
            holder[key] = kept
            if isinstance(holder, dict):
                renamed = {MARK if name == key else name: value for name, value in holder.items()}
                original = dict(holder)
                holder.clear()
                holder.update(renamed)
                assert MARK not in _reason(known, content)
                holder.clear()
                holder.update(original)


@every_format
def test_there_is_a_sample_with_events(known: Format) -> None:
    assert any(events_of(path) for path in _samples(known))


@pytest.mark.parametrize("known", [*FORMATS, EMIT], ids=lambda known: f"{known.channel}-{known.name}")
def test_the_example_is_read(known: Format) -> None:
    head = known.example.encode()
    assert known is EMIT or recognise(known.channel, head) is known
    found = list(known.payloads(io.BytesIO(head), OPTIONS))
    assert [payload.error for payload in found] == [None]
    assert list(known.events(found[0].content, OPTIONS))


@every_format
@HARD
@given(data=st.data())
def test_a_payload_with_a_few_things_wrong_gives_events_or_a_reason(known: Format, data: st.DataObject) -> None:
    contents = _plain_contents(known)
    if not contents:
        pytest.skip("its payloads are not JSON; their bytes are mutated below")
    check_outcome(known.events, data.draw(mutated(contents)), OPTIONS)


@every_format
@HARD
@given(data=st.data())
def test_a_file_with_a_few_lines_wrong_gives_events_or_reasons(known: Format, data: st.DataObject) -> None:
    file = data.draw(mutated_bytes([path.read_bytes() for path in _samples(known) if path.stat().st_size < 200_000]))
    for known_format in FORMATS:
        assert known_format.recognises(file[:HEAD]) in (True, False)
    for payload in known.payloads(io.BytesIO(file), OPTIONS):
        if payload.error is None:
            check_outcome(known.events, payload.content, OPTIONS)
        else:
            assert payload.raw


@every_format
def test_what_is_cut_out_of_a_file_can_be_read_again_as_it_stands(known: Format) -> None:
    for path in _samples(known):
        for payload in _payloads(known, path):
            again = list(known.payloads(io.BytesIO(payload.raw), OPTIONS))
            if payload.error is None and not _is_table(path):
                assert [list(known.events(one.content, OPTIONS)) for one in again if not _refused(known, one)] == (
                    [] if _refused(known, payload) else [list(known.events(payload.content, OPTIONS))]
                )


def _laid_out(raw: bytes) -> Iterator[bytes]:
    """The same content with other line ends, and JSON in other forms."""
    if raw[:1] in (b"\xff", b"\xfe") or b"ISO-8859-1" in raw[:100]:
        yield raw
        return
    plain = raw.removeprefix(BOM)
    yield BOM + plain
    yield plain.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    if plain.lstrip()[:1] not in (b"{", b"["):
        return
    payloads = [payload.content for payload in json_payloads(io.BytesIO(plain)) if isinstance(payload.content, dict)]
    for indent, separators in ((None, (",", ":")), (2, None)):
        texts = [json.dumps(content, indent=indent, separators=separators) for content in payloads]
        yield from (joint.join(texts).encode() for joint in ("\n", ""))
        yield json.dumps(payloads, indent=indent, separators=separators).encode()


def _cut_off(raw: bytes) -> Iterator[bytes]:
    """Beginnings, as of a file that is longer than what is looked at."""
    yield raw[: max(len(raw) * 3 // 4, 400)]


def _reason(known: Format, content: Any) -> str:
    try:
        list(known.events(content, OPTIONS))
    except InvalidEvent as error:
        return str(error)
    return ""


def _samples(known: Format) -> list[Path]:
    return [path for path in PATHS if format_of(path) is known]


def _payloads(known: Format, path: Path) -> Iterator[Payload]:
    with path.open("rb") as stream:
        yield from known.payloads(stream, OPTIONS)


def _is_table(path: Path) -> bool:
    """A row alone has no header; the rejects file keeps the header with it."""
    return path.suffix in (".csv", ".tsv")


def _refused(known: Format, payload: Payload) -> bool:
    try:
        list(known.events(payload.content, OPTIONS))
    except InvalidEvent:
        return True
    return False


@cache
def _plain_contents(known: Format) -> list[Any]:
    """Contents that JSON could hold, as mutations need them."""
    found = []
    for path in _samples(known):
        for payload in _payloads(known, path):
            if payload.error is None and isinstance(payload.content, dict | list):
                try:
                    found.append(json.loads(json.dumps(payload.content)))
                except (TypeError, ValueError):
                    continue
    return found
