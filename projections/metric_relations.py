"""Definitions of response times as the relations that projections read; they lie in store.metric_loads."""

from collections.abc import Mapping

from projections.metrics import DAYS, FIRST_YEAR, LAST_YEAR

METRIC_DEFINITIONS = """
SELECT
    place, name, version, note, loaded_at, definition, calendar,
    from_json(closed, '["DATE"]') AS closed,
    (definition ->> '$.bots_answer')::BOOLEAN AS bots_answer,
    (definition ->> '$.snoozes_pause')::BOOLEAN AS snoozes_pause,
    definition ->> '$.hours.zone' AS zone
FROM store.metric_loads
WHERE step = (SELECT max(step) FROM store.metric_loads)
"""

METRIC_TARGETS = """
SELECT place, m.key AS measure, c.key AS channel, c.value::BIGINT AS target_s
FROM store.metric_definitions, json_each(definition, '$.targets') AS m, json_each(m.value) AS c
"""

_WEEK = ", ".join(f"({number}, '{day}')" for number, day in enumerate(DAYS, 1))
_MINUTES = "(split_part({0}, ':', 1)::INTEGER * 60 + split_part({0}, ':', 2)::INTEGER)"

_LOW, _HIGH = f"TIMESTAMPTZ '{FIRST_YEAR - 1}-12-30 00:00:00+00'", f"TIMESTAMPTZ '{LAST_YEAR + 1}-01-02 00:00:00+00'"

OPEN_DAYS = f"""
WITH reach AS (
    -- A calendar of all years costs more than what is asked of it.
    SELECT
        (greatest(min(occurred_at) - INTERVAL 2 DAY, {_LOW}) AT TIME ZONE 'UTC')::DATE AS low,
        (least(max(occurred_at) + INTERVAL 2 DAY, {_HIGH}) AT TIME ZONE 'UTC')::DATE AS high
    FROM store.rows
),
days AS (
    SELECT unnest(generate_series(low, high, INTERVAL 1 DAY))::DATE AS day FROM reach
),
hours AS (
    SELECT
        place, zone, isodow,
        {_MINUTES.format("split_part(span, '-', 1)")} AS opens,
        {_MINUTES.format("split_part(span, '-', 2)")} AS closes
    FROM (
        SELECT place, zone, isodow, unnest(from_json(definition -> ('$.hours.' || dow), '["VARCHAR"]')) AS span
        FROM store.metric_definitions, (VALUES {_WEEK}) AS w(isodow, dow)
        WHERE zone IS NOT NULL
    )
),
shut AS (SELECT place, unnest(closed) AS day FROM store.metric_definitions),
spans AS (
    -- ICU reads a local time that is skipped or shown twice as the later of the two that it may be.
    SELECT
        place,
        (day + to_minutes(opens)) AT TIME ZONE zone AS opens_at,
        (day + to_minutes(closes)) AT TIME ZONE zone AS closes_at
    FROM days
    JOIN hours ON isodow(day) = isodow
    ANTI JOIN shut USING (place, day)
    WHERE year(day) BETWEEN {FIRST_YEAR} AND {LAST_YEAR}
),
apart AS (
    -- Hours around the moment at which the clock is put forward may lie over each other.
    SELECT
        place,
        greatest(opens_at, max(closes_at) OVER (
            PARTITION BY place ORDER BY opens_at, closes_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )) AS opens_at,
        closes_at
    FROM spans
),
by_day AS (
    SELECT
        place, day,
        list({{
            'opens': greatest(epoch_us(opens_at), epoch_us(day)),
            'closes': least(epoch_us(closes_at), epoch_us(day) + 86400000000)
        }}) AS spans
    FROM (
        SELECT *, unnest(generate_series(
            (opens_at AT TIME ZONE 'UTC')::DATE,
            ((closes_at - INTERVAL 1 MICROSECOND) AT TIME ZONE 'UTC')::DATE,
            INTERVAL 1 DAY
        ))::DATE AS day
        FROM apart
        WHERE opens_at < closes_at
    )
    GROUP BY place, day
)
SELECT
    place, day, coalesce(spans, []) AS spans,
    (coalesce(sum(list_sum(list_transform(spans, lambda s: s.closes - s.opens))) OVER (
        PARTITION BY place ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ), 0))::BIGINT AS before_us
FROM (SELECT place, day FROM store.metric_definitions, days WHERE zone IS NOT NULL)
LEFT JOIN by_day USING (place, day)
"""
"""One row per definition with hours and day (UTC) on which there may be events: `spans` of that day in which it is open
(microseconds since 1970), and for how long it was open on the days before: so the time that it is open between two
moments is a difference of two sums."""

OPEN_US = """
CREATE OR REPLACE MACRO store.open_us(at_us, spans, before_us) AS before_us + coalesce(list_sum(list_transform(
    spans, lambda s: greatest(least(at_us, s.closes) - s.opens, 0)
)), 0)::BIGINT
"""
"""For how long it was open up to a moment, by the row of its day."""

OPEN_DAY = f"""
CREATE OR REPLACE MACRO store.open_day("at") AS (least(greatest("at", {_LOW}), {_HIGH}) AT TIME ZONE 'UTC')::DATE
"""
"""The day of a moment, of those that there may be in `open_days`."""

SETTINGS: Mapping[str, str] = {
    "metric_definitions": METRIC_DEFINITIONS,
    "metric_targets": METRIC_TARGETS,
    "open_days": OPEN_DAYS,
}
"""Relations of settings, each after those that it reads; they are views of the schema `store`."""

SETTINGS_MACROS = (OPEN_US, OPEN_DAY)
