-- projection: invoices
-- version: 1
-- sort: merged
-- key: invoice

-- :delta
SELECT
    substr(ref, 9) AS invoice,
    message_ref,
    contact_point_id,
    min(told) FILTER (item = 'created') AS created,
    min(told) FILTER (item = 'sent') AS sent,
    -- Many a provider tells of what arrived, never of what left.
    min(told) FILTER (item IN ('delivered', 'opened', 'clicked')) AS arrived,
    min(told) FILTER (item = 'paid') AS paid
FROM (
    SELECT
        item,
        message_ref,
        contact_point_id,
        {'at': occurred_at, 'id': event_id, 'channel': channel, 'contact_point_id': contact_point_id} AS told,
        unnest(from_json(rest -> '$.case_refs', '["VARCHAR"]')) AS ref
    FROM events
    WHERE has_cases AND (item = 'paid' OR (item IN ('created', 'sent', 'delivered', 'opened', 'clicked') AND content_type = 'invoices'))
)
WHERE starts_with(ref, 'invoice:')
GROUP BY ALL

-- :merge
SELECT
    invoice,
    message_ref,
    contact_point_id,
    min(created) AS created,
    min(sent) AS sent,
    min(arrived) AS arrived,
    min(paid) AS paid
FROM parts
GROUP BY invoice, message_ref, contact_point_id

-- :view
WITH sendings AS (
    SELECT
        invoice,
        coalesce(min(sent), min(created), min(arrived)) AS sending,
        min(min(paid)) OVER whole AS payment,
        min(sending) OVER whole AS first
    FROM state
    -- One thing sent to two addresses is sent once.
    GROUP BY invoice, message_ref
    WINDOW whole AS (PARTITION BY invoice)
),
told AS (
    SELECT
        invoice,
        first,
        payment,
        count(*) FILTER (reminds) AS reminders,
        max(sending) FILTER (reminds) AS reminder
    FROM (
        SELECT *, coalesce(sending.at > first.at, false) AND coalesce(sending.at < payment.at, true) AS reminds
        FROM sendings
    )
    GROUP BY ALL
)
SELECT
    t.invoice,
    coalesce(m.customer_id, p.contact_point_id) AS customer_id,
    p.kind || ':' || p.value AS contact_point,
    t.first.channel AS channel,
    t.first.at AS sent_at,
    t.reminders,
    t.reminder.at AS reminded_at,
    t.reminder.channel AS reminded_through,
    t.payment.at AS paid_at,
    store.seconds_until(t.first.at, t.payment.at) AS paid_s,
    store.seconds_until(t.reminder.at, t.payment.at) AS paid_after_reminder_s
FROM told AS t
JOIN points AS p ON p.contact_point_id = coalesce(t.first.contact_point_id, t.payment.contact_point_id)
LEFT JOIN members AS m ON m.contact_point_id = p.contact_point_id
