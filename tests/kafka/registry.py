"""Schema registries for the tests, best first: one that is given, Apicurio in Docker, Apicurio in Java.

`python -m tests.kafka.registry` starts one, prints its address, and ends it at Ctrl-C.
"""

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.kafka.broker import has_docker
from tests.kafka.java import JavaProcess, NotAvailable, fetch, free_port, java

APICURIO_VERSION = "3.3.3"
IMAGE = f"apicurio/apicurio-registry:{APICURIO_VERSION}"
API = "/apis/ccompat/v7"
START_SECONDS = 90.0


@contextmanager
def best_registry() -> Iterator[str]:
    """The address of Confluent's API at the best registry there is, for as long as the block lasts; NotAvailable."""
    if given := os.environ.get("REGISTRY_URL"):
        if not _answers(given.rstrip("/")):
            raise NotAvailable(f"no schema registry answers at REGISTRY_URL={given}")
        yield given.rstrip("/")
        return
    if has_docker():
        with _docker_registry() as url:
            yield url
        return
    registry = JavaRegistry()
    try:
        registry.start()
        yield registry.url
    finally:
        registry.close()


class JavaRegistry:
    """An Apicurio registry on a free port; its schemas are in memory and gone when it ends."""

    def __init__(self) -> None:
        """Fetches the registry when needed (160 MB); NotAvailable."""
        self._java = java(21)
        artifact = f"io.apicurio:apicurio-registry-app:{APICURIO_VERSION}:tar.gz:all"
        self._program = fetch(
            f"apicurio-{APICURIO_VERSION}",
            ["dependency:unpack", f"-Dartifact={artifact}", "-Dmdep.overWriteReleases=true"],
        )
        self._folder = Path(tempfile.mkdtemp(prefix="touchlog-registry-"))
        self._port = free_port()
        self._process: JavaProcess | None = None
        self.url = f"http://127.0.0.1:{self._port}{API}"

    def start(self) -> None:
        """Start, or start again on the same port; returns when it answers."""
        jar = next(self._program.glob("**/quarkus-run.jar"), None)
        if jar is None:
            raise NotAvailable(f"there is no quarkus-run.jar in {self._program}; delete that folder and try again")
        self._process = JavaProcess(
            [
                self._java,
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Xmx512m",
                "-Dquarkus.http.host=127.0.0.1",
                f"-Dquarkus.http.port={self._port}",
                "-jar",
                str(jar),
            ],
            self._folder / "output.txt",
        )
        self._process.wait_until(lambda: _answers(self.url), START_SECONDS)

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()
        self._process = None

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
        self._process = None

    def pause(self) -> None:
        """SIGSTOP: connections are accepted and nothing answers."""
        assert self._process is not None
        self._process.pause()

    def resume(self) -> None:
        assert self._process is not None
        self._process.resume()

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def _docker_registry() -> Iterator[str]:
    from testcontainers.core.container import DockerContainer

    port = free_port()
    url = f"http://127.0.0.1:{port}{API}"
    with DockerContainer(IMAGE).with_bind_ports(8080, port):
        deadline = time.monotonic() + START_SECONDS
        while not _answers(url):
            if time.monotonic() > deadline:
                raise NotAvailable(f"{IMAGE} does not answer at {url}")
            time.sleep(0.1)
        yield url


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/subjects", timeout=2.0).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    running = JavaRegistry()
    try:
        running.start()
        print(running.url, flush=True)
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        pass
    finally:
        running.close()
