-- projection: conversations
-- version: 3
-- sort: regrouped
-- now: yes
-- key: conversation_id

-- :fold
WITH threaded AS (
    SELECT
        conversation_id, event_id, contact_point_id, thread_id, occurred_at, channel, type, topic, agent, summary, rest,
        message_ref, promised_at, clock, touchpoint, opens, closes, reopens, abandons, hand_over, has_cases
    FROM events
),
shown AS (
    SELECT * FROM threaded WHERE conversation_id IN (SELECT conversation_id FROM threaded WHERE opens)
),
-- Calls that ended while the message or the wish for a call that was left in them waited: they end nothing.
left_waiting AS (
    SELECT event_id
    FROM (
        SELECT e.conversation_id, e.event_id, e.occurred_at AS ended_at, max(l.occurred_at) AS left_at
        FROM shown AS e
        JOIN shown AS l USING (conversation_id, thread_id)
        WHERE e.type IN ('call.completed', 'ivr.self_served', 'call.abandoned')
            AND l.type IN ('voicemail.left', 'callback.requested') AND l.clock = 'start'
            AND l.occurred_at <= e.occurred_at
        GROUP BY ALL
    ) AS c
    WHERE NOT EXISTS (
        FROM shown AS a
        WHERE a.conversation_id = c.conversation_id AND a.clock = 'stop' AND a.occurred_at BETWEEN left_at AND ended_at
    )
),
flow AS (
    SELECT
        s.* EXCLUDE (closes, abandons),
        closes AND w.event_id IS NULL AS closes,
        abandons AND w.event_id IS NULL AS abandons,
        touchpoint OR opens OR s.closes OR reopens OR s.abandons OR hand_over OR clock IS NOT NULL AS relevant
    FROM shown AS s
    LEFT JOIN left_waiting AS w USING (event_id)
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
        relevant AND channel IS DISTINCT FROM lag(CASE WHEN relevant THEN channel END IGNORE NULLS) OVER in_order AS moved,
        (opens OR reopens) AND coalesce(
            lag(CASE WHEN opens OR closes OR reopens THEN closes END IGNORE NULLS) OVER in_order, false
        ) AS opened_again
    FROM flow AS f
    JOIN marks AS m USING (conversation_id)
    WINDOW in_order AS (PARTITION BY conversation_id ORDER BY occurred_at, event_id)
),
cases AS (
    SELECT conversation_id, list(DISTINCT case_ref ORDER BY case_ref) AS case_refs
    FROM (
        SELECT conversation_id, unnest(from_json(rest -> '$.case_refs', '["VARCHAR"]')) AS case_ref
        FROM flow WHERE has_cases
    )
    GROUP BY conversation_id
),
colleagues AS (
    SELECT conversation_id, list_transform(list_sort(list(earliest)), lambda one: one.agent) AS agents
    FROM (
        SELECT conversation_id, min({'at': occurred_at, 'id': event_id, 'agent': agent}) AS earliest
        FROM flow WHERE agent <> '' GROUP BY conversation_id, agent
    )
    GROUP BY conversation_id
),
-- What was said last: what was taken back is not said, what was changed is said as changed.
taken_back AS (
    SELECT DISTINCT conversation_id, channel, message_ref
    FROM flow WHERE type = 'message.deleted' AND message_ref IS NOT NULL
),
edits AS (
    SELECT
        conversation_id, channel, message_ref,
        max({'at': occurred_at, 'id': event_id, 'words': summary}).words AS words
    FROM flow WHERE type = 'message.edited' AND message_ref IS NOT NULL AND summary <> ''
    GROUP BY conversation_id, channel, message_ref
),
words AS (
    SELECT
        conversation_id,
        max(said) FILTER (clock = 'start' AND said.words <> '') AS theirs,
        max(said) FILTER (clock = 'stop' AND said.words <> '') AS ours,
        max(said) FILTER (clock = 'stop') AS answer
    FROM (
        SELECT
            conversation_id, clock,
            {'at': occurred_at, 'id': event_id, 'channel': channel, 'agent': agent, 'words': coalesce(e.words, summary)}
                AS said
        FROM (FROM flow WHERE clock IS NOT NULL) AS f
        LEFT JOIN edits AS e USING (conversation_id, channel, message_ref)
        ANTI JOIN taken_back USING (conversation_id, channel, message_ref)
    )
    GROUP BY conversation_id
),
self_service AS (
    SELECT
        conversation_id,
        max({'at': occurred_at, 'id': event_id, 'step': did || coalesce(': ' || place, '')}) AS last
    FROM (
        SELECT
            conversation_id, occurred_at, event_id,
            CASE type WHEN 'task.started' THEN 'began' WHEN 'task.step_reached' THEN 'reached'
                WHEN 'task.completed' THEN 'completed' WHEN 'task.abandoned' THEN 'gave up'
                WHEN 'ivr.selected' THEN 'chose in the menu' ELSE 'settled by the menu' END AS did,
            last_value(
                coalesce(nullif(rest ->> '$.details.step', ''), nullif(rest ->> '$.details.ivr_path', '')) IGNORE NULLS
            ) OVER (
                PARTITION BY conversation_id, thread_id ORDER BY occurred_at, event_id ROWS UNBOUNDED PRECEDING
            ) AS place
        FROM flow
        WHERE type IN (
            'task.started', 'task.step_reached', 'task.completed', 'task.abandoned', 'ivr.selected', 'ivr.self_served'
        )
    )
    GROUP BY conversation_id
),
queues AS (
    SELECT conversation_id, sum((epoch_us(until) - epoch_us(occurred_at)) // 1000000)::BIGINT AS queue_s
    FROM (
        SELECT
            conversation_id, occurred_at, type,
            lag(type) OVER in_thread AS before,
            first_value(CASE WHEN type <> 'call.queued' THEN occurred_at END IGNORE NULLS)
                OVER (in_thread ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS until
        FROM flow
        WHERE type IN (
            'call.queued', 'call.answered', 'call.abandoned', 'voicemail.left', 'callback.requested', 'call.completed'
        )
        WINDOW in_thread AS (PARTITION BY conversation_id, thread_id ORDER BY occurred_at, event_id)
    )
    WHERE type = 'call.queued' AND before IS DISTINCT FROM 'call.queued' AND until IS NOT NULL
    GROUP BY conversation_id
)
SELECT
    s.conversation_id,
    arg_min(contact_point_id, {'at': occurred_at, 'id': event_id}) FILTER (relevant) AS first_contact_point_id,
    list_distinct(list(contact_point_id) FILTER (relevant)) AS contact_point_ids,
    list_transform(
        list_sort(list({'at': occurred_at, 'id': event_id, 'channel': channel}) FILTER (moved)), lambda one: one.channel
    ) AS moves,
    min(occurred_at) FILTER (opens OR reopens) AS opened_at,
    max(occurred_at) FILTER (relevant) AS last_at,
    any_value(begin_at) AS begin_at,
    any_value(end_at) AS end_at,
    any_value(gave_up_at) AS gave_up_at,
    any_value(answer_at) AS answer_at,
    min(occurred_at) FILTER (
        clock = 'start' AND coalesce(occurred_at > answer_at, true) AND coalesce(occurred_at > end_at, true)
    ) AS waiting_at,
    max({'at': occurred_at, 'id': event_id, 'until': promised_at}) FILTER (type = 'conversation.snoozed') AS snooze,
    max({'at': occurred_at, 'id': event_id, 'by': promised_at}) FILTER (
        type = 'callback.requested' AND clock = 'start'
        AND coalesce(occurred_at > answer_at, true) AND coalesce(occurred_at > end_at, true)
    ) AS callback,
    max({'at': occurred_at, 'id': event_id, 'by': promised_at}) FILTER (
        type <> 'conversation.snoozed' AND promised_at IS NOT NULL
    ) AS promise,
    count(*) FILTER (clock = 'start') AS messages_in,
    count(*) FILTER (clock = 'stop') AS messages_out,
    count(*) FILTER (hand_over) AS hand_overs,
    count(*) FILTER (opened_again) AS reopened,
    (epoch_us(min(occurred_at) FILTER (clock = 'stop' AND occurred_at >= first_start_at))
        - epoch_us(any_value(first_start_at))) // 1000000 AS first_response_s,
    any_value(q.queue_s) AS queue_s,
    sum(CASE WHEN type = 'call.held' AND regexp_full_match(rest ->> '$.attributes.hold_s', '[0-9]{1,9}')
        THEN (rest ->> '$.attributes.hold_s')::BIGINT END)::BIGINT AS hold_s,
    arg_max(topic, {'at': occurred_at, 'id': event_id}) FILTER (topic IS NOT NULL) AS topic,
    arg_max(agent, {'at': occurred_at, 'id': event_id}) FILTER (agent IS NOT NULL) AS agent,
    coalesce(any_value(g.agents), []) AS agents,
    coalesce(any_value(k.case_refs), []) AS case_refs,
    any_value(w.theirs) AS theirs,
    any_value(w.ours.words) AS last_answer_summary,
    any_value(w.answer) AS answer,
    any_value(p.last) AS self_served
FROM steps AS s
LEFT JOIN cases AS k USING (conversation_id)
LEFT JOIN colleagues AS g USING (conversation_id)
LEFT JOIN words AS w USING (conversation_id)
LEFT JOIN self_service AS p USING (conversation_id)
LEFT JOIN queues AS q USING (conversation_id)
GROUP BY s.conversation_id

-- :view
WITH folded AS (FROM state),
known AS (
    SELECT
        *,
        CASE
            WHEN snooze.at > begin_at AND coalesce(snooze.at > end_at, true) AND coalesce(snooze.at > gave_up_at, true)
                AND coalesce(snooze.at >= answer_at, true) AND coalesce(snooze.until > now_at, true) THEN 'snoozed'
            WHEN gave_up_at >= begin_at AND coalesce(gave_up_at > answer_at, true) THEN 'abandoned'
            WHEN end_at >= begin_at THEN 'resolved'
            WHEN waiting_at IS NOT NULL THEN 'waiting_on_us'
            WHEN answer_at IS NOT NULL THEN 'waiting_on_customer'
            ELSE 'new'
        END AS state,
        CASE state WHEN 'snoozed' THEN snooze.at WHEN 'abandoned' THEN gave_up_at WHEN 'resolved' THEN end_at
            WHEN 'waiting_on_us' THEN waiting_at WHEN 'waiting_on_customer' THEN answer_at ELSE begin_at
        END AS state_since,
        CASE WHEN state = 'snoozed' THEN snooze.until END AS snoozed_until,
        CASE
            WHEN state IN ('resolved', 'abandoned') THEN NULL
            WHEN callback.at IS NOT NULL
                THEN 'call back' || coalesce(' by ' || strftime(callback.by AT TIME ZONE 'UTC', '%Y-%m-%d %H:%MZ'), '')
            WHEN promise.at IS NOT NULL AND coalesce(promise.at > end_at, true)
                THEN 'promised by ' || strftime(promise.by AT TIME ZONE 'UTC', '%Y-%m-%d %H:%MZ')
            WHEN state = 'waiting_on_us' THEN 'answer'
            WHEN state = 'snoozed' THEN 'look again'
                || coalesce(' at ' || strftime(snoozed_until AT TIME ZONE 'UTC', '%Y-%m-%d %H:%MZ'), '')
        END AS next_action
    FROM folded AS s
),
-- On one line, and of what was said no more than the beginning.
squeezed AS (
    SELECT
        *,
        trim(regexp_replace(theirs.words, '[\x00-\x20\x7f-\x{a0}\x{2028}\x{2029}]+', ' ', 'g')) AS they_said,
        trim(regexp_replace(answer.words, '[\x00-\x20\x7f-\x{a0}\x{2028}\x{2029}]+', ' ', 'g')) AS we_said
    FROM known
),
told AS (
    SELECT
        * EXCLUDE (they_said, we_said),
        trim(regexp_replace(concat_ws('; ',
            CASE state
                WHEN 'snoozed' THEN 'snoozed ' || CASE WHEN snoozed_until IS NULL THEN 'since ' ELSE 'until ' END
                WHEN 'abandoned' THEN 'given up by the customer '
                WHEN 'resolved' THEN 'resolved '
                WHEN 'waiting_on_us' THEN 'waiting on us since '
                WHEN 'waiting_on_customer' THEN 'waiting on the customer since '
                ELSE 'new since '
            END || strftime(coalesce(snoozed_until, state_since) AT TIME ZONE 'UTC', '%Y-%m-%d %H:%MZ'),
            CASE WHEN they_said <> '' THEN
                'they last: ''' || CASE WHEN length(they_said) > 80 THEN left(they_said, 79) || '…' ELSE they_said END
                || ''' (' || theirs.channel || ', ' || strftime(theirs.at AT TIME ZONE 'UTC', '%Y-%m-%d %H:%MZ') || ')'
            END,
            CASE WHEN answer.at IS NOT NULL THEN
                'last answer' || CASE
                    WHEN length(we_said) > 80 THEN ': ''' || left(we_said, 79) || '…'''
                    WHEN we_said <> '' THEN ': ''' || we_said || ''''
                    ELSE ''
                END
                || CASE WHEN answer.agent <> '' THEN ' by ' || answer.agent ELSE '' END
                || ' (' || answer.channel || ', ' || strftime(answer.at AT TIME ZONE 'UTC', '%Y-%m-%d %H:%MZ') || ')'
            END,
            CASE WHEN self_served.at IS NOT NULL AND coalesce(self_served.at > answer_at, true)
                THEN 'self-service: ' || self_served.step END,
            CASE WHEN next_action LIKE 'call back%' OR next_action LIKE 'promised by %' THEN next_action END
        ), '[\x00-\x20\x7f-\x{a0}\x{2028}\x{2029}]+', ' ', 'g')) AS summary
    FROM squeezed
)
SELECT
    conversation_id,
    coalesce(m.customer_id, first_contact_point_id) AS customer_id,
    customer_ids,
    list_filter(moves, lambda one, place: list_position(moves, one) = place) AS channels,
    len(moves) - 1 AS switches,
    moves,
    opened_at,
    last_at,
    state,
    state_since,
    CASE WHEN state = 'waiting_on_us' THEN waiting_at END AS waiting_since,
    snoozed_until,
    messages_in,
    messages_out,
    hand_overs,
    reopened,
    first_response_s,
    queue_s,
    hold_s,
    CASE WHEN state = 'resolved' THEN end_at END AS resolved_at,
    topic,
    agent,
    agents,
    case_refs,
    theirs.words AS last_customer_summary,
    last_answer_summary,
    self_served.step AS last_step,
    promise.by AS promised_at,
    next_action,
    summary
FROM told AS s
LEFT JOIN members AS m ON m.contact_point_id = s.first_contact_point_id
LEFT JOIN (
    SELECT conversation_id, list(DISTINCT customer_id ORDER BY customer_id::VARCHAR) AS customer_ids
    FROM (
        SELECT p.conversation_id, coalesce(o.customer_id, p.contact_point_id) AS customer_id
        FROM (SELECT conversation_id, unnest(contact_point_ids) AS contact_point_id FROM folded) AS p
        LEFT JOIN members AS o USING (contact_point_id)
    )
    GROUP BY conversation_id
) USING (conversation_id)
