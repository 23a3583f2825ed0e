"""The questions behind `touchlog audience`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

_BEST = "FROM touchlog.audience_at($1::TIMESTAMPTZ) WHERE content_type = $2"

# Whoever has no contact point for the channel has no row of the preference.
_ONE_CHANNEL = """
FROM (
    SELECT
        a.content_type,
        a.customer_id,
        CASE WHEN p.rank IS NOT NULL THEN p.channel END AS channel,
        CASE WHEN p.rank IS NOT NULL THEN store.plain_key(p.contact_point) END AS contact_point,
        coalesce(p.basis, 'no_contact_point') AS basis,
        coalesce(p.reason, $3 || ' for ' || a.content_type || ': no contact point') AS reason,
        q.not_before
    FROM (FROM touchlog.audience_at($1::TIMESTAMPTZ) WHERE content_type = $2) AS a
    LEFT JOIN (FROM touchlog.channel_preference_at($1::TIMESTAMPTZ) WHERE channel = $3) AS p
        USING (customer_id, content_type)
    LEFT JOIN store.quiet_until($1::TIMESTAMPTZ) AS q ON q.channel = p.channel
)
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """SQL and what is bound in it."""

    sql: str
    parameters: list[Any]


def customers(content_type: str, channel: str | None, *, left_out: bool, now: datetime) -> Question:
    """Rows of `touchlog.audience` at `now`: those who are reached, or those who are left out; on one channel, or each
    on their own. By channel and contact point; those left out by basis and customer."""
    relation, parameters = _relation(content_type, channel, now)
    if left_out:
        sql = f"SELECT customer_id, basis, reason FROM ({relation}) WHERE channel IS NULL ORDER BY basis, customer_id"
    else:
        sql = f"""
            SELECT channel, contact_point, customer_id, basis, reason, not_before
            FROM ({relation}) WHERE channel IS NOT NULL ORDER BY channel, contact_point
        """
    return Question(sql=sql, parameters=parameters)


def counts(content_type: str, channel: str | None, *, now: datetime) -> Question:
    """(channel, basis, customers), the most first; channel NULL: left out."""
    relation, parameters = _relation(content_type, channel, now)
    sql = f"""
        SELECT channel, CASE WHEN channel IS NULL THEN basis END AS basis, count(*) AS customers
        FROM ({relation}) GROUP BY ALL ORDER BY channel NULLS LAST, customers DESC, basis
    """
    return Question(sql=sql, parameters=parameters)


def _relation(content_type: str, channel: str | None, now: datetime) -> tuple[str, list[Any]]:
    if channel is None:
        return _BEST, [now, content_type]
    return _ONE_CHANNEL, [now, content_type, channel]
