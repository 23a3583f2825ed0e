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
        title="How soon do we give the first answer, by the clock and by working hours?",
        sql="""\
SELECT channel, count(*) AS waits, count(*) FILTER (clock.answered) AS answered,
    count(*) FILTER (clock.ended_by = 'abandoned') AS gave_up, count(*) FILTER (clock.ended_by IS NULL) AS waiting,
    to_seconds(quantile_disc(clock.counted_s, 0.5) FILTER (clock.answered))::VARCHAR AS median,
    to_seconds(quantile_disc(hours.counted_s, 0.5) FILTER (hours.answered))::VARCHAR AS of_working_hours,
    round(100 * count(*) FILTER (clock.within_target) / count(*)) AS percent_in_time,
    round(100 * count(*) FILTER (hours.within_target) / count(*)) AS of_working_time
FROM touchlog.waits AS clock
JOIN touchlog.waits AS hours USING (measure, event_id, channel)
WHERE clock.definition = 'standard' AND hours.definition = 'business_hours' AND measure = 'first_response'
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
