-- projection: satisfaction
-- version: 1
-- sort: plain
-- key: channel, day, kind

-- :view
WITH newest AS (
    SELECT
        channel,
        (occurred_at AT TIME ZONE 'UTC')::DATE AS day,
        (rest ->> '$.survey.kind') AS kind,
        (rest ->> '$.survey.score')::INTEGER AS score,
        (rest ->> '$.survey.scale_max')::INTEGER AS scale_max
    FROM events
    WHERE has_survey AND channel <> 'identity'
    QUALIFY row_number() OVER (
        PARTITION BY rest ->> '$.survey.kind', contact_point_id, coalesce(message_ref, conversation_ref)
        ORDER BY occurred_at DESC, event_id DESC
    ) = 1
)
SELECT
    channel,
    day,
    kind,
    count(*) AS answers,
    sum(score)::BIGINT AS score_sum,
    max(scale_max) AS scale_max,
    ((200 * sum(score) + count(*)) // (2 * count(*)))::BIGINT / 100 AS average,
    count(*) FILTER (kind = 'nps' AND scale_max = 10 AND score >= 9) AS promoters,
    count(*) FILTER (kind = 'nps' AND scale_max = 10 AND score <= 6) AS detractors,
    CASE WHEN kind = 'nps' THEN round(100 * (promoters - detractors) / answers)::INTEGER END AS nps
FROM newest
GROUP BY channel, day, kind
