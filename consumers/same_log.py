"""Whether the log is the one that the store was folded from: every way in which it is not, with what is missing."""

from collections.abc import Iterable, Mapping

from log.log import TopicPartition
from schemas.errors import LogError, OffsetBeyondEnd, RetentionLost, TopicRecreated

Offsets = Mapping[TopicPartition, int]

_NAMED = 12
"""Partitions named in one message; of the others it says how many there are."""


def check_topics(known: Mapping[str, str], found: Mapping[str, str], store: str) -> None:
    """Topics (name -> identity) that the store knows are still those of the log. Raises LogError, TopicRecreated."""
    gone = sorted(known.keys() - found.keys())
    if gone:
        raise LogError(
            _each(f"topic {name} is in the store, not in the log" for name in gone)
            + f"; is this the right --log? If it is, restore the topic, or delete the store {store} and type: touchlog"
            " project"
        )
    other = sorted(name for name, identity in known.items() if found[name] != identity)
    if other:
        raise TopicRecreated(
            _each(
                f"topic {name} was deleted and made again since it was folded (it was {known[name]}, it is"
                f" {found[name]})"
                for name in other
            )
            + f"; is this the right --log? If it is, delete the store {store} and type: touchlog project"
        )


def check_offsets(stored: Offsets, begins: Offsets, ends: Offsets, store: str) -> None:
    """Every position of the store lies in the log. Raises TopicRecreated, RetentionLost, OffsetBeyondEnd."""
    gone = [at for at in stored if at not in begins]
    if gone:
        raise TopicRecreated(
            _each(f"{_named(at)} is in the store, not in the log" for at in gone)
            + f"; is this the right --log? If it is, delete the store {store} and type: touchlog project"
        )
    lost = {at: begins[at] - offset for at, offset in stored.items() if offset < begins[at]}
    if lost:
        raise RetentionLost(
            _each(
                f"{_named(at)}: {count:,} records that were not folded yet are gone from the log (offsets"
                f" {stored[at]} to {begins[at] - 1})"
                for at, count in lost.items()
            )
            + (f"; {sum(lost.values()):,} in all" if len(lost) > 1 else "")
            + "; set retention.ms=-1 on the topic; then restore them, or, to go on with what is left, delete the store"
            f" {store} and type: touchlog project"
        )
    beyond = [at for at, offset in stored.items() if offset > ends[at]]
    if beyond:
        raise OffsetBeyondEnd(
            _each(f"{_named(at)}: the store is at offset {stored[at]}, the log ends at {ends[at]}" for at in beyond)
            + "; is this the right --log? If it was restored from an older copy, delete the store"
            f" {store} and type: touchlog project"
        )


def _named(at: TopicPartition) -> str:
    return f"{at.topic}, partition {at.partition}"


def _each(findings: Iterable[str]) -> str:
    told = list(findings)
    more = len(told) - _NAMED
    return "; ".join(told[:_NAMED]) + (f"; and {more} more" if more > 0 else "")
