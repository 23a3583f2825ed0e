-- projection: contacts
-- version: 1
-- sort: plain
-- reads: conversations
-- key: event_id

-- :view
WITH turns AS (
    SELECT
        coalesce(m.customer_id, e.contact_point_id) AS customer_id,
        e.channel,
        coalesce(e.thread_id, e.event_id) AS place,
        e.thread_id,
        e.occurred_at,
        e.event_id,
        e.type,
        e.clock,
        (e.abandons AND o.event_id IS NULL) OR e.type = 'task.abandoned' AS gave_up,
        nullif(trim(lower(e.topic), ' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13)), '') AS topic,
        CASE WHEN e.type LIKE 'task.%' THEN nullif(e.rest ->> '$.details.step', '') END AS step
    FROM events AS e
    LEFT JOIN members AS m USING (contact_point_id)
    LEFT JOIN calls_left_open AS o USING (event_id)
    WHERE e.direction = 'inbound' AND e.channel <> 'identity' AND (
        e.opens OR (e.abandons AND o.event_id IS NULL) OR (e.customer AND e.type IN (
            'ivr.selected', 'ivr.self_served', 'task.started', 'task.step_reached', 'task.completed', 'task.abandoned',
            'visit.recorded'
        ))
    )
),
marked AS (
    SELECT *, epoch_us(occurred_at) - lag(epoch_us(occurred_at), 1, -9e18::BIGINT) OVER in_place > 86400000000 AS begins
    FROM turns
    WINDOW in_place AS (PARTITION BY customer_id, channel, place ORDER BY occurred_at, event_id)
),
numbered AS (
    SELECT *, count(*) FILTER (begins) OVER in_place AS number
    FROM marked
    WINDOW in_place AS (
        PARTITION BY customer_id, channel, place ORDER BY occurred_at, event_id ROWS UNBOUNDED PRECEDING
    )
),
gathered AS (
    SELECT
        customer_id,
        channel,
        min({'at': occurred_at, 'id': event_id}) AS first,
        max(occurred_at) AS last_at,
        count(*) AS events,
        any_value(thread_id) AS thread_id,
        max({'at': occurred_at, 'id': event_id, 'value': topic}) FILTER (topic IS NOT NULL).value AS topic,
        list(step ORDER BY occurred_at, event_id) FILTER (step IS NOT NULL) AS reached,
        min(occurred_at) FILTER (clock = 'start') AS first_start_at,
        min(occurred_at) FILTER (gave_up) AS gave_up_at,
        bool_or(type LIKE 'task.%') AS tasks,
        bool_or(type LIKE 'ivr.%') AS menus,
        bool_or(type IN ('task.completed', 'ivr.self_served')) AS self_served
    FROM numbered
    GROUP BY customer_id, channel, place, number
),
placed AS (
    SELECT
        g.*,
        coalesce(t.conversation_id, g.thread_id) AS conversation_id,
        coalesce(first_start_at, CASE WHEN gave_up_at IS NOT NULL THEN g.first.at END) AS asked_at,
        coalesce(asked_at, g.first.at) AS from_at
    FROM gathered AS g
    LEFT JOIN threads AS t USING (thread_id)
),
outcomes AS (
    SELECT coalesce(t.conversation_id, e.thread_id) AS conversation_id, e.occurred_at AS at, e.clock = 'stop' AS answers
    FROM events AS e
    LEFT JOIN threads AS t USING (thread_id)
    LEFT JOIN calls_left_open AS o USING (event_id)
    WHERE e.thread_id IS NOT NULL AND (e.clock = 'stop' OR (e.closes AND o.event_id IS NULL))
)
SELECT
    p.customer_id,
    p.channel,
    p.first.at AS started_at,
    p.last_at,
    p.events,
    p.conversation_id,
    coalesce(
        p.topic, nullif(trim(lower(c.topic), ' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13)), '')
    ) AS topic,
    p.asked_at,
    a.at AS answered_at,
    CASE WHEN p.asked_at IS NULL THEN NULL WHEN p.gave_up_at IS NULL THEN least(a.at, z.at) ELSE a.at END AS settled_at,
    p.gave_up_at,
    CASE WHEN p.tasks THEN 'task' WHEN p.menus THEN 'ivr' END AS self_service,
    coalesce(self_service = 'task' AND NOT p.self_served, false)
        OR coalesce(self_service = 'ivr' AND NOT p.self_served AND a.at IS NULL, false) AS failed_self_service,
    coalesce(list_filter(p.reached, lambda step, place: list_position(p.reached, step) = place), []) AS steps,
    p.reached[-1] AS last_step,
    p.first.id AS event_id
FROM placed AS p
LEFT JOIN touchlog.conversations AS c USING (conversation_id)
ASOF LEFT JOIN (FROM outcomes WHERE answers) AS a ON p.conversation_id = a.conversation_id AND p.from_at <= a.at
ASOF LEFT JOIN (FROM outcomes WHERE NOT coalesce(answers, false)) AS z
    ON p.conversation_id = z.conversation_id AND p.from_at <= z.at
