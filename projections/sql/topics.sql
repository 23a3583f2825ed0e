-- projection: topics
-- version: 1
-- sort: merged
-- now: yes
-- key: customer_id, topic

-- :delta
SELECT
    contact_point_id,
    trim(lower(topic), ' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13)) AS topic,
    (occurred_at AT TIME ZONE 'UTC')::DATE AS day,
    min(occurred_at) AS first_at,
    max(occurred_at) AS last_at
FROM events
WHERE direction = 'inbound' AND channel <> 'identity' AND trim(lower(topic), ' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13)) <> ''
GROUP BY ALL

-- :merge
SELECT contact_point_id, topic, day, min(first_at) AS first_at, max(last_at) AS last_at
FROM parts
GROUP BY ALL

-- :view
SELECT
    coalesce(m.customer_id, s.contact_point_id) AS customer_id,
    s.topic,
    count(DISTINCT s.day) AS days,
    min(s.first_at) AS first_at,
    max(s.last_at) AS last_at,
    row_number() OVER (
        PARTITION BY coalesce(m.customer_id, s.contact_point_id)
        ORDER BY
            count(DISTINCT s.day) FILTER (s.day BETWEEN (now_at AT TIME ZONE 'UTC')::DATE - 365 AND (now_at AT TIME ZONE 'UTC')::DATE) DESC,
            max(s.last_at) DESC,
            s.topic
    ) AS rank
FROM state AS s
LEFT JOIN members AS m USING (contact_point_id)
GROUP BY 1, 2
