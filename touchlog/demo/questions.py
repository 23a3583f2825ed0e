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
SELECT channel, basis, count(*) AS customers, round(avg(score), 2) AS score, max(reason) AS example
FROM touchlog.channel_preference
WHERE content_type = 'invoices' AND rank = 1
GROUP BY ALL
ORDER BY customers DESC, channel, basis""",
    ),
    Question(
        title="How soon do we answer, by channel: the first answer's median, and the share of waits within the target?",
        sql="""\
SELECT channel, sum(waits) AS waits, sum(answered) AS answered, sum(abandoned) AS gave_up,
    sum("open") AS waiting, any_value(median_first) AS median_first,
    to_seconds(any_value(target_s))::VARCHAR AS target,
    round(100 * sum(within_target) / sum(waits)) AS percent_in_time
FROM touchlog.response_times
LEFT JOIN (
    SELECT channels[1] AS channel, to_seconds(median(first_response_s)::BIGINT)::VARCHAR AS median_first
    FROM touchlog.conversations GROUP BY ALL
) USING (channel)
GROUP BY channel
ORDER BY channel""",
    ),
    Question(
        title="Which conversations crossed channels, and wait for us?",
        sql="""\
SELECT coalesce(list_filter(contact_points, key -> key LIKE 'email:%')[1], contact_points[1]) AS customer,
    array_to_string(channels, ' > ') AS went_through, conversations.waiting_since, last_customer_summary AS they_said
FROM touchlog.conversations
JOIN touchlog.customers USING (customer_id)
WHERE state = 'waiting_on_us' AND switches > 0
ORDER BY conversations.waiting_since""",
    ),
)
