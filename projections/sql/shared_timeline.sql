-- projection: shared_timeline
-- version: 1
-- sort: plain
-- reads: identity_links, timeline
-- key: customer_id, event_id, message_ref, contact_point

-- :view
WITH neighbours AS (
    SELECT
        shared[1] AS contact_point,
        CASE WHEN one = shared[1] THEN other ELSE one END AS neighbour,
        CASE WHEN one = shared[1] THEN other_customer_id ELSE one_customer_id END AS customer_id
    FROM touchlog.identity_links
    WHERE strength IS NOT NULL AND len(shared) = 1
),
degrees AS (
    SELECT contact_point, count(DISTINCT customer_id) AS degree FROM neighbours GROUP BY contact_point
),
touchpoints AS (
    SELECT t.*, d.degree, d.degree <= r.most AS within
    FROM touchlog.timeline AS t
    JOIN degrees AS d USING (contact_point)
    CROSS JOIN sharing_rules AS r
),
named AS (
    SELECT DISTINCT t.event_id, n.customer_id
    FROM touchpoints AS t
    JOIN mentions AS m USING (event_id)
    JOIN neighbours AS n
        ON n.contact_point = t.contact_point AND store.contact_point_id(n.neighbour) = m.contact_point_id
    WHERE m.role = 'self' AND m.assurance <= 1
)
SELECT
    n.customer_id,
    t.* EXCLUDE (customer_id, degree, within),
    true AS named,
    CASE WHEN t.within THEN t.degree - 1 END AS others
FROM touchpoints AS t
JOIN named AS n USING (event_id)
UNION ALL
-- Whom an event names stands for them alone; all of them are possible where it names none.
SELECT p.customer_id, t.* EXCLUDE (customer_id, degree, within), false, t.degree - 1
FROM touchpoints AS t
JOIN (SELECT DISTINCT contact_point, customer_id FROM neighbours) AS p USING (contact_point)
ANTI JOIN named AS n ON n.event_id = t.event_id
WHERE t.within
