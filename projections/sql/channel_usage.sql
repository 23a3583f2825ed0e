-- projection: channel_usage
-- version: 1
-- sort: plain
-- reads: timeline
-- key: month, channel, content_type

-- :view
WITH used AS (
    SELECT
        date_trunc('month', occurred_at AT TIME ZONE 'UTC')::DATE AS month,
        customer_id,
        channel,
        coalesce(content_type, 'none') AS content_type,
        count(*) FILTER (direction = 'inbound') AS touchpoints,
        count(*) FILTER (direction = 'outbound') AS sent
    FROM touchlog.timeline
    WHERE direction <> 'report' AND NOT starts_with(contact_point, 'anonymous:')
    GROUP BY ALL
),
-- Each content type, and all together.
counted AS (
    SELECT month, customer_id, channel, content_type, sum(touchpoints) AS touchpoints, sum(sent) AS sent
    FROM (SELECT * REPLACE (unnest([content_type, 'any']) AS content_type) FROM used)
    GROUP BY ALL
),
habits AS (
    SELECT
        *,
        count(*) FILTER (touchpoints > 0) OVER of_customer = 1 AS one_channel,
        bool_and(channel IN ('email', 'chat', 'social')) FILTER (touchpoints > 0) OVER of_customer AS digital_only,
        bool_and(channel = 'post') FILTER (touchpoints > 0) OVER of_customer AS post_only
    FROM counted
    WINDOW of_customer AS (PARTITION BY month, customer_id, content_type)
)
SELECT
    month,
    channel,
    content_type,
    count(DISTINCT customer_id) FILTER (touchpoints > 0) AS customers,
    sum(touchpoints)::BIGINT AS touchpoints,
    count(DISTINCT customer_id) FILTER (touchpoints > 0 AND one_channel) AS one_channel,
    count(DISTINCT customer_id) FILTER (touchpoints > 0 AND digital_only) AS digital_only,
    count(DISTINCT customer_id) FILTER (touchpoints > 0 AND post_only) AS post_only,
    count(DISTINCT customer_id) FILTER (sent > 0) AS sent_to,
    sum(sent)::BIGINT AS sent
FROM (SELECT * REPLACE (unnest([channel, 'any']) AS channel) FROM habits)
GROUP BY month, channel, content_type
