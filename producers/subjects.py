"""What an item is about, from the words vendors and senders use: content type, purpose, case references."""

import re
from collections.abc import Iterable
from typing import Any

from producers.fields import Fields, well_formed
from schemas.models import ContentType, Purpose

_WORDS: dict[ContentType, frozenset[str]] = {
    ContentType.NEWS: frozenset({"news", "newsletter", "digest", "update", "updates", "blog", "announcement"}),
    ContentType.OFFERS: frozenset(
        {"offer", "offers", "marketing", "promotion", "promotions", "promo", "campaign", "sale", "sales", "deal"}
    ),
    ContentType.INVOICES: frozenset(
        {"invoice", "invoices", "billing", "bill", "bills", "receipt", "receipts", "payment", "payments", "dunning"}
    ),
    ContentType.SERVICE: frozenset(
        {"service", "services", "support", "transactional", "notification", "notifications", "order", "orders"}
        | {"shipping", "delivery", "account", "password", "security", "care", "helpdesk", "case", "ticket"}
    ),
}
_PURPOSE = {
    ContentType.NEWS: Purpose.MARKETING,
    ContentType.OFFERS: Purpose.MARKETING,
    ContentType.INVOICES: Purpose.TRANSACTIONAL,
    ContentType.SERVICE: Purpose.SERVICE,
}
_WORD = re.compile(r"[a-z]+")

_CASE_FIELDS = {
    "case": ("case", "case_ref", "case_id", "case_number", "ticket", "ticket_id", "ticket_number"),
    "order": ("order", "order_ref", "order_id", "order_number"),
    "invoice": ("invoice", "invoice_ref", "invoice_id", "invoice_number"),
}
_CASES = (*_CASE_FIELDS.items(), ("case", ("case_refs",)))
_CASE_NAMES = frozenset(name for _, names in _CASES for name in names)
_TOO_LARGE = 10**30
_CASE_REF = re.compile(r"(case|order|invoice):(.+)", re.IGNORECASE | re.DOTALL)


def content_type_of(labels: Iterable[str]) -> ContentType | None:
    """The content type that a category, a list's name or a document class names: the first label that names one.

    A label counts by its words: `invoices`, `Billing-2026` and `monthly newsletter` are known, `cat facts` is not.
    """
    for label in labels:
        words = _WORD.findall(label.lower())
        for content_type, known in _WORDS.items():
            if not known.isdisjoint(words):
                return content_type
    return None


def purpose_of(content_type: ContentType | None) -> Purpose | None:
    """Why such content is sent, when nothing else says so: news and offers are marketing."""
    return None if content_type is None else _PURPOSE[content_type]


def case_refs(*given: Fields) -> tuple[str, ...]:
    """References to cases, orders and invoices that the fields hold: `case:12345`, `order:A-77`, `invoice:9001`.

    Read are `case`, `case_ref`, `ticket`, `order`, `order_id`, `invoice`, … (texts or lists of texts), and
    `case_refs`, where the kind stands before a colon or is `case`. What is no text or number there is left out.
    """
    found: dict[str, None] = {}
    for fields in given:
        if _CASE_NAMES.isdisjoint(fields.content):
            continue
        for kind, names in _CASES:
            given_names = (name for name in names if name in fields.content)
            for value in next((texts for name in given_names if (texts := _texts(fields.value(name)))), []):
                found[case_ref(kind, value)] = None
    return tuple(ref for ref in found if ref)


def _texts(value: Any) -> list[str]:
    """Texts and numbers, one or a list of them; an object of that name is something else."""
    found = (_text(item) for item in (value if isinstance(value, list) else [value]))
    return [text for text in found if text]


def _text(item: Any) -> str:
    if isinstance(item, str):
        return well_formed(item).strip()
    if isinstance(item, bool) or not isinstance(item, int | float) or not abs(item) < _TOO_LARGE:
        return ""
    return str(int(item)) if item == int(item) else str(item)


def case_ref(kind: str, value: str) -> str:
    """One reference in comparable form: `case:AB-12`; upper case, without blanks and `#`; empty for nothing."""
    prefixed = _CASE_REF.fullmatch(value.strip())
    if prefixed is not None:
        kind, value = prefixed[1].lower(), prefixed[2]
    number = re.sub(r"[\s#]+", "", value).upper()[:200]
    return f"{kind}:{number}" if number else ""
