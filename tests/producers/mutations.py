"""JSON and mail as they should not be: a good payload with a few things wrong."""

import copy
from typing import Any

from hypothesis import strategies as st

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**4500, -1, 0, 2**63, 1e308, float("nan"), float("inf"), 0.1]),
    st.text(max_size=12),
    st.sampled_from(
        ["", " ", "\x00", "\ud83d", "a" * 70_000, "<>", "@", "a@b@c", "0001-01-01T00:00:00+14:00", "9999-12-31", "[#1]"]
    ),
    st.lists(st.none() | st.text(max_size=3) | st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.none() | st.text(max_size=3), max_size=3),
    st.just([[[[{"id": {"id": [{}]}}]]]]),
)


@st.composite
def mutated(draw: Any, originals: list[Any]) -> Any:
    """One of the originals with up to four of its places removed, replaced by something odd, or wrapped."""
    content = copy.deepcopy(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(min_value=1, max_value=4))):
        paths = list(places(content))
        if not paths:
            return copy.deepcopy(draw(ODD))
        holder, key = draw(st.sampled_from(paths))
        match draw(st.sampled_from(["remove", "replace", "replace", "wrap", "list"])):
            case "remove":
                del holder[key]
            case "replace":
                holder[key] = copy.deepcopy(draw(ODD))
            case "wrap":
                holder[key] = {"id": holder[key]}
            case _:
                holder[key] = [holder[key], None]
    return content


@st.composite
def mutated_bytes(draw: Any, originals: list[bytes]) -> bytes:
    """One of the originals with up to four of its lines removed, doubled, cut, moved or replaced by noise."""
    lines = draw(st.sampled_from(originals)).splitlines(keepends=True)
    for _ in range(draw(st.integers(min_value=1, max_value=4))):
        if not lines:
            break
        at = draw(st.integers(min_value=0, max_value=len(lines) - 1))
        match draw(st.sampled_from(["remove", "double", "cut", "noise", "value", "move"])):
            case "remove":
                del lines[at]
            case "double":
                lines.insert(at, lines[at])
            case "cut":
                lines[at] = lines[at][: draw(st.integers(min_value=0, max_value=len(lines[at])))]
            case "noise":
                lines.insert(at, draw(st.binary(max_size=40)) + draw(st.sampled_from([b"\n", b"\r", b"", b"\x00"])))
            case "value":
                name, _, _ = lines[at].partition(b":")
                lines[at] = name + b": " + draw(st.binary(max_size=60) | st.sampled_from(NASTY_VALUES)) + b"\n"
            case _:
                lines.insert(0, lines.pop(at))
    return b"".join(lines)


NASTY_VALUES = [
    b"(" * 5_000,
    b'"' * 3_001,
    b"<" * 3_000,
    b"=?utf-8?b?////?= =?nosuch?q?x?= =?utf-8?q?=FF?=",
    b"=?utf-8?b?" + b"A" * 4_001,
    b"multipart/mixed; boundary*0*=x''%FF; boundary*1=y",
    b"message/delivery-status; charset*=\xff",
    b"text/plain; charset=\xff\xfe",
    b"attachment; filename*0*=a''%; filename*1*=%",
    b"Mon, 99 Foo 99999 99:99:99 +9999",
    b"Thu, 01 Jan 0001 00:00:00 +1400",
    b"undisclosed-recipients:;, :;, @, a@, <@x:y@z>",
    b"x-uuencode",
    b"base64",
]


def places(content: Any) -> Any:
    """Every object or list in the content, with every key or index of it."""
    waiting = [content]
    while waiting:
        holder = waiting.pop()
        keys = (
            list(holder) if isinstance(holder, dict) else list(range(len(holder))) if isinstance(holder, list) else []
        )
        for key in keys:
            yield holder, key
            if isinstance(holder[key], dict | list):
                waiting.append(holder[key])
