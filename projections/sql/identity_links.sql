-- projection: identity_links
-- version: 1
-- sort: plain
-- key: one, other

-- :view
SELECT
    one,
    other,
    verb,
    strength,
    event_id,
    occurred_at,
    reason IS NULL AS effective,
    reason,
    cut_at AS shared,
    one_customer_id,
    other_customer_id
FROM (
    SELECT
        p.one,
        p.other,
        p.verb,
        ['stated', 'attested', 'asserted', 'claimed', 'inferred'][p.strength + 1] AS strength,
        p.event_id,
        p.occurred_at,
        list_filter(
            [CASE WHEN m.shared THEN p.one END, CASE WHEN n.shared THEN p.other END], lambda x: x IS NOT NULL
        ) AS cut_at,
        coalesce(m.customer_id, p.one_id) AS one_customer_id,
        coalesce(n.customer_id, p.other_id) AS other_customer_id,
        CASE
            WHEN NOT p.linked THEN p.verb
            WHEN len(cut_at) > 0 THEN 'shared'
            -- What is linked, and not shared, is apart only where it was left out.
            WHEN one_customer_id <> other_customer_id THEN 'conflict'
        END AS reason
    FROM (
        SELECT *, store.contact_point_id(one) AS one_id, store.contact_point_id(other) AS other_id FROM pairs
    ) AS p
    LEFT JOIN members AS m ON m.contact_point_id = p.one_id
    LEFT JOIN members AS n ON n.contact_point_id = p.other_id
)
