"""satisfaction: what people answered in surveys, by channel, day and kind."""

from collections import defaultdict
from typing import Any

from tests.oracle.entries import Entry

NPS_SCALE = 10


def satisfaction(entries: list[Entry]) -> list[dict[str, Any]]:
    """One row per channel, UTC day and kind.

    The thing a survey is about is the bare reference, on whatever channel; surveys about nothing by one contact
    point are about the same thing.
    """
    newest: dict[tuple[str, str, str | None], Entry] = {}
    for entry in entries:
        event = entry.event
        if event.survey is not None:
            about = event.conversation_ref if event.message_ref is None else event.message_ref
            newest[str(event.survey.kind), entry.key, about] = entry
    answers: dict[tuple[str, Any, str], list[Any]] = defaultdict(list)
    for (kind, _, _), entry in newest.items():
        answers[entry.channel, entry.at.date(), kind].append(entry.event.survey)
    return [_row(channel, day, kind, surveys) for (channel, day, kind), surveys in answers.items()]


def _row(channel: str, day: Any, kind: str, surveys: list[Any]) -> dict[str, Any]:
    count = len(surveys)
    total = sum(survey.score for survey in surveys)
    rated = [survey.score for survey in surveys if kind == "nps" and survey.scale_max == NPS_SCALE]
    promoters = sum(score >= 9 for score in rated)
    detractors = sum(score <= 6 for score in rated)
    return {
        "channel": channel,
        "day": day,
        "kind": kind,
        "answers": count,
        "score_sum": total,
        "scale_max": max(survey.scale_max for survey in surveys),
        "average": _rounded(100 * total, count) / 100,
        "promoters": promoters,
        "detractors": detractors,
        "nps": _rounded(100 * (promoters - detractors), count) if kind == "nps" else None,
    }


def _rounded(numerator: int, denominator: int) -> int:
    """The nearest whole number, a half away from zero, exactly."""
    magnitude = (2 * abs(numerator) + denominator) // (2 * denominator)
    return magnitude if numerator >= 0 else -magnitude
