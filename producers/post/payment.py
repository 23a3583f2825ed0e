"""What a payment means: the invoice that its reference names is paid.

A bank knows no customer and no letter, only the reference that we printed on the invoice. So `message_ref` is the
invoice's number in it, and meets the invoice's own item when this was sent under that number, to the same contact
point; `case_refs` (`invoice:9001`) join the conversation in any case. The payer's account number is no contact point,
since the contract has no kind for it.

References: ISO 11649 (`RF18…`, ISO 7064 mod 97-10); the Swiss QR reference of 27 digits (recursive modulo 10), SIX
Implementation Guidelines for the QR-bill; the billing information on it that begins with `//S1/10/` and the invoice
number (Swico, syntax definition S1).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from typing import Any

from producers.format import Options
from producers.post.addresses import item_points
from producers.reading import attributes, event_of, source
from producers.subjects import case_ref
from schemas.errors import InvalidEvent
from schemas.models import Author, ContentType, Direction, Event, Purpose

_RF = re.compile(r"RF(\d\d)([A-Z0-9]{1,21})", re.ASCII)
_RF_IN_TEXT = re.compile(r"\bRF\d\d(?: ?[A-Z0-9]{1,21}){1,6}", re.ASCII)
_QR = re.compile(r"\d{27}", re.ASCII)
_SWICO = re.compile(r"//S1/10/((?:\\.|[^/\\]){1,40})")
_AMOUNT = re.compile(r"[^\d.,()+-]*([-+(]?[\d.,]+[-)]?)[^\d.,()+-]*", re.ASCII)
_CARRY = (0, 9, 4, 6, 8, 2, 7, 1, 3, 5)
_NUMBER_IN_TEXT = re.compile(
    r"\b(?:invoice|inv|rechnung|rechnungs-?nr|rg|faktura|fakturanr|facture|factuur|fattura|factura|lasku)"
    r"(?:\s*(?:no|nr|nummer|number|num|n°|nº|ref|reference))?[\s.:#-]{1,3}"
    r"([a-z]{0,4}[-/]?\d[\w/-]{0,24})",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Payment:
    """One movement on our account; `reference` is the structured one, `texts` what the payer wrote.

    `bank_reference` is the bank's own for the movement. `credit` is false for what we paid, `booked` for what is
    only announced, and `reversal` true for what is taken back.
    """

    vendor: str
    bank_reference: str | None
    booked_at: datetime
    amount: str | None
    currency: str | None
    reference: str | None
    documents: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    customer: str | None = None
    address: Mapping[str, str] | None = None
    credit: bool = True
    booked: bool = True
    reversal: bool = False
    apart: str = ""
    more: Mapping[str, Any] | None = None


def payment_event(payment: Payment, options: Options) -> Event:
    """`invoice.paid`, or `unknown` for a reversal, for what is not booked yet, and for a payment without reference.

    Raises InvalidEvent for a debit: what we pay is no customer's doing.
    """
    if not payment.credit and not payment.reversal:
        raise InvalidEvent("payment: a debit; only what comes in is a payment")
    reference = comparable(payment.reference)
    invoices = invoices_of(payment)
    known = next(iter(invoices), None)
    paid = known is not None and payment.booked and not payment.reversal
    # Every other field may be missing, or the same in two movements of a batch.
    said = [payment.amount, payment.currency, reference, *payment.documents, *payment.texts, payment.apart]
    told = sha256("\x1f".join(part or "" for part in said).encode("utf-8", "replace")).hexdigest()[:32]
    about = payment.bank_reference or f"payment-{told}"
    return event_of(
        "post",
        options,
        vendor=payment.vendor,
        type="invoice.paid" if paid else "unknown",
        reference=about,
        system=source(payment.vendor, options),
        discriminator=told,
        occurred_at=payment.booked_at,
        contact_points=item_points(payment.customer, payment.address, f"payment:{about}", options),
        source_event_id=payment.bank_reference,
        direction=Direction.INBOUND if payment.credit else Direction.REPORT,
        message_ref=known,
        case_refs=tuple(dict.fromkeys(ref for one in invoices if (ref := case_ref("invoice", one)))),
        content_type=ContentType.INVOICES,
        purpose=Purpose.TRANSACTIONAL,
        author=Author.CUSTOMER if payment.credit and not payment.reversal else None,
        document_class="payment",
        attributes=attributes(
            payment.more or {},
            amount=payment.amount,
            currency=payment.currency,
            reference=reference,
            reference_valid="false" if reference and not is_valid(reference) else None,
            remittance=" ".join(payment.texts),
            reversal="true" if payment.reversal else None,
            booked=None if payment.booked else "false",
        ),
    )


def invoices_of(payment: Payment) -> list[str]:
    """The invoice numbers that a payment names, the surest first, each once."""
    found = [number.strip() for number in payment.documents]
    reference = comparable(payment.reference)
    if reference is not None:
        found += [inner for inner in (_inner(reference),) if inner]
        found.append(reference)
    found += [number for text in payment.texts for number in numbers_in(text)]
    return [number for number in dict.fromkeys(found) if number]


def numbers_in(text: str) -> list[str]:
    """Invoice numbers and creditor references in a text: `Invoice 9001`, `Rechnung Nr. 17`, `RF59 1`, `//S1/10/1`."""
    found = [re.sub(r"\\(.)", r"\1", number) for number in _SWICO.findall(text[:2_000])]
    found += [number.strip("-/") for number in _NUMBER_IN_TEXT.findall(text[:2_000])]
    for candidate in _RF_IN_TEXT.findall(text[:2_000].upper()):
        words = candidate.split()
        joined = ("".join(words[:length]) for length in range(len(words), 0, -1))
        reference = next((one for one in joined if _RF.fullmatch(one) and is_valid(one)), None)
        found += [] if reference is None else [_inner(reference) or reference, reference]
    return found


def comparable(reference: str | None) -> str | None:
    """A reference without blanks, in upper case; None for none."""
    text = re.sub(r"\s+", "", reference or "").upper()
    return None if text in {"", "NOTPROVIDED", "NONREF", "NOREF"} else text


def is_valid(reference: str) -> bool:
    """Whether the check digits of an RF or QR reference are right; any other reference has none."""
    found = _RF.fullmatch(reference)
    if found is not None:
        digits = "".join(str(int(character, 36)) for character in f"{found[2]}RF{found[1]}")
        return int(digits) % 97 == 1
    if not _QR.fullmatch(reference):
        return True
    carry = 0
    for digit in reference[:-1]:
        carry = _CARRY[(carry + int(digit)) % 10]
    return (10 - carry) % 10 == int(reference[-1])


def _inner(reference: str) -> str | None:
    """What was put into a reference that has check digits: `RF599001` -> `9001`, and the same of a QR reference."""
    found = _RF.fullmatch(reference)
    if found is not None:
        return found[2].lstrip("0") if is_valid(reference) else None
    return reference[:-1].lstrip("0") if _QR.fullmatch(reference) and is_valid(reference) else None


def amount_of(text: str | None, field: str) -> Decimal | None:
    """An amount as banks write it: `1234.56`, `1.234,56`, `1'234.56 CHF`, `-12,00`, `12.00-`, `(12.00)`.

    A lone mark with one or two digits behind it separates the decimals, with three the thousands. Raises InvalidEvent.
    """
    if text is None:
        return None
    # `12.-` and `12,-` are whole amounts; a minus behind the digits is one.
    bare = re.sub(r"[.,]-+(?=\D*$)", "", re.sub(r"[\s'\u2019]", "", text))
    found = _AMOUNT.fullmatch(bare)
    if found is None:
        raise InvalidEvent(f"{field}: not an amount")
    bare = found[1]
    negative = bare.startswith(("-", "(")) or bare.endswith("-")
    bare = bare.strip("+-()")
    if re.search(r"[.,]", bare):
        whole, mark, decimals = re.split(r"([.,])(?=[^.,]*$)", bare)
        grouped = len(decimals) == 3 and whole.count(mark) + 1 == len(re.findall(r"[.,]", bare))
        bare = re.sub(r"[.,]", "", bare) if grouped else f"{re.sub(r'[.,]', '', whole)}.{decimals}"
    try:
        if not re.fullmatch(r"\d{0,20}(\.\d{0,8})?", bare):
            raise InvalidOperation
        amount = Decimal(bare)
    except InvalidOperation:
        raise InvalidEvent(f"{field}: not an amount") from None
    return -amount if negative else amount
