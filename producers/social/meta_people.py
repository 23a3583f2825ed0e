"""Who and where, in the webhooks of Meta's networks."""

from producers.format import Options
from producers.reading import point
from schemas.models import ContactPoint, Kind


def person(customer: str, ours: str, network: str, options: Options) -> list[ContactPoint]:
    """Somebody by the id that the network gave them for this account of ours alone."""
    return [point(Kind.SOCIAL, f"{network}:{ours}:{customer}", options)]


def nobody(place: str, options: Options) -> list[ContactPoint]:
    """Whoever did it, which the network does not tell: known by the place only, `instagram:<media>`."""
    return [point(Kind.ANONYMOUS, place.replace("/", ":", 1), options)]
