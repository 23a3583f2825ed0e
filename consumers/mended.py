"""Records that were mended by hand (`touchlog dead-letters redrive --patch`), for a store that is folded again.

The log keeps them as they were; what was folded in their place is in the store alone (projections.verify.mended).
"""

from collections.abc import Mapping

from consumers.dead_letters import DISCARDED, PARKED, LetterId
from consumers.fold import Folder
from consumers.letters import Wanted
from consumers.redrive import Asked, redrive
from log.log import Position
from projections.store import Store
from schemas.registry import Registry


def mend_again(store: Store, registry: Registry, mended: Mapping[Position, bytes]) -> int:
    """Fold the values in place of those of the records that are parked in the store; how many these were.

    Raises RegistryUnavailable and what the store raises; called again, it leaves alone what is settled.
    """
    parked = {
        Position(topic, partition, offset)
        for topic, partition, offset in store.con.execute(
            "SELECT topic, partition, log_offset FROM touchlog.dead_letters WHERE state IN (?, ?)", [PARKED, DISCARDED]
        ).fetchall()
    }
    wanted = [at for at in sorted(mended) if at in parked]
    folder = Folder(store) if wanted else None
    for at in wanted:
        assert folder is not None
        letter = Wanted(ids=(str(LetterId(*at)),), states=(PARKED, DISCARDED))
        for _ in redrive(folder, store, registry, Asked(wanted=letter, value=mended[at])):
            pass
    return len(wanted)
