"""Why two contact points are one customer, or are not: the evidence on the way from one to the other, by event."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from projections.identity_rules import STRENGTHS
from schemas.errors import StoreBusy
from touchlog.contact import Ask

Row = dict[str, Any]

FARTHEST = 4
"""How many links that do not count are looked over, one behind the other."""

_MOST_LINKS = 50_000
_COLUMNS = (
    *("one", "other", "verb", "strength", "event_id", "occurred_at", "effective", "reason", "shared"),
    *("one_customer_id", "other_customer_id"),
)
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM touchlog.identity_links"
_AT = f"{_SELECT} WHERE one = $1 OR other = $1 ORDER BY one, other LIMIT 1"
_CUSTOMER = "SELECT customer_id FROM touchlog.contact_points WHERE contact_point = $1"
_WITHIN = f"{_SELECT} WHERE effective AND one_customer_id = $1::UUID"
_AROUND = f"""
    {_SELECT}
    WHERE NOT effective
        AND (list_contains($1::UUID[], one_customer_id) OR list_contains($1::UUID[], other_customer_id))
    ORDER BY one, other
    LIMIT {_MOST_LINKS}
"""
_EVENT_COLUMNS = ("event_id", "channel", "type", "occurred_at", "source", "agent", "summary")
_EVENTS = f"""
    SELECT {", ".join(_EVENT_COLUMNS)} FROM touchlog.interactions WHERE list_contains($1::UUID[], event_id)
"""
_REVIEW_COLUMNS = ("reason", "contact_point", "other", "kind", "degree", "allowed", "account", "other_account")
_REVIEW = f"""
    SELECT {", ".join(_REVIEW_COLUMNS)}
    FROM touchlog.identity_review
    WHERE list_contains($1::VARCHAR[], contact_point)
    ORDER BY contact_point, other, kind
"""


def explained(ask: Ask, one: str, other: str) -> Row:
    """The strongest path of evidence between two contact points, by their keys.

    `one`, `other`; `same`: whether they are one customer; `customer_ids`; `why`: a sentence; and `path`, a list of
    links from one to the other, empty when there is none: `from`, `to`, `verb`, `strength`, `effective`, `reason`,
    `assurance` (of evidence), `cut` (a sentence on why it does not count, else None), and of the event that counts
    event_id, channel, type, occurred_at, source, agent, summary. Of all paths the strongest has the strongest weakest
    link. Between two customers it is one with as few links that do not count as there can be, at most FARTHEST.

    Raises StoreBusy when the views change while they are asked.
    """
    mine, theirs = (_customer(ask, key) for key in (one, other))
    same = mine == theirs
    path = _inside(ask, mine, one, other) if same else _across(ask, (one, mine), (other, theirs))
    steps = _told(ask, path, one)
    return {
        "one": one,
        "other": other,
        "same": same,
        "customer_ids": [mine] if same else [mine, theirs],
        "why": _why(one, other, same, steps),
        "path": steps,
    }


def _customer(ask: Ask, key: str) -> str:
    found = ask(_CUSTOMER, [key])
    if found:
        return str(found[0][0])
    link = _rows(_COLUMNS, ask(_AT, [key]))[0]
    return str(link["one_customer_id"] if link["one"] == key else link["other_customer_id"])


def _inside(ask: Ask, customer: str, one: str, other: str) -> list[Row]:
    """The strongest path within one customer: the one in the tree of their strongest links."""
    if one == other:
        return []
    links = _rows(_COLUMNS, ask(_WITHIN, [customer]))
    group: dict[str, set[str]] = {}
    tree: dict[str, list[Row]] = defaultdict(list)
    for link in sorted(links, key=_place):
        here, there = (group.setdefault(link[end], {link[end]}) for end in ("one", "other"))
        if here is not there:
            here |= there
            group.update(dict.fromkeys(there, here))
            tree[link["one"]].append(link)
            tree[link["other"]].append(link)
    return _way(tree, one, {other})


def _across(ask: Ask, mine: tuple[str, str], theirs: tuple[str, str]) -> list[Row]:
    """A path from one customer to another with as few links that do not count as there can be; empty without one."""
    (one, start), (other, end) = mine, theirs
    before: dict[str, tuple[str, Row] | None] = {start: None}
    ahead = {start}
    for _ in range(FARTHEST):
        if end in before or not ahead:
            break
        found = _rows(_COLUMNS, ask(_AROUND, [sorted(ahead)]))
        reached = set()
        for link in sorted(found, key=_promising):
            here, there = link["one_customer_id"], link["other_customer_id"]
            for near, far in ((here, there), (there, here)):
                if near in ahead and far not in before:
                    before[far] = (near, link)
                    reached.add(far)
        ahead = reached
    if end not in before:
        return []
    crossed: list[Row] = []
    at = end
    while (step := before[at]) is not None:
        at, link = step
        crossed.append(link)
    path: list[Row] = []
    key, customer = one, start
    for link in reversed(crossed):
        near, far = ("one", "other") if link["one_customer_id"] == customer else ("other", "one")
        path += [*_inside(ask, customer, key, link[near]), link]
        key, customer = link[far], link[f"{far}_customer_id"]
    return [*path, *_inside(ask, customer, key, other)]


def _way(tree: dict[str, list[Row]], start: str, ends: set[str]) -> list[Row]:
    before: dict[str, Row | None] = {start: None}
    ahead = [start]
    while ahead and not ends.intersection(before):
        key = ahead.pop()
        for link in tree[key]:
            far = _far(link, key)
            if far not in before:
                before[far] = link
                ahead.append(far)
    found = ends.intersection(before)
    if not found:
        raise StoreBusy("the views changed in the meantime; type the command again")
    path, key = [], found.pop()
    while (step := before[key]) is not None:
        path.append(step)
        key = _far(step, key)
    return path[::-1]


def _told(ask: Ask, path: Sequence[Row], start: str) -> list[Row]:
    if not path:
        return []
    events = _rows(_EVENT_COLUMNS, ask(_EVENTS, [[link["event_id"] for link in path]]))
    by_id = {event["event_id"]: event for event in events}
    ends = [key for link in path if link["reason"] in {"shared", "conflict"} for key in (link["one"], link["other"])]
    review = _rows(_REVIEW_COLUMNS, ask(_REVIEW, [ends])) if ends else []
    told, key = [], start
    for link in path:
        far = _far(link, key)
        told.append(
            {
                "from": key,
                "to": far,
                **{name: link[name] for name in ("verb", "strength", "effective", "reason")},
                "assurance": link["strength"] if link["verb"] == "evidence" else None,
                "cut": _cut(link, review),
                "event_id": link["event_id"],
                "occurred_at": link["occurred_at"],
                **{name: by_id.get(link["event_id"], {}).get(name) for name in ("channel", "type", "source")},
                **{name: by_id.get(link["event_id"], {}).get(name) for name in ("agent", "summary")},
            }
        )
        key = far
    return told


def _cut(link: Row, review: Iterable[Row]) -> str | None:
    match link["reason"]:
        case None:
            return None
        case "forbidden":
            return "it is forbidden: they are two people, whatever the evidence says"
        case "retracted":
            return "it was asserted and taken back, and there is no evidence"
        case "conflict":
            accounts = next(
                (
                    (row["kind"], row["account"], row["other_account"])
                    for row in review
                    if (row["contact_point"], row["other"]) == (link["one"], link["other"])
                ),
                None,
            )
            between = f": it would bring {accounts[1]} and {accounts[2]} together" if accounts else ""
            return f"it is left out for a conflict{between}"
    why = [
        f"{row['contact_point']} is shared: linked to {row['degree']} of kind {row['kind']}, {row['allowed']} allowed"
        for row in review
        if row["reason"] == "shared" and row["contact_point"] in link["shared"] and row["degree"] > row["allowed"]
    ]
    return "; ".join(why) or f"{', '.join(link['shared'])} is shared"


def _why(one: str, other: str, same: bool, steps: Sequence[Row]) -> str:
    if one == other:
        return f"both are {one}"
    if same:
        return f"{one} and {other} are one customer, by {_links(len(steps))}"
    if not steps:
        return f"{one} and {other} are not one customer: no evidence leads from one to the other"
    cut = [step for step in steps if not step["effective"]]
    where = "; ".join(f"{step['from']} - {step['to']}: {step['cut']}" for step in cut)
    count = f"{len(cut)} of {_links(len(steps))} {'does' if len(cut) == 1 else 'do'} not count"
    return f"{one} and {other} are not one customer; on the way from one to the other {count}: {where}"


def _links(count: int) -> str:
    return "1 link" if count == 1 else f"{count} links"


def _place(link: Row) -> tuple[Any, ...]:
    """The strongest first, as in docs/views.md."""
    return STRENGTHS.index(link["strength"]), link["occurred_at"], link["one"], link["other"]


def _promising(link: Row) -> tuple[bool, str, str]:
    """Of links that do not count, first those that would if they were not cut."""
    return link["strength"] is None, link["one"], link["other"]


def _far(link: Row, key: str) -> str:
    return str(link["other"] if link["one"] == key else link["one"])


def _rows(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> list[Row]:
    """Ids as text."""
    ids = {"event_id", "one_customer_id", "other_customer_id"}
    return [
        {name: str(value) if name in ids else value for name, value in zip(names, row, strict=True)} for row in rows
    ]
