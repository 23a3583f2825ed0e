"""Who is who on a terminal: the way from one contact point to another, what to review, who somebody was."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from touchlog.render import as_time, count, facts_table, one_line

Row = Mapping[str, Any]


def way(told: Row) -> RenderableType:
    """What `touchlog.explaining.explained` says: the answer, then link by link the event that counts."""
    return Group(*_way(told))


def _way(told: Row) -> Iterator[RenderableType]:
    yield Text(one_line(told["why"]), style="green" if told["same"] else "yellow")
    if not told["path"]:
        return
    yield Text()
    names = ["from", "to", "counts", "what", "event_id", "channel", "type", "occurred_at", "source", "by", "why"]
    yield facts_table(
        [name.replace("_", " ") for name in names],
        [
            [
                step["from"],
                step["to"],
                Text("yes", style="green") if step["effective"] else Text(step["reason"], style="yellow"),
                step["strength"] or step["verb"],
                step["event_id"],
                step["channel"],
                step["type"],
                as_time(step["occurred_at"]),
                step["source"],
                # What customers wrote is no part of the evidence.
                *((step["agent"], step["summary"]) if step["channel"] == "identity" else (None, None)),
            ]
            for step in told["path"]
        ],
    )


def to_review(rows: Sequence[Row]) -> RenderableType:
    """Rows of `touchlog.identity_review`."""
    if not rows:
        return Text("nothing to review", style="green")
    parts: list[RenderableType] = []
    conflicts = [row for row in rows if row["reason"] == "conflict"]
    shared = [row for row in rows if row["reason"] == "shared" and row["degree"] > row["allowed"]]
    if conflicts:
        names = ["contact_point", "other", "account", "other_account", "strength", "occurred_at", "event_id"]
        parts += [Text("links left out, because they would bring two accounts together", style="bold")]
        parts += [_table(names, conflicts), Text()]
    if shared:
        parts += [Text("contact points that are shared, and join nobody", style="bold")]
        parts += [_table(["contact_point", "kind", "degree", "allowed"], shared), Text()]
    return Group(
        *parts,
        Text(
            f"conflicts: {count(len(conflicts))}, shared contact points:"
            f" {count(len({row['contact_point'] for row in shared}))};"
            " decide with: touchlog identity link, unlink, never",
            style="dim",
        ),
    )


def who_then(told: Row) -> RenderableType:
    """What `touchlog identity as-of` says."""
    parts: list[RenderableType] = []
    if told["same"] is not None:
        said = "were one customer" if told["same"] else "were not one customer"
        parts.append(Text(f"{told['one']['asked']} and {told['other']['asked']} {said}", style="bold"))
    for one in (told["one"], told["other"]):
        if one is None:
            continue
        if one["customer_id"] is None:
            parts.append(Text(f"{one['asked']}: nobody knew them then", style="yellow"))
            continue
        parts.append(
            facts_table([f"{one['asked']}: customer {one['customer_id']}"], [[key] for key in one["contact_points"]])
        )
    return Group(*parts)


def _table(names: Sequence[str], rows: Sequence[Row]) -> RenderableType:
    return facts_table(
        [name.replace("_", " ") for name in names],
        [[as_time(row[name]) if name == "occurred_at" else row[name] for name in names] for row in rows],
        numbers=["degree", "allowed"],
    )
