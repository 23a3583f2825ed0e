"""Callbacks kept in a file: form-encoded bodies, JSON objects or arrays, one a line, or one JSON document."""

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, BinaryIO
from urllib.parse import parse_qsl

from producers.csv_rows import head_of, peekable
from producers.format import Options, Payload
from producers.json_stream import json_payloads, json_sample, parse_json

_BOM = b"\xef\xbb\xbf"


def callback_payloads(stream: BinaryIO, options: Options) -> Iterator[Payload]:
    """The callbacks of a file, in order: `{parameter: value}` of a form, or the JSON value.

    An array of JSON (a batch) is cut into its elements. JSON over several lines is read as one document.
    """
    with peekable(stream) as buffered:
        if _is_document(head_of(buffered)):
            yield from json_payloads(buffered, options)
            return
        for number, line in enumerate(buffered, 1):
            raw = line.removeprefix(_BOM).strip()
            if raw[:1] in {b"{", b"["}:
                for payload in json_payloads(io.BytesIO(raw), options):
                    yield replace(payload, line=number)
            elif raw:
                yield Payload(raw=raw, line=number, content=_form(raw))


def callback_sample(head: bytes) -> dict[str, Any]:
    """The first callback in a file's beginning, empty when there is none; for `recognises`. Never raises."""
    text = head.removeprefix(_BOM).lstrip()
    if text[:1] in {b"{", b"["}:
        sample = json_sample(text)
        return sample[0] if sample else {}
    return _form(text.partition(b"\n")[0].strip())


def _form(raw: bytes) -> dict[str, Any]:
    return dict(parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True))


def _is_document(head: bytes) -> bool:
    """Whether one JSON value goes on over several lines: the first is a bracket, or the second begins inside."""
    first, _, rest = head.removeprefix(_BOM).lstrip().partition(b"\n")
    if first[:1] not in {b"{", b"["} or parse_json(first)[1] is None:
        return False
    return not first.strip(b"{[ \t\r") or rest[:1] in {b" ", b"\t", b'"'}
