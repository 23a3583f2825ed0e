-- projection: consent
-- version: 2
-- sort: plain
-- now: yes
-- key: customer_id, contact_point, content_type, channel

-- :view
WITH stated AS (
    SELECT
        *,
        {
            'since': occurred_at,
            'strictness': CASE kind WHEN 'do_not_contact' THEN 3 WHEN 'opt_out' THEN 2 ELSE 1 END,
            'event_id': event_id,
            'kind': kind,
            'until': until,
            'through': channel
        } AS said
    FROM choices
    WHERE kind IN ('opt_out', 'opt_in', 'pause', 'do_not_contact')
),
held AS (
    SELECT
        s.customer_id,
        s.bound_point,
        r.content_type,
        r.channel,
        max(s.said) FILTER (s.kind <> 'pause') AS choice,
        max(s.said) FILTER (s.kind = 'pause') AS pause
    FROM stated AS s
    JOIN contact_rules AS r
        ON (s.content_type IS NULL OR s.content_type = r.content_type)
        AND (s.about_channel IS NULL OR s.about_channel = r.channel)
        AND NOT (s.kind = 'do_not_contact' AND r.required_by_law)
    GROUP BY ALL
),
decided AS (
    SELECT
        *,
        coalesce(pause.until <= now_at, false) AS over,
        -- A pause lies on top of what was chosen: it closes what is open, and opens nothing when it ends.
        CASE
            WHEN choice IS NULL THEN pause
            WHEN choice.kind = 'opt_in' AND pause.since >= choice.since AND NOT over THEN pause
            ELSE choice
        END AS said
    FROM held
)
SELECT
    customer_id,
    bound_point AS contact_point,
    content_type,
    channel,
    said.kind AS stated,
    said.since AS since,
    said.until AS until,
    said.through AS stated_through,
    said.event_id AS event_id,
    said.kind = 'opt_in' OR (said.kind = 'pause' AND over) AS allowed
FROM decided
