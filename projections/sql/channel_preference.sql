-- projection: channel_preference
-- version: 2
-- sort: plain
-- now: yes
-- reads: contact_points, consent, items
-- key: customer_id, content_type, channel

-- :view
WITH holding AS MATERIALIZED (
    SELECT
        *,
        CASE stated WHEN 'opt_out' THEN 'opted out' WHEN 'pause' THEN 'paused' ELSE 'not to be contacted' END
            || CASE WHEN stated = 'pause' AND until IS NOT NULL
                THEN ' until ' || strftime(until AT TIME ZONE 'UTC', '%Y-%m-%d') ELSE '' END
            || ', said through ' || stated_through || ' on ' || strftime(since AT TIME ZONE 'UTC', '%Y-%m-%d') AS told
    FROM touchlog.consent_at(now_at)
),
wishes AS MATERIALIZED (
    SELECT s.stated_by AS customer_id, r.content_type, s.about_channel AS channel, s.about, s.channel AS through, s.occurred_at
    FROM choices AS s
    JOIN (SELECT DISTINCT content_type FROM contact_rules) AS r
        ON s.content_type IS NULL OR s.content_type = r.content_type
    WHERE s.kind = 'prefer' AND s.about_channel IS NOT NULL
    QUALIFY row_number() OVER (
        PARTITION BY s.stated_by, r.content_type
        ORDER BY s.content_type IS NOT NULL DESC, s.occurred_at DESC, s.event_id DESC
    ) = 1
),
weighed AS (
    SELECT
        c.customer_id,
        r.content_type,
        r.channel,
        r.place,
        c.contact_point,
        c.reachable,
        c.last_seen,
        w.about,
        CASE
            -- An opt-in for this very contact point, made later, is an exception from what the person refused.
            WHEN NOT person.allowed AND NOT coalesce(point.stated = 'opt_in' AND point.since > person.since, false)
                THEN {'basis': 'legal', 'told': person.told}
            WHEN NOT point.allowed THEN {'basis': 'legal', 'told': point.told}
            WHEN NOT c.reachable THEN {
                'basis': 'unreachable',
                'told': c.unreachable_reason || ' on ' || strftime(c.unreachable_since AT TIME ZONE 'UTC', '%Y-%m-%d')
            }
            WHEN r.marketing AND c.shared THEN {'basis': 'unclear', 'told': 'shared with others'}
            WHEN r.marketing AND c.assurance IN ('claimed', 'inferred')
                THEN {'basis': 'unclear', 'told': 'only ' || c.assurance}
            WHEN r.needs_opt_in AND coalesce(person.stated <> 'opt_in', true) AND coalesce(point.stated <> 'opt_in', true)
                THEN {'basis': 'no_opt_in', 'told': 'no opt-in'}
        END AS obstacle
    FROM touchlog.contact_points AS c
    JOIN contact_rules AS r USING (kind)
    LEFT JOIN (FROM holding WHERE contact_point IS NULL) AS person
        ON person.customer_id = c.customer_id AND person.content_type = r.content_type AND person.channel = r.channel
    LEFT JOIN (FROM holding WHERE contact_point IS NOT NULL) AS point
        ON point.contact_point = c.contact_point AND point.content_type = r.content_type AND point.channel = r.channel
    LEFT JOIN wishes AS w ON w.customer_id = c.customer_id AND w.content_type = r.content_type AND w.channel = r.channel
    WHERE c.normalised
),
targets AS (
    SELECT *
    FROM weighed
    QUALIFY row_number() OVER (
        PARTITION BY customer_id, content_type, channel
        ORDER BY obstacle IS NULL DESC, coalesce(about = contact_point, false) DESC, reachable DESC, last_seen DESC, contact_point
    ) = 1
),
received AS (
    SELECT
        customer_id,
        content_type,
        channel,
        engagement,
        least(created_at, sent_at, delivered_at, opened_at, clicked_at, answered_at, paid_at) AS came_at,
        greatest(0, date_diff('month', came_at AT TIME ZONE 'UTC', now_at AT TIME ZONE 'UTC')) AS age
    FROM touchlog.items
    WHERE content_type IS NOT NULL AND failed_at IS NULL AND returned_at IS NULL
        AND coalesce(sent_at, delivered_at, opened_at, clicked_at, answered_at, paid_at) IS NOT NULL
),
responses AS (
    SELECT
        customer_id,
        content_type,
        channel,
        min(came_at) AS since,
        count(*) AS delivered,
        count(*) FILTER (engagement > 0) AS engaged,
        -- Whole numbers, so that no order of adding matters; the half-life is six months.
        sum(floor(1024 * power(2, -age / 6))::BIGINT * engagement)::BIGINT AS earned,
        sum(floor(1024 * power(2, -age / 6))::BIGINT * 10)::BIGINT AS possible,
        sum(count(*)) OVER everything >= 3 AND count(*) OVER everything >= 2 AS enough
    FROM received
    WHERE age <= 24
    GROUP BY customer_id, content_type, channel
    WINDOW everything AS (PARTITION BY customer_id, content_type)
),
judged AS (
    SELECT
        t.*,
        coalesce(r.delivered, 0) AS delivered,
        coalesce(r.engaged, 0) AS engaged,
        CASE WHEN r.delivered > 0 THEN ((20000 * (r.earned + 4096) + r.possible + 20480) // (2 * (r.possible + 20480))) / 10000 ELSE 0 END AS rate,
        CASE
            WHEN t.obstacle IS NOT NULL THEN t.obstacle.basis
            WHEN w.channel IS NOT NULL THEN 'stated'
            WHEN r.enough AND r.engaged > 0 THEN 'inferred'
            ELSE 'default'
        END AS basis,
        t.channel || ' for ' || t.content_type || ': ' || CASE basis
            WHEN 'stated' THEN 'stated through ' || w.through || ' on ' || strftime(w.occurred_at AT TIME ZONE 'UTC', '%Y-%m-%d')
            WHEN 'inferred' THEN 'responded to ' || r.engaged || ' of ' || r.delivered
                || ' since ' || strftime(r.since AT TIME ZONE 'UTC', '%Y-%m-%d')
            WHEN 'default' THEN 'the organisation''s default'
            ELSE t.obstacle.told
        END AS reason
    FROM targets AS t
    LEFT JOIN wishes AS w
        ON w.customer_id = t.customer_id AND w.content_type = t.content_type AND w.channel = t.channel
    LEFT JOIN responses AS r
        ON r.customer_id = t.customer_id AND r.content_type = t.content_type AND r.channel = t.channel
)
SELECT
    customer_id,
    content_type,
    channel,
    CASE WHEN obstacle IS NULL THEN row_number() OVER (
        PARTITION BY customer_id, content_type, obstacle IS NULL
        ORDER BY
            CASE basis WHEN 'stated' THEN 1 WHEN 'inferred' THEN 2 ELSE 3 END,
            CASE basis WHEN 'inferred' THEN -rate ELSE 0 END,
            place
    ) END AS rank,
    contact_point,
    basis,
    CASE WHEN obstacle IS NULL THEN rate ELSE 0 END AS score,
    delivered,
    engaged,
    reason
FROM judged
