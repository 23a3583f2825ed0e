-- projection: survey_answers
-- version: 1
-- sort: plain
-- reads: conversations
-- key: event_id

-- :view
WITH newest AS (
    SELECT
        event_id,
        occurred_at,
        contact_point_id,
        thread_id,
        message_ref,
        channel,
        rest ->> '$.survey.kind' AS kind,
        (rest ->> '$.survey.score')::INTEGER AS score,
        (rest ->> '$.survey.scale_max')::INTEGER AS scale_max
    FROM events
    WHERE has_survey AND channel <> 'identity'
    QUALIFY row_number() OVER (
        PARTITION BY rest ->> '$.survey.kind', contact_point_id, coalesce(message_ref, conversation_ref)
        ORDER BY occurred_at DESC, event_id DESC
    ) = 1
),
-- An answer without a thread is about the conversation in which its message was sent.
written AS (
    SELECT message_ref, arg_min(thread_id, {'at': occurred_at, 'id': event_id}) AS written_in
    FROM events
    WHERE thread_id IS NOT NULL AND message_ref IN (SELECT message_ref FROM newest WHERE thread_id IS NULL)
    GROUP BY message_ref
),
tied AS (
    SELECT n.*, coalesce(n.thread_id, w.written_in) AS tied_to
    FROM newest AS n
    LEFT JOIN written AS w USING (message_ref)
)
SELECT
    s.event_id,
    s.occurred_at,
    coalesce(m.customer_id, s.contact_point_id) AS customer_id,
    s.channel,
    s.kind,
    s.score,
    s.scale_max,
    CASE
        WHEN s.kind = 'csat' AND 5 * s.score >= 4 * s.scale_max THEN 'satisfied'
        WHEN s.kind = 'csat' AND 5 * s.score <= 2 * s.scale_max THEN 'dissatisfied'
        WHEN s.kind = 'csat' THEN 'neutral'
        WHEN s.kind = 'nps' AND s.scale_max = 10 AND s.score >= 9 THEN 'promoter'
        WHEN s.kind = 'nps' AND s.scale_max = 10 AND s.score <= 6 THEN 'detractor'
        WHEN s.kind = 'nps' AND s.scale_max = 10 THEN 'passive'
    END AS verdict,
    c.conversation_id,
    c.topic,
    c.channels,
    c.switches,
    c.hand_overs,
    c.reopened,
    c.first_response_s,
    c.agent
FROM tied AS s
LEFT JOIN members AS m USING (contact_point_id)
LEFT JOIN threads AS t ON t.thread_id = s.tied_to
LEFT JOIN touchlog.conversations AS c ON c.conversation_id = coalesce(t.conversation_id, s.tied_to)
