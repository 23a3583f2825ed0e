"""Until when each channel is quiet (projections.contact_rules.QUIET), as SQL."""

from collections.abc import Mapping
from datetime import time

from projections.contact_rules import QUIET, ZONE


def quiet_until(quiet: Mapping[str, tuple[time, time]], zone: str) -> str:
    """The statement that creates the table macro `store.quiet_until(now_at)`: one row per channel that is quiet at that
    time, with `not_before`, the first moment at which it is not. Of whole minutes, by the clocks of the zone."""
    hours = [
        f"('{channel}', {_minutes(begins)}, {_minutes(ends) + (1440 if ends < begins else 0)})"
        for channel, (begins, ends) in quiet.items()
    ]
    return f"""
CREATE OR REPLACE MACRO store.quiet_until(now_at) AS TABLE
WITH hours AS (
    SELECT * FROM (VALUES {", ".join([*hours, "(NULL, 0, 0)"])}) AS hours(channel, begins, ends)
    WHERE channel IS NOT NULL
),
spans AS (
    -- ICU reads a local time that is skipped or shown twice as the later of the two that it may be.
    SELECT
        channel,
        (day + to_minutes(begins)) AT TIME ZONE '{zone}' AS begins_at,
        (day + to_minutes(ends)) AT TIME ZONE '{zone}' AS ends_at
    FROM hours
    CROSS JOIN (
        SELECT unnest(list_transform(
            range(-2, 3), lambda days: (now_at AT TIME ZONE '{zone}')::DATE + days::INTEGER
        )) AS day
    )
),
moments AS (
    SELECT channel, now_at AS "at" FROM hours
    UNION ALL
    SELECT channel, ends_at FROM spans WHERE ends_at > now_at
)
SELECT channel, min("at") AS not_before
FROM moments
WHERE NOT EXISTS (
    FROM spans WHERE spans.channel = moments.channel AND begins_at <= moments."at" AND moments."at" < ends_at
)
GROUP BY channel
HAVING min("at") > now_at
"""


def _minutes(moment: time) -> int:
    return moment.hour * 60 + moment.minute


QUIET_UNTIL = quiet_until(QUIET, ZONE)
