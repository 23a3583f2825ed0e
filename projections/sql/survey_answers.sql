-- projection: survey_answers
-- version: 1
-- sort: plain
-- reads: conversations
-- key: event_id

-- :view
WITH newest AS (
    SELECT
        e.event_id,
        e.occurred_at,
        coalesce(m.customer_id, e.contact_point_id) AS customer_id,
        e.thread_id,
        e.message_ref,
        e.channel,
        e.rest ->> '$.survey.kind' AS kind,
        (e.rest ->> '$.survey.score')::INTEGER AS score,
        (e.rest ->> '$.survey.scale_max')::INTEGER AS scale_max
    FROM events AS e
    LEFT JOIN members AS m USING (contact_point_id)
    WHERE e.has_survey AND e.channel <> 'identity'
    QUALIFY row_number() OVER (
        PARTITION BY e.rest ->> '$.survey.kind', e.contact_point_id, coalesce(e.message_ref, e.conversation_ref)
        ORDER BY e.occurred_at DESC, e.event_id DESC
    ) = 1
),
-- An answer without a thread is about the conversation in which its message was sent to the same customer.
written AS (
    SELECT
        coalesce(m.customer_id, e.contact_point_id) AS customer_id,
        e.message_ref,
        arg_min(e.thread_id, {'at': e.occurred_at, 'id': e.event_id}) AS written_in
    FROM events AS e
    LEFT JOIN members AS m USING (contact_point_id)
    WHERE e.thread_id IS NOT NULL AND e.message_ref IN (SELECT message_ref FROM newest WHERE thread_id IS NULL)
    GROUP BY 1, 2
),
tied AS (
    SELECT n.*, coalesce(n.thread_id, w.written_in) AS tied_to
    FROM newest AS n
    LEFT JOIN written AS w USING (customer_id, message_ref)
)
SELECT
    s.event_id,
    s.occurred_at,
    s.customer_id,
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
LEFT JOIN threads AS t ON t.thread_id = s.tied_to
LEFT JOIN touchlog.conversations AS c ON c.conversation_id = coalesce(t.conversation_id, s.tied_to)
