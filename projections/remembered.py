"""What a store remembers about its rows, in `store.meta`, and what becomes of it in a program that does otherwise.

    layout      how rows lie, a number: rows are migrated (projections.migrations)
    meaning     what the fold made of records, the types of events one by one: only the log can say it anew
    relations   the SQL over rows that states of projections were made by: states are built anew from the rows
    views       the statements that made the views, as a hash: other views are made anew

They are apart because they ask for different things (docs/decisions/0008-versions.md). Version 0.1.0 remembered
one text; what that meant is in `meanings/`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb

from projections import layout
from projections.identity_rules import BLOCKED, JOINING, LIMITS
from projections.projection import squeezed
from projections.relations import DERIVED, MACROS
from schemas.contact_points import NAMESPACE
from schemas.errors import RebuildNeeded
from schemas.event_types import EVENT_TYPES, OUR_STEPS, UNKNOWN, Meaning

LAYOUT, MEANING, RELATIONS, VIEWS = "layout", "meaning", "relations", "views"
_PLAIN = asdict(Meaning())
_NAMED_TYPES = 5
_ADVICE = "fold them again from the log: touchlog rebuild --all --source log"


def meaning() -> dict[str, Any]:
    """What this program's fold makes of records: `rules` for all of them, as a hash, and `types`, channel by channel,
    with what is concluded from each."""
    rules = [
        layout.FOLD,
        str(NAMESPACE),
        sorted(OUR_STEPS),
        LIMITS,
        sorted(JOINING),
        [BLOCKED.pattern, int(BLOCKED.flags)],
    ]
    return {
        "rules": _hash(json.dumps(rules, sort_keys=True)),
        "types": {
            channel: {name: _conclusions(one) for name, one in types.items()} for channel, types in EVENT_TYPES.items()
        },
    }


def relations() -> str:
    """A hash of the SQL that projections read rows by, comments and white space aside."""
    parts = [*(f"{name}: {sql}" for name, sql in sorted(DERIVED.items())), *MACROS]
    return _hash("\n".join(squeezed(part) for part in parts))


@cache
def label() -> str:
    """What rows mean that this program writes, in a word: `2-0123456789abcdef`."""
    return f"{layout.LAYOUT}-{_hash(json.dumps([meaning(), relations()], sort_keys=True))}"


def note(con: duckdb.DuckDBPyConnection) -> None:
    """Note all three of a store that this program begins."""
    note_layout(con)
    _note(con, MEANING, json.dumps(meaning()))
    _note(con, RELATIONS, relations())


def note_layout(con: duckdb.DuckDBPyConnection) -> None:
    """Note that rows lie as this program lays them; what 0.1.0 remembered in one is taken apart."""
    known = _told(con, LAYOUT)
    for kept in (MEANING, RELATIONS):
        if known is not None and "-" in known and kept in (parts := _apart(known)):
            _note(con, kept, parts[kept])
    _note(con, LAYOUT, str(layout.LAYOUT))


def layout_number(con: duckdb.DuckDBPyConnection) -> int | None:
    """How rows lie; None when the file holds none of a store's."""
    found = con.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'store' AND table_name = 'meta'"
    ).fetchone()
    told = _told(con, LAYOUT) if found != (0,) else None
    if told is None:
        return None
    number = told.partition("-")[0]
    return int(number) if number.isdecimal() else 0


def check_meaning(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    """The store's events mean what this program would make of their records.

    Raises RebuildNeeded when those of a type that is in the store do not. A type that is new to the program may be any
    of those that it did not know; one from which nothing is concluded changes no row but for its name.
    """
    told, now = json.loads(_told(con, MEANING) or "{}"), meaning()
    if told == now:
        return
    found = con.execute("SELECT channel, type, count(*) FROM store.rows GROUP BY channel, type").fetchall()
    counts = {(channel, name): count for channel, name, count in found}
    if counts and told.get("rules") != now["rules"]:
        raise RebuildNeeded(
            f"{path} holds {sum(counts.values()):,} events that were folded by other rules than this touchlog's;"
            f" {_ADVICE}"
        )
    changed = [one for one in _changed(told["types"], now["types"]) if one in counts] if counts else []
    if changed:
        named = ", ".join(" ".join(one) for one in changed[:_NAMED_TYPES])
        more = f" and {len(changed) - _NAMED_TYPES} more types" if len(changed) > _NAMED_TYPES else ""
        raise RebuildNeeded(
            f"{path} holds {sum(counts[one] for one in changed):,} events that mean something else to this touchlog"
            f" ({named}{more}); {_ADVICE}"
        )
    _note(con, MEANING, json.dumps(now))


def take_relations(con: duckdb.DuckDBPyConnection) -> bool:
    """Note this program's relations; whether the store's states were made by others."""
    if _told(con, RELATIONS) == relations():
        return False
    _note(con, RELATIONS, relations())
    return True


def views(con: duckdb.DuckDBPyConnection) -> str | None:
    """A digest of the statements that made the store's views."""
    return _told(con, VIEWS)


def note_views(con: duckdb.DuckDBPyConnection, digest: str) -> None:
    """Note of which statements the views are."""
    _note(con, VIEWS, digest)


def _changed(then: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Types of which rows in a store may mean something else now."""
    found = []
    for channel, types in then.items():
        today = now.get(channel, {})
        found += [(channel, name) for name, concluded in types.items() if today.get(name) != concluded]
        # What says nothing of itself was folded into the row that it is, but for its name.
        if any(today[name] for name in today.keys() - types.keys()):
            found.append((channel, UNKNOWN))
    return found


def _conclusions(one: Meaning) -> dict[str, Any]:
    """What is not as in a type that says nothing: a new sort of conclusion leaves the others alone."""
    return {name: value for name, value in asdict(one).items() if value != _PLAIN[name]}


def _apart(told: str) -> dict[str, str]:
    """Meaning and relations of what 0.1.0 remembered; nothing when it was no release's."""
    _, _, combined = told.partition("-")
    for file in sorted((resources.files("projections") / "meanings").iterdir(), key=lambda one: one.name):
        known = json.loads(file.read_text("utf-8"))
        if known["combined"] == combined:
            return {MEANING: json.dumps(known[MEANING]), RELATIONS: known[RELATIONS]}
    return {}


def _told(con: duckdb.DuckDBPyConnection, key: str) -> str | None:
    found = con.execute("SELECT value FROM store.meta WHERE key = ?", [key]).fetchone()
    return None if found is None else str(found[0])


def _note(con: duckdb.DuckDBPyConnection, key: str, value: str) -> None:
    # An earlier program that looks must not find what was.
    con.execute("DELETE FROM store.meta WHERE key = ?", [key])
    con.execute("INSERT INTO store.meta VALUES (?, ?)", [key, value])


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
