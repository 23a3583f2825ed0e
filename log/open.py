"""From a URL to a log: the only place that knows both homes."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs

from log.embedded import EmbeddedLog
from log.log import Log
from schemas.errors import ConfigurationError

_EXAMPLES = (
    "examples: touchlog-data/log.sqlite, embedded:touchlog-data/log.sqlite, kafka://localhost:9092,"
    " kafka://a:9092,b:9092?prefix=test."
)


def open_log(url: str, *, must_exist: bool = False, kafka_options: Mapping[str, str] | None = None) -> Log:
    """The log at `kafka://host:port[,host:port…][?prefix=P]`, `embedded:PATH[?prefix=P]` or a plain path.

    `prefix` is put before every topic's name in the log and never seen outside it. With `must_exist` the file
    has to be there (ConfigurationError) or a broker has to answer (LogUnavailable); without it a missing file
    is created and no broker is asked yet. `kafka_options` are librdkafka's properties, for Kafka alone.
    """
    if url.startswith("kafka:"):
        return _kafka(url, must_exist=must_exist, options=kafka_options)
    if url.startswith("embedded:"):
        path, namespace = _split(url.removeprefix("embedded:").removeprefix("//"))
    elif "://" in url:
        raise ConfigurationError(f"a log cannot be opened over {url.partition('://')[0]}://; {_EXAMPLES}")
    else:
        path, namespace = url, ""
    if not path:
        raise ConfigurationError(f"the log's path is empty; {_EXAMPLES}")
    return EmbeddedLog(Path(path), namespace=namespace, must_exist=must_exist)


def _kafka(url: str, *, must_exist: bool, options: Mapping[str, str] | None) -> Log:
    # librdkafka takes tens of milliseconds to load, which a log in a file need not wait for.
    from log.kafka import KafkaLog

    servers, namespace = _split(url.removeprefix("kafka://"))
    servers = servers.rstrip("/")
    if not url.startswith("kafka://") or not servers or "/" in servers:
        raise ConfigurationError(f"a Kafka log is named by its brokers; {_EXAMPLES}")
    if "@" in servers:
        raise ConfigurationError("credentials do not belong into the log's URL; give them as Kafka options")
    for server in servers.split(","):
        host, _, port = server.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ConfigurationError(f"{server!r} is not host:port; {_EXAMPLES}")
    log = KafkaLog(servers, options, namespace=namespace)
    if must_exist:
        log.end_offsets([])
    return log


def _split(rest: str) -> tuple[str, str]:
    """Path or servers, and the prefix of the query."""
    rest, _, query = rest.partition("?")
    given = parse_qs(query, keep_blank_values=True)
    prefixes = given.pop("prefix", [""])
    if given or len(prefixes) != 1:
        raise ConfigurationError(f"a log's URL takes one option, prefix; {_EXAMPLES}")
    prefix = prefixes[0]
    if not all(character.isascii() and (character.isalnum() or character in "._-") for character in prefix):
        raise ConfigurationError(f"a prefix is made of letters, digits, '.', '_' and '-'; {_EXAMPLES}")
    return rest, prefix
