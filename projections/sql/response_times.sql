-- projection: response_times
-- version: 1
-- sort: plain
-- key: channel, day

-- :view
WITH shown AS (
    SELECT coalesce(t.conversation_id, e.thread_id) AS conversation_id, e.*
    FROM events AS e
    LEFT JOIN threads AS t USING (thread_id)
    WHERE e.thread_id IS NOT NULL AND (e.clock IS NOT NULL OR e.closes OR e.abandons OR e.opens)
    QUALIFY bool_or(e.opens) OVER (PARTITION BY coalesce(t.conversation_id, e.thread_id))
),
steps AS (
    SELECT
        conversation_id,
        channel,
        occurred_at,
        event_id,
        -- An event that starts the clock ends no wait.
        CASE WHEN clock = 'start' THEN 'start' WHEN clock = 'stop' THEN 'stop'
            WHEN abandons THEN 'abandon' ELSE 'close' END AS step
    FROM shown
    WHERE clock IS NOT NULL OR closes OR abandons
),
placed AS (
    SELECT
        *,
        lag(step) OVER by_time AS before,
        first_value(CASE WHEN step <> 'start' THEN {'step': step, 'at': occurred_at} END IGNORE NULLS)
            OVER (by_time ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS ending
    FROM steps
    WINDOW by_time AS (PARTITION BY conversation_id ORDER BY occurred_at, event_id)
),
waits AS (
    SELECT
        channel,
        (occurred_at AT TIME ZONE 'UTC')::DATE AS day,
        ending.step AS ended_by,
        (epoch_us(ending.at) - epoch_us(occurred_at)) // 1000000 AS seconds,
        row_number() OVER (PARTITION BY conversation_id ORDER BY occurred_at, event_id) = 1 AS is_first,
        CASE channel WHEN 'email' THEN 86400 WHEN 'chat' THEN 60 WHEN 'phone' THEN 20 WHEN 'post' THEN 864000
            ELSE 3600 END AS target_s
    FROM placed
    WHERE step = 'start' AND before IS DISTINCT FROM 'start'
)
SELECT
    channel,
    day,
    count(*) AS waits,
    count(*) FILTER (ended_by = 'stop') AS answered,
    count(*) FILTER (ended_by = 'abandon') AS abandoned,
    count(*) FILTER (ended_by IS NULL) AS open,
    count(*) FILTER (is_first) AS first_waits,
    count(*) FILTER (is_first AND ended_by = 'stop') AS first_answered,
    quantile_disc(seconds, 0.5) FILTER (is_first AND ended_by = 'stop') AS first_p50_s,
    quantile_disc(seconds, 0.9) FILTER (is_first AND ended_by = 'stop') AS first_p90_s,
    quantile_disc(seconds, 0.5) FILTER (ended_by = 'stop') AS p50_s,
    quantile_disc(seconds, 0.9) FILTER (ended_by = 'stop') AS p90_s,
    any_value(target_s) AS target_s,
    count(*) FILTER (ended_by = 'stop' AND seconds <= target_s) AS within_target
FROM waits
GROUP BY channel, day
