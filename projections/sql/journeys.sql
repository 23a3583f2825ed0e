-- projection: journeys
-- version: 1
-- sort: plain
-- reads: moves
-- key: month, from_channel, to_channel, topic

-- :view
SELECT
    date_trunc('month', moved_at AT TIME ZONE 'UTC')::DATE AS month,
    from_channel,
    to_channel,
    topic,
    count(*) AS moves,
    count(DISTINCT customer_id) AS customers,
    quantile_disc(after_s, 0.5) AS after_p50_s,
    quantile_disc(after_s, 0.9) AS after_p90_s,
    count(*) FILTER (unanswered) AS unanswered,
    quantile_disc(waited_s, 0.5) AS waited_p50_s,
    quantile_disc(waited_s, 0.9) AS waited_p90_s,
    count(*) FILTER (gave_up) AS gave_up,
    count(*) FILTER (failed_self_service) AS failed_self_service,
    count(*) FILTER (same_conversation) AS same_conversation
FROM touchlog.moves
GROUP BY 1, 2, 3, 4
