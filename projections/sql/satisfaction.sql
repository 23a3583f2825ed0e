-- projection: satisfaction
-- version: 2
-- sort: plain
-- reads: survey_answers
-- key: channel, day, kind

-- :view
SELECT
    channel,
    (occurred_at AT TIME ZONE 'UTC')::DATE AS day,
    kind,
    count(*) AS answers,
    sum(score)::BIGINT AS score_sum,
    max(scale_max) AS scale_max,
    ((200 * sum(score) + count(*)) // (2 * count(*)))::BIGINT / 100 AS average,
    count(*) FILTER (verdict = 'satisfied') AS satisfied,
    count(*) FILTER (verdict = 'dissatisfied') AS dissatisfied,
    count(*) FILTER (verdict = 'promoter') AS promoters,
    count(*) FILTER (verdict = 'detractor') AS detractors,
    CASE WHEN kind = 'nps' THEN round(100 * (promoters - detractors) / answers)::INTEGER END AS nps,
    count(conversation_id) AS tied,
    count(*) FILTER (len(channels) > 1) AS crossed,
    quantile_disc(first_response_s, 0.5) AS first_response_p50_s
FROM touchlog.survey_answers
GROUP BY 1, 2, 3
