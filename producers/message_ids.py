"""Message-IDs in one comparable form, so that a mail, its answers and the provider's reports meet.

The form is RFC 5322's own, with angle brackets and without blanks. A Message-ID that SendGrid made
(`<STEM@geopod-ismtpd-1>`) is known by its stem instead, since its reports on opens and clicks name nothing else.
"""

import re

_MESSAGE_ID = re.compile(r"<([^<>]{1,1000})>")
_SENDGRID = re.compile(r"<([A-Za-z0-9_.+-]+)@(?:[\w-]+-)?ismtpd[\w.-]*>")
_SENDGRID_FILTER = re.compile(r"\.(?:filter|recv)", re.IGNORECASE)


def message_ids(header: str | None) -> list[str]:
    """All Message-IDs of a header (References, In-Reply-To), in order; text that is none is left out."""
    return [found for found in (message_id(f"<{inner}>") for inner in _MESSAGE_ID.findall(header or "")) if found]


def message_id(text: str | None) -> str | None:
    """One Message-ID in comparable form, or None; brackets may be missing, as they often are."""
    bare = re.sub(r"\s+", "", text or "")
    inner = bare.removeprefix("<").partition(">")[0]
    if not inner or len(inner) > 990:
        return None
    made_by_sendgrid = _SENDGRID.fullmatch(f"<{inner}>")
    return made_by_sendgrid[1] if made_by_sendgrid else f"<{inner}>"


def sendgrid_stem(sg_message_id: str | None) -> str | None:
    """What all reports on one mail share: `STEM.filterdrecv-5c8-2.0` and `STEM.recvd-77f` begin with it.

    None where it is missing: a mail that was dropped at once has `filter0093p1las1.9128` alone.
    """
    given = sg_message_id or ""
    found = _SENDGRID_FILTER.search(f".{given}")
    return (given[: max(found.start() - 1, 0)] if found else given.partition(".")[0]) or None
