-- projection: lateness
-- version: 1
-- sort: plain
-- key: channel, day

-- :view
SELECT
    channel,
    (observed_at AT TIME ZONE 'UTC')::DATE AS day,
    count(*) AS events,
    count(*) FILTER (observed_at > occurred_at + INTERVAL 1 HOUR) AS late,
    quantile_disc((epoch_us(observed_at) - epoch_us(occurred_at)) // 1000000, 0.5) AS p50_s,
    quantile_disc((epoch_us(observed_at) - epoch_us(occurred_at)) // 1000000, 0.99) AS p99_s,
    max((epoch_us(observed_at) - epoch_us(occurred_at)) // 1000000) AS max_s
FROM events
GROUP BY channel, day
