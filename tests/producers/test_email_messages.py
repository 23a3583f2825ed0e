"""Raw mail in depth: who wrote it, when, what is new in it; copies, passed-on mail, machines, size."""

import gzip
import io
import mailbox
import time
import tracemalloc
from base64 import encodebytes
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage, Message
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.email.headers import Headers, of_domains, parsed
from producers.email.messages import message_events
from producers.email.reports import bounce_class
from producers.email.rfc5322 import is_message, message_payloads
from producers.email.text import new_text
from producers.format import Options
from producers.message_ids import message_id, message_ids
from producers.sources import sources
from schemas.errors import InvalidEvent
from schemas.models import BounceClass, Direction, EmailEvent, Role
from tests.producers.golden import OPTIONS, SAMPLES, events_of
from tests.producers.mutations import mutated_bytes
from tests.producers.wire import check_outcome

MAILS = SAMPLES / "email" / "rfc5322"
NASTY = [
    *("\n" * 50_000, " \n" * 20_000, "> " * 20_000, ">" * 50_000, "_" * 50_000, "-\n" * 20_000, "\u00a0" * 50_000),
    *("On a wrote " * 9_000, "Am 1 schrieb " * 9_000, "Den 1 skrev " * 9_000, "Le 1 a écrit " * 9_000),
    *("On 1 a\n" * 9_000, "Am 1 schrieb\n" * 9_000, "Den 1 skrev a\n" * 9_000, "From: a\n" * 9_000, "- a\n" * 9_000),
    *("<" * 50_000, "<style " * 9_000, "<blockquote " * 9_000, "<div class=" * 9_000, "<!--" * 9_000, "&#" * 20_000),
    *("Disclaimer: mail " * 9_000, "Warning: " + "a " * 20_000, "a" * 200_000, "El 1 escribió\n" * 9_000),
]


def mail(**headers: str) -> bytes:
    given = {"Message_ID": "<m@example.org>", "Date": "Mon, 02 Mar 2026 09:00:00 +0000", "From": "ada@example.org"}
    fields = {**given, "To": "support@acme.example", "Subject": "Hello", **headers}
    text = fields.pop("text", "Hello")
    return ("".join(f"{k.replace('_', '-')}: {v}\n" for k, v in fields.items() if v) + f"\n{text}\n").encode()


def events(raw: bytes, options: Options = OPTIONS) -> list[EmailEvent]:
    return cast(list[EmailEvent], list(message_events(raw, options)))


def only(raw: bytes, options: Options = OPTIONS) -> EmailEvent:
    (event,) = events(raw, options)
    return event


def text_of(text: str, subtype: str = "plain") -> str:
    message = EmailMessage()
    message.set_content(text, subtype=subtype, cte="base64")
    return new_text(parsed(message.as_bytes()))


def cut(raw: bytes) -> list[bytes]:
    return [payload.content for payload in message_payloads(io.BytesIO(raw), OPTIONS)]


# The newest reply


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("Yes.\n\nOn Mon, 2 Mar 2026 at 09:14, Acme <a@acme.example> wrote:\n> Hello\n", "Yes."),
        ("Yes.\n\nOn Mon, 2 Mar 2026 at 09:14, Acme <a@acme.example>\nwrote:\n\n> Hello\n", "Yes."),
        ("Ja.\n\nAm 02.03.2026 um 09:14 schrieb Acme:\n> Hallo\n", "Ja."),
        ("Oui.\n\nLe 2 mars 2026 à 09:14, Acme <a@acme.example> a écrit\u00a0:\n\n> Bonjour\n", "Oui."),
        ("Ja.\n\nDen mån 2 mars 2026 kl 09:14 skrev Acme <a@acme.example>:\n\n> Hej\n", "Ja."),
        ("Sí.\n\nEl lun, 2 mar 2026 a las 9:14, Acme (<a@acme.example>) escribió:\n\n> Hola\n", "Sí."),
        ("Sí.\n\nDe: Acme\nEnviado el: lunes, 2 de marzo de 2026 9:14\nPara: Ada\nAsunto: Factura\n\nHola\n", "Sí."),
        ("Ja.\n\nVon: Acme\nGesendet: Montag, 2. März 2026 09:14\nAn: Ada\nBetreff: Rechnung\n\nHallo\n", "Ja."),
        ("Oui.\n\nDe : Acme\nEnvoyé : lundi 2 mars 2026 09:14\nÀ : Ada\nObjet : Facture\n\nBonjour\n", "Oui."),
        ("Ja.\n\nFrån: Acme\nSkickat: den 2 mars 2026 09:14\nTill: Ada\nÄmne: Faktura\n\nHej\n", "Ja."),
        ("Ja.\n\n-----Ursprüngliche Nachricht-----\nVon: Acme\n\nHallo\n", "Ja."),
        ("Ja.\n\n________________________________\nFrom: Acme\nSent: Monday\nTo: Ada\n\nHello\n", "Ja."),
        ("See.\n\nBegin forwarded message:\n\nFrom: Acme\nSubject: x\n\nHello\n", "See."),
        ("Where is it?\n-- \nAda Example\nAcme\n", "Where is it?"),
        ("> Does Monday suit you?\n\nIt does.\n", "It does."),
        ("Hello Acme,\n\nOn 2 March 2026 Acme wrote:\n> Monday?\n\nMonday is fine.\n", "Hello Acme, Monday is fine."),
        ("> All of it\n> is quoted\n", "All of it is quoted"),
        # What the library alone would lose.
        (
            "From: the start I did not like it.\nTo: be honest, no.\n",
            "From: the start I did not like it. To: be honest, no.",
        ),
        ("Please send:\n- a pen\n- a book\n", "Please send: - a pen - a book"),
        ("It is broken.\nThanks, but I want a refund.\n", "It is broken. Thanks, but I want a refund."),
        ("Am Montag schrieb ich Ihnen,\nkeine Antwort.\n", "Am Montag schrieb ich Ihnen, keine Antwort."),
        ("", ""),
    ],
)
def test_the_newest_reply_is_told_from_what_it_quotes(text: str, new: str) -> None:
    assert text_of(text) == new
    assert text_of(text.replace("\n", "\r\n")) == new


@pytest.mark.parametrize(
    ("text", "new"),
    [
        (
            "<p>Tack &amp; hej</p><div class='gmail_quote'>Den 2 mars skrev Acme:<blockquote>Hej</blockquote></div>",
            "Tack & hej",
        ),
        ("<div>Yes</div><div id='divRplyFwdMsg'><b>From:</b> Acme</div>", "Yes"),
        ("<blockquote>Only this</blockquote>", "Only this"),
        (
            "<head><title>No</title><style>p{}</style></head>Yes<br>and<script>no()</script> more<!-- no -->",
            "Yes and more",
        ),
        ("<p>Yes</p><p>On 2 March 2026 Acme wrote:</p><p>Hello</p>", "Yes"),
    ],
)
def test_html_is_read_without_its_tags_and_quotations(text: str, new: str) -> None:
    assert text_of(text, "html") == new


@pytest.mark.parametrize("text", NASTY, ids=lambda text: f"{text[:12]!r}")
def test_no_text_takes_long(text: str) -> None:
    begun = time.perf_counter()
    for subtype in ("plain", "html"):
        assert len(text_of("x\n" + text, subtype)) <= 4_300
    assert time.perf_counter() - begun < 5


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["On", "Am", "Den", "wrote:", "schrieb", "skrev a:", "\n", "> ", "From: a", "To: b", "--", "2026"]
        )
        | st.text(max_size=5),
        max_size=60,
    ).map(" ".join)
)
def test_no_text_makes_the_newest_reply_raise(text: str) -> None:
    assert "\n" not in text_of(text.encode("utf-8", "replace").decode())


def test_a_subject_of_nothing_but_re_is_no_summary() -> None:
    assert only(mail(Subject="AW: SV: Re[2]:", text="It came")).summary == "It came"
    assert only(mail(Subject="Re:", text="")).summary == "Re:"
    assert only(mail(Subject="Re: Parcel", text="It came")).summary == "Re: Parcel"


def test_the_text_of_a_message_inside_is_not_the_senders() -> None:
    message = EmailMessage()
    message["From"], message["To"] = "ada@example.org", "support@acme.example"
    message.set_content("<p>Mine</p>", subtype="html")
    inner = EmailMessage()
    inner["From"] = "bo@example.com"
    inner.set_content("Not mine")
    message.add_attachment(inner)
    event = only(message.as_bytes())
    assert (event.summary, event.attributes["forwarded"]) == ("Mine", "message")


# Who and when


def test_a_copy_in_any_form_is_the_same_event() -> None:
    raw = mail(Message_ID="", text="From here\nto there")
    copies = [
        raw,
        raw.replace(b"\n", b"\r\n"),
        b"Received: by mx.acme.example; Mon, 02 Mar 2026 09:00:09 +0000\nDelivered-To: x@acme.example\n"
        + raw
        + b"\n\n",
        b"From ada@example.org Mon Mar  2 09:00:00 2026\n" + raw.replace(b"\nFrom here", b"\n>From here") + b"\n",
        b"\xef\xbb\xbf" + raw,
    ]
    assert len({only(copy).event_id for copy in copies}) == 1
    assert only(raw).event_id != only(mail(Message_ID="", text="From there\nto here")).event_id


def test_undated_copies_received_at_different_times_are_one_event() -> None:
    received = "from a by mx{}.acme.example; Mon, 02 Mar 2026 09:00:0{} +0000"
    one, two = (only(mail(Date="", Received=received.format(n, n))) for n in (1, 2))
    assert (one.event_id, one.attributes["time_from"]) == (two.event_id, "received")
    assert one.occurred_at == datetime(2026, 3, 2, 9, 0, 1, tzinfo=UTC)


def test_a_date_that_cannot_be_is_not_believed_against_our_own_server() -> None:
    received = "by mx.acme.example; Mon, 02 Mar 2026 09:00:00 +0000"
    for date in ("Mon, 01 Jan 2035 00:00:00 +0000", "Thu, 01 Jan 1970 00:00:00 +0000", "yesterday", "99"):
        assert only(mail(Date=date, Received=received)).occurred_at == datetime(2026, 3, 2, 9, tzinfo=UTC)
    late = only(mail(Date="Fri, 27 Feb 2026 09:00:00 +0000", Received=received))
    assert late.occurred_at == datetime(2026, 2, 27, 9, tzinfo=UTC)


def test_header_blocks_that_stop_parsers_are_mended() -> None:
    raw = (
        b"\r\nReceived: by x\nno field at all\n>From a@b Mon Mar 2 09:00 2026\n"
        b"From : ada@example.org\nTo: us@acme.example\n\nHi"
    )
    assert is_message(raw)
    assert Headers(parsed(raw)).addresses("From", "To") == ["ada@example.org", "us@acme.example"]
    # A line without a colon that no field follows is the text's first.
    assert new_text(parsed(b"From: ada@example.org\nHello\n\nthere")) == "Hello there"


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("Ada Example, Acme <ada@example.org>", ["ada@example.org"]),
        ('"Ada <ada@example.org>', ["ada@example.org"]),
        ("Ada (Acme <ada@example.org>", ["ada@example.org"]),
        ("=?utf-8?q?Ada_=3Cada=40example.org=3E?=", ["ada@example.org"]),
        ("'ada@example.org'", ["ada@example.org"]),
        ("Team: ada@example.org, Bo <bo@example.com>;, Ada@Example.org", ["ada@example.org", "bo@example.com"]),
        ("undisclosed-recipients:;", []),
        ("(" * 20_000 + "ada@example.org", ["ada@example.org"]),
        ("nobody, @, a@, <>", []),
    ],
)
def test_addresses_are_found_in_fields_of_every_making(field: str, found: list[str]) -> None:
    assert Headers(parsed(f"To: {field}\n\n".encode())).addresses("To") == found


def test_hundreds_of_recipients_cost_no_mail() -> None:
    many = ", ".join(f"p{n}@example.org" for n in range(300))
    received = only(mail(Cc=many))
    assert received.primary.value == "ada@example.org"
    assert 50 < len(received.contact_points) <= 100
    assert len(events(mail(From="us@acme.example", To=many))) == 300


def test_a_domain_is_ours_in_every_spelling() -> None:
    ours = {"Bücher.example", ".acme.example"}
    assert all(
        of_domains(f"a@{name}", ours) for name in ("xn--bcher-kva.example", "shop.BÜCHER.example", "ACME.example.")
    )
    assert not any(of_domains(f"a@{name}", ours) for name in ("notacme.example", "acme.example.org", "example", ""))


@pytest.mark.parametrize(
    ("results", "assurance"),
    [
        ("mx; dmarc=pass header.from=example.org", "asserted"),
        ("mx; dkim=pass header.d=example.org", "asserted"),
        ("mx; dkim=pass header.i=@mail.example.org header.s=x", "asserted"),
        ("mx; dkim=pass", "asserted"),
        ("mx; dkim=pass header.d=other.example; dkim=fail header.d=example.org", "claimed"),
        ("mx; dkim=pass header.d=notexample.org; spf=pass", "claimed"),
        ("mx; none", "claimed"),
    ],
)
def test_a_signature_of_another_domain_says_nothing_about_the_sender(results: str, assurance: str) -> None:
    assert only(mail(Authentication_Results=results)).primary.assurance == assurance


def test_without_our_domains_everybody_writes_to_us() -> None:
    event = only(mail(From="support@acme.example", To="ada@example.org"), replace(OPTIONS, our_domains=frozenset()))
    assert (event.direction, event.primary.value) == (Direction.INBOUND, "support@acme.example")


def test_a_thread_has_one_conversation() -> None:
    found = events_of(MAILS / "thread.mbox")
    assert [event.type.rpartition(".")[2] for event in found] == ["received", "sent", "received", "received"]
    assert [event.answers_ref for event in found] == [None, "<t1@example.org>", "<t2@acme.example>", "<t3@example.org>"]
    assert {event.conversation_ref for event in (found[0], found[1], found[3])} == {"<t1@example.org>"}


def test_a_list_of_ours_does_not_hide_who_wrote() -> None:
    found = events_of(MAILS / "lists.mbox")
    assert [event.primary.value for event in found] == ["ada@example.org"] * 3
    # Our own newsletter has a List-Id and a Reply-To, and stays ours.
    sent = only(
        mail(From="news@acme.example", To="bo@example.com", List_Id="<news.acme.example>", Reply_To="x@example.net")
    )
    assert (sent.type, sent.primary.value) == ("message.sent", "bo@example.com")


def test_what_a_customer_passes_on_is_the_customers() -> None:
    passed_on, redirected, kept = cast(list[EmailEvent], events_of(MAILS / "resent.mbox"))
    assert [(point.value, point.role) for point in passed_on.contact_points] == [
        ("ada@example.org", Role.SELF),
        ("shop@shop.example", Role.MENTIONED),
    ]
    assert (redirected.type, redirected.occurred_at.minute) == ("message.sent", 1)
    assert (kept.message_ref, kept.occurred_at.hour) == ("<a7@example.org>", 9)


def test_message_ids_of_vendors_and_without_brackets_meet() -> None:
    stem = "0107018e0123abcd-00000000-0000-4000-8000-000000000001-000000"
    for given_id in (stem, f"<{stem}@eu-west-1.amazonses.com>", f"{stem}@email.amazonses.com"):
        assert message_id(given_id) == stem
    assert message_ids("a@example.org, b@example.org") == ["<a@example.org>", "<b@example.org>"]
    assert message_ids("your mail to support@acme.example") == []
    assert message_ids("Your mail of Monday <a@example.org>") == ["<a@example.org>"]


# Machines


@pytest.mark.parametrize(
    ("headers", "automatic"),
    [
        ({"X_AutoReply_From": "ada@example.org"}, True),
        ({"X_Autogenerated": "Reply"}, True),
        ({"X_Autogenerated": "Forward"}, False),
        ({"Delivered_To": "Autoresponder"}, True),
        ({"X_FC_MachineGenerated": "true"}, True),
        ({"X_Auto_Response_Suppress": "All"}, False),
        ({"X_Auto_Response_Suppress": "All", "X_MS_Exchange_Inbox_Rules_Loop": "a@b.example"}, True),
        ({"Precedence": "bulk"}, False),
        ({"Subject": "Out of office"}, False),
        ({"Subject": "Out of office", "Precedence": "junk"}, True),
        ({"Subject": "Frånvaromeddelande: semester", "X_Auto_Response_Suppress": "OOF"}, True),
        ({"Subject": "Abwesenheitsnotiz", "From": "no-reply@example.org"}, True),
        ({"Subject": "Re: Automatic reply", "Precedence": "bulk"}, False),
        ({"Subject": "Réponse automatique", "X_Auto_Response_Suppress": "None"}, False),
    ],
)
def test_a_subject_is_believed_with_another_sign_alone(headers: dict[str, str], automatic: bool) -> None:
    assert only(mail(**headers)).type == ("message.auto_replied" if automatic else "message.received")


@pytest.mark.parametrize(
    ("status", "class_"),
    [("5.3.4", BounceClass.SOFT), ("552", BounceClass.SOFT), ("5.1.8", BounceClass.BLOCK), ("5.2.1", BounceClass.HARD)],
)
def test_what_is_not_about_the_address_does_not_make_it_dead(status: str, class_: BounceClass) -> None:
    assert bounce_class(status) is class_


def test_plain_text_reports_are_about_who_failed_and_what_was_sent() -> None:
    found = cast(list[EmailEvent], events_of(MAILS / "plain_bounces.mbox"))
    told = {(event.primary.value, event.type, event.bounce_class, event.message_ref) for event in found[:-1]}
    assert told == {
        ("gone@example.org", "message.bounced", BounceClass.HARD, "<out3@acme.example>"),
        ("full@example.org", "message.bounced", BounceClass.SOFT, "<out3@acme.example>"),
        ("slow@example.org", "message.deferred", None, "<out4@acme.example>"),
        ("nobody@example.org", "message.bounced", BounceClass.HARD, "<out5@acme.example>"),
        ("coded@example.org", "message.bounced", BounceClass.BLOCK, "<out6@acme.example>"),
        ("gone@example.org", "message.bounced", BounceClass.SOFT, "<out7@acme.example>"),
    }
    assert not {event.type for event in found} & {"message.received", "message.sent"}


def test_a_customer_who_writes_about_a_bounce_is_a_customer() -> None:
    text = "Hi. This is the qmail-send program.\n\n<gone@example.org>:\n550 5.1.1 no such user\n"
    for subject in ("Undeliverable: hello", "failure notice", "Mail delivery failed"):
        assert only(mail(Subject=subject, text=text)).type == "message.received"


def test_a_long_report_is_read_quickly() -> None:
    begun = time.perf_counter()
    for text in ("a@" * 200_000, "<" * 200_000, "x" * 500_000, "Your message\n" + "a" * 200_000, "rcpt to: <" * 40_000):
        check_outcome(message_events, mail(From="MAILER-DAEMON@x.example", text=text), OPTIONS)
    assert time.perf_counter() - begun < 10


def test_no_reason_quotes_the_mail() -> None:
    secret = "very.secret"
    refused = [
        mail(From=secret, To=secret),
        mail(From=f"{secret}@acme.example", To=f"{secret}@acme.example"),
        mail(From="MAILER-DAEMON", Subject=secret, text=secret),
        mail(From=f"{secret}@{'x' * 400}.example", To=secret),
    ]
    for raw in refused:
        with pytest.raises(InvalidEvent) as caught:
            list(message_events(raw, OPTIONS))
        assert secret not in str(caught.value)


MBOXES = [content for path in sorted(MAILS.glob("*.mbox")) for content in cut(path.read_bytes())]


@settings(max_examples=300, deadline=None)
@given(mutated_bytes(MBOXES))
def test_no_broken_mail_of_a_box_raises_anything_else(raw: bytes) -> None:
    check_outcome(message_events, raw, OPTIONS)


# Files and their size


def test_a_maildir_and_an_mbox_that_python_wrote_are_read_as_they_were_meant(tmp_path: Path) -> None:
    bodies = ["One", "From here on\n\nFrom x Mon Mar  2 09:00:00 2026\nit goes on", "Three"]
    written: list[mailbox.Mailbox[Any]] = [mailbox.mbox(tmp_path / "box"), mailbox.Maildir(tmp_path / "dir")]
    for number, text in enumerate(bodies):
        message = Message()
        message["From"], message["Message-ID"] = "ada@example.org", f"<{number}@example.org>"
        message.set_payload(text)
        for box in written:
            box.add(message)
    for box in written:
        box.close()
    for place in ("box", "dir"):
        found = []
        for source in sources([tmp_path / place]):
            with source.opened() as stream:
                found += [only(payload.content) for payload in message_payloads(stream, OPTIONS)]
        assert {(event.message_ref, event.summary) for event in found} == {
            ("<0@example.org>", "One"),
            ("<1@example.org>", "From here on From x Mon Mar 2 09:00:00 2026 it goes on"),
            ("<2@example.org>", "Three"),
        }


@pytest.mark.parametrize("name", ["thread.mbox", "inbound.eml"])
def test_gzip_changes_nothing(name: str, tmp_path: Path) -> None:
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress((MAILS / name).read_bytes()))
    (source,) = sources([packed])
    with source.opened() as stream:
        found = [event for payload in message_payloads(stream, OPTIONS) for event in events(payload.content)]
    assert found == events_of(MAILS / name)


class Endless(io.RawIOBase):
    """A file of so many bytes, made while it is read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._left = pieces, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        self._left = self._left or next(self._pieces, b"")
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size


def test_a_huge_mbox_is_read_a_message_at_a_time() -> None:
    one = b"From ada@example.org Mon Mar  2 09:00:00 2026\nMessage-ID: <%d@example.org>\n" + mail(
        Message_ID="", text="x" * 50_000
    )
    stream = io.BufferedReader(Endless(one % number + b"\n" for number in range(1_000)))
    tracemalloc.start()
    try:
        refs = {only(payload.content).message_ref for payload in message_payloads(stream, OPTIONS)}
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(refs) == 1_000
    assert peak < 5_000_000


@pytest.mark.parametrize("encoding", ["base64", "8bit", "one line"])
def test_a_large_attachment_costs_little_more_than_itself(encoding: str) -> None:
    content = bytes(range(48, 112)) * (30 << 14)
    attached = {"base64": encodebytes(content), "8bit": content.replace(b"0", b"\n"), "one line": content}[encoding]
    raw = mail(MIME_Version="1.0", Content_Type='multipart/mixed; boundary="b"', Subject="").rstrip(b"Helo\n") + (
        b"\n\n--b\nContent-Type: text/plain\n\nHere it is\n--b\nContent-Disposition: attachment\n\n"
        + attached
        + b"\n--b\nContent-Disposition: attachment\n\nsmall\n--b--\n"
    )
    assert len(raw) > 30_000_000
    tracemalloc.start()
    try:
        event = only(raw)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (event.summary, event.attributes["attachments"]) == ("Here it is", "2")
    assert peak < (len(raw) * 2.2 if encoding == "one line" else 4_000_000)


def test_cutting_a_large_message_keeps_it_once() -> None:
    size = 40 << 20
    head = mail()
    stream = io.BufferedReader(Endless(iter([head, *([b"x" * 70 + b"\n"] * (size // 71))])))
    tracemalloc.start()
    try:
        (payload,) = message_payloads(stream, OPTIONS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(payload.raw) > size - 100
    assert payload.raw is payload.content
    assert peak < 2.4 * size
