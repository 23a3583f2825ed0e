"""A schema registry that is down, slow, or answers with errors: waited for, and nothing is parked for it."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from schemas.registry import LockedRegistry
from schemas.topics import STREAMS
from tests.faults.checks import Truth, assert_whole, look
from tests.faults.homes import until
from tests.faults.publishing import assert_published, calls, produce
from tests.kafka.java import free_port

_AWAY = 75


class Registry:
    """Confluent's API over the committed schemas, on a port of its own; `mood` is how it answers."""

    def __init__(self):
        self.port = free_port()
        self.mood = "well"
        self.asked = 0
        self._server = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        registry, locked = self, LockedRegistry()

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self):
                number = self.path.rpartition("/")[2]
                self._say(
                    {"schema": locked.schema(int(number))} if number.isdigit() else {"compatibilityLevel": "FULL"}
                )

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                stream = next(one for one in STREAMS if f".{one}-value" in self.path)
                self._say({"id": locked.current(stream)[0]})

            def _say(self, answer):
                registry.asked += 1
                if registry.mood == "slow":
                    time.sleep(1.0)
                body = json.dumps(answer).encode()
                self.send_response({"500": 500, "503": 503}.get(registry.mood, 200))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if registry.mood != "cut off":
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Answer)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        self._server = None


@pytest.fixture
def registry():
    registry = Registry()
    yield registry
    registry.stop()


@pytest.mark.form(short="embedded")
def test_a_registry_that_is_away(home, registry, row, dice, times):
    row.fault = "the registry down, slow, 500, 503, cut off"
    home.more = ["--registry", registry.url]
    truth = Truth(dice=dice)
    for mood in ("down", "500", "slow", "503", "cut off")[: times(ci=2, short=5, long=5)]:
        with home.open() as log:
            truth.grow(log, 40, near=4, far=4)
        before = look(home.store)
        registry.mood, registry.asked = mood, 0
        if mood != "down":
            registry.start()
        command = home.project()

        def ended(command=command):
            return not command.running

        if mood == "down":
            until(lambda ended=ended: home.answers() or ended(), "the projector answers")
            time.sleep(1.0)
        else:
            until(lambda ended=ended: registry.asked > 2 or ended(), "the registry was asked")
        assert command.running, command.said
        if mood == "down":
            registry.start()
        registry.mood = "well"
        assert command.wait() == 0, command.said
        assert look(home.store) > before
        registry.stop()
        row.runs += 1
    home.more = []
    assert_whole(home, truth)


@pytest.mark.form(short="embedded")
def test_publishing_without_its_registry(home, registry, row, dice):
    """Nothing is published half: the command says that the registry is away, and the next one does it all."""
    row.fault = "publishing while the registry is down, 500, slow"
    file = calls(home, dice, 200)
    home.more = ["--registry", registry.url]
    for mood in ("down", "500", "slow"):
        registry.mood = mood
        if mood != "down":
            registry.start()
        command = produce(home, file)
        code = command.wait()
        assert code == (0 if mood == "slow" else _AWAY), command.said
        registry.stop()
        row.runs += 1
    home.more = []
    assert_published(home, file, dice)
