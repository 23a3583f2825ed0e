-- projection: items
-- version: 2
-- sort: merged
-- key: message_ref, contact_point

-- :delta
SELECT
    item_ref AS message_ref,
    contact_point_id,
    min({'at': occurred_at, 'id': event_id, 'value': channel}) AS channel,
    min({'at': occurred_at, 'id': event_id, 'value': content_type}) FILTER (content_type IS NOT NULL) AS content_type,
    min({'at': occurred_at, 'id': event_id, 'value': purpose}) FILTER (purpose IS NOT NULL) AS purpose,
    min({'at': occurred_at, 'id': event_id, 'value': summary}) FILTER (summary IS NOT NULL) AS summary,
    min(occurred_at) FILTER (item = 'created') AS created_at,
    min(occurred_at) FILTER (item = 'sent') AS sent_at,
    min(occurred_at) FILTER (item = 'delivered') AS delivered_at,
    min(occurred_at) FILTER (item = 'opened') AS opened_at,
    min(occurred_at) FILTER (item = 'clicked') AS clicked_at,
    min(occurred_at) FILTER (item = 'answered') AS answered_at,
    min(occurred_at) FILTER (item = 'paid') AS paid_at,
    min(occurred_at) FILTER (item = 'returned') AS returned_at,
    min(occurred_at) FILTER (item = 'failed') AS failed_at,
    count(*) FILTER (item = 'opened') AS opens,
    min(occurred_at) FILTER (item = 'delivered' AND outcome IS DISTINCT FROM 'estimated') AS certain_at,
    min(CASE outcome WHEN 'scan' THEN 1 WHEN 'logical' THEN 2 WHEN 'estimated' THEN 3 END)
        FILTER (item = 'delivered' AND channel = 'post') AS basis,
    max(engagement) AS engagement
FROM events
WHERE item IS NOT NULL AND item_ref IS NOT NULL
GROUP BY item_ref, contact_point_id

-- :merge
SELECT
    message_ref,
    contact_point_id,
    min(channel) AS channel,
    min(content_type) AS content_type,
    min(purpose) AS purpose,
    min(summary) AS summary,
    min(created_at) AS created_at,
    min(sent_at) AS sent_at,
    min(delivered_at) AS delivered_at,
    min(opened_at) AS opened_at,
    min(clicked_at) AS clicked_at,
    min(answered_at) AS answered_at,
    min(paid_at) AS paid_at,
    min(returned_at) AS returned_at,
    min(failed_at) AS failed_at,
    sum(opens)::BIGINT AS opens,
    min(certain_at) AS certain_at,
    min(basis) AS basis,
    max(engagement) AS engagement
FROM parts
GROUP BY message_ref, contact_point_id

-- :view
SELECT
    s.message_ref,
    p.kind || ':' || p.value AS contact_point,
    s.contact_point_id,
    coalesce(m.customer_id, s.contact_point_id) AS customer_id,
    s.channel.value AS channel,
    s.content_type.value AS content_type,
    s.purpose.value AS purpose,
    s.summary.value AS summary,
    s.created_at,
    s.sent_at,
    s.delivered_at,
    ['scan', 'logical', 'estimated'][s.basis] AS delivery_basis,
    s.opened_at,
    s.clicked_at,
    s.answered_at,
    s.paid_at,
    s.returned_at,
    s.failed_at,
    store.seconds_until(began_at, s.delivered_at) AS delivered_s,
    store.seconds_until(began_at, s.opened_at) AS opened_s,
    store.seconds_until(began_at, s.clicked_at) AS clicked_s,
    store.seconds_until(began_at, s.answered_at) AS answered_s,
    store.seconds_until(began_at, s.paid_at) AS paid_s,
    s.opens,
    s.engagement,
    CASE
        WHEN s.returned_at > reached_at OR (s.returned_at IS NOT NULL AND reached_at IS NULL) THEN 'returned'
        WHEN s.failed_at > reached_at OR (s.failed_at IS NOT NULL AND reached_at IS NULL) THEN 'failed'
        WHEN s.paid_at IS NOT NULL THEN 'paid'
        WHEN s.answered_at IS NOT NULL THEN 'answered'
        WHEN s.clicked_at IS NOT NULL THEN 'clicked'
        WHEN s.opened_at IS NOT NULL THEN 'opened'
        WHEN s.delivered_at IS NOT NULL THEN 'delivered'
        WHEN s.sent_at IS NOT NULL THEN 'sent'
        ELSE 'created'
    END AS furthest
FROM (
    -- least() and greatest() pass over NULLs. What the calendar alone delivered loses to what came back.
    SELECT
        *,
        greatest(certain_at, opened_at, clicked_at, answered_at, paid_at) AS reached_at,
        least(created_at, sent_at) AS began_at
    FROM state
) AS s
JOIN points AS p USING (contact_point_id)
LEFT JOIN members AS m USING (contact_point_id)
WHERE coalesce(
    s.created_at, s.sent_at, s.delivered_at, s.returned_at, s.failed_at, s.opened_at, s.clicked_at, s.paid_at
) IS NOT NULL
