"""URLs of logs."""

import pytest

from log.embedded import EmbeddedLog
from log.kafka import KafkaLog
from log.open import open_log
from schemas.errors import ConfigurationError, LogUnavailable
from tests.kafka.java import free_port


@pytest.mark.parametrize("form", ["{path}", "embedded:{path}", "embedded://{path}"])
def test_a_path_is_an_embedded_log(tmp_path, form):
    path = tmp_path / "some folder" / "touchlog.log"
    with open_log(form.format(path=path)) as log:
        assert isinstance(log, EmbeddedLog)
        assert log.create_topics(["chat"], 1) == ["chat"]
    assert path.exists()
    with open_log(log.url, must_exist=True) as again:
        assert again.topics().keys() == {"chat"}


def test_a_prefix_is_part_of_the_url(tmp_path):
    url = f"embedded:{tmp_path / 'touchlog.log'}?prefix=test."
    with open_log(url) as log, open_log(url.partition("?")[0]) as whole:
        log.create_topics(["chat"], 1)
        assert log.url == url
        assert log.topics().keys() == {"chat"}
        assert whole.topics().keys() == {"test.chat"}


def test_a_plain_path_is_taken_as_it_is(tmp_path):
    with open_log(str(tmp_path / "a?prefix=b")):
        assert (tmp_path / "a?prefix=b").exists()


@pytest.mark.parametrize("url", ["kafka://localhost:9092", "kafka://a:9092,b:9093?prefix=test.", "kafka://[::1]:9092"])
def test_kafka_is_named_by_its_brokers_and_not_asked_yet(url):
    with open_log(url) as log:
        assert isinstance(log, KafkaLog)
        assert log.url == url


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "path is empty"),
        ("embedded:", "path is empty"),
        ("kafka:localhost:9092", "named by its brokers"),
        ("kafka://", "named by its brokers"),
        ("kafka://localhost:9092/topic", "named by its brokers"),
        ("kafka://localhost", "'localhost' is not host:port"),
        ("kafka://localhost:9092,", "'' is not host:port"),
        ("kafka://localhost:99999", "'localhost:99999' is not host:port"),
        ("kafka://localhost:9092?prefix=a&acks=1", "one option, prefix"),
        ("kafka://localhost:9092?topic=a", "one option, prefix"),
        ("embedded:a.log?prefix=a b", "letters, digits"),
        ("http://localhost:9092", "cannot be opened over http://"),
    ],
)
def test_a_mistake_in_the_url_is_answered_with_examples(url, says):
    with pytest.raises(ConfigurationError) as raised:
        open_log(url)

    assert says in str(raised.value)
    assert "kafka://localhost:9092" in str(raised.value)


def test_a_secret_in_the_url_is_refused_and_not_repeated():
    with pytest.raises(ConfigurationError, match="credentials") as raised:
        open_log("kafka://ada:hunter2@localhost:9092")

    assert "hunter2" not in str(raised.value)


def test_a_log_that_must_exist_is_looked_for(tmp_path):
    with pytest.raises(ConfigurationError, match="no log at"):
        open_log(str(tmp_path / "touchlog.log"), must_exist=True)
    with pytest.raises(LogUnavailable):
        open_log(f"kafka://127.0.0.1:{free_port()}", must_exist=True, kafka_options={"socket.timeout.ms": "1000"})
