"""The metrics that a scraper gets, over HTTP, of a pulse and of the real command."""

import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from consumers.fold import Folded
from consumers.projector import Projector
from consumers.pulse import BOUNDS_S, Pulse
from log.open import open_log
from projections.store import Store
from schemas.errors import ConfigurationError
from tests.consumers.publishing import append, publish
from tests.folding import REGISTRY
from tests.strategies import random_log
from touchlog.prometheus import serving_metrics
from touchlog.status import parked_in

PAGE = (Path(__file__).parents[2] / "docs/operations.md").read_text("utf-8")


def scraped(port):
    """Sample name and labels -> value."""
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False)
    assert answer.status_code == 200
    families = list(text_string_to_metric_families(answer.text))
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value for family in families for sample in family.samples
    }


@pytest.fixture
def folded(tmp_path):
    """A store that 300 events and two bad records were folded into, and the pulse of who did it."""
    pulse = Pulse()
    with open_log(f"embedded:{tmp_path / 'log.sqlite'}") as log, Store.open(tmp_path / "views.duckdb") as store:
        publish(log, [*random_log(301, 300), *random_log(301, 20)])
        append(log, "interactions.chat", [b"x", b"y"])
        Projector(log, store, REGISTRY, batch_size=50, pulse=pulse).run(until_caught_up=True)
        yield pulse, store


def test_what_was_folded_is_counted_and_adds_up(folded):
    pulse, store = folded
    with serving_metrics(pulse, 0, parked=lambda: parked_in(store.cursor)) as port:
        found = scraped(port)
    records = {dict(labels)["outcome"]: value for (name, *labels), value in found.items() if "records_total" in name}
    assert records == {"applied": 300, "duplicate": 20, "parked": 2}
    assert found["touchlog_parked",] == 2
    (batches,) = store.con.execute("SELECT count(*) FROM touchlog.batches").fetchone()
    lag = [value for (name, *_), value in found.items() if name == "touchlog_lag_records"]
    assert (len(lag), sum(lag), found["touchlog_lag_seconds",]) == (18, 0, 0)
    assert found["touchlog_loop_cycles_total",] >= batches
    assert found["touchlog_reader_cycles_total",] > 1
    assert found["touchlog_transaction_seconds_count",] == batches >= 7
    assert found["touchlog_transaction_seconds_bucket", ("le", "+Inf")] == batches
    assert 0 < found["touchlog_transaction_seconds_sum",] < 60
    assert {value for (name, *_), value in found.items() if name == "touchlog_waiting"} == {0}
    assert found["touchlog_tail_events",] == 300
    assert found["process_resident_memory_bytes",] > 1e7


def test_a_transaction_falls_into_the_buckets_that_hold_it():
    pulse = Pulse()
    for seconds in (0.001, 0.01, 0.011, 3.0, 1000.0):
        pulse.folded(Folded(read=1, applied=1, duplicates=0, parked=0), seconds)
    with serving_metrics(pulse, 0) as port:
        found = scraped(port)
    held = {
        dict(labels)["le"]: value
        for (name, *labels), value in found.items()
        if name == "touchlog_transaction_seconds_bucket"
    }
    assert held == {
        **{str(bound): sum(seconds <= bound for seconds in (0.001, 0.01, 0.011, 3.0, 1000.0)) for bound in BOUNDS_S},
        "+Inf": 5,
    }
    assert found["touchlog_transaction_seconds_sum",] == pytest.approx(1003.022)


def test_every_metric_is_on_the_page_and_every_one_on_the_page_is_there(folded):
    pulse, store = folded
    with serving_metrics(pulse, 0, parked=lambda: parked_in(store.cursor)) as port:
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
    served = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in text_string_to_metric_families(text)
        if family.name.startswith("touchlog_")
    }
    assert served == set(re.findall(r"^\| `(touchlog_\w+)", PAGE, re.MULTILINE))


def test_a_store_that_does_not_answer_leaves_out_one_metric_and_no_more():
    with serving_metrics(Pulse(), 0, parked=lambda: None) as port:
        found = scraped(port)
    assert ("touchlog_parked",) not in found
    assert ("touchlog_loop_cycle_age_seconds",) in found


def test_a_port_that_is_taken_is_told():
    with serving_metrics(Pulse(), 0) as port:
        with pytest.raises(ConfigurationError, match=rf"port {port} of 127\.0\.0\.1: address already in use; name ano"):
            serving_metrics(Pulse(), port).__enter__()
        with pytest.raises(ConfigurationError, match=r"of no\.such\.host\.example: .*--prometheus-address"):
            serving_metrics(Pulse(), 0, address="no.such.host.example").__enter__()
    # It was given back.
    with serving_metrics(Pulse(), port) as again:
        assert again == port


def test_the_command_serves_them_only_when_asked_and_only_here(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "touchlog", "project", "--data-dir", str(tmp_path), "--prometheus", str(port)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and process.poll() is None:
                try:
                    found = scraped(port)
                except httpx.TransportError:
                    found = {}
                if found.get(("touchlog_loop_cycles_total",)):
                    break
                time.sleep(0.1)
            assert found["touchlog_loop_cycles_total",] > 0
            assert found["touchlog_parked",] == 0
            listening = Path("/proc/net/tcp")
            if listening.exists():
                ours = [line.split()[1] for line in listening.read_text().splitlines() if f":{port:04X} " in line]
                assert {address.partition(":")[0] for address in ours} == {"0100007F"}
        finally:
            process.terminate()
        assert process.wait(30) == 0


def test_the_client_is_imported_only_when_it_is_used(tmp_path):
    code = f"""
import sys
from touchlog.cli import cli
cli.main(["project", "--until-caught-up", "--data-dir", {str(tmp_path)!r}], standalone_mode=False)
print("prometheus_client" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
