"""Who is who, as far as a batch changes it: contact points, what is said about pairs of them, and whose they are.

What is in memory here is a cache of rows of the store, read at start and after every rollback.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from consumers.columns import ENDED
from consumers.graph import Graph, first_seen
from consumers.ids import Ids, Mask
from consumers.prepare import Prepared
from consumers.seen import earliest
from projections import holdings, layout, publish
from projections.components import Components, Link, Strength
from projections.holdings import NEVER, Holdings
from projections.identity_rules import LIMITS, UNIQUE
from projections.store import Store
from schemas.contact_points import contact_point_id

Evidence = tuple[int, ...]
"""When evidence of each assurance (layout.ASSURANCE) was first given for a pair."""

_LINKS = "SELECT verb, one, other, event_id, epoch_us(occurred_at), assurance FROM store.links"
_STRICTNESS = {"asserted": 0, "retracted": 1, "forbidden": 2}
_NONE: Strength = (NEVER, NEVER)
"""Of a pair that is not linked."""
_NO_EVIDENCE: Evidence = (NEVER,) * len(layout.ASSURANCE[1])


class People:
    """The contact points of a store and their customers, for the one thread that folds."""

    def __init__(self, store: Store) -> None:
        self._store = store
        con = store.con
        components = Components(limits=LIMITS, unique=UNIQUE, strength=self._strength)
        self.graph = Graph(components=components, seen=first_seen(con, holdings.first_seen_sql()))
        self.evidence: dict[Link, Evidence] = {}
        self.statements: dict[Link, tuple[int, int, bytes, str]] = {}
        self.holdings = Holdings.of(con.execute(holdings.ENDINGS).fetchall())
        for verb, one, other, event_id, moment, assurance in con.execute(_LINKS).fetchall():
            self._note(self._pair(one, other, moment), verb, moment, event_id.bytes, assurance)
        live = [pair for pair in {**self.evidence, **self.statements} if self._is_linked(pair)]
        self.graph.components.apply(linked=live, first_seen=self.graph.first_seen)

    def take_in(self, prepared: Prepared, fresh: Mask, batch: int) -> None:
        """Insert new contact points, new evidence and statements, and the customers that change by them."""
        ended = self._end(prepared, fresh, batch)
        before = {pair: self._strength_or_none(pair) for pair in self._pairs_of(ended)}
        ids, keys = self._holders(prepared)
        mask = fresh[prepared.point_rows]
        moments = np.where(prepared.point_is_self, prepared.times[prepared.point_rows], NEVER)
        point_ids, times, rows = earliest(ids.where(mask), moments[mask])
        new, earlier = self.graph.take_in(point_ids, times)
        if new.any():
            keys = keys.filter(pa.array(mask)).take(pa.array(rows[new]))
            self._store.insert("points", _points(point_ids.where(new), keys), batch)

        said: list[tuple[int, str, str, str, int | None]] = [
            *((row, "evidence", one, other, assurance) for row, assurance, one, other in prepared.pairs),
            *((*statement, None) for statement in prepared.statements if statement[1] != ENDED),
        ]
        links = []
        for row, verb, one, other, assurance in said:
            moment = int(prepared.times[row])
            pair = self._pair(one, other, moment)
            if not fresh[row] or (assurance is not None and self._is_outdone(pair, moment, assurance)):
                continue
            before.setdefault(pair, self._strength_or_none(pair))
            event_id = prepared.ids.at(row)
            self._note(pair, verb, moment, event_id, assurance)
            links.append((verb, one, other, event_id, moment, assurance))
        self._store.insert_rows("links", links, batch)
        if ended:
            earlier |= self._see_again(ended, batch)
            self._weigh_again(ended, before, batch)
        now = {pair: self._strength_or_none(pair) for pair in before}
        changed = self.graph.components.apply(
            linked=[pair for pair, was in before.items() if was == _NONE != now[pair]],
            unlinked=[pair for pair, was in before.items() if was != _NONE == now[pair]],
            stronger=[pair for pair, was in before.items() if now[pair] < was != _NONE],
            weaker=[pair for pair, was in before.items() if was < now[pair] != _NONE],
            earlier=earlier,
            first_seen=self.graph.first_seen,
        )
        ids_of = self.graph.ids
        members = [(ids_of[name], ids_of[place.first], place.shared) for name, place in changed.items()]
        self._store.insert_rows("member_changes", members, batch)

    def _end(self, prepared: Prepared, fresh: Mask, batch: int) -> set[str]:
        """Take in contact points that ended; those of which that time was not known."""
        ended = [(row, key) for row, verb, key, _ in prepared.statements if verb == ENDED and fresh[row]]
        if not ended:
            return set()
        first = not self.holdings
        known = {key for row, key in ended if self.holdings.end(key, int(prepared.times[row]))}
        rows = [(key, prepared.ids.at(row), int(prepared.times[row])) for row, key in ended]
        self._store.insert_rows("endings", rows, batch)
        if first:
            publish.refresh(self._store)
        return known

    def _holders(self, prepared: Prepared) -> tuple[Ids, pa.Array]:
        """Ids and keys of the contact points named, as they are known at the time of the event."""
        ids, keys = prepared.point_ids, prepared.point_keys
        if not self.holdings:
            return ids, keys
        places = np.flatnonzero(pc.is_in(keys, pa.array(list(self.holdings.endings))).to_numpy(zero_copy_only=False))
        held = [
            self.holdings.holder(key, int(prepared.times[prepared.point_rows[place]]))
            for place, key in zip(places.tolist(), keys.take(pa.array(places)).to_pylist(), strict=True)
        ]
        mask = np.zeros(len(keys), bool)
        mask[places] = True
        return (
            ids.filled(mask, Ids.of([contact_point_id(key) for key in held])),
            pc.replace_with_mask(keys, pa.array(mask), pa.array(held, keys.type)),
        )

    def _see_again(self, ended: set[str], batch: int) -> dict[str, int]:
        """Note anew when the holders of contact points were first seen; those of them that are linked."""
        names = {contact_point_id(name): name for key in ended for name in self.holdings.holders(key)}
        sql = holdings.first_seen_sql("list_contains($ids::UUID[], contact_point_id)")
        found = dict(self._store.con.execute(sql, {"ids": [contact_point_id(key) for key in ended]}).fetchall())
        # One that nothing is left of was never seen.
        seen = dict.fromkeys(names, NEVER) | found
        ids = Ids.of(list(seen))
        times = np.array(list(seen.values()), np.int64)
        known, _ = self.graph.seen.find(ids)
        self.graph.seen.lower(ids.where(known), times[known])
        new = ~known & np.array([uuid in found for uuid in seen])
        self.graph.seen.add(ids.where(new), times[new])
        if new.any():
            keys = pa.array([names[uuid] for uuid in ids.where(new).to_uuids()])
            self._store.insert("points", _points(ids.where(new), keys), batch)
        linked = self.graph.ids
        return {name: seen[uuid] for uuid, name in names.items() if name in linked and name in self.graph.components}

    def _weigh_again(self, ended: set[str], before: dict[Link, Strength], batch: int) -> None:
        """Note anew what is said about contact points that ended: each holder has evidence and statements of their own.

        Of evidence only what counted was kept; what counts now may be other, and is looked for in the events.
        """
        for pair in self._pairs_of(ended):
            self.evidence.pop(pair, None)
            self.statements.pop(pair, None)
        kept = self._store.con.execute(
            f"{_LINKS} WHERE list_contains($keys, one) OR list_contains($keys, other)", {"keys": sorted(ended)}
        )
        for verb, one, other, event_id, moment, assurance in kept.fetchall():
            self._note(self._pair(one, other, moment), verb, moment, event_id.bytes, assurance)
        links = []
        for moment, event_id, assurance, one, other in sorted(holdings.evidence(self._store.con, ended)):
            pair = self._pair(one, other, moment)
            if (
                not self._is_outdone(pair, moment, assurance)
                and moment < self.evidence.get(pair, _NO_EVIDENCE)[assurance]
            ):
                before.setdefault(pair, _NONE)
                self._note(pair, "evidence", moment, event_id, assurance)
                links.append(("evidence", one, other, event_id, moment, assurance))
        self._store.insert_rows("links", links, batch)
        for pair in self._pairs_of(ended):
            before.setdefault(pair, _NONE)

    def _pairs_of(self, ended: set[str]) -> list[Link]:
        """Pairs of which something is said, with a holder of one of these contact points."""
        if not ended:
            return []
        names = {name for key in ended for name in self.holdings.holders(key)}
        return [pair for pair in {**self.evidence, **self.statements} if not names.isdisjoint(pair)]

    def _pair(self, one: str, other: str, moment: int) -> Link:
        """Two contact points as they are known at a time, the smaller first."""
        if not self.holdings:
            return one, other
        one, other = self.holdings.holder(one, moment), self.holdings.holder(other, moment)
        return (one, other) if one < other else (other, one)

    def _is_outdone(self, pair: Link, moment: int, assurance: int) -> bool:
        """Whether other evidence counts before this, whatever is left out of what happened or was known later
        (projections.as_of): it is earlier and as sure, or surer and not later."""
        times = self.evidence.get(pair, _NO_EVIDENCE)
        return times[assurance] < moment or min(times[:assurance], default=NEVER) <= moment

    def _note(self, pair: Link, verb: str, moment: int, event_id: bytes, assurance: int | None) -> None:
        """Take in one piece of evidence, or a statement if it is the newest about its pair."""
        if assurance is not None:
            times = self.evidence.get(pair, _NO_EVIDENCE)
            if moment < times[assurance]:
                self.evidence[pair] = (*times[:assurance], moment, *times[assurance + 1 :])
            return
        said = (moment, _STRICTNESS[verb], event_id, verb)
        known = self.statements.get(pair)
        if known is None or said > known:
            self.statements[pair] = said

    def _is_linked(self, pair: Link) -> bool:
        said = self.statements.get(pair)
        verb = said[-1] if said else None
        return verb != "forbidden" and (pair in self.evidence or verb == "asserted")

    def _strength(self, pair: Link) -> Strength:
        """Of a linked pair: a person's word before evidence, then the surest, then the earliest."""
        said = self.statements.get(pair)
        if said and said[-1] == "asserted":
            return 0, said[0]
        times = self.evidence[pair]
        assurance = next(place for place, moment in enumerate(times) if moment != NEVER)
        return 1 + assurance, times[assurance]

    def _strength_or_none(self, pair: Link) -> Strength:
        return self._strength(pair) if self._is_linked(pair) else _NONE


def _points(ids: Ids, keys: pa.Array) -> pa.Table:
    split = pc.split_pattern(keys, ":", max_splits=1)
    kinds, values = pc.list_element(split, 0), pc.list_element(split, 1)
    return pa.table({"contact_point_id": ids.to_arrow(), "kind": kinds, "value": values})
