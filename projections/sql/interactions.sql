-- projection: interactions
-- version: 2
-- sort: plain
-- key: event_id

-- :view
SELECT
    e.event_id,
    e.channel,
    e.type,
    e.occurred_at,
    e.observed_at,
    e.source,
    e.rest ->> '$.source_event_id' AS source_event_id,
    e.direction,
    coalesce(h.customer_id, e.contact_point_id) AS customer_id,
    coalesce(
        list_last(list_filter(h.steps, lambda step: step.batch <= e.batch)).customer_id, e.contact_point_id
    ) AS customer_id_then,
    p.kind || ':' || p.value AS contact_point,
    e.contact_point_id,
    coalesce(
        e.rest -> '$.contact_points',
        json_array(json_object(
            'kind', p.kind, 'value', store.plain_key(p.value), 'role', 'self', 'normalised', e.normalised,
            'assurance', ['attested', 'asserted', 'claimed', 'inferred'][e.assurance + 1]
        ))
    ) AS contact_points,
    coalesce(t.conversation_id, e.thread_id) AS conversation_id,
    e.conversation_ref,
    e.message_ref,
    e.answers_ref,
    make_timestamptz((e.rest ->> '$.read_up_to')::BIGINT) AS read_up_to,
    coalesce(e.rest -> '$.case_refs', '[]'::JSON) AS case_refs,
    e.content_type,
    e.purpose,
    e.topic,
    e.author,
    (e.rest ->> '$.machine')::BOOLEAN AS machine,
    e.agent,
    e.promised_at,
    e.rest -> '$.statement' AS statement,
    e.rest -> '$.survey' AS survey,
    e.summary,
    coalesce(e.rest -> '$.attributes', '{}'::JSON) AS attributes,
    coalesce(e.rest -> '$.details', '{}'::JSON) AS details,
    e.outcome,
    'interactions.' || e.channel AS topic_name,
    e.partition,
    e.log_offset,
    e.batch
FROM events AS e
JOIN points AS p USING (contact_point_id)
LEFT JOIN member_history AS h USING (contact_point_id)
LEFT JOIN threads AS t USING (thread_id)
