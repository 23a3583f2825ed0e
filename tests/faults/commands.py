"""Commands in processes of their own, that are never left behind.

Most are forked from a process that has imported the program already: starting Python anew takes a second of a core,
and a fault suite starts hundreds. What runs is the same; `fresh` commands start Python as a person does.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults.mutants import VARIABLE

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
"""Nothing that ends by itself takes longer; a command that does is a failure."""

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["tests.faults.preloaded"])


class Command:
    """A command in a process of its own; what it says is kept."""

    def __init__(self, words: Sequence[str], *, fresh: bool) -> None:
        """`words` are those of tests.faults.victim: what it is to suffer, `--`, and the command."""
        handle, name = tempfile.mkstemp(prefix="touchlog-said-")
        self._said = Path(name)
        self._forked: multiprocessing.process.BaseProcess | None = None
        self._fresh: subprocess.Popen[bytes] | None = None
        if fresh:
            self._fresh = subprocess.Popen(
                [sys.executable, "-m", *_program(words)],
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
            self.pid = self._fresh.pid
        else:
            self._forked = _SERVER.Process(target=_be, args=(list(words), name))
            self._forked.start()
            assert self._forked.pid is not None
            self.pid = self._forked.pid
        os.close(handle)

    @property
    def running(self) -> bool:
        return self._code(0) is None

    @property
    def said(self) -> str:
        return self._said.read_text("utf-8", errors="replace")

    def wait(self, seconds: float = PATIENCE_S) -> int:
        """Its exit code (-9 when killed)."""
        code = self._code(seconds)
        if code is None:
            self.kill()
            raise AssertionError(f"the command did not end within {seconds:.0f} s; it said: {self.said}")
        return code

    def send(self, number: signal.Signals) -> None:
        if self.running:
            os.kill(self.pid, number)

    def kill(self) -> bool:
        """kill -9; False when it had ended before."""
        self.send(signal.SIGKILL)
        return self._code(30) == -signal.SIGKILL

    def close(self) -> None:
        if self.running:
            self.kill()
        self._said.unlink(missing_ok=True)

    def _code(self, seconds: float) -> int | None:
        if self._forked is not None:
            self._forked.join(seconds)
            return self._forked.exitcode
        assert self._fresh is not None
        deadline = time.monotonic() + seconds
        while (code := self._fresh.poll()) is None and time.monotonic() < deadline:
            time.sleep(0.005)
        return code


class Commands:
    """Those that a test started."""

    def __init__(self) -> None:
        self._started: list[Command] = []

    def start(self, words: Sequence[object], *, fresh: bool = False) -> Command:
        command = Command([str(word) for word in words], fresh=fresh)
        self._started.append(command)
        return command

    def end(self) -> None:
        for command in self._started:
            command.close()


def _program(words: Sequence[str]) -> list[str]:
    """The module and its arguments: the product's own where nothing is done to it."""
    if words[0] == "--" and VARIABLE not in os.environ:
        return ["touchlog", *words[1:]]
    return ["tests.faults.victim", *words]


def _be(words: list[str], said: str) -> None:
    """What the forked process is from here on."""
    handle = os.open(said, os.O_WRONLY | os.O_APPEND)
    for number in (1, 2):
        os.dup2(handle, number)
    from tests.faults import victim

    victim.main(words)
