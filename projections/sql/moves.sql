-- projection: moves
-- version: 1
-- sort: plain
-- reads: contacts
-- key: to_event_id

-- :view
WITH successive AS (
    SELECT
        customer_id,
        channel,
        topic,
        started_at,
        conversation_id,
        event_id,
        lag({
            'channel': channel, 'topic': topic, 'at': started_at, 'asked_at': asked_at, 'settled_at': settled_at,
            'gave_up_at': gave_up_at, 'failed_self_service': failed_self_service, 'conversation_id': conversation_id,
            'event_id': event_id
        }) OVER (PARTITION BY customer_id ORDER BY started_at, event_id) AS before
    FROM touchlog.contacts
)
SELECT
    customer_id,
    before.channel AS from_channel,
    channel AS to_channel,
    coalesce(topic, before.topic) AS topic,
    before.at AS left_at,
    started_at AS moved_at,
    (epoch_us(started_at) - epoch_us(before.at)) // 1000000 AS after_s,
    coalesce(before.asked_at <= started_at AND coalesce(before.settled_at > started_at, true), false) AS unanswered,
    CASE WHEN unanswered THEN (epoch_us(started_at) - epoch_us(before.asked_at)) // 1000000 END AS waited_s,
    coalesce(before.gave_up_at <= started_at, false) AS gave_up,
    before.failed_self_service AS failed_self_service,
    coalesce(conversation_id = before.conversation_id, false) AS same_conversation,
    before.event_id AS from_event_id,
    event_id AS to_event_id
FROM successive
WHERE channel <> before.channel AND epoch_us(started_at) - epoch_us(before.at) <= 7 * 86400000000
