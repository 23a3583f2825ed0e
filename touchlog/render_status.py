"""The status as a page: one line that says how it stands, then tables."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from touchlog.render import count, duration, facts_table, one_line


def render_status(told: Mapping[str, Any]) -> RenderableType:
    """`touchlog.status` in plain JSON values, with `running`, and `log_answers` when nothing runs."""
    return Group(*_parts(told))


def _parts(told: Mapping[str, Any]) -> Iterator[RenderableType]:
    batches, recent = told["batches"], told["recent"]
    head = Text("a projector is running" if told["running"] else "no projector is running", style="bold")
    behind = told["lag_total"]
    head.append("  ·  ", style="dim").append(
        f"{count(behind)} records behind" if behind else "caught up", style="yellow" if behind else "green"
    )
    if not told["running"] and not told["log_answers"]:
        head.append("  ·  ", style="dim").append("as of the last batch: the log does not answer", style="yellow")
    if recent["events_per_second"]:
        head.append("  ·  ", style="dim").append(f"{count(recent['events_per_second'])} records/s")
    yield head
    if told.get("projector"):
        yield from _projector(told)
    if batches["batches"]:
        yield Text(
            f"{count(batches['read'])} read = {count(batches['applied'])} applied +"
            f" {count(batches['duplicates'])} duplicates + {count(batches['parked'])} parked,"
            f" in {count(batches['batches'])} batches; last commit {batches['last_committed_at']}",
            style="dim",
        )
    else:
        yield Text("nothing was folded yet; type touchlog project", style="dim")
    if told["lag"]:
        yield Text()
        yield facts_table(
            ["topic", "partition", "next offset", "end offset", "lag"],
            list(_lag(told["lag"])),
            numbers=["partition", "next offset", "end offset", "lag"],
        )
    yield Text()
    if told["dead_letters"]:
        yield Text(f"{count(told['parked'])} records are parked in touchlog.dead_letters", style="yellow")
        yield facts_table(
            ["topic", "stage", "error", "records", "last"],
            [
                [row[name] for name in ("topic", "stage", "error_class", "records", "last_seen")]
                for row in told["dead_letters"]
            ],
            numbers=["records"],
        )
        yield Text()
    yield facts_table(
        ["projection", "version", "sort", "runs", "rows", "state"],
        [[row[name] for name in ("name", "version", "sort", "runs", "rows", "state")] for row in told["projections"]],
        numbers=["version", "runs", "rows"],
    )


def _projector(told: Mapping[str, Any]) -> Iterator[Text]:
    """What a running projector does, that it goes round, and what it takes."""
    it, minute, recent = told["projector"], told["minute"], told["recent"]
    doing = Text(f"{it['state']} since {it['state_since']}")
    if it["waiting"]:
        doing.stylize("yellow")
        doing.append(f": {one_line(it['waiting']['why'])}")
    yield doing
    compaction = it["compaction"]
    facts = [
        f"round {count(it['cycles'])} ended {it['cycle_age_seconds']:.1f} s ago",
        f"reader's {count(it['reader_cycles'])} {it['reader_age_seconds']:.1f} s ago",
        f"the longest wait {duration(told['lag_seconds'] or 0)}",
        f"last minute {minute['read_per_second']:,.1f} records/s",
    ]
    if recent["p50_s"] is not None:
        facts.append(f"a batch {recent['p50_s'] * 1000:,.0f} ms (p99 {recent['p99_s'] * 1000:,.0f} ms)")
    facts.append(
        f"{'compacting' if compaction['running'] else 'tail'} {count(compaction['tail_events'])} of"
        f" {count(compaction['after'])} events"
    )
    if it["rss_bytes"]:
        facts.append(f"{count(it['rss_bytes'] / 1e6)} MB of memory")
    yield Text(" · ".join(facts), style="dim")
    yield Text(f"process {it['pid']}, running since {it['started_at']}", style="dim")


def _lag(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Any, ...]]:
    """Every partition that is behind; those of a topic that are not, together in one row."""
    for topic, of_topic in groupby(rows, key=itemgetter("topic")):
        partitions = list(of_topic)
        behind = [row for row in partitions if row["lag"]]
        level = [row for row in partitions if not row["lag"]]
        for row in behind:
            lag = Text(count(row["lag"]), style="yellow")
            yield topic, str(row["partition"]), row["next_offset"], row["end_offset"], lag
        if level:
            which = f"{'other' if behind else 'all'} {len(level)}"
            yield topic, which, sum(row["next_offset"] for row in level), sum(row["end_offset"] for row in level), 0
