"""What becomes of an appended record: its position, or a failure that nobody may overlook."""

from log.log import Delivered, Position
from schemas.errors import DeliveryFailed


class Deliveries:
    """Tells `delivered` what became of a record, or remembers the failures that nobody asked to be told."""

    def __init__(self) -> None:
        self._untold = 0
        self._first: Exception | None = None

    def succeeded(self, delivered: Delivered | None, position: Position) -> None:
        if delivered is not None:
            delivered(position, None)

    def failed(self, delivered: Delivered | None, error: Exception) -> None:
        if delivered is not None:
            delivered(None, error)
            return
        self._untold += 1
        self._first = self._first or error

    def raise_failures(self) -> None:
        """DeliveryFailed, once, when records failed of which no `delivered` was told."""
        if not self._untold:
            return
        count, first = self._untold, self._first
        self._untold, self._first = 0, None
        raise DeliveryFailed(f"{count} records were not written; append them again. The first: {first}") from first
