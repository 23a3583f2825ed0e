"""Whether the topics being read are still the same ones: librdkafka's consumer does not say when they are not."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from typing import Any

from confluent_kafka import KafkaException

from log.kafka_client import NO_TOPIC
from schemas.errors import LogError, TopicRecreated

_EVERY_SECONDS = 5.0

Answers = Mapping[str, "Future[Any]"]
Ask = Callable[[], Answers]
"""Begins to ask the cluster what it knows of topics; its descriptions come into the futures by themselves."""


class TopicWatch:
    """Compares the identities of topics with those they had at first, every five seconds, waiting for no answer.

    Without it, a reader of a deleted topic would wait for ever, and one of a recreated topic would go on in
    the middle of the new one. A cluster that does not answer, like librdkafka's mock, is not watched.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._known: dict[str, str] = {}
        self._asked_at = time.monotonic()
        self._answers = ask()

    def check(self) -> None:
        """Raises TopicRecreated, or LogError for a deleted topic, once the cluster has said so."""
        if self._answers and all(answer.done() for answer in self._answers.values()):
            answers, self._answers = self._answers, {}
            self._compare(answers)
        now = time.monotonic()
        if not self._answers and now - self._asked_at >= _EVERY_SECONDS:
            self._asked_at = now
            self._answers = self._ask()

    def check_now(self, timeout: float) -> None:
        """The same at once, waiting at most `timeout` seconds for the answer."""
        answers = self._ask()
        wait(answers.values(), timeout)
        self._compare({topic: answer for topic, answer in answers.items() if answer.done()})

    def _compare(self, answers: Answers) -> None:
        for topic, answer in answers.items():
            error = answer.exception()
            if error is None:
                identity = str(answer.result().topic_id)
                if identity != self._known.setdefault(topic, identity):
                    raise TopicRecreated(f"topic {topic} was deleted and created again; build a new store from it")
            elif isinstance(error, KafkaException) and error.args[0].code() in NO_TOPIC:
                raise LogError(f"topic {topic} was deleted from the cluster; restore it from a copy")
            # Any other failure says nothing about the topic.
