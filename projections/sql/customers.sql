-- projection: customers
-- version: 2
-- sort: plain
-- now: yes
-- reads: contact_points, timeline, conversations, channel_preference
-- key: customer_id

-- :view
WITH who AS (
    SELECT
        customer_id,
        list(contact_point ORDER BY contact_point) AS contact_points,
        list(DISTINCT kind ORDER BY kind) AS kinds,
        min(first_seen) AS first_at,
        max(last_seen) AS last_at
    FROM touchlog.contact_points
    GROUP BY customer_id
    HAVING bool_or(kind <> 'anonymous')
),
touched AS (
    SELECT
        customer_id,
        count(*) AS touchpoints,
        count(*) FILTER (channel = 'email') AS email,
        count(*) FILTER (channel = 'chat') AS chat,
        count(*) FILTER (channel = 'phone') AS phone,
        count(*) FILTER (channel = 'post') AS post,
        count(*) FILTER (channel = 'social') AS social
    FROM touchlog.timeline
    GROUP BY customer_id
),
open AS (
    SELECT customer_id, count(*) AS open_conversations, min(waiting_since) AS waiting_since
    FROM (
        SELECT unnest(customer_ids) AS customer_id, waiting_since
        FROM touchlog.conversations_at(now_at)
        WHERE state NOT IN ('resolved', 'abandoned')
    )
    GROUP BY customer_id
),
latest AS (
    SELECT
        coalesce(m.customer_id, e.contact_point_id) AS customer_id,
        max({'at': occurred_at, 'id': event_id, 'value': topic}) FILTER (topic IS NOT NULL).value AS last_topic,
        max({'at': occurred_at, 'id': event_id, 'value': agent}) FILTER (agent IS NOT NULL).value AS last_agent,
        max({'at': occurred_at, 'id': event_id, 'value': promised_at})
            FILTER (promised_at > now_at AND type <> 'conversation.snoozed').value AS promised_at
    FROM events AS e
    LEFT JOIN members AS m USING (contact_point_id)
    GROUP BY 1
),
preferred AS (
    SELECT
        customer_id,
        max(channel) FILTER (content_type = 'news') AS news_channel,
        max(channel) FILTER (content_type = 'offers') AS offers_channel,
        max(channel) FILTER (content_type = 'invoices') AS invoices_channel,
        max(channel) FILTER (content_type = 'service') AS service_channel
    FROM touchlog.channel_preference_at(now_at)
    WHERE rank = 1
    GROUP BY customer_id
)
SELECT
    w.customer_id,
    w.contact_points,
    w.kinds,
    w.first_at,
    w.last_at,
    coalesce(t.touchpoints, 0) AS touchpoints,
    coalesce(t.email, 0) AS email,
    coalesce(t.chat, 0) AS chat,
    coalesce(t.phone, 0) AS phone,
    coalesce(t.post, 0) AS post,
    coalesce(t.social, 0) AS social,
    coalesce(o.open_conversations, 0) AS open_conversations,
    o.waiting_since,
    l.last_topic,
    l.last_agent,
    l.promised_at,
    p.news_channel,
    p.offers_channel,
    p.invoices_channel,
    p.service_channel
FROM who AS w
LEFT JOIN touched AS t USING (customer_id)
LEFT JOIN open AS o USING (customer_id)
LEFT JOIN latest AS l USING (customer_id)
LEFT JOIN preferred AS p USING (customer_id)
