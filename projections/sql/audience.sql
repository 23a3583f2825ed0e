-- projection: audience
-- version: 2
-- sort: plain
-- now: yes
-- reads: contact_points, channel_preference
-- key: customer_id, content_type

-- :view
WITH preference AS MATERIALIZED (
    FROM touchlog.channel_preference_at(now_at)
),
reached AS (
    SELECT * FROM preference WHERE rank = 1
),
unreached AS (
    SELECT w.customer_id, t.content_type
    FROM (SELECT DISTINCT customer_id FROM touchlog.contact_points WHERE kind <> 'anonymous') AS w
    CROSS JOIN (SELECT DISTINCT content_type FROM contact_rules) AS t
    ANTI JOIN reached USING (customer_id, content_type)
),
left_out AS (
    SELECT
        u.customer_id,
        u.content_type,
        coalesce(min_by(p.basis, r.place), 'no_contact_point') AS basis,
        'no ' || u.content_type || ': ' || concat_ws(
            '; ',
            string_agg(
                p.channel || substr(p.reason, length(p.channel || ' for ' || p.content_type || ':') + 1), '; '
                ORDER BY r.place
            ),
            'no contact point for ' || string_agg(r.channel, ', ' ORDER BY r.place) FILTER (p.channel IS NULL)
        ) AS reason
    FROM unreached AS u
    JOIN contact_rules AS r USING (content_type)
    LEFT JOIN preference AS p
        ON p.customer_id = u.customer_id AND p.content_type = u.content_type AND p.channel = r.channel
    GROUP BY u.customer_id, u.content_type
)
-- Whoever sends wants the value that it is, whoever had it before.
SELECT
    content_type, customer_id, channel, store.plain_key(contact_point) AS contact_point, basis, reason, not_before
FROM reached
LEFT JOIN store.quiet_until(now_at) USING (channel)
UNION ALL
SELECT content_type, customer_id, NULL, NULL, basis, reason, NULL FROM left_out
