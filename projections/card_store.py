"""A store for one customer at a time: the views' own SQL, each evaluated once into a table.

To plan the views takes DuckDB far longer than to run them over one customer's rows, and each that reads another plans
and runs that again. Here every relation is a table, filled by one INSERT from the tables before it, so each is planned
once a card. What people read elsewhere as `touchlog.<view>` or `touchlog.<view>_at(now)` has the same names here.

The plans are not kept from card to card. DuckDB 1.5 plans by what tables hold then, which is nothing, and prepared
statements gave wrong values over the rows that came later, unless the optimizers `statistics_propagation` and
`compressed_materialization` were off; that saved a tenth of a card's time.
"""

import re
from collections.abc import Collection, Sequence
from datetime import datetime

import duckdb

from projections import layout
from projections.projection import Projection, in_order
from projections.relations import DERIVED, IN_CONVERSATIONS, MACROS, TABLES, scoped, stored
from projections.store import STREAMS

EVALUATED = (
    *("contact_points", "consent", "channel_preference", "timeline", "conversations", "continuations", "customers"),
    *("topics", "shared_timeline"),
)
"""Views that are evaluated for every card, with those that they read."""

ASKED = ("interactions",)
"""Views that are evaluated when somebody reads them."""

_TABLES = {
    **{name: stored(name) for name in TABLES},
    "rows": "store.events_tail_00000000",
    "mention_rows": "store.mentions_tail_00000000",
}
_PUBLIC = re.compile(r"\btouchlog\.(\w+?)(?:_at\(now_at\)|\b(?!\())")
_NOW = "$now::TIMESTAMPTZ"


class CardStore:
    """Tables in memory for the rows that `projections.card.copy` brings, and what the live projections make of them.

    To be filled and read in one transaction that is rolled back: the next customer begins with empty tables.
    """

    def __init__(self, live: Sequence[Projection]) -> None:
        self.con = duckdb.connect(":memory:", config={"threads": 1})
        self._steps: dict[str, str] = {}
        self.con.execute("SET TimeZone = 'UTC'")
        for schema in ("store", "card", "touchlog"):
            self.con.execute(f"CREATE SCHEMA {schema}")
        for stream, columns in STREAMS.items():
            self.con.execute(f"CREATE TABLE store.{stream}_tail_{0:08d} ({layout.ddl(columns)})")
        for name, columns in {"points": layout.POINT_COLUMNS, **layout.SMALL_TABLES}.items():
            if name in TABLES:
                self.con.execute(f"CREATE TABLE store.{name} ({layout.ddl(columns)})")
        for statement in MACROS:
            self.con.execute(statement)
        # Whom to bring besides is seen from what was brought.
        for name in ("holdings", "pairs"):
            beneath = {**_TABLES, "holdings": "store.holdings"}
            self.con.execute(f"CREATE VIEW store.{name} AS {scoped(DERIVED[name], beneath, derived={})}")
        known = {one.name: one for one in in_order(live)}
        for projection in known.values():
            if projection.name in _with_read(EVALUATED, known):
                self._evaluate(projection)
            elif projection.name in ASKED:
                self.con.execute(f"CREATE VIEW touchlog.{projection.name} AS {self._view(projection)}")

    def fill(self, now: datetime) -> None:
        """Evaluate everything over the rows that are there, as of `now`."""
        moment = f"TIMESTAMPTZ '{now.isoformat()}'"
        for name, sql in self._steps.items():
            self.con.execute(f"INSERT INTO card.{name} {sql.replace(_NOW, moment)}")

    def _evaluate(self, projection: Projection) -> None:
        if projection.sort != "plain":
            self._step(f"{projection.name}_state", self._state(projection))
        name = f"touchlog.{projection.name}"
        self._step(projection.name, self._view(projection))
        self.con.execute(f"CREATE VIEW {name} AS FROM card.{projection.name}")
        self.con.execute(f"CREATE MACRO {name}_at(now_at) AS TABLE FROM card.{projection.name}")

    def _view(self, projection: Projection) -> str:
        text = projection.blocks["view"]
        sql = scoped(text, {**self._relations(text), "state": f"card.{projection.name}_state"}, derived={})
        return re.sub(r"\bnow_at\b", _NOW, _PUBLIC.sub(r"card.\1", sql))

    def _state(self, projection: Projection) -> str:
        if projection.sort == "merged":
            delta = projection.blocks["delta"]
            parts = scoped(delta, self._relations(delta), derived={})
            return scoped(projection.blocks["merge"], {"parts": parts}, derived={})
        text = projection.blocks["fold"]
        beneath = self._relations(f"FROM events JOIN threads {text}")
        events = scoped(IN_CONVERSATIONS, beneath, derived={})
        return scoped(text, {**beneath, "events": events}, derived={})

    def _relations(self, text: str) -> dict[str, str]:
        """The tables of the relations that a text names; those that are derived are evaluated before it."""
        found = {name for name in (*_TABLES, *DERIVED) if re.search(rf"\b(?:FROM|JOIN)\s+{name}\b(?!\.)", text)}
        for name in DERIVED:
            if name in found and name not in self._steps:
                self._step(name, scoped(DERIVED[name], self._relations(DERIVED[name]), derived={}))
        return {name: _TABLES.get(name, f"card.{name}") for name in found}

    def _step(self, name: str, sql: str) -> None:
        """A table of what the SQL gives."""
        self.con.execute(f"CREATE TABLE card.{name} AS FROM ({sql.replace(_NOW, 'now()')}) LIMIT 0")
        self._steps[name] = sql


def _with_read(names: Collection[str], known: dict[str, Projection]) -> set[str]:
    """The views of these names that there are, and all that they read."""
    found = {name for name in names if name in known}
    while more := {read for name in found for read in known[name].reads} - found:
        found |= more
    return found
