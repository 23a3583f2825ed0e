"""Payments as a bank exports them: a row is a movement on our account."""

from collections.abc import Iterator
from typing import Any

from producers.format import Format, Options
from producers.post.addresses import ABOUT_COLUMNS
from producers.post.payment import Payment, amount_of, payment_event
from producers.tables import Columns, header_of, moment, table_payloads
from schemas.errors import InvalidEvent
from schemas.models import Event

VENDOR = "payments"

PAYMENT_COLUMNS = Columns(
    bank_reference="transaction id, transaction reference, bank reference, booking reference, entry reference, id",
    booked="booking date, booked date, booked at, date booked, posting date, entry date, buchungstag, buchungsdatum,"
    " bokföringsdag, bokföringsdatum, date comptable, data contabile",
    valued="value date, valuta, valutadatum, valutadag, date valeur",
    amount="amount in account currency, transaction amount, betrag, belopp, montant, bedrag, importo, importe, beløb",
    credit="credit amount, gutschrift, paid in, money in, deposit",
    currency="ccy, währung, waehrung, valuta code, devise",
    way="credit debit, debit credit, credit debit indicator, cr dr, dc, type, soll haben",
    reference="payment reference, creditor reference, structured reference, reference number, ocr, qr reference, esr,"
    " referenz, referens, structured communication",
    text="remittance information, remittance, purpose, description, details, message, verwendungszweck, meddelande,"
    " text, narrative, communication",
    payer="debtor, payer name, counterparty, name, auftraggeber, beneficiary payer, avsändare",
    payer_account="debtor account, payer iban, counterparty account, iban, kontonummer iban",
    status="booking status, state",
    **{name: names for name, names in ABOUT_COLUMNS.items() if name != "content_type"},
)
_DEBIT = frozenset({"d", "dr", "dbit", "debit", "soll", "s", "out", "uttag"})
_PENDING = frozenset({"pdng", "pending", "info", "futr", "vorgemerkt", "reserved", "preliminär"})


def payment_events(content: Any, options: Options) -> Iterator[Event]:
    """The event of one movement; a negative amount, or one marked as such, is a debit and refused."""
    row = PAYMENT_COLUMNS.read(content, options)
    fields = row.fields
    at = moment(fields, "booked", options) or moment(fields, "valued", options)
    if at is None:
        raise InvalidEvent("booked: missing")
    amount = amount_of(fields.text("amount") or fields.text("credit"), "amount")
    if amount is None:
        raise InvalidEvent("amount: missing")
    way = (fields.text("way") or "").lower()
    text, invoice = fields.text("text"), fields.ref("invoice")
    yield payment_event(
        Payment(
            vendor=VENDOR,
            bank_reference=fields.ref("bank_reference"),
            booked_at=at,
            amount=str(abs(amount)),
            currency=(fields.text("currency") or "").upper() or None,
            reference=fields.ref("reference"),
            documents=() if invoice is None else (invoice,),
            texts=() if text is None else (text,),
            customer=fields.ref("customer"),
            credit=amount >= 0 and way not in _DEBIT,
            booked=(fields.text("status") or "").lower() not in _PENDING,
            apart=fields.text("payer_account") or fields.text("payer") or "",
            more={
                **row.rest,
                **{
                    name: fields.value(name) for name in ("valued", "payer", "payer_account", "status", "order", "case")
                },
            },
        ),
        options,
    )


def is_payments(head: bytes) -> bool:
    """Whether a file has columns for an amount, the day of booking, and what was paid."""
    header = header_of(head)
    amount = PAYMENT_COLUMNS.has(header, "amount") or PAYMENT_COLUMNS.has(header, "credit")
    what = any(PAYMENT_COLUMNS.has(header, name) for name in ("reference", "text", "invoice"))
    return amount and what and PAYMENT_COLUMNS.has(header, "booked")


FORMAT = Format(
    name="payments",
    channel="post",
    title="payments as a bank exports them, CSV or JSON",
    example="""\
booking_date,amount,currency,reference,customer_ref,text
2026-03-09,150.00,EUR,RF599001,C-17,Invoice 9001
""",
    recognises=is_payments,
    payloads=table_payloads,
    events=payment_events,
)
