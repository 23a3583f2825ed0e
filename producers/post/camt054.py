"""ISO 20022 camt.054 (and the same entries of camt.053 and camt.052): an invoice is paid by its reference.

Elements: the ISO 20022 message definitions of camt.052, camt.053 and camt.054, versions 001.01 to 001.13
(https://www.iso20022.org/iso-20022-message-definitions); the Swiss use of them: SIX Implementation Guidelines for
Cash Management.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO

from producers.format import Format, Options, Payload
from producers.post.addresses import address_of
from producers.post.camt_entries import camt_payloads, message_of
from producers.post.payment import Payment, amount_of, comparable, payment_event
from producers.reading import Fields
from schemas.errors import InvalidEvent
from schemas.models import Event

VENDOR = "camt054"

_REFERENCES = ("AcctSvcrRef", "UETR", "TxId")
_APART = ("EndToEndId", "InstrId", "TxId", "UETR", "PmtInfId", "MndtId", "ChqNb")


def payloads(stream: BinaryIO, options: Options) -> Iterator[Payload]:  # noqa: ARG001 - Format's form
    """The movements of a document."""
    return camt_payloads(stream)


def camt_events(content: Any, options: Options) -> Iterator[Event]:
    """The event of one movement: `invoice.paid` for a booked credit with a reference, `unknown` for a reversal.

    Raises InvalidEvent for a debit.
    """
    given = Fields.of(content)
    entry = _one(given, "Ntry")
    transaction = _one(_one(entry, "NtryDtls"), "TxDtls")
    references, remittance = _one(transaction, "Refs"), _one(transaction, "RmtInf")
    amount, currency = _amount(entry, transaction)
    payer = _payer(transaction)
    structured = remittance.each("Strd") if _is_tree(remittance, "Strd") else []
    named = [_one(_one(one, "CdtrRefInf"), "Tp") for one in structured]
    texts = [*_texts(remittance, "Ustrd"), *(text for one in structured for text in _texts(one, "AddtlRmtInf"))]
    way = _text(transaction, "CdtDbtInd") or _text(entry, "CdtDbtInd")
    if way not in {"CRDT", "DBIT"}:
        raise InvalidEvent("Ntry.CdtDbtInd: neither CRDT nor DBIT")
    yield payment_event(
        Payment(
            vendor=VENDOR,
            bank_reference=references.ref(*_REFERENCES) or entry.ref("AcctSvcrRef", "NtryRef"),
            booked_at=_booked(entry, options),
            amount=amount,
            currency=currency,
            reference=next((ref for one in structured if (ref := _text(_one(one, "CdtrRefInf"), "Ref"))), None),
            documents=tuple(
                number for one in structured for document in _trees(one, "RfrdDocInf") if (number := document.ref("Nb"))
            ),
            texts=tuple(texts) or tuple(_texts(entry, "AddtlNtryInf")),
            address=_address(payer),
            credit=way == "CRDT",
            booked=(_text(entry, "Sts.Cd") or _text(entry, "Sts") or "BOOK") == "BOOK",
            reversal=(_text(entry, "RvslInd") or "false").lower() in {"true", "1"} or transaction.has("RtrInf"),
            apart=" ".join(text for name in _APART if (text := comparable(_text(references, name)))),
            more=_more(given, entry, transaction, payer, references, named),
        ),
        options,
    )


def _more(
    given: Fields, entry: Fields, transaction: Fields, payer: Fields, references: Fields, named: list[Fields]
) -> dict[str, Any]:
    account = _one(_one(_one(transaction, "RltdPties"), "DbtrAcct"), "Id")
    return {
        "camt_message": given.value("message"),
        "our_account": given.value("account"),
        "payer": payer.value("Nm"),
        "payer_account": account.value("IBAN") or _one(account, "Othr").value("Id"),
        "reference_type": next(
            (text for one in named if (text := _text(one, "CdOrPrtry.Cd", "CdOrPrtry.Prtry"))), None
        ),
        "end_to_end": references.value("EndToEndId"),
        "value_date": entry.value("ValDt.Dt", "ValDt.DtTm"),
        "accepted_at": transaction.value("RltdDts.AccptncDtTm"),
        "status": _text(entry, "Sts.Cd") or _text(entry, "Sts"),
        "return_reason": _text(_one(transaction, "RtrInf"), "Rsn.Cd", "Rsn.Prtry"),
    }


def _booked(entry: Fields, options: Options) -> Any:
    return entry.required_time("BookgDt.DtTm", "BookgDt.Dt", "ValDt.DtTm", "ValDt.Dt", options=options)


def _amount(entry: Fields, transaction: Fields) -> tuple[str | None, str | None]:
    """Of the transaction, as it is in an entry of many; the older versions say it in AmtDtls."""
    details = _one(_one(transaction, "AmtDtls"), "TxAmt")
    for holder in (transaction, details, entry):
        amount = _text(holder, "Amt.#") or _text(holder, "Amt")
        if amount is not None:
            return str(amount_of(amount, holder.where("Amt"))), _text(holder, "Amt.@Ccy")
    return None, None


def _payer(transaction: Fields) -> Fields:
    """Whose payment it is: the ultimate debtor before the debtor; from version 08 on a `Pty` lies between."""
    parties = _one(transaction, "RltdPties")
    for name in ("UltmtDbtr", "Dbtr"):
        party = _one(parties, name)
        party = _one(party, "Pty") if _is_tree(party, "Pty") else party
        if party.content:
            return party
    return Fields({})


def _address(payer: Fields) -> dict[str, str] | None:
    """A structured address; lines alone cannot be told apart, and a payer without street or code has none."""
    given = _one(payer, "PstlAdr")
    street = " ".join(part for name in ("StrtNm", "BldgNb") if (part := _text(given, name)))
    if not _text(given, "PstCd") or not street:
        return None
    return address_of(
        street, _text(given, "TwnNm"), _text(given, "CtrySubDvsn"), _text(given, "PstCd"), _text(given, "Ctry")
    )


def _is_tree(fields: Fields, name: str) -> bool:
    found = fields.value(name)
    return isinstance(found, dict) or (isinstance(found, list) and any(isinstance(one, dict) for one in found))


def _one(fields: Fields, name: str) -> Fields:
    """The element of that name, the first of several; without fields when it is absent, empty or mere text."""
    return next(iter(_trees(fields, name)), Fields({}, fields.where(name)))


def _trees(fields: Fields, name: str) -> list[Fields]:
    found = fields.value(name)
    several = found if isinstance(found, list) else [found]
    return [Fields(one, fields.where(name)) for one in several if isinstance(one, dict)]


def _text(fields: Fields, *names: str) -> str | None:
    """Text; None for an element with others inside."""
    found = fields.value(*names)
    found = found.get("#") if isinstance(found, dict) else found
    return Fields({"text": found}, fields.where(*names)).text("text") if isinstance(found, str | int) else None


def _texts(fields: Fields, name: str) -> list[str]:
    found = fields.value(name)
    several = found if isinstance(found, list) else [found]
    return [one.strip() for one in several if isinstance(one, str) and one.strip()]


def is_camt(head: bytes) -> bool:
    """Whether a file begins with a camt.052, camt.053 or camt.054 document."""
    return message_of(head) is not None


FORMAT = Format(
    name="camt054",
    channel="post",
    title="payments in ISO 20022 camt.054, camt.053 or camt.052, XML",
    example="""\
<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.054.001.08"><BkToCstmrDbtCdtNtfctn><Ntfctn><Ntry>
 <Amt Ccy="EUR">150.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>
 <BookgDt><Dt>2026-03-09</Dt></BookgDt><AcctSvcrRef>B-1</AcctSvcrRef><NtryDtls><TxDtls>
  <RmtInf><Strd><CdtrRefInf><Ref>RF599001</Ref></CdtrRefInf></Strd></RmtInf>
 </TxDtls></NtryDtls></Ntry></Ntfctn></BkToCstmrDbtCdtNtfctn></Document>
""",
    recognises=is_camt,
    payloads=payloads,
    events=camt_events,
)
