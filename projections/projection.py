"""A projection is data: one `.sql` file with a header and named blocks.

    -- projection: items
    -- version: 1
    -- sort: merged            merged | regrouped | plain
    -- now: no                 yes: the view depends on the time, named `now_at` in it
    -- reads: consent          other public views that it reads
    -- key: message_ref, contact_point      columns that tell its rows apart, for comparing two versions

    -- :delta        merged: from `events` and `mentions` to one row a key
    -- :merge        merged: from `parts` (rows of many deltas) to one row a key, by sum, min, max only
    -- :fold         regrouped: from `events` with a `conversation_id` to one row a conversation
    -- :view         what people see, from `state`, `events`, `mentions` and other public views

A block is one SELECT. It names relations, never parts of them: the engine decides on which cut of the events it runs.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal, cast

Sort = Literal["merged", "regrouped", "plain"]

_BLOCKS: dict[Sort, set[str]] = {"merged": {"delta", "merge", "view"}, "regrouped": {"fold", "view"}, "plain": {"view"}}
_HEADER = re.compile(r"^-- (projection|version|sort|now|reads|key): *(.*)$", re.MULTILINE)
_BLOCK = re.compile(r"^-- :(\w+).*$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Projection:
    """A named, versioned fold of the log. `name` is also the public view's."""

    name: str
    version: int
    sort: Sort
    now: bool
    reads: tuple[str, ...]
    key: tuple[str, ...]
    blocks: Mapping[str, str]
    text: str
    build: int = 1

    @property
    def schema(self) -> str:
        """The DuckDB schema of its state: `items_v1`, and `items_v1_b2` when it was built again."""
        return f"{self.name}_v{self.version}" + (f"_b{self.build}" if self.build > 1 else "")

    @property
    def fingerprint(self) -> str:
        """Of its SQL, comments and white space aside: changed SQL wants a new version."""
        text = "\n".join(f"{name}:{squeezed(self.blocks[name])}" for name in sorted(self.blocks))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def parse(text: str) -> Projection:
    """The projection of a `.sql` file. Raises ValueError naming what is missing."""
    header = {name: value.strip() for name, value in _HEADER.findall(text)}
    pieces = _BLOCK.split(text)
    blocks = {name: sql.strip().rstrip(";") for name, sql in zip(pieces[1::2], pieces[2::2], strict=True)}
    missing = {"projection", "version", "sort"} - set(header)
    if missing:
        raise ValueError(f"a projection's header lacks: {', '.join(sorted(missing))}")
    name, sort = header["projection"], header["sort"]
    if sort not in _BLOCKS:
        raise ValueError(f"projection {name}: sort is one of {', '.join(_BLOCKS)}")
    if set(blocks) != _BLOCKS[cast(Sort, sort)]:
        raise ValueError(
            f"projection {name}: a {sort} one has the blocks {', '.join(sorted(_BLOCKS[cast(Sort, sort)]))}"
        )
    return Projection(
        name=name,
        version=int(header["version"]),
        sort=cast(Sort, sort),
        now=header.get("now", "no") == "yes",
        reads=_names(header.get("reads", "")),
        key=_names(header.get("key", "")),
        blocks=blocks,
        text=text,
    )


@cache
def all_projections() -> tuple[Projection, ...]:
    """Every projection in `projections/sql`, each after those it reads."""
    folder = resources.files("projections") / "sql"
    found = [parse(file.read_text("utf-8")) for file in folder.iterdir() if file.name.endswith(".sql")]
    return in_order(found)


def in_order(projections: Iterable[Projection]) -> tuple[Projection, ...]:
    """The projections, one of each name, each after those that it reads.

    Raises ValueError when one reads a view that is none of theirs, or they read each other in a circle.
    """
    by_name = {projection.name: projection for projection in sorted(projections, key=lambda one: one.name)}
    ordered: dict[str, Projection] = {}

    def place(projection: Projection, above: tuple[str, ...]) -> None:
        for name in projection.reads:
            if name not in by_name or name in above:
                raise ValueError(f"projection {projection.name} reads {name}, which is no projection before it")
            if name not in ordered:
                place(by_name[name], (*above, projection.name))
        ordered[projection.name] = projection

    for projection in by_name.values():
        place(projection, ())
    return tuple(ordered.values())


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def squeezed(sql: str) -> str:
    """SQL on one line, without its comments."""
    return " ".join(re.sub(r"--.*", "", sql).split())
