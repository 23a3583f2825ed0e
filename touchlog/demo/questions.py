"""Three questions that an analyst asks."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What is asked, and in SQL."""

    title: str
    sql: str


QUESTIONS = (
    Question(
        title="On which channel do customers want their invoices, and why?",
        sql="""\
SELECT channel, basis, count(*) AS customers, round(avg(score), 2) AS score, max(reason) AS for_example
FROM touchlog.channel_preference
WHERE content_type = 'invoices' AND rank = 1
GROUP BY ALL
ORDER BY customers DESC, channel, basis""",
    ),
    Question(
        title="How soon do we answer first, by channel: the median, and the share within the target?",
        sql="""\
SELECT channel, sum(waits) AS waits, sum(answered) AS answered, sum(abandoned) AS gave_up, sum("open") AS still_waiting,
    any_value(first_response) AS median_first_response, to_seconds(any_value(target_s))::VARCHAR AS target,
    round(100 * sum(within_target) / sum(waits)) AS percent_within_target
FROM touchlog.response_times
LEFT JOIN (
    SELECT channels[1] AS channel, to_seconds(median(first_response_s)::BIGINT)::VARCHAR AS first_response
    FROM touchlog.conversations GROUP BY ALL
) USING (channel)
GROUP BY channel
ORDER BY channel""",
    ),
    Question(
        title="Which conversations crossed channels, and wait for us?",
        sql="""\
SELECT coalesce(list_filter(contact_points, point -> point LIKE 'email:%')[1], contact_points[1]) AS customer,
    array_to_string(channels, ' > ') AS went_through, conversations.waiting_since, last_customer_summary
FROM touchlog.conversations
JOIN touchlog.customers USING (customer_id)
WHERE state = 'waiting_on_us' AND switches > 0
ORDER BY conversations.waiting_since""",
    ),
)
