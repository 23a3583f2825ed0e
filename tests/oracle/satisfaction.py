"""survey_answers: what people answered, about which conversation. satisfaction: by channel, day and kind."""

from collections import defaultdict
from typing import Any

from tests.oracle.entries import Entry
from tests.oracle.identity import Identity
from tests.oracle.response_times import quantile
from tests.oracle.threads import conversation_id

Row = dict[str, Any]

NPS_SCALE = 10
OF_CONVERSATION = ("topic", "channels", "switches", "hand_overs", "reopened", "first_response_s", "agent")


def survey_answers(entries: list[Entry], who: Identity, threads: dict[str, str], conversations: list[Row]) -> list[Row]:
    """One row per answer that counts.

    The thing a survey is about is the bare reference, on whatever channel; surveys about nothing by one contact
    point are about the same thing.
    """
    shown = {row["conversation_id"]: row for row in conversations}
    written_in: dict[tuple[str, str], str] = {}
    newest: dict[tuple[str, str, str | None], Entry] = {}
    for entry in entries:
        event, conversation = entry.event, conversation_id(entry, threads)
        if event.message_ref is not None and conversation is not None:
            written_in.setdefault((who.customer_of(entry.key), event.message_ref), conversation)
        if event.survey is not None:
            about = event.conversation_ref if event.message_ref is None else event.message_ref
            newest[str(event.survey.kind), entry.key, about] = entry
    found = []
    for entry in newest.values():
        survey, message = entry.event.survey, entry.event.message_ref
        assert survey is not None
        about = conversation_id(entry, threads)
        if about is None and message is not None:
            about = written_in.get((who.customer_of(entry.key), message))
        conversation_row = shown.get(about or "")
        found.append(
            {
                "event_id": entry.event_id,
                "occurred_at": entry.at,
                "customer_id": who.customer_of(entry.key),
                "channel": entry.channel,
                "kind": str(survey.kind),
                "score": survey.score,
                "scale_max": survey.scale_max,
                "verdict": _verdict(str(survey.kind), survey.score, survey.scale_max),
                "conversation_id": about if conversation_row else None,
                **{name: conversation_row[name] if conversation_row else None for name in OF_CONVERSATION},
            }
        )
    return found


def satisfaction(answers: list[Row]) -> list[Row]:
    """One row per channel, UTC day and kind."""
    grouped: dict[tuple[str, Any, str], list[Row]] = defaultdict(list)
    for answer in answers:
        grouped[answer["channel"], answer["occurred_at"].date(), answer["kind"]].append(answer)
    return [_row(channel, day, kind, rows) for (channel, day, kind), rows in grouped.items()]


def _row(channel: str, day: Any, kind: str, answers: list[Row]) -> Row:
    count = len(answers)
    total = sum(answer["score"] for answer in answers)
    verdicts = [answer["verdict"] for answer in answers]
    promoters, detractors = verdicts.count("promoter"), verdicts.count("detractor")
    responses = sorted(row["first_response_s"] for row in answers if row["first_response_s"] is not None)
    return {
        "channel": channel,
        "day": day,
        "kind": kind,
        "answers": count,
        "score_sum": total,
        "scale_max": max(answer["scale_max"] for answer in answers),
        "average": _rounded(100 * total, count) / 100,
        "satisfied": verdicts.count("satisfied"),
        "dissatisfied": verdicts.count("dissatisfied"),
        "promoters": promoters,
        "detractors": detractors,
        "nps": _rounded(100 * (promoters - detractors), count) if kind == "nps" else None,
        "tied": sum(answer["conversation_id"] is not None for answer in answers),
        "crossed": sum(len(answer["channels"] or ()) > 1 for answer in answers),
        "first_response_p50_s": quantile(responses, tenths=5),
    }


def _verdict(kind: str, score: int, scale: int) -> str | None:
    """Four fifths of the scale are satisfied; promoters and detractors are those of a scale of ten."""
    if kind == "csat":
        return "satisfied" if 5 * score >= 4 * scale else "dissatisfied" if 5 * score <= 2 * scale else "neutral"
    if kind == "nps" and scale == NPS_SCALE:
        return "promoter" if score >= 9 else "detractor" if score <= 6 else "passive"
    return None


def _rounded(numerator: int, denominator: int) -> int:
    """The nearest whole number, a half away from zero, exactly."""
    magnitude = (2 * abs(numerator) + denominator) // (2 * denominator)
    return magnitude if numerator >= 0 else -magnitude
