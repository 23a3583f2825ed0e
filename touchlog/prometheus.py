"""Metrics of a running projector for Prometheus, served over HTTP. Imported only when they are asked for."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from consumers.patience import WORDS
from consumers.pulse import BOUNDS_S, Pulse
from schemas.errors import ConfigurationError

Parked = Callable[[], int | None]
"""How many records are parked in the store now; None when that cannot be told in time."""


class ProjectorCollector(Collector):
    """A pulse as metrics, read anew at every scrape."""

    def __init__(self, pulse: Pulse, parked: Parked = lambda: None) -> None:
        self._pulse = pulse
        self._parked = parked
        # A store that does not answer must not pile up scrapes that wait for it.
        self._asking = threading.Lock()

    def collect(self) -> Iterable[Metric]:
        """Every metric with its samples; docs/operations.md says what each means."""
        vitals = self._pulse.vitals()
        records = CounterMetricFamily("touchlog_records", "Records folded since the start.", labels=["outcome"])
        for outcome in ("applied", "duplicate", "parked"):
            count = {"applied": vitals.applied, "duplicate": vitals.duplicates, "parked": vitals.parked}[outcome]
            records.add_metric([outcome], count)
        yield records

        lag = GaugeMetricFamily(
            "touchlog_lag_records", "Records in the log that are not folded yet.", labels=["topic", "partition"]
        )
        for at, one in sorted(vitals.lag.items()):
            lag.add_metric([at.topic, str(at.partition)], one.records)
        yield lag
        yield _gauge(
            "touchlog_lag_seconds", "How long the record that has waited longest waits to be folded.", vitals.lag_s
        )

        yield CounterMetricFamily("touchlog_loop_cycles", "Rounds of the loop that folds.", value=vitals.cycles)
        yield _gauge("touchlog_loop_cycle_age_seconds", "Since the last round of the loop ended.", vitals.cycle_age_s)
        yield CounterMetricFamily("touchlog_reader_cycles", "Rounds of the reading thread.", value=vitals.reader_cycles)
        yield _gauge("touchlog_reader_cycle_age_seconds", "Since the reader's last round ended.", vitals.reader_age_s)

        waiting = GaugeMetricFamily("touchlog_waiting", "1 while this is away and waited for.", labels=["for"])
        for what in WORDS:
            waiting.add_metric([what], float(vitals.waiting is not None and vitals.waiting.what == what))
        yield waiting

        bounds = [*map(str, BOUNDS_S), "+Inf"]
        yield HistogramMetricFamily(
            "touchlog_transaction_seconds",
            "How long it took to fold and commit a batch.",
            buckets=list(zip(bounds, vitals.transactions, strict=True)),
            sum_value=vitals.transactions_s,
        )
        yield _gauge("touchlog_compaction_running", "1 while the tail is being compacted.", float(vitals.compacting))
        yield _gauge("touchlog_tail_events", "Events in the tail that are not compacted yet.", vitals.tail_events)
        parked = self._count_parked()
        if parked is not None:
            yield _gauge("touchlog_parked", "Records parked in the store.", parked)

    def _count_parked(self) -> int | None:
        if not self._asking.acquire(blocking=False):
            return None
        try:
            return self._parked()
        finally:
            self._asking.release()


@contextmanager
def serving_metrics(
    pulse: Pulse, port: int, *, address: str = "127.0.0.1", parked: Parked = lambda: None
) -> Iterator[int]:
    """Metrics of the pulse and of this process at `http://address:port/metrics` until the block ends; gives the port,
    which is any free one when 0 was asked for. Raises ConfigurationError when nothing can listen there.
    """
    registry = CollectorRegistry()
    registry.register(ProjectorCollector(pulse, parked))
    ProcessCollector(registry=registry)
    try:
        server, thread = start_http_server(port, address, registry)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise ConfigurationError(
            f"metrics cannot be served on port {port} of {address}: {reason.lower()}; name another with --prometheus"
            " PORT, or another --prometheus-address"
        ) from None
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _gauge(name: str, documentation: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, value=value)
