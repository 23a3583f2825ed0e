-- projection: contact_points
-- version: 3
-- sort: merged
-- key: contact_point

-- :delta
SELECT
    contact_point_id,
    min(occurred_at) FILTER (is_self) AS first_seen,
    max(occurred_at) FILTER (is_self) AS last_seen,
    min(assurance) FILTER (is_self) AS assurance,
    bool_or(normalised) FILTER (is_self) AS normalised,
    count(*) FILTER (channel <> 'identity') AS events,
    max(occurred_at) FILTER (
        reach = 'good'
        -- The customer came through it, and nobody can have made that up.
        OR (reach IS NULL AND direction = 'inbound' AND (customer OR opens) AND assurance <= 1 AND is_self
            AND item IS DISTINCT FROM 'opened')
    ) AS good_at,
    max({'at': occurred_at, 'id': event_id, 'type': type, 'outcome': outcome}) FILTER (
        reach = 'bad'
        OR (type = 'call.wrapped_up' AND direction = 'outbound' AND lower(translate(outcome, '_-', '  ')) IN (
            'wrong number', 'wrong person', 'invalid number', 'not in service'
        ))
    ) AS bad
FROM events
GROUP BY contact_point_id
UNION ALL
SELECT
    contact_point_id,
    min(occurred_at) FILTER (role = 'self'),
    max(occurred_at) FILTER (role = 'self'),
    min(assurance) FILTER (role = 'self'),
    bool_or(normalised) FILTER (role = 'self'),
    0,
    NULL,
    NULL
FROM mentions
GROUP BY contact_point_id

-- :merge
SELECT
    contact_point_id,
    min(first_seen) AS first_seen,
    max(last_seen) AS last_seen,
    min(assurance) AS assurance,
    bool_or(normalised) AS normalised,
    sum(events)::BIGINT AS events,
    max(good_at) AS good_at,
    max(bad) AS bad
FROM parts
GROUP BY contact_point_id

-- :view
SELECT
    p.kind || ':' || p.value AS contact_point,
    s.contact_point_id,
    p.kind,
    store.plain_key(p.value) AS value,
    coalesce(m.customer_id, s.contact_point_id) AS customer_id,
    ['attested', 'asserted', 'claimed', 'inferred'][s.assurance + 1] AS assurance,
    s.normalised,
    coalesce(m.shared, false) AS shared,
    s.first_seen,
    s.last_seen,
    s.events,
    e.ended_at,
    e.ended_at IS NULL AND coalesce(s.bad.at < s.good_at, s.bad IS NULL) AS reachable,
    CASE WHEN NOT reachable THEN coalesce(e.ended_at, s.bad.at) END AS unreachable_since,
    CASE
        WHEN e.ended_at IS NOT NULL THEN 'contact_point.ended'
        WHEN NOT reachable THEN CASE s.bad.type
            WHEN 'message.bounced' THEN 'mail bounced'
            WHEN 'item.returned' THEN 'letter returned'
            WHEN 'call.failed' THEN 'call failed'
            WHEN 'call.wrapped_up' THEN 'call reached nobody of theirs'
            WHEN 'dm.failed' THEN 'message failed'
            WHEN 'account.blocked' THEN 'we are blocked'
            ELSE s.bad.type
        END || coalesce(' (' || s.bad.outcome || ')', '')
    END AS unreachable_reason
FROM state AS s
JOIN points AS p USING (contact_point_id)
LEFT JOIN members AS m USING (contact_point_id)
LEFT JOIN (
    SELECT point_id AS contact_point_id, min(since) AS ended_at FROM holdings GROUP BY point_id
    UNION ALL
    SELECT holding_id, until FROM holdings WHERE until < 'infinity'
) AS e USING (contact_point_id)
WHERE s.first_seen IS NOT NULL
