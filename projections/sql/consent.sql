-- projection: consent
-- version: 1
-- sort: plain
-- now: yes
-- key: customer_id, contact_point, content_type, channel

-- :view
WITH stated AS (
    SELECT * FROM statements WHERE kind IN ('opt_out', 'opt_in', 'pause', 'do_not_contact')
),
spread AS (
    SELECT
        s.*,
        ct.content_type AS for_content_type,
        ch.channel AS for_channel,
        CASE kind WHEN 'do_not_contact' THEN 4 WHEN 'opt_out' THEN 3 WHEN 'pause' THEN 2 ELSE 1 END AS strictness
    FROM stated AS s
    JOIN (SELECT unnest(['news', 'offers', 'invoices', 'service']) AS content_type) AS ct
        ON s.content_type IS NULL OR s.content_type = ct.content_type
    JOIN (SELECT unnest(['email', 'chat', 'phone', 'post', 'social']) AS channel) AS ch
        ON s.about_channel IS NULL OR s.about_channel = ch.channel
),
newest AS (
    SELECT *
    FROM spread
    QUALIFY row_number() OVER (
        PARTITION BY bound_point, CASE WHEN bound_point IS NULL THEN customer_id END, for_content_type, for_channel
        ORDER BY occurred_at DESC, strictness DESC, event_id DESC
    ) = 1
)
SELECT
    customer_id,
    bound_point AS contact_point,
    for_content_type AS content_type,
    for_channel AS channel,
    kind AS stated,
    occurred_at AS since,
    until,
    channel AS stated_through,
    event_id,
    kind = 'opt_in' OR (kind = 'pause' AND coalesce(until <= now_at, false)) AS allowed
FROM newest
