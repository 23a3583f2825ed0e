-- projection: waits
-- version: 1
-- sort: plain
-- key: definition, definition_version, measure, event_id

-- :view
WITH told AS (
    SELECT
        coalesce(t.conversation_id, e.thread_id) AS conversation_id,
        e.event_id, e.occurred_at, e.contact_point_id, e.channel, e.agent,
        e.clock, e.opens, e.reopens,
        CASE WHEN o.event_id IS NOT NULL THEN NULL WHEN e.abandons THEN 'abandoned' WHEN e.closes THEN 'closed' END AS gone,
        e.type = 'conversation.snoozed' AS snoozes,
        e.promised_at,
        e.type = 'conversation.handed_off' OR (e.hand_over AND e.author = 'bot') AS bot_gives_up,
        -- What would stop the clock if a person had written it.
        e.author = 'bot' AND e.touchpoint AND e.type IN ('message.sent', 'dm.sent', 'reply.published', 'item.posted')
            AS bot_answers,
        CASE WHEN contains(e.rest, '"queue"') THEN e.rest ->> '$.details.queue' END AS queue
    FROM events AS e
    LEFT JOIN threads AS t USING (thread_id)
    LEFT JOIN calls_left_open AS o USING (event_id)
    WHERE e.thread_id IS NOT NULL AND (
        e.clock IS NOT NULL OR e.opens OR e.reopens OR e.closes OR e.abandons OR e.hand_over OR e.author = 'bot'
        OR e.type = 'conversation.snoozed' OR (e.channel = 'phone' AND contains(e.rest, '"queue"'))
    )
    QUALIFY bool_or(e.opens) OVER (PARTITION BY coalesce(t.conversation_id, e.thread_id))
),
named AS (
    SELECT *, first_value(CASE WHEN queue IS NOT NULL THEN {'at': occurred_at, 'id': event_id, 'queue': queue} END
        IGNORE NULLS) OVER (
            PARTITION BY conversation_id ORDER BY occurred_at, event_id
            ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
        ) AS next_queue
    FROM told
),
-- What each clock makes of an event: it begins a wait (ends NULL), or ends one.
marks AS (
    SELECT * FROM (
        SELECT * EXCLUDE (clock, opens, reopens, gone, snoozes, promised_at, bot_gives_up, bot_answers, queue), unnest([
            {'clock': 'people', 'begins': clock = 'start',
                'ends': CASE WHEN clock = 'stop' THEN 'answer' ELSE gone END},
            {'clock': 'anybody', 'begins': clock = 'start',
                'ends': CASE WHEN clock = 'stop' OR bot_answers THEN 'answer' ELSE gone END},
            {'clock': 'after_handoff', 'begins': bot_gives_up,
                'ends': CASE WHEN clock = 'stop' THEN 'answer' ELSE gone END},
            {'clock': 'resolution', 'begins': opens OR reopens, 'ends': gone}
        ], recursive := true)
        FROM named
    )
    WHERE (begins OR ends IS NOT NULL)
        AND (clock <> 'anybody' OR (SELECT bool_or(bots_answer) FROM metric_definitions))
),
turns AS (
    SELECT * REPLACE (coalesce(begins, false) AS begins)
    FROM marks
    QUALIFY coalesce(begins, false) IS DISTINCT FROM lag(coalesce(begins, false)) OVER (
        PARTITION BY conversation_id, clock ORDER BY occurred_at, event_id
    )
),
timed AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY conversation_id, clock, begins ORDER BY occurred_at, event_id) AS number,
        lead({'at': occurred_at, 'id': event_id, 'ends': ends, 'agent': agent}) OVER (
            PARTITION BY conversation_id, clock ORDER BY occurred_at, event_id
        ) AS ending
    FROM turns
    QUALIFY begins
),
measured AS (
    SELECT
        d.place, d.name, d.version, d.zone, d.snoozes_pause,
        CASE WHEN w.clock NOT IN ('people', 'anybody') THEN w.clock
            WHEN w.number = 1 THEN 'first_response' ELSE 'next_response' END AS measure,
        w.conversation_id, w.event_id, w.contact_point_id, w.channel,
        CASE WHEN ending IS NULL OR {'at': next_queue.at, 'id': next_queue.id} <= {'at': ending.at, 'id': ending.id}
            THEN next_queue.queue END AS queue,
        ending.agent AS agent,
        w.occurred_at AS began_at,
        ending.at AS ended_at,
        ending.ends AS ended_by,
        (epoch_us(ended_at) - epoch_us(began_at)) // 1000000 AS seconds
    FROM timed AS w
    JOIN metric_definitions AS d
        ON w.clock IN ('after_handoff', 'resolution', CASE WHEN d.bots_answer THEN 'anybody' ELSE 'people' END)
),
snoozes AS (
    SELECT
        conversation_id,
        occurred_at AS since,
        least(promised_at, lead(occurred_at) OVER (PARTITION BY conversation_id ORDER BY occurred_at, event_id)) AS until
    FROM told
    WHERE snoozes OR clock = 'start' OR opens OR reopens
    QUALIFY snoozes
),
moments AS (
    SELECT place, zone, measure, event_id, unnest([{'at': began_at, 'sign': -1}, {'at': ended_at, 'sign': 1}], recursive := true)
    FROM measured
    WHERE ended_at IS NOT NULL AND (zone IS NOT NULL OR snoozes_pause)
    UNION ALL
    SELECT place, zone, measure, event_id, unnest([
        {'at': greatest(s.since, w.began_at), 'sign': 1}, {'at': least(s.until, w.ended_at), 'sign': -1}
    ], recursive := true)
    FROM measured AS w
    JOIN snoozes AS s USING (conversation_id)
    WHERE w.snoozes_pause AND s.since < w.ended_at AND coalesce(s.until > greatest(s.since, w.began_at), true)
),
counted AS (
    SELECT
        m.place, m.measure, m.event_id,
        (sum(m.sign * CASE WHEN m.zone IS NULL THEN epoch_us(m.at) ELSE store.open_us(epoch_us(m.at), d.spans, d.before_us) END)
            // 1000000)::BIGINT AS open_s
    FROM moments AS m
    LEFT JOIN open_days AS d ON d.place = m.place AND d.day = store.open_day(m.at)
    GROUP BY m.place, m.measure, m.event_id
)
SELECT
    w.name AS definition,
    w.version AS definition_version,
    w.measure,
    w.conversation_id,
    coalesce(p.customer_id, w.contact_point_id) AS customer_id,
    w.channel,
    w.queue,
    CASE WHEN w.ended_by <> 'abandoned' THEN w.agent END AS agent,
    w.event_id,
    w.began_at,
    w.ended_at,
    w.ended_by,
    coalesce(w.ended_by = CASE w.measure WHEN 'resolution' THEN 'closed' ELSE 'answer' END, false) AS answered,
    w.seconds,
    CASE WHEN w.zone IS NULL AND NOT w.snoozes_pause THEN w.seconds
        WHEN w.ended_at IS NOT NULL THEN c.open_s END AS counted_s,
    g.target_s,
    CASE WHEN answered THEN counted_s <= g.target_s END AS within_target
FROM measured AS w
LEFT JOIN counted AS c USING (place, measure, event_id)
LEFT JOIN metric_targets AS g ON g.place = w.place AND g.measure = w.measure AND g.channel = w.channel
LEFT JOIN members AS p ON p.contact_point_id = w.contact_point_id
