"""Brokers for the tests, best first: one that is given, one in Docker, one of Java's, librdkafka's mock.

`python -m tests.kafka.broker` starts an Apache Kafka, prints its address, and ends it at Ctrl-C.
"""

import gc
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient

from tests.kafka.java import CACHE, JavaProcess, NotAvailable, fetch, free_port, java, keep, version

KAFKA_VERSION = "4.3.1"
IMAGE = f"apache/kafka:{KAFKA_VERSION}"
CLUSTER_ID = "touchlog-tests-00000000"
START_SECONDS = 60.0

_QUIET = logging.getLogger("tests.kafka")
_QUIET.addHandler(logging.NullHandler())


@dataclass(frozen=True, kw_only=True)
class Broker:
    """A broker to test with. `rung` is given, docker, java or mock."""

    bootstrap: str
    rung: str

    @property
    def real(self) -> bool:
        """Apache Kafka rather than librdkafka's mock: topics, transactions and records can be administered."""
        return self.rung != "mock"

    @property
    def options(self) -> dict[str, str]:
        """Client options that the rung needs: the mock sleeps at the end of a partition instead of waking."""
        return {} if self.real else {"fetch.wait.max.ms": "10"}


@contextmanager
def best_broker(wanted: str) -> Iterator[Broker]:
    """The best broker there is, for as long as the block lasts.

    `wanted` is "real" to never get the mock (NotAvailable instead), "mock" to get nothing else, or empty.
    """
    if wanted == "mock":
        with _mock_broker() as broker:
            yield broker
        return
    if given := os.environ.get("KAFKA_BOOTSTRAP"):
        if not _answers(given, 10.0):
            raise NotAvailable(f"no broker answers at KAFKA_BOOTSTRAP={given}")
        yield Broker(bootstrap=given, rung="given")
        return
    if has_docker():
        with _docker_broker() as broker:
            yield broker
        return
    try:
        started = JavaBroker()
        started.start()
    except NotAvailable:
        if wanted == "real":
            raise
        with _mock_broker() as broker:
            yield broker
        return
    try:
        yield Broker(bootstrap=started.bootstrap, rung="java")
    finally:
        started.close()


class JavaBroker:
    """An Apache Kafka of one node on free ports, with data that outlives `stop` and `kill` until `close`."""

    def __init__(self, **settings: str) -> None:
        """Fetches the jars when needed. `settings` are server properties, with _ for the dots; NotAvailable."""
        self._java = java(17)
        self._archive = CACHE / f"kafka-{KAFKA_VERSION}-java{version(self._java)}.jsa"
        self._jars = fetch(f"kafka-{KAFKA_VERSION}", ["dependency:copy-dependencies", "-DincludeScope=runtime"])
        self._folder = Path(tempfile.mkdtemp(prefix="touchlog-kafka-"))
        self._process: JavaProcess | None = None
        self.bootstrap, internal, controller = (f"127.0.0.1:{free_port()}" for _ in range(3))
        self._properties = self._folder / "server.properties"
        self._properties.write_text(
            "".join(
                f"{name}={value}\n"
                for name, value in {
                    **server_properties(self.bootstrap, self.bootstrap, internal, controller),
                    "log.dirs": str(self._folder / "data"),
                    **{name.replace("_", "."): value for name, value in settings.items()},
                }.items()
            ),
            encoding="utf-8",
        )

    @property
    def pid(self) -> int:
        """Process id of the running broker, for signals that a test sends."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start, or start again on the same port with the same data; returns when clients are served."""
        if not (self._folder / "data").exists():
            self._format()
        archive, dump = self._archive, self._folder / "classes.jsa"
        # Sharing the loaded classes saves the second start a second; the first broker that ends makes the archive.
        share = f"-XX:SharedArchiveFile={archive}" if archive.exists() else f"-XX:ArchiveClassesAtExit={dump}"
        self._process = JavaProcess(
            [*self._command("-Xmx512m", "-Xshare:auto", share), "kafka.Kafka", str(self._properties)],
            self._folder / "output.txt",
        )
        self._process.wait_until(lambda: _answers(self.bootstrap, 1.0), START_SECONDS)

    def stop(self) -> None:
        """End it as an operator would."""
        if self._process is not None:
            self._process.stop()
        self._process = None
        dump = self._folder / "classes.jsa"
        if dump.exists():
            keep(dump, self._archive)

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
        self._process = None

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        assert self._process is not None
        self._process.pause()

    def resume(self) -> None:
        assert self._process is not None
        self._process.resume()

    def close(self) -> None:
        """Stop, and delete the data."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _format(self) -> None:
        """A formatted data folder is the same for every broker: made once, then copied."""
        template = CACHE / f"kafka-{KAFKA_VERSION}-formatted"
        if not template.exists():
            command = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(self._properties)]
            done = subprocess.run([*self._command(), *command], capture_output=True, text=True, check=False)
            if done.returncode:
                raise NotAvailable(f"Kafka's storage could not be formatted: {done.stdout}{done.stderr}")
            shutil.copytree(self._folder / "data", self._folder / "template")
            keep(self._folder / "template", template)
            return
        shutil.copytree(template, self._folder / "data")

    def _command(self, *options: str) -> list[str]:
        return [
            self._java,
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            *options,
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp",
            f"{self._jars}/*",
        ]


def server_properties(listen: str, advertised: str, internal: str, controller: str) -> dict[str, str]:
    """Settings of a single node that starts fast, keeps records for ever, and takes records of 20 MB.

    Each argument is `host:port`. The node talks to itself over `internal` (transaction markers, for one):
    in a container it could not reach the address that is advertised outside.
    """
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        # Static voters, so that a formatted folder does not remember a port and can be copied.
        "controller.quorum.voters": f"1@{controller}",
        "listeners": f"PLAINTEXT://{listen},INTERNAL://{internal},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{advertised},INTERNAL://{internal}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "INTERNAL",
        "controller.listener.names": "CONTROLLER",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        # A killed broker may come back once its old registration has expired, by default after nine seconds.
        "broker.session.timeout.ms": "1500",
        "broker.heartbeat.interval.ms": "300",
        "log.retention.ms": "-1",
        "log.cleaner.dedupe.buffer.size": "1048577",
        "message.max.bytes": str(20 * 1024 * 1024),
    }


def has_docker() -> bool:
    """Whether a Docker engine answers; without one the question costs milliseconds."""
    with warnings.catch_warnings():
        # The client leaves its socket to the garbage collector when nobody answers.
        warnings.simplefilter("ignore", ResourceWarning)
        answered = _docker_answers()
        gc.collect()
    return answered


def _docker_answers() -> bool:
    try:
        import docker

        client = docker.from_env(timeout=2)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except Exception:  # docker raises its own, requests' and the socket's errors; all mean no
        return False


@contextmanager
def _docker_broker() -> Iterator[Broker]:
    from testcontainers.core.container import DockerContainer

    port = free_port()
    bootstrap = f"127.0.0.1:{port}"
    container = DockerContainer(IMAGE).with_bind_ports(9092, port).with_env("CLUSTER_ID", CLUSTER_ID)
    for name, value in server_properties(":9092", bootstrap, "localhost:19092", "localhost:9093").items():
        container = container.with_env("KAFKA_" + name.upper().replace(".", "_"), value)
    with container:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(bootstrap, 1.0):
            if time.monotonic() > deadline:
                raise NotAvailable(f"{IMAGE} does not answer at {bootstrap}")
        yield Broker(bootstrap=bootstrap, rung="docker")


@contextmanager
def _mock_broker() -> Iterator[Broker]:
    owner = Producer({"test.mock.num.brokers": 1}, logger=_QUIET)
    brokers = owner.list_topics(timeout=10).brokers.values()
    yield Broker(bootstrap=",".join(f"{broker.host}:{broker.port}" for broker in brokers), rung="mock")
    # The cluster lives in this client, which must therefore live until here.
    del owner


def _answers(bootstrap: str, seconds: float) -> bool:
    try:
        return bool(AdminClient({"bootstrap.servers": bootstrap}, logger=_QUIET).list_topics(timeout=seconds).brokers)
    except KafkaException:
        return False


def unique(prefix: str) -> str:
    """A name that no other test has."""
    return f"{prefix}.{uuid4().hex[:12]}"


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    running = JavaBroker()
    try:
        running.start()
        print(running.bootstrap, flush=True)
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        pass
    finally:
        running.close()
