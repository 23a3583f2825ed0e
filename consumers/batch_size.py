"""How many records are folded in one transaction: as many as a given time allows."""

_LEAST = 500


class BatchSize:
    """The size of the next batch. Batches of a backlog are full, and what they took tells how large the next may be;
    where there is no backlog a batch is what has come meanwhile, and nothing changes."""

    def __init__(self, most: int, *, seconds: float = float("inf")) -> None:
        """`most`: records, whatever time they take; `seconds`: what folding one batch may take, about."""
        self.now = self._most = most
        self._seconds = seconds

    def folded(self, records: int, seconds: float) -> None:
        """A batch was folded. What slowed it down may be gone by the next, so that is at most halved or doubled."""
        if 2 * records < self.now:
            return
        fitting = int(records * min(2.0, max(0.5, self._seconds / max(seconds, 1e-6))))
        self.now = max(min(_LEAST, self._most), min(self._most, fitting))
