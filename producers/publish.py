"""Publishing: payloads of files become events, and the events records of the log.

What is not understood is kept whole in the rejects file and the rest goes on. The counts add up:

    read = with_events + without_events + rejected      payloads
    events = delivered + failed                         events

An event that the log did not confirm is `failed`, and its payload is kept as `undelivered`. Publishing again is
safe: the same payload gives the same event ids, and readers count an id once.
"""

import time
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from log.log import Delivered, Headers, Log, LogWriter, Position
from producers.format import Format, Options, Payload
from producers.rejects import Reject, RejectsFile, Verdict
from producers.report import Counts, Report
from producers.sources import HEAD, Source
from schemas.cloudevents import cloudevents_headers
from schemas.codec import encode, micros
from schemas.errors import ConfigurationError, InvalidEvent, TouchlogError
from schemas.models import Event
from schemas.registry import Registry
from schemas.topics import STREAMS, topic_of

FLUSH_SECONDS = 30.0

Choose = Callable[[Source, bytes], Format]
"""The format of a source by its beginning (up to 64 KiB); ConfigurationError when none or several recognise it."""

_PROGRESS_SECONDS = 0.2
_Record = tuple[str, bytes, bytes, Headers, int]


def publish(
    sources: Iterable[Source],
    *,
    format: Format | Choose,  # noqa: A002 - the word that everybody uses for it
    options: Options,
    log: Log,
    registry: Registry,
    rejects: RejectsFile,
    progress: Callable[[Report], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Report:
    """Publish every payload of the sources, in order, and say what became of them.

    `format` is one for all sources, or chosen for each. The topics must exist. `progress` is called at most five
    times a second and once at the end; `stop` is asked before every payload. Whatever ends it (`stop`, an
    interrupt, an error of the log, the registry or the rejects file), what was appended is flushed first and the
    report is of what the log confirmed.

    Raises ConfigurationError when a topic is missing, and what `registry` raises, before anything is read.
    """
    streams = _Streams(log, registry)
    if isinstance(format, Format):
        for stream in STREAMS if format.channel not in STREAMS else (format.channel,):
            streams.of(stream)
    run = _Run(streams, options, log.writer(), rejects)
    shown = time.monotonic()
    try:
        for source in sources:
            with closing(run.places(source, format)) as places:
                for place in places:
                    if stop():
                        run.counts.stopped = True
                        break
                    run.publish(place)
                    if time.monotonic() - shown >= _PROGRESS_SECONDS:
                        shown = time.monotonic()
                        progress(run.counts.report())
            if run.counts.stopped:
                break
    except KeyboardInterrupt:
        run.counts.stopped = True
    except TouchlogError as error:
        run.counts.stopped, run.counts.error = True, error
    finally:
        run.finish()
    report = run.counts.report()
    progress(report)
    return report


class _Streams:
    """Topic, schema id and schema of each channel, looked up once."""

    def __init__(self, log: Log, registry: Registry) -> None:
        self._topics = set(log.topics())
        self._registry = registry
        self._known: dict[str, tuple[str, int, str]] = {}

    def of(self, stream: str) -> tuple[str, int, str]:
        known = self._known.get(stream)
        if known is None:
            topic = topic_of(stream)
            if topic not in self._topics:
                raise ConfigurationError(f"the log has no topic {topic}; create the topics first")
            known = self._known[stream] = (topic, *self._registry.current(stream))
        return known


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Place:
    """A payload and where it came from."""

    source: Source
    format: Format
    payload: Payload

    def reject(self, verdict: Verdict, reason: str) -> Reject:
        return Reject(
            verdict=verdict,
            file=self.source.name,
            line=self.payload.line,
            item=self.payload.item,
            channel=self.format.channel,
            format=self.format.name,
            reason=reason,
            raw=self.payload.raw,
        )


class _Run:
    """One call of `publish`: where its payloads go, and its counts."""

    def __init__(self, streams: _Streams, options: Options, writer: LogWriter, rejects: RejectsFile) -> None:
        self.counts = Counts()
        self._streams, self._options, self._writer, self._rejects = streams, options, writer, rejects
        # By identity: several events of one payload may fail, and it is kept once.
        self._undelivered: dict[_Place, str] = {}

    def places(self, source: Source, format_or_choose: Format | Choose) -> Generator[_Place, None, None]:
        """The payloads of a source. What cannot be read ends the source and is noted; it never raises for that."""
        try:
            with source.opened() as stream:
                chosen = self._chosen(source, stream.peek(HEAD)[:HEAD], format_or_choose)
                if chosen is not None:
                    for payload in chosen.payloads(stream, self._options):
                        yield _Place(source=source, format=chosen, payload=payload)
        except TouchlogError:
            raise
        except Exception as error:
            # A damaged file, or a fault in what cuts it: it ends this source alone.
            self.counts.unreadable.append((source.name, f"cannot be read to its end: {_name(error)}"))

    def publish(self, place: _Place) -> None:
        """Append the events of one payload, or keep it as rejected."""
        try:
            records = self._records(place)
        except InvalidEvent as error:
            self._rejects.keep(place.reject("rejected", str(error)))
            self.counts.because(str(error))
            self.counts.rejected += 1
            return
        if not records:
            self.counts.without_events += 1
            return
        self.counts.with_events += 1
        self.counts.events += len(records)
        delivered = partial(self._settle, place)
        try:
            for topic, key, value, headers, timestamp in records:
                self._append(topic, key, value, headers, timestamp, delivered)
        except BaseException as error:
            self._undelivered[place] = f"delivery: {_name(error)}"
            raise
        self._keep_undelivered()

    def finish(self) -> None:
        """Flush and close the writer, keep what it gave up, bring the rejects to the disk; every step is tried."""
        flush = partial(self._writer.flush, FLUSH_SECONDS)
        for step in (flush, self._writer.close, self._keep_undelivered, self._rejects.sync):
            try:
                step()
            except KeyboardInterrupt:
                self.counts.stopped = True
            except TouchlogError as error:
                self.counts.error = self.counts.error or error

    def _chosen(self, source: Source, head: bytes, format_or_choose: Format | Choose) -> Format | None:
        if isinstance(format_or_choose, Format):
            return format_or_choose
        if not head:
            return None
        try:
            return format_or_choose(source, head)
        except ConfigurationError as error:
            self.counts.unreadable.append((source.name, str(error)))
            return None

    def _records(self, place: _Place) -> list[_Record]:
        if place.payload.error is not None:
            raise InvalidEvent(place.payload.error)
        try:
            events = list(place.format.events(place.payload.content, self._options))
            return [self._record(event) for event in events]
        except TouchlogError:
            raise
        except Exception as error:
            # A fault in a parser must not cost the rest of the file, nor the payload that found it.
            raise InvalidEvent(f"the parser failed: {_name(error)}") from error

    def _record(self, event: Event) -> _Record:
        topic, schema_id, schema = self._streams.of(event.channel)
        value = encode(event, schema_id=schema_id, schema=schema)
        return topic, event.primary.key.encode(), value, cloudevents_headers(event), micros(event.occurred_at) // 1000

    def _append(
        self, topic: str, key: bytes, value: bytes, headers: Headers, timestamp: int, delivered: Delivered
    ) -> None:
        try:
            self._writer.append(topic, key, value, headers=headers, timestamp=timestamp, delivered=delivered)
        except ConfigurationError as error:
            # The log never takes this record (it is too large, say); others it may.
            delivered(None, error)

    def _settle(self, place: _Place, position: Position | None, error: Exception | None) -> None:
        if position is not None:
            self.counts.delivered += 1
            self.counts.by_topic[position.topic] += 1
            return
        reason = f"delivery: {_name(error)}"
        self.counts.because(reason)
        self._undelivered[place] = reason

    def _keep_undelivered(self) -> None:
        while self._undelivered:
            place = next(iter(self._undelivered))
            self._rejects.keep(place.reject("undelivered", self._undelivered[place]))
            del self._undelivered[place]


def _name(error: BaseException | None) -> str:
    """What kind of error, never its text: that may quote the payload."""
    return type(error).__name__
