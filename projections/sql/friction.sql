-- projection: friction
-- version: 1
-- sort: plain
-- reads: contacts
-- key: kind, name, week

-- :view
WITH met AS (
    SELECT
        * EXCLUDE (steps, topic),
        unnest(
            [{'kind': 'topic', 'name': topic}] || list_transform(steps, lambda step: {'kind': 'step', 'name': step}),
            recursive := true
        )
    FROM (SELECT customer_id, channel, started_at, event_id, gave_up_at, last_step, steps, topic FROM touchlog.contacts)
),
compared AS (
    SELECT
        kind,
        name,
        customer_id,
        date_trunc('week', started_at AT TIME ZONE 'UTC') AS week,
        -- A task is given up at one of its steps.
        gave_up_at IS NOT NULL AND (kind = 'topic' OR name = last_step) AS gave_up,
        epoch_us(started_at) - lag(epoch_us(started_at)) OVER by_customer <= 7 * 86400000000 AS is_repeat,
        is_repeat AND channel <> lag(channel) OVER by_customer AS is_switch
    FROM met
    WHERE name IS NOT NULL
    WINDOW by_customer AS (PARTITION BY kind, name, customer_id ORDER BY started_at, event_id)
),
weekly AS (
    SELECT
        kind,
        name,
        week,
        count(*) AS contacts,
        count(DISTINCT customer_id) AS customers,
        count(*) FILTER (is_repeat) AS repeats,
        count(*) FILTER (is_switch) AS switches,
        count(*) FILTER (gave_up) AS gave_up,
        count(*) FILTER (is_repeat OR gave_up) AS stumbled
    FROM compared
    GROUP BY kind, name, week
)
SELECT
    kind,
    name,
    week::DATE AS week,
    contacts,
    customers,
    repeats,
    switches,
    gave_up,
    stumbled,
    ((200 * stumbled + contacts) // (2 * contacts))::BIGINT AS percent,
    coalesce(sum(contacts) OVER before, 0)::BIGINT AS contacts_before,
    coalesce(sum(stumbled) OVER before, 0)::BIGINT AS stumbled_before,
    CASE WHEN contacts_before > 0
        THEN ((200 * stumbled_before + contacts_before) // (2 * contacts_before))::BIGINT END AS percent_before
FROM weekly
WINDOW before AS (
    PARTITION BY kind, name ORDER BY week RANGE BETWEEN INTERVAL 28 DAYS PRECEDING AND INTERVAL 7 DAYS PRECEDING
)
