-- projection: channel_preference
-- version: 1
-- sort: plain
-- now: yes
-- reads: contact_points, consent, items
-- key: customer_id, content_type, channel

-- :view
WITH channels AS (
    -- The organisation's default order, and which kind of contact point a channel reaches.
    SELECT * FROM (VALUES
        ('email', 'email', 1), ('post', 'postal', 2), ('phone', 'phone', 3), ('chat', 'visitor', 4), ('social', 'social', 5)
    ) AS v(channel, kind, place)
),
content_types AS (
    SELECT unnest(['news', 'offers', 'invoices', 'service']) AS content_type
),
targets AS (
    SELECT c.customer_id, ch.channel, ch.place, c.contact_point, c.unreachable_since, c.unreachable_reason
    FROM touchlog.contact_points AS c
    JOIN channels AS ch USING (kind)
    WHERE c.normalised
    QUALIFY row_number() OVER (
        PARTITION BY c.customer_id, ch.channel ORDER BY c.reachable DESC, c.last_seen DESC, c.contact_point
    ) = 1
),
forbidding AS (
    SELECT * FROM touchlog.consent_at(now_at)
    WHERE NOT allowed AND NOT (stated = 'do_not_contact' AND content_type = 'invoices' AND channel = 'post')
),
preferred AS (
    SELECT s.stated_by AS customer_id, ct.content_type, s.about_channel AS channel, s.channel AS through, s.occurred_at
    FROM statements AS s
    JOIN content_types AS ct ON s.content_type IS NULL OR s.content_type = ct.content_type
    WHERE s.kind = 'prefer' AND s.about_channel IS NOT NULL
    QUALIFY row_number() OVER (
        PARTITION BY s.stated_by, ct.content_type
        ORDER BY s.content_type IS NOT NULL DESC, s.occurred_at DESC, s.event_id DESC
    ) = 1
),
received AS (
    SELECT
        customer_id,
        content_type,
        channel,
        engagement,
        greatest(0, date_diff('month', least(
            created_at, sent_at, delivered_at, opened_at, clicked_at, answered_at, paid_at
        ) AT TIME ZONE 'UTC', now_at AT TIME ZONE 'UTC')) AS age
    FROM touchlog.items
    WHERE content_type IS NOT NULL AND failed_at IS NULL AND returned_at IS NULL
        AND coalesce(sent_at, delivered_at, opened_at, clicked_at, answered_at, paid_at) IS NOT NULL
),
responses AS (
    SELECT
        customer_id,
        content_type,
        channel,
        count(*) AS delivered,
        count(*) FILTER (engagement > 0) AS engaged,
        -- Whole numbers, so that no order of adding matters; the half-life is six months.
        sum(floor(1024 * power(2, -age / 6))::BIGINT * engagement)::BIGINT AS earned,
        sum(floor(1024 * power(2, -age / 6))::BIGINT * 10)::BIGINT AS possible
    FROM received
    WHERE age <= 24
    GROUP BY ALL
),
enough AS (
    SELECT customer_id, content_type
    FROM responses
    GROUP BY ALL
    HAVING sum(delivered) >= 3 AND count(*) >= 2
),
judged AS (
    SELECT
        t.customer_id,
        ct.content_type,
        t.channel,
        t.place,
        t.contact_point,
        coalesce(r.delivered, 0) AS delivered,
        coalesce(r.engaged, 0) AS engaged,
        CASE WHEN r.delivered > 0 THEN ((20000 * (r.earned + 4096) + r.possible + 20480) // (2 * (r.possible + 20480))) / 10000 ELSE 0 END AS rate,
        CASE
            WHEN coalesce(person.stated, point.stated) IS NOT NULL THEN 'legal'
            WHEN t.unreachable_since IS NOT NULL THEN 'unreachable'
            WHEN p.channel = t.channel THEN 'stated'
            WHEN e.customer_id IS NOT NULL AND r.engaged > 0 THEN 'inferred'
            ELSE 'default'
        END AS basis,
        t.channel || ' for ' || ct.content_type || ': ' || CASE basis
            WHEN 'legal' THEN coalesce(person.stated, point.stated)
                || ' through ' || coalesce(person.stated_through, point.stated_through)
                || ' on ' || strftime(coalesce(person.since, point.since) AT TIME ZONE 'UTC', '%Y-%m-%d')
            WHEN 'unreachable' THEN t.unreachable_reason || ' on ' || strftime(t.unreachable_since AT TIME ZONE 'UTC', '%Y-%m-%d')
            WHEN 'stated' THEN 'stated through ' || p.through || ' on ' || strftime(p.occurred_at AT TIME ZONE 'UTC', '%Y-%m-%d')
            WHEN 'inferred' THEN 'responded to ' || r.engaged || ' of ' || r.delivered
            ELSE 'the organisation''s default'
        END AS reason
    FROM targets AS t
    CROSS JOIN content_types AS ct
    LEFT JOIN forbidding AS person
        ON person.customer_id = t.customer_id AND person.contact_point IS NULL
        AND person.content_type = ct.content_type AND person.channel = t.channel
    LEFT JOIN forbidding AS point
        ON point.contact_point = t.contact_point
        AND point.content_type = ct.content_type AND point.channel = t.channel
    LEFT JOIN preferred AS p ON p.customer_id = t.customer_id AND p.content_type = ct.content_type
    LEFT JOIN responses AS r
        ON r.customer_id = t.customer_id AND r.content_type = ct.content_type AND r.channel = t.channel
    LEFT JOIN enough AS e ON e.customer_id = t.customer_id AND e.content_type = ct.content_type
)
SELECT
    customer_id,
    content_type,
    channel,
    CASE WHEN basis NOT IN ('legal', 'unreachable') THEN row_number() OVER (
        PARTITION BY customer_id, content_type, basis IN ('legal', 'unreachable')
        ORDER BY
            CASE basis WHEN 'stated' THEN 1 WHEN 'inferred' THEN 2 ELSE 3 END,
            CASE basis WHEN 'inferred' THEN -rate ELSE 0 END,
            place
    ) END AS rank,
    contact_point,
    basis,
    CASE WHEN basis IN ('legal', 'unreachable') THEN 0 ELSE rate END AS score,
    delivered,
    engaged,
    reason
FROM judged
