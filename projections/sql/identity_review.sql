-- projection: identity_review
-- version: 1
-- sort: plain
-- reads: identity_links
-- key: reason, contact_point, other, kind

-- :view
WITH ends AS (
    SELECT unnest([{'here': one, 'there': other}, {'here': other, 'there': one}], recursive := true), shared
    FROM touchlog.identity_links
    WHERE strength IS NOT NULL AND len(shared) > 0
),
degrees AS (
    SELECT here, split_part(here, ':', 1) AS own_kind, split_part(there, ':', 1) AS kind, count(*) AS degree
    FROM ends
    WHERE list_contains(shared, here)
    GROUP BY ALL
),
holders AS (
    SELECT coalesce(m.customer_id, p.contact_point_id) AS customer_id, p.kind, p.kind || ':' || p.value AS holder
    FROM points AS p
    LEFT JOIN members AS m USING (contact_point_id)
    WHERE p.kind IN (SELECT kind FROM identity_rules WHERE is_unique)
)
SELECT
    'shared' AS reason,
    d.here AS contact_point,
    NULL::VARCHAR AS other,
    d.kind,
    d.degree,
    r.allowed,
    NULL::VARCHAR AS account,
    NULL::VARCHAR AS other_account,
    NULL::VARCHAR AS strength,
    NULL::UUID AS event_id,
    NULL::TIMESTAMPTZ AS occurred_at
FROM degrees AS d
JOIN identity_rules AS r ON r.kind = d.own_kind AND r.neighbour = d.kind
UNION ALL
SELECT
    'conflict', l.one, l.other, a.kind, NULL, NULL, a.holder, b.holder, l.strength, l.event_id, l.occurred_at
FROM touchlog.identity_links AS l
JOIN holders AS a ON a.customer_id = l.one_customer_id
JOIN holders AS b ON b.customer_id = l.other_customer_id AND b.kind = a.kind
WHERE l.reason = 'conflict'
