-- projection: conversations
-- version: 1
-- sort: regrouped
-- key: conversation_id

-- :fold
WITH flow AS (
    SELECT *, touchpoint OR opens OR closes OR reopens OR abandons OR hand_over OR clock IS NOT NULL AS relevant
    FROM events
    QUALIFY bool_or(opens) OVER (PARTITION BY conversation_id)
),
marks AS (
    SELECT
        conversation_id,
        max(occurred_at) FILTER (opens OR reopens) AS begin_at,
        max(occurred_at) FILTER (closes) AS end_at,
        max(occurred_at) FILTER (abandons) AS gave_up_at,
        max(occurred_at) FILTER (clock = 'stop') AS answer_at,
        min(occurred_at) FILTER (clock = 'start') AS first_start_at
    FROM flow
    GROUP BY conversation_id
),
steps AS (
    SELECT
        f.*,
        m.* EXCLUDE (conversation_id),
        relevant AND channel <> lag(channel) OVER by_relevance AS switched,
        opens AND coalesce(lag(closes) OVER by_state, false) AS opened_again
    FROM flow AS f
    JOIN marks AS m USING (conversation_id)
    WINDOW
        by_relevance AS (PARTITION BY conversation_id, relevant ORDER BY occurred_at, event_id),
        by_state AS (PARTITION BY conversation_id, opens OR closes OR reopens ORDER BY occurred_at, event_id)
),
channels AS (
    SELECT conversation_id, list(channel ORDER BY earliest) AS channels
    FROM (
        SELECT conversation_id, channel, min({'at': occurred_at, 'id': event_id}) AS earliest
        FROM flow WHERE relevant GROUP BY conversation_id, channel
    )
    GROUP BY conversation_id
),
cases AS (
    SELECT conversation_id, list(DISTINCT case_ref ORDER BY case_ref) AS case_refs
    FROM (
        SELECT conversation_id, unnest(from_json(rest -> '$.case_refs', '["VARCHAR"]')) AS case_ref
        FROM flow WHERE has_cases
    )
    GROUP BY conversation_id
)
SELECT
    s.conversation_id,
    arg_min(contact_point_id, {'at': occurred_at, 'id': event_id}) FILTER (relevant) AS first_contact_point_id,
    list(DISTINCT contact_point_id) FILTER (relevant) AS contact_point_ids,
    any_value(c.channels) AS channels,
    count(*) FILTER (switched) AS switches,
    min(occurred_at) FILTER (opens OR reopens) AS opened_at,
    max(occurred_at) FILTER (relevant) AS last_at,
    any_value(begin_at) AS begin_at,
    any_value(end_at) AS end_at,
    any_value(gave_up_at) AS gave_up_at,
    any_value(answer_at) AS answer_at,
    min(occurred_at) FILTER (
        clock = 'start' AND coalesce(occurred_at > answer_at, true) AND coalesce(occurred_at > end_at, true)
    ) AS waiting_at,
    count(*) FILTER (clock = 'start') AS messages_in,
    count(*) FILTER (clock = 'stop') AS messages_out,
    count(*) FILTER (hand_over) AS hand_overs,
    count(*) FILTER (reopens) + count(*) FILTER (opened_again) AS reopened,
    (epoch_us(min(occurred_at) FILTER (clock = 'stop' AND occurred_at >= first_start_at))
        - epoch_us(any_value(first_start_at))) // 1000000 AS first_response_s,
    arg_max(topic, {'at': occurred_at, 'id': event_id}) FILTER (topic IS NOT NULL) AS topic,
    arg_max(agent, {'at': occurred_at, 'id': event_id}) FILTER (agent IS NOT NULL) AS agent,
    coalesce(any_value(k.case_refs), []) AS case_refs,
    max({'at': occurred_at, 'id': event_id, 'value': summary}) FILTER (clock = 'start').value AS last_customer_summary,
    max({'at': occurred_at, 'id': event_id, 'value': summary}) FILTER (clock = 'stop').value AS last_answer_summary,
    arg_max(promised_at, {'at': occurred_at, 'id': event_id}) FILTER (promised_at IS NOT NULL) AS promised_at
FROM steps AS s
LEFT JOIN channels AS c USING (conversation_id)
LEFT JOIN cases AS k USING (conversation_id)
GROUP BY s.conversation_id

-- :view
SELECT
    conversation_id,
    coalesce(m.customer_id, first_contact_point_id) AS customer_id,
    customer_ids,
    channels,
    switches,
    opened_at,
    last_at,
    CASE
        WHEN gave_up_at >= begin_at AND coalesce(gave_up_at > answer_at, true) THEN 'abandoned'
        WHEN end_at >= begin_at THEN 'resolved'
        WHEN waiting_at IS NOT NULL THEN 'waiting_on_us'
        WHEN answer_at IS NOT NULL THEN 'waiting_on_customer'
        ELSE 'new'
    END AS state,
    CASE state WHEN 'abandoned' THEN gave_up_at WHEN 'resolved' THEN end_at WHEN 'waiting_on_us' THEN waiting_at
        WHEN 'waiting_on_customer' THEN answer_at ELSE begin_at END AS state_since,
    CASE WHEN state = 'waiting_on_us' THEN waiting_at END AS waiting_since,
    messages_in,
    messages_out,
    hand_overs,
    reopened,
    first_response_s,
    CASE WHEN state = 'resolved' THEN end_at END AS resolved_at,
    topic,
    agent,
    case_refs,
    last_customer_summary,
    last_answer_summary,
    promised_at
FROM state AS s
LEFT JOIN members AS m ON m.contact_point_id = s.first_contact_point_id
LEFT JOIN (
    SELECT conversation_id, list(DISTINCT customer_id ORDER BY customer_id::VARCHAR) AS customer_ids
    FROM (
        SELECT p.conversation_id, coalesce(o.customer_id, p.contact_point_id) AS customer_id
        FROM (SELECT conversation_id, unnest(contact_point_ids) AS contact_point_id FROM state) AS p
        LEFT JOIN members AS o USING (contact_point_id)
    )
    GROUP BY conversation_id
) USING (conversation_id)
