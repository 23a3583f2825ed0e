"""Post as it arrives: Lob's events, the carrier's scans, and what our mailroom enters by hand."""

from datetime import datetime, timedelta
from typing import Any

from touchlog.demo.archive import LOB, MAILROOM, SCANS, Archive
from touchlog.demo.people import Person

_S10_WEIGHTS = (8, 6, 4, 2, 3, 5, 9, 7)


class Letter:
    """One letter that we sent through Lob."""

    def __init__(self, archive: Archive, person: Person, description: str, *, about: dict[str, str]) -> None:
        self._archive, self._person, self._description = archive, person, description
        self.piece = f"ltr_{archive.number('lob letter', 5_001):06}"
        self._about = {"customer_ref": person.account, **about}

    def created(self, at: datetime, **how: Any) -> None:
        self._event("created", at, how)
        # Lob tells of its own previews too, which happen to nobody.
        self._event("rendered_thumbnails", at + timedelta(seconds=9), how)

    def mailed(self, at: datetime, **how: Any) -> None:
        self._event("mailed", at, how)

    def delivered(self, at: datetime, **how: Any) -> None:
        self._event("delivered", at, how)

    def viewed(self, at: datetime, **how: Any) -> None:
        """Somebody followed the code printed on it."""
        self._event("viewed", at, how)

    def returned(self, at: datetime, **how: Any) -> None:
        self._event("returned_to_sender", at, how, {"event": "moved_left_no_address"})

    def _event(self, step: str, at: datetime, how: dict[str, Any], details: dict[str, str] | None = None) -> None:
        name = step.replace("_", " ").title().replace(" To ", " to ")
        tracked = {"id": f"evnt_{self.piece}", "name": name, "time": at.isoformat(), "details": details or {}}
        content = {
            "id": f"evt_{self._archive.number('lob event'):06}",
            "object": "event",
            "event_type": {"id": f"letter.{step}", "resource": "letters", "object": "event_type"},
            "reference_id": self.piece,
            "date_created": at.isoformat(),
            "body": {
                "id": self.piece,
                "description": self._description,
                "to": {
                    "name": self._person.name,
                    "address_line1": self._person.street,
                    "address_city": self._person.city,
                    "address_zip": self._person.postal_code,
                    "address_country": "SWEDEN",
                },
                "use_type": "operational",
                "metadata": self._about,
                "tracking_events": [] if step in {"created", "rendered_thumbnails"} else [tracked],
            },
        }
        self._archive.add_json(LOB, at, content, **how)


class Catalogue:
    """One piece of bulk mail, as the carrier's scanners see it."""

    def __init__(self, archive: Archive, person: Person) -> None:
        self._archive, self._person = archive, person
        self.piece = s10(archive.number("catalogue", 10_000_001))

    def posted(self, at: datetime, **how: Any) -> None:
        self._scan("EMA", at, "SESTOA", {}, how)

    def delivered(self, at: datetime, **how: Any) -> None:
        self._scan("EMI", at, "SESTOA", {}, how)

    def returned(self, at: datetime, **how: Any) -> None:
        self._scan("EMH", at, "SESTOA", {"returned": "yes", "reason_code": "12"}, how)

    def _scan(self, code: str, at: datetime, office: str, more: dict[str, str], how: dict[str, Any]) -> None:
        row = {
            "item_id": self.piece,
            "event_code": code,
            "event_time": at.isoformat(),
            "office": office,
            "customer_ref": self._person.account,
            "street": self._person.street,
            "postal_code": self._person.postal_code,
            "city": self._person.city,
            "country": "SE",
            "content_type": "offers",
        }
        self._archive.add_row(SCANS, at, {**row, **more}, **how)


def document(archive: Archive, person: Person, at: datetime, kind: str, **cells: str) -> str:
    """A document that came in, as the mailroom enters it in the evening; its scan id."""
    scan = f"S-{archive.number('mailroom', 3_001)}"
    row = {
        "scan_id": scan,
        "received_at": at.isoformat(),
        "customer_ref": person.account,
        "document_class": kind,
        "pages": 1,
        **cells,
    }
    archive.add_row(MAILROOM, at, row, late=timedelta(hours=6))
    return scan


def s10(number: int) -> str:
    """A barcode of the Universal Postal Union (standard S10): the last digit is a weighted sum modulo 11."""
    digits = f"{number:08}"
    rest = 11 - sum(weight * int(digit) for weight, digit in zip(_S10_WEIGHTS, digits, strict=True)) % 11
    return f"RA{digits}{ {10: 0, 11: 5}.get(rest, rest) }SE".replace(" ", "")
