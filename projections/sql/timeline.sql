-- projection: timeline
-- version: 1
-- sort: plain
-- reads: items
-- key: event_id, message_ref, contact_point

-- :view
SELECT
    coalesce(m.customer_id, e.contact_point_id) AS customer_id,
    e.occurred_at,
    e.channel,
    e.type,
    e.direction,
    p.kind || ':' || p.value AS contact_point,
    coalesce(t.conversation_id, e.thread_id) AS conversation_id,
    e.content_type,
    e.topic,
    e.agent,
    e.author,
    e.summary,
    e.outcome,
    e.message_ref,
    e.event_id
FROM events AS e
JOIN points AS p USING (contact_point_id)
LEFT JOIN members AS m USING (contact_point_id)
LEFT JOIN threads AS t USING (thread_id)
WHERE e.touchpoint
UNION ALL BY NAME
SELECT
    i.customer_id,
    least(i.created_at, i.delivered_at, i.opened_at, i.clicked_at, i.answered_at, i.paid_at) AS occurred_at,
    i.channel,
    'item' AS type,
    'outbound' AS direction,
    i.contact_point,
    i.content_type,
    i.summary,
    i.message_ref
FROM touchlog.items AS i
WHERE i.sent_at IS NULL
    AND coalesce(i.delivered_at, i.opened_at, i.clicked_at, i.answered_at, i.paid_at) IS NOT NULL
