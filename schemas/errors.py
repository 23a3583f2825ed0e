"""Every error touchlog raises on purpose, grouped by what the runner does next.

    TouchlogError
    ├── Stop                    the process ends; a person has to act
    │   ├── ConfigurationError      a setting or argument cannot work
    │   ├── StoreError              the store cannot be opened or written
    │   │   ├── StoreBusy               another process holds it
    │   │   ├── StoreFull               no space left
    │   │   ├── OffsetConflict          somebody else moved the offsets
    │   │   └── RebuildNeeded           folded by rules that are no longer ours
    │   ├── LogError                the log is not the one the store was folded from
    │   │   ├── TopicRecreated          same name, another topic
    │   │   ├── RetentionLost           records needed were deleted
    │   │   └── OffsetBeyondEnd         the log is shorter than the store remembers
    │   ├── ProjectionChanged       SQL changed without a new version
    │   ├── QueryRefused            a reader asked for what readers may not do
    │   └── ParkingRefused          a bad record came that is not to be parked
    │       ├── PoisonRecord            none is, as was asked for
    │       └── TooManyParked           so many are that something else must be wrong
    ├── RetryLater              a broker or registry is away; try again
    │   ├── LogUnavailable
    │   ├── RegistryUnavailable
    │   └── DeliveryFailed          a record was not acknowledged
    └── DeadLetter              this record is bad; park it and go on
        ├── UndecodableRecord       the bytes are not what the schema says
        ├── UnknownSchema           nobody knows this schema id
        └── InvalidEvent            decoded, but breaks the contract

Every message says what happened, what is known and what to type next. None holds a payload, a name or an
address: ids, offsets and counts only.
"""


class TouchlogError(Exception):
    """Base of all errors raised on purpose. `exit_code` is what the command line ends with."""

    exit_code = 1


class Stop(TouchlogError):
    """The process ends; a person has to act."""


class ConfigurationError(Stop):
    """A setting or an argument cannot work."""

    exit_code = 2


class StoreError(Stop):
    """The store cannot be opened or written."""

    exit_code = 3


class StoreBusy(StoreError):
    """Another process holds the store."""


class StoreFull(StoreError):
    """No space left for the store."""


class OffsetConflict(StoreError):
    """The stored offset is not the expected one: a second writer, or a store that was replaced."""


class RebuildNeeded(StoreError):
    """The store's events were folded by other rules than this program's; only the log can say them anew."""


class LogError(Stop):
    """The log is not the one that the store was folded from."""

    exit_code = 4


class TopicRecreated(LogError):
    """A topic has the same name but another identity."""


class RetentionLost(LogError):
    """Records that the store still needs were deleted from the log."""


class OffsetBeyondEnd(LogError):
    """The log ends before the offset that the store remembers."""


class ProjectionChanged(Stop):
    """A projection's SQL changed, its version did not."""

    exit_code = 5


class QueryRefused(Stop):
    """A reader asked for something that readers may not do, or that is not SQL."""

    exit_code = 6


class ParkingRefused(Stop):
    """A record that cannot be folded came, and is not to be parked; nothing of its batch was committed."""

    exit_code = 7


class PoisonRecord(ParkingRefused):
    """A record cannot be folded, and the projector was asked to stop at the first."""


class TooManyParked(ParkingRefused):
    """More records would be parked than are allowed: it is not the records that are wrong."""


class RetryLater(TouchlogError):
    """Something outside is away; the same call may succeed later."""

    exit_code = 75


class LogUnavailable(RetryLater):
    """The log (broker, file) does not answer."""


class RegistryUnavailable(RetryLater):
    """The schema registry does not answer."""


class DeliveryFailed(RetryLater):
    """Records were handed over and not acknowledged."""


class DeadLetter(TouchlogError):
    """This record is bad: park it whole, go on with the rest."""


class UndecodableRecord(DeadLetter):
    """The bytes are not what the schema says."""


class UnknownSchema(DeadLetter):
    """Nobody knows this schema id."""


class InvalidEvent(DeadLetter):
    """Decoded, but it breaks the contract."""
