"""Message-IDs in one comparable form, so that a mail, its answers and the provider's reports meet.

The form is RFC 5322's own, with angle brackets and without blanks. Two vendors make the Message-ID themselves and name
nothing but its beginning in their reports; theirs is known by that stem:

- SendGrid: `<STEM@geopod-ismtpd-1>`; its reports on opens and clicks have STEM alone;
- Amazon SES: `<STEM@eu-west-1.amazonses.com>`; its reports have STEM as `mail.messageId`
  (https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html).
"""

import re

_MESSAGE_ID = re.compile(r"<([^<>]{1,1000})>")
_BARE = re.compile(r"[^\s<>@]{1,500}@[^\s<>@]{1,500}")
_SENDGRID = re.compile(r"<([A-Za-z0-9_.+-]+)@(?:[\w-]+-)?ismtpd[\w.-]*>")
_SENDGRID_FILTER = re.compile(r"\.(?:filter|recv)", re.IGNORECASE)
_SES = re.compile(
    r"([0-9A-Za-z]{10,24}-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}-\d{6})"
    r"(?:@(?:[\w-]+\.)?amazonses\.com)?"
)


def message_ids(header: str | None) -> list[str]:
    """All Message-IDs of a header (References, In-Reply-To), in order; text that is none is left out.

    A header of nothing but `id@host` without brackets, as some systems write it, is read too.
    """
    text = header or ""
    given = [f"<{inner}>" for inner in _MESSAGE_ID.findall(text)]
    if not given and "<" not in text:
        words = text.replace(",", " ").split()
        given = words if all(_BARE.fullmatch(word) for word in words) else []
    return [found for found in map(message_id, given) if found]


def message_id(text: str | None) -> str | None:
    """One Message-ID in comparable form, or None; brackets may be missing, as they often are."""
    bare = re.sub(r"\s+", "", text or "")
    inner = bare.removeprefix("<").partition(">")[0]
    if not inner or len(inner) > 990:
        return None
    made_by_vendor = _SENDGRID.fullmatch(f"<{inner}>") or _SES.fullmatch(inner)
    return made_by_vendor[1] if made_by_vendor else f"<{inner}>"


def sendgrid_stem(sg_message_id: str | None) -> str | None:
    """What all reports on one mail share: `STEM.filterdrecv-5c8-2.0` and `STEM.recvd-77f` begin with it.

    None where it is missing: a mail that was dropped at once has `filter0093p1las1.9128` alone.
    """
    given = sg_message_id or ""
    found = _SENDGRID_FILTER.search(f".{given}")
    return (given[: max(found.start() - 1, 0)] if found else given.partition(".")[0]) or None
