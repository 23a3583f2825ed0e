-- projection: response_times_by_queue
-- version: 1
-- sort: plain
-- reads: waits
-- key: definition, definition_version, measure, queue, channel, day

-- :view
SELECT
    definition,
    definition_version,
    measure,
    queue,
    channel,
    day,
    count(*) AS waits,
    count(*) FILTER (answered) AS answered,
    count(*) FILTER (ended_by = 'closed' AND NOT answered) AS closed,
    count(*) FILTER (ended_by = 'abandoned') AS abandoned,
    count(*) FILTER (ended_by IS NULL) AS open,
    quantile_disc(counted_s, 0.5) FILTER (answered) AS p50_s,
    quantile_disc(counted_s, 0.9) FILTER (answered) AS p90_s,
    any_value(target_s) AS target_s,
    count(*) FILTER (within_target) AS within_target
FROM (SELECT *, (began_at AT TIME ZONE 'UTC')::DATE AS day FROM touchlog.waits)
WHERE queue IS NOT NULL
GROUP BY definition, definition_version, measure, queue, channel, day
