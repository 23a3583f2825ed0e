"""Payments, personal codes and the mailroom: references that meet the item, and files that may be anything."""

import io
import time
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from producers.format import Options, Payload
from producers.formats import find_format
from producers.post.camt054 import camt_events
from producers.post.camt_entries import camt_payloads, parse_xml
from producers.post.codes import code_events
from producers.post.mailroom import mailroom_events
from producers.post.payment import amount_of, is_valid, numbers_in
from producers.post.payments import payment_events
from producers.post.scans import scan_events
from schemas.errors import InvalidEvent
from schemas.models import Event

OPTIONS = Options(observed_at=datetime(2026, 3, 4, tzinfo=UTC), account="acme", region="SE")
CAMT, PAYMENTS, CODES = (find_format("post", name) for name in ("camt054", "payments", "codes"))

TRANSACTION = """<TxDtls><Refs><AcctSvcrRef>{number}</AcctSvcrRef></Refs><Amt Ccy="EUR">{amount}</Amt>
<RmtInf><Strd><CdtrRefInf><Ref>RF59 9001</Ref></CdtrRefInf></Strd></RmtInf></TxDtls>"""
ENTRY = """<Ntry><Amt Ccy="EUR">1.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><BookgDt><Dt>2026-03-02</Dt></BookgDt>
<NtryDtls>{transactions}</NtryDtls></Ntry>"""


def document(*entries: str, version: str = "camt.054.001.08") -> bytes:
    root = {"4": "BkToCstmrDbtCdtNtfctn", "3": "BkToCstmrStmt", "2": "BkToCstmrAcctRpt"}[version[7]]
    return (
        f'<?xml version="1.0"?>\n<Document xmlns="urn:iso:std:iso:20022:tech:xsd:{version}"><{root}><Ntfctn>\n'
        f"{''.join(entries)}</Ntfctn></{root}></Document>"
    ).encode()


def entry(*numbers: str, amount: str = "1.00") -> str:
    return ENTRY.format(transactions="".join(TRANSACTION.format(number=one, amount=amount) for one in numbers))


def cut(data: bytes) -> list[Payload]:
    return list(camt_payloads(io.BytesIO(data)))


def told(payload: Payload) -> Event:
    [event] = camt_events(payload.content, OPTIONS)
    return event


def paid(**columns: str) -> Event:
    row = {"booking date": "2026-03-02", "amount": "150.00", "currency": "EUR", "transaction id": "T-1"}
    [event] = payment_events(row | columns, OPTIONS)
    return event


@pytest.mark.parametrize("version", [f"camt.05{kind}.001.{number:02d}" for kind in "234" for number in (2, 4, 8, 13)])
def test_every_version_is_recognised_and_read(version: str) -> None:
    data = document(entry("B-1"), version=version)
    assert CAMT.recognises(data)
    [payload] = cut(data)
    assert told(payload).attributes["camt_message"] == version


def test_the_same_payment_in_a_notification_and_in_a_statement_is_one_event() -> None:
    ids = {
        told(cut(document(entry("B-1"), version=version))[0]).event_id
        for version in ("camt.054.001.08", "camt.053.001.04")
    }
    assert len(ids) == 1


def test_every_transaction_of_a_batch_is_a_payload_that_can_be_published_alone() -> None:
    payloads = cut(document(entry("B-1", "B-2", "B-3"), entry("B-4")))
    assert [payload.item for payload in payloads] == [0, 1, 2, None]
    assert len({told(payload).event_id for payload in payloads}) == 4
    for payload in payloads:
        [again] = cut(payload.raw)
        assert CAMT.recognises(payload.raw)
        assert told(again) == told(payload)


def test_two_movements_under_one_bank_reference_are_two_payments() -> None:
    first, second = (told(cut(document(entry("B-1", amount=amount)))[0]) for amount in ("1.00", "2.00"))
    assert first.event_id != second.event_id


@pytest.mark.parametrize(
    "broken", ["<Ntry><Amt", "<Ntry>&lol;</Ntry>", "<Ntry><a></b></Ntry>", "<Ntry><!DOCTYPE x></Ntry>"]
)
def test_a_broken_entry_costs_itself_alone(broken: str) -> None:
    payloads = cut(document(entry("B-1"), broken, entry("B-2")))
    assert [payload.error is None for payload in payloads] == [True, False, True]
    assert [told(payload).source_event_id for payload in payloads if payload.error is None] == ["B-1", "B-2"]


def test_entities_are_never_expanded_and_nothing_is_fetched() -> None:
    bomb = '<!DOCTYPE Document [<!ENTITY a "x"><!ENTITY b "&a;&a;"><!ENTITY f SYSTEM "file:///etc/hostname">]>'
    data = document(entry("&b;"), entry("&f;"), entry("B-3")).replace(b"\n", bomb.encode() + b"\n", 1)
    payloads = cut(data)
    assert [payload.error for payload in payloads] == ["Ntry: not XML", "Ntry: not XML", None]
    with pytest.raises(ValueError, match="declaration"):
        parse_xml('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')


def test_an_entry_that_is_nested_without_end_is_refused() -> None:
    deep = "<Ntry>" + "<a>" * 5_000 + "</a>" * 5_000 + "</Ntry>"
    assert [payload.error for payload in cut(document(deep))] == ["Ntry: not XML"]


def test_a_long_file_is_read_in_pieces_and_in_time() -> None:
    batch = entry(*(f"B-{number}" for number in range(400)))
    read = 0

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            nonlocal read
            found = super().read(1 << 12 if size is None or size < 0 else min(size, 1 << 12))
            read += len(found)
            return found

        def readinto(self, buffer) -> int:
            found = self.read(len(buffer))
            buffer[: len(found)] = found
            return len(found)

    data = document(*[entry(f"A-{number}") for number in range(3_000)], batch)
    began = time.monotonic()
    payloads = camt_payloads(Slow(data))
    next(payloads)
    assert read < len(data) / 4
    assert sum(payload.error is None for payload in payloads) == 3_399
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("data", [b"<html></html>", b"", b"<", b"Ntry", b"\xff\xfe<", b'{"Ntry": 1}', b"<Document/>"])
def test_what_is_no_bank_message_is_not_recognised_and_is_refused(data: bytes) -> None:
    assert not CAMT.recognises(data)
    assert [payload.error for payload in cut(data)] == ["not a camt.052, camt.053 or camt.054 document"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_every_usual_encoding_of_a_bank_is_read(encoding: str) -> None:
    text = document(entry("B-1")).decode().replace('"1.0"', f'"1.0" encoding="{encoding.replace("-sig", "")}"', 1)
    text = text.replace("<RmtInf>", "<RltdPties><Dbtr><Nm>Åsa Örn</Nm></Dbtr></RltdPties><RmtInf>")
    [payload] = cut(text.encode(encoding))
    assert told(payload).attributes["payer"] == "Åsa Örn"


@pytest.mark.parametrize(
    ("change", "event_type"),
    [
        (("<CdtDbtInd>CRDT", "<RvslInd>true</RvslInd><CdtDbtInd>DBIT"), "unknown"),
        (("<CdtDbtInd>CRDT", "<RvslInd>true</RvslInd><CdtDbtInd>CRDT"), "unknown"),
        (("<CdtDbtInd>CRDT", "<RvslInd>false</RvslInd><CdtDbtInd>CRDT"), "invoice.paid"),
        (("<BookgDt>", "<Sts>PDNG</Sts><BookgDt>"), "unknown"),
        (("<BookgDt>", "<Sts><Cd>BOOK</Cd></Sts><BookgDt>"), "invoice.paid"),
        (("RF59 9001", "NOTPROVIDED"), "unknown"),
    ],
)
def test_only_a_booked_credit_with_a_reference_pays_an_invoice(change: tuple[str, str], event_type: str) -> None:
    [payload] = cut(document(entry("B-1")).replace(*(part.encode() for part in change)))
    assert told(payload).type == event_type


def test_a_debit_is_refused_without_a_word_of_what_it_was() -> None:
    [payload] = cut(document(entry("B-1")).replace(b"CRDT", b"DBIT"))
    with pytest.raises(InvalidEvent, match=r"^payment: a debit; only what comes in is a payment$"):
        told(payload)


def test_the_payers_account_number_joins_nobody_and_his_address_is_his_household() -> None:
    party = "<RltdPties><Dbtr><PstlAdr><StrtNm>Storgatan</StrtNm><BldgNb>1</BldgNb><PstCd>111 22</PstCd>"
    party += "<TwnNm>Stockholm</TwnNm><Ctry>SE</Ctry></PstlAdr></Dbtr>"
    party += "<DbtrAcct><Id><IBAN>SE0000000000000000000001</IBAN></Id></DbtrAcct></RltdPties><RmtInf>"
    [payload] = cut(document(entry("B-1")).replace(b"<RmtInf>", party.encode()))
    event = told(payload)
    assert [point.key for point in event.contact_points] == ["postal:SE|11122|STOCKHOLM|STORGATAN 1"]
    assert event.attributes["payer_account"] == "SE0000000000000000000001"


@pytest.mark.parametrize(
    "columns",
    [
        {"reference": "RF59 9001"},
        {"reference": "00 00000 00000 00000 00000 90018"},
        {"remittance information": "Invoice no. 9001, thank you"},
        {"verwendungszweck": "Rechnung 9001 vom 1.2."},
        {"text": "pays RF59 9001 with thanks"},
        {"invoice number": "9001"},
    ],
)
def test_a_payment_by_whatever_reference_meets_the_same_invoice(columns: dict[str, str]) -> None:
    event = paid(**columns, **{"customer number": "C-17"})
    assert (event.type, event.message_ref, event.primary.key) == ("invoice.paid", "9001", "account:C-17")
    assert "invoice:9001" in event.case_refs
    row = {"scan_id": "S-1", "received_at": "2026-03-02", "document_class": "payment", "reference": "9001"}
    [slip] = mailroom_events(row | {"customer_ref": "C-17"}, OPTIONS)
    assert (slip.type, slip.message_ref, slip.primary.key) == (event.type, event.message_ref, event.primary.key)


@pytest.mark.parametrize(
    ("reference", "valid"),
    [
        ("RF18539007547034", True),
        ("RF19539007547034", False),
        ("210000000003139471430009017", True),
        ("210000000003139471430009018", False),
        ("9001", True),
    ],
)
def test_check_digits_of_references(reference: str, valid: bool) -> None:
    assert is_valid(reference) is valid


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("Faktura 2026-17", ["2026-17"]),
        ("invoice #A-77 and invoice: B/12", ["A-77", "B/12"]),
        ("Rechnungsnr 5", ["5"]),
        ("//S1/10/TC1-2605/11/260528", ["TC1-2605"]),
        (r"//S1/10/X\/9001/11/260528", ["X/9001"]),
        ("thanks for 2 shoes", []),
        ("RF18 5390 0754 7034", ["539007547034", "RF18539007547034"]),
        ("invoice" + " " * 5_000 + "1", []),
    ],
)
def test_numbers_in_what_a_payer_wrote(text: str, numbers: list[str]) -> None:
    assert numbers_in(text) == numbers


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1234.56", "1234.56"),
        ("1.234,56", "1234.56"),
        ("1'234.56 CHF", "1234.56"),
        ("1 234,5 kr", "1234.5"),
        ("1,234", "1234"),
        ("1.234.567", "1234567"),
        ("12,00-", "-12.00"),
        ("(12.00)", "-12.00"),
        ("-12", "-12"),
        ("0,5", "0.5"),
        ("EUR 12", "12"),
        ("12,- kr", "12"),
        ("12.-", "12"),
    ],
)
def test_an_amount_is_read_in_every_usual_spelling(text: str, amount: str) -> None:
    assert amount_of(text, "amount") == Decimal(amount)


@pytest.mark.parametrize("text", ["much", "", " ", "1-2", "1e9", "9" * 60])
def test_what_is_no_amount_is_refused_by_field(text: str) -> None:
    with pytest.raises(InvalidEvent, match=r"^amount: not an amount$"):
        amount_of(text, "amount")


@pytest.mark.parametrize("columns", [{"amount": "-5,00"}, {"type": "debit"}, {"type": "DBIT"}])
def test_what_we_paid_ourselves_is_refused(columns: dict[str, str]) -> None:
    with pytest.raises(InvalidEvent, match=r"^payment: a debit"):
        paid(**columns, reference="9001")


def visit(**columns: str) -> Event:
    row = {"code": "AbC", "visited_at": "2026-03-02T09:00:00Z", "piece": "RA123456785SE", "customer_ref": "C-17"}
    [event] = code_events(row | columns, OPTIONS)
    return event


def test_a_code_that_was_followed_is_a_step_of_the_item_that_it_was_printed_on() -> None:
    scan = {"item_id": "RA123456785SE", "event_code": "EMA", "event_time": "2026-03-01", "customer_ref": "C-17"}
    [posted] = scan_events(scan, OPTIONS)
    event = visit()
    assert (event.type, event.direction) == ("item.viewed", "inbound")
    assert (event.message_ref, event.primary.key) == (posted.message_ref, posted.primary.key)
    assert event.primary.assurance == "attested"


def test_a_preview_of_the_link_is_a_machines_doing_and_a_code_at_the_counter_is_a_visit() -> None:
    preview, counter = visit(user_agent="Slackbot-LinkExpanding 1.0"), visit(counter="Stockholm 1")
    assert (preview.type, preview.machine, preview.author) == ("item.viewed", True, "machine")
    assert (counter.type, counter.machine, counter.author) == ("visit.recorded", None, "customer")


def test_the_same_visit_is_one_event_and_the_next_is_another() -> None:
    first, again, other = visit(visit_id="1"), visit(visit_id="1"), visit(visit_id="2")
    assert first.event_id == again.event_id != other.event_id


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://acme.example/p/AbC", "AbC"),
        ("https://acme.example/win?lang=sv&code=AbC#top", "AbC"),
        ("https://acme.example/p/AbC/", "AbC"),
    ],
)
def test_the_code_may_stand_in_the_address(url: str, code: str) -> None:
    assert visit(code="", url=url).attributes["code"] == code


@pytest.mark.parametrize("url", ["https://acme.example/", "http://[broken", ""])
def test_a_visit_without_a_code_is_refused(url: str) -> None:
    with pytest.raises(InvalidEvent, match=r"^personal_code: missing"):
        visit(code="", url=url)


def document_of(**columns: str) -> list[Event]:
    row = {"scan_id": "S-1", "received_at": "2026-03-02T08:30:00Z", "customer_ref": "C-17"}
    return list(mailroom_events(row | columns, OPTIONS))


def test_a_new_address_is_a_contact_point_and_the_old_one_is_only_mentioned() -> None:
    old = {"street": "Storgatan 1", "zip": "111 22", "city": "Stockholm", "country": "SE"}
    new = {"new_street": "Nygatan 9", "new_zip": "222 33", "new_city": "Lund"}
    [event] = document_of(document_class="change of address", **old, **new)
    assert event.type == "address.changed"
    assert [(point.key, point.role, point.assurance) for point in event.contact_points] == [
        ("account:C-17", "self", "asserted"),
        ("postal:SE|22233|LUND|NYGATAN 9", "self", "claimed"),
        ("postal:SE|11122|STOCKHOLM|STORGATAN 1", "mentioned", "claimed"),
    ]


def test_mail_that_came_back_is_the_end_of_the_item_and_no_letter_of_the_customers() -> None:
    [event] = document_of(document_class="Returned mail", reference="ltr_0001", reason="moved")
    assert (event.type, event.direction, event.message_ref) == ("item.returned", "report", "ltr_0001")
    assert (event.return_reason, event.author, event.answers_ref) == ("moved", None, None)


@pytest.mark.parametrize(
    ("columns", "refused"),
    [
        ({"document_class": "objection"}, ["news", "offers"]),
        ({"document_class": "objection", "mailing type": "offers"}, ["offers"]),
        ({"document_class": "Cancellation", "mailing type": "newsletter"}, ["news"]),
        ({"document_class": "letter"}, []),
    ],
)
def test_an_objection_is_an_opt_out_of_what_it_names_or_of_all_marketing(
    columns: dict[str, str], refused: list[str]
) -> None:
    reply, *stated = document_of(**columns)
    assert reply.type == "reply.received"
    assert [(event.statement.kind, event.statement.content_type) for event in stated] == [
        ("opt_out", content_type) for content_type in refused
    ]
    assert len({event.event_id for event in (reply, *stated)}) == len(stated) + 1


@pytest.mark.parametrize(
    ("columns", "event_type"),
    [
        ({"action": "Returned to sender"}, "item.returned"),
        ({"action": "forwarded"}, "item.rerouted"),
        ({"action": "destroyed"}, "item.lost"),
        ({"action": "B"}, "item.delivery_attempted"),
        ({"event_code": "EDX"}, "unknown"),
        ({"event_code": "EMJ"}, "item.in_transit"),
    ],
)
def test_an_action_in_words_goes_before_the_code(columns: dict[str, str], event_type: str) -> None:
    row = {"item_id": "RA123456785SE", "event_code": "EMH", "event_time": "2026-03-02T09:00:00Z"}
    [event] = scan_events(row | columns, OPTIONS)
    assert event.type == event_type
