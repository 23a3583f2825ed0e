"""The relations that projections read, and how a block of SQL is run on a cut of the events.

`rows` are events as they lie (projections.layout); everything else is defined here once, as SQL over it. A block names
relations; what they are is put in its place, so the block itself never knows on which cut it runs.
"""

import re
from collections.abc import Mapping

from projections import layout
from projections.contact_rules import KIND_OF_CHANNEL, MARKETING, NEEDS_OPT_IN, ORDER, REQUIRED_BY_LAW
from projections.identity_rules import LIMITS, MOST_POSSIBLE, UNIQUE
from schemas.contact_points import NAMESPACE, SINCE

_NAMESPACE_BLOB = "'" + "".join(f"\\x{byte:02x}" for byte in NAMESPACE.bytes) + "'::BLOB"

HOLDINGS = """
SELECT
    point_key, store.contact_point_id(point_key) AS point_id, since, until, holding,
    store.contact_point_id(holding) AS holding_id
FROM (
    SELECT
        contact_point AS point_key,
        occurred_at AS since,
        coalesce(lead(occurred_at) OVER (PARTITION BY contact_point ORDER BY occurred_at), 'infinity') AS until,
        contact_point || ' (since ' || replace(
            strftime(occurred_at AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ'), '.000000Z', 'Z'
        ) || ')' AS holding
    FROM (SELECT DISTINCT contact_point, occurred_at FROM endings)
)
"""
"""What contact points that ended are called from then on (schemas.contact_points.held_since): what happened later than
`since`, up to `until`, is another holder's."""

EVENTS = f"""
SELECT
    batch, event_id, coalesce(h.holding_id, r.contact_point_id) AS contact_point_id, thread_id, occurred_at,
    observed_at, channel, type, direction, content_type,
    purpose, author, topic, agent, outcome, source, conversation_ref, message_ref, answers_ref, summary, rest,
    "partition", log_offset,
    (flags & {layout.TOUCHPOINT}) <> 0 AS touchpoint,
    (flags & {layout.CUSTOMER}) <> 0 AS customer,
    (flags & {layout.OPENS}) <> 0 AS opens,
    (flags & {layout.CLOSES}) <> 0 AS closes,
    (flags & {layout.REOPENS}) <> 0 AS reopens,
    (flags & {layout.ABANDONS}) <> 0 AS abandons,
    (flags & {layout.HAND_OVER}) <> 0 AS hand_over,
    (flags & {layout.SELF}) <> 0 AS is_self,
    (flags & {layout.NORMALISED}) <> 0 AS normalised,
    (flags & {layout.SHAREABLE}) <> 0 AS identifiable,
    (flags & {layout.STATEMENT}) <> 0 AS has_statement,
    (flags & {layout.SURVEY}) <> 0 AS has_survey,
    (flags & {layout.CASES}) <> 0 AS has_cases,
    {layout.unpack(*layout.CLOCK)} AS clock,
    {layout.unpack(*layout.REACH)} AS reach,
    {layout.unpack(*layout.ITEM)} AS item,
    CASE WHEN item = 'answered' THEN answers_ref ELSE message_ref END AS item_ref,
    (flags >> {layout.ASSURANCE[0]}) & 3 AS assurance,
    (flags >> {layout.ENGAGEMENT_SHIFT}) & 15 AS engagement,
    CASE WHEN (flags & {layout.PROMISE}) <> 0
        THEN make_timestamptz((rest ->> '$.promised_at')::BIGINT) END AS promised_at
FROM rows AS r
LEFT JOIN holdings AS h
    ON h.point_id = r.contact_point_id AND r.occurred_at > h.since AND r.occurred_at <= h.until
"""

MENTIONS = """
SELECT
    batch, coalesce(h.holding_id, m.contact_point_id) AS contact_point_id, event_id, primary_id, occurred_at, role,
    assurance, normalised
FROM mention_rows AS m
LEFT JOIN holdings AS h
    ON h.point_id = m.contact_point_id AND m.occurred_at > h.since AND m.occurred_at <= h.until
"""

MACROS = (
    # UUIDv5: SHA-1 of namespace and name, with the version and variant bits set.
    """
    CREATE OR REPLACE MACRO store.uuid5(hex) AS (
        substr(hex, 1, 12) || '5' || substr(hex, 14, 3)
        || substr('89ab', (('0x' || substr(hex, 17, 1))::UTINYINT & 3) + 1, 1) || substr(hex, 18, 15)
    )::UUID
    """,
    f"CREATE OR REPLACE MACRO store.contact_point_id(key) AS store.uuid5(sha1({_NAMESPACE_BLOB} || encode(key)))",
    # NULL of NULL; 0 of what a clock that is ahead puts before its beginning.
    """
    CREATE OR REPLACE MACRO store.seconds_until(one, other) AS
        CASE WHEN other < one THEN 0 ELSE (epoch_us(other) - epoch_us(one)) // 1000000 END
    """,
    # schemas.contact_points.plain_key
    f"CREATE OR REPLACE MACRO store.plain_key(key) AS regexp_replace(key, '{SINCE}', '')",
)

_RANK = "CASE verb WHEN 'asserted' THEN 0 WHEN 'retracted' THEN 1 WHEN 'forbidden' THEN 2 END"

PAIRS = f"""
SELECT
    one, other, verb, event_id, occurred_at,
    verb IN ('asserted', 'evidence') AS linked,
    CASE verb WHEN 'asserted' THEN 0 WHEN 'evidence' THEN 1 + first.assurance END AS strength
FROM (
    SELECT
        one, other, first,
        CASE
            WHEN newest.verb IN ('asserted', 'forbidden') THEN newest.verb
            WHEN first IS NOT NULL THEN 'evidence'
            ELSE newest.verb
        END AS verb,
        CASE WHEN verb = 'evidence' THEN first.id ELSE newest.id END AS event_id,
        CASE WHEN verb = 'evidence' THEN first.at ELSE newest.at END AS occurred_at
    FROM (
        SELECT
            one, other,
            max({{'at': occurred_at, 'rank': {_RANK}, 'id': event_id, 'verb': verb}})
                FILTER (verb <> 'evidence') AS newest,
            min({{'assurance': assurance, 'at': occurred_at, 'id': event_id}}) FILTER (verb = 'evidence') AS first
        FROM (
            SELECT
                least(coalesce(h.holding, l.one), coalesce(i.holding, l.other)) AS one,
                greatest(coalesce(h.holding, l.one), coalesce(i.holding, l.other)) AS other,
                l.verb, l.event_id, l.occurred_at, l.assurance
            FROM links AS l
            LEFT JOIN holdings AS h
                ON h.point_key = l.one AND l.occurred_at > h.since AND l.occurred_at <= h.until
            LEFT JOIN holdings AS i
                ON i.point_key = l.other AND l.occurred_at > i.since AND l.occurred_at <= i.until
        )
        GROUP BY one, other
    )
)
"""
"""What counts for each pair that evidence or a statement names; `strength` by its place in
projections.identity_rules.STRENGTHS, NULL when they are not linked."""

RULES = f"""
SELECT * FROM (VALUES {
    ", ".join(
        f"('{kind}', '{other}', {most}, {kind in UNIQUE})"
        for kind, row in sorted(LIMITS.items())
        for other, most in sorted(row.items())
    )
}) AS rules(kind, neighbour, allowed, is_unique)
"""
"""projections.identity_rules as rows: how many neighbours of a kind a contact point of another may have."""

SHARING_RULES = f"SELECT {MOST_POSSIBLE} AS most"
"""How many possible customers a shared contact point may have for its events to be shown with each."""

CONTACT_RULES = f"""
SELECT * FROM (VALUES {
    ", ".join(
        f"('{content_type}', '{channel}', '{KIND_OF_CHANNEL[channel]}', {place}, {content_type in MARKETING},"
        f" {(content_type, channel) in NEEDS_OPT_IN}, {(content_type, channel) in REQUIRED_BY_LAW})"
        for content_type, channels in ORDER.items()
        for place, channel in enumerate(channels, start=1)
    )
}) AS rules(content_type, channel, kind, place, marketing, needs_opt_in, required_by_law)
"""
"""projections.contact_rules as rows, one per content type and channel."""

MEMBERS = """
SELECT contact_point_id, max_by(customer_id, batch) AS customer_id, max_by(shared, batch) AS shared
FROM member_changes
GROUP BY contact_point_id
"""

MEMBER_HISTORY = """
SELECT
    contact_point_id,
    max_by(customer_id, batch) AS customer_id,
    list({'batch': batch, 'customer_id': customer_id} ORDER BY batch) AS steps
FROM member_changes
GROUP BY contact_point_id
"""

THREADS = """
SELECT thread_id, max_by(conversation_id, batch) AS conversation_id FROM thread_changes GROUP BY thread_id
"""

CHOICES = """
SELECT
    said.event_id,
    said.occurred_at,
    said.channel,
    said.kind,
    said.content_type,
    said.about_channel,
    said.about_holder AS about,
    said.until,
    -- What it binds when not the person: the contact point it is about, or the shared one it came through.
    coalesce(said.about_holder, CASE WHEN coalesce(m.shared, false) OR NOT said.identifiable
        THEN p.kind || ':' || p.value END) AS bound_point,
    coalesce(o.customer_id, said.about_id, m.customer_id, said.contact_point_id) AS customer_id,
    coalesce(m.customer_id, said.contact_point_id) AS stated_by
FROM (
    SELECT s.*, coalesce(h.holding, about) AS about_holder,
        CASE WHEN about IS NOT NULL THEN store.contact_point_id(about_holder) END AS about_id
    FROM (
        SELECT
            event_id, occurred_at, channel, direction, contact_point_id, identifiable, assurance,
            rest ->> '$.statement.kind' AS kind,
            rest ->> '$.statement.content_type' AS content_type,
            rest ->> '$.statement.channel' AS about_channel,
            rest ->> '$.statement.about' AS about,
            make_timestamptz((rest ->> '$.statement.until')::BIGINT) AS until
        FROM events
        WHERE has_statement AND channel <> 'identity'
        UNION ALL
        SELECT
            event_id, occurred_at, channel, direction, contact_point_id, identifiable, assurance,
            CASE type WHEN 'subscription.opted_in' THEN 'opt_in' ELSE 'opt_out' END,
            for_content_type,
            'email',
            NULL,
            NULL
        FROM (
            SELECT *, unnest(CASE
                WHEN content_type IS NOT NULL THEN [content_type]
                WHEN type = 'message.complaint_withdrawn' THEN ['news', 'offers', 'invoices', 'service']
                ELSE ['news', 'offers']
            END) AS for_content_type
            FROM events
            WHERE NOT has_statement AND type IN (
                'message.complained', 'message.complaint_withdrawn', 'subscription.opted_out', 'subscription.opted_in'
            )
        )
        -- A complaint that was taken back later was never made; what holds without it holds again.
        QUALIFY type <> 'message.complaint_withdrawn' AND NOT (type = 'message.complained' AND coalesce(
            occurred_at < max(occurred_at) FILTER (type = 'message.complaint_withdrawn')
                OVER (PARTITION BY contact_point_id, for_content_type),
            false
        ))
    ) AS s
    LEFT JOIN holdings AS h ON h.point_key = s.about AND s.occurred_at > h.since AND s.occurred_at <= h.until
) AS said
JOIN points AS p USING (contact_point_id)
LEFT JOIN members AS m USING (contact_point_id)
LEFT JOIN members AS o ON o.contact_point_id = said.about_id
-- An opt-in counts only when the person made it, for themselves.
WHERE said.kind <> 'opt_in' OR (
    said.direction = 'inbound'
    AND said.assurance <= 1
    AND coalesce(
        coalesce(o.customer_id, said.about_id) = coalesce(m.customer_id, said.contact_point_id), said.about_id IS NULL
    )
)
"""

CALLS_LEFT_OPEN = """
SELECT event_id
FROM (
    SELECT e.thread_id, e.event_id, e.occurred_at AS ended_at, max(l.occurred_at) AS left_at
    FROM events AS e
    JOIN events AS l USING (thread_id)
    WHERE e.type IN ('call.completed', 'ivr.self_served', 'call.abandoned')
        AND l.type IN ('voicemail.left', 'callback.requested') AND l.clock = 'start' AND l.occurred_at <= e.occurred_at
    GROUP BY ALL
) AS c
LEFT JOIN threads AS t USING (thread_id)
WHERE NOT EXISTS (
    FROM (
        SELECT coalesce(u.conversation_id, s.thread_id) AS conversation_id, s.occurred_at
        FROM events AS s
        LEFT JOIN threads AS u USING (thread_id)
        WHERE s.clock = 'stop'
    ) AS a
    WHERE a.conversation_id = coalesce(t.conversation_id, c.thread_id) AND a.occurred_at BETWEEN left_at AND ended_at
)
"""
"""Ends of calls that close and abandon nothing, for what was left in them waits (docs/views.md, Left in a call)."""

IN_CONVERSATIONS = """
SELECT coalesce(t.conversation_id, e.thread_id) AS conversation_id, e.*
FROM events AS e
LEFT JOIN threads AS t USING (thread_id)
WHERE e.thread_id IS NOT NULL
"""
"""What the fold of a regrouped projection reads as `events`: those in a thread, with their conversation."""

_NAME = re.compile(r"\w+\.\w+")

DERIVED: Mapping[str, str] = {
    "holdings": HOLDINGS,
    "events": EVENTS,
    "mentions": MENTIONS,
    "pairs": PAIRS,
    "identity_rules": RULES,
    "sharing_rules": SHARING_RULES,
    "contact_rules": CONTACT_RULES,
    "members": MEMBERS,
    "member_history": MEMBER_HISTORY,
    "threads": THREADS,
    "choices": CHOICES,
    "calls_left_open": CALLS_LEFT_OPEN,
}
"""Relations that are SQL over others, in an order in which each comes after those that it reads."""

TABLES = ("rows", "mention_rows", "points", "links", "endings", "member_changes", "thread_changes")
"""Relations that lie in the store."""


def scoped(block: str, given: Mapping[str, str], *, derived: Mapping[str, str] = DERIVED) -> str:
    """The block with each relation that it reads replaced by what lies beneath it.

    `given` says what that is: relation -> SQL, or the name of a relation in the store. Derived relations are put in
    for those not given, and what they read in turn. Names are replaced in place, not put before the block as common
    table expressions, which DuckDB may materialise whole.
    """

    def beneath(match: re.Match[str]) -> str:
        keyword, name, alias = match.groups()
        sql = given.get(name)
        if sql is None:
            sql = scoped(derived[name], given, derived=derived)
        relation = sql if _NAME.fullmatch(sql) else f"({sql.strip()})"
        return f"{keyword} {relation} {alias or f'AS {name}'}"

    names = "|".join(sorted({*given, *derived}, key=len, reverse=True))
    return re.sub(rf"\b(FROM|JOIN)\s+({names})\b(?!\.)(\s+AS\s+\w+)?", beneath, block)


def stored(name: str) -> str:
    """A relation as it lies in the store."""
    return f"store.{name}"
