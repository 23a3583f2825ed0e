-- projection: continuations
-- version: 1
-- sort: plain
-- reads: conversations
-- key: customer_id, conversation_id, earlier_conversation_id

-- :view
WITH about AS (
    SELECT
        unnest(customer_ids) AS customer_id,
        conversation_id,
        channels,
        opened_at,
        last_at,
        trim(lower(topic), ' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13)) AS topic
    FROM touchlog.conversations
),
hints AS (
    SELECT
        l.customer_id,
        l.conversation_id,
        e.conversation_id AS earlier_conversation_id,
        l.topic,
        l.opened_at,
        e.channels AS earlier_channels,
        e.last_at AS earlier_last_at,
        CASE WHEN l.opened_at >= e.last_at THEN (epoch_us(l.opened_at) - epoch_us(e.last_at)) // 1000000 END AS after_s
    FROM about AS l
    JOIN about AS e ON e.customer_id = l.customer_id AND e.topic = l.topic
        AND e.opened_at < l.opened_at AND l.opened_at <= e.last_at + INTERVAL 168 HOUR
    WHERE l.topic <> ''
)
SELECT
    *,
    'same customer, same topic (' || topic || '): ' || CASE
        WHEN after_s IS NULL THEN 'opened while the other was going on'
        WHEN after_s < 86400 THEN 'opened less than a day after the last event of the other'
        WHEN after_s < 172800 THEN 'opened 1 day after the last event of the other'
        ELSE 'opened ' || after_s // 86400 || ' days after the last event of the other'
    END AS reason
FROM hints
