"""What is new in the text of a mail, told from what is quoted.

The library mail-parser-reply knows how mail programs introduce a quotation in many languages, Outlook's header blocks
among them. `new_text` does around it what it does not:

- its patterns take quadratic or cubic time, so it sees at most 4,000 characters in lines of at most 250;
- it keeps lines that are quoted with `>`, and what introduces a message that is forwarded or quoted whole in any
  language but English; it misses Spanish altogether (`El … escribió:`, `Enviado el:`), and French, English and German
  where the mail program wrapped the line: `_INTRODUCTION` has these;
- it may take a text of the form "From: …", "To: …" for a quotation as a whole: the text stands then;
- its notion of a signature swallows whatever follows a line such as "Thanks, …": signatures stay, but for `-- `.
"""

import html
import re
import warnings
from email.message import Message

from mailparser_reply.parser import EmailMessage

from producers.email.headers import body, is_attachment, parts

_SPACE = re.compile(r"\s+")
_MOST_TEXT = 100_000
_LONGEST_REPLY, _LONGEST_LINE = 4_000, 250
_LANGUAGES = ("en", "de", "fr", "es", "sv", "da", "nl", "it")
_TAG = re.compile(r"(?is)<!--.*?(?:-->|\Z)|<(script|style|title)\b.*?(?:</\1\s*>|\Z)|<[^<>]*>")
_LINE_TAG = re.compile(r"(?i)<(?:br|/?p|/?div|/?tr|/?li|/?h[1-6]|hr|/?blockquote|/?table)\b[^<>]{0,1000}>")
_QUOTED_HTML = re.compile(
    r"(?i)<blockquote\b|<(?:div|span|a)\b[^<>]{0,300}?"
    r"(?:gmail_quote|yahoo_quoted|divRplyFwdMsg|appendonsend|protonmail_quote|moz-cite-prefix)"
)
_INTRODUCTION = re.compile(
    r"""(?:-{2,}\s*(?:Original|Forwarded|Urspr.ngliche|Weitergeleitete|Mensaje|Message|Ursprungligt|Vidarebefordrat
        |Oprindelig|Videresendt|Messaggio|Oorspronkelijk|Doorgestuurd)\b.{0,80}
    |(?:Begin\ forwarded\ message|Anfang\ der\ weitergeleiteten\ (?:Nachricht|E-?Mail)|D.but\ du\ message\ \S+
        |Vidarebefordrat\ brev|Inicio\ del\ mensaje\ reenviado)\s*:.{0,20}
    |(?=.*[\d@])(?:On\b.{3,220}\bwrote\s*:|Am\b.{3,220}\bschrieb\b.{0,120}:|Le\b.{3,220}\ba\ .crit\s*:
    |(?:Den\b.{3,220}|\d.{5,220})\bskrev\b.{0,120}:|El\b.{3,220}\bescribi.\s*:)
    |De:\s.{1,220}\ Enviado(?:\ el)?:.{3,100}
    |_{20,})""",
    re.IGNORECASE | re.VERBOSE,
)
_PGP_ARMOUR = re.compile(r"-----BEGIN PGP SIGNED MESSAGE-----\n(?:[\w-]{1,40}: [^\n]{0,200}\n)*\n")
_NOT_TO_READ = frozenset({"text/calendar", "text/rfc822-headers", "text/vcard", "text/x-vcard", "text/directory"})


def new_text(message: Message) -> str:
    """What the sender wrote, without what is quoted, on one line, of at most 4,000 characters.

    Empty when there is no text, or none that can be read: encrypted, an invitation alone.
    """
    leaves = [
        part
        for part in parts(message)
        if part.get_content_maintype() == "text"
        and part.get_content_type() not in _NOT_TO_READ
        and not is_attachment(part)
    ]
    leaves.sort(key=lambda part: part.get_content_type() != "text/plain")
    for part in leaves:
        text = body(part)[:_MOST_TEXT]
        text = _unsigned(text) if part.get_content_type() == "text/plain" else _text_of_html(text)
        if text.strip():
            return _SPACE.sub(" ", _latest(text)).strip()
    return ""


def _unsigned(text: str) -> str:
    """Plain text without OpenPGP's armour; nothing when it is encrypted."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.lstrip().startswith(("-----BEGIN PGP MESSAGE-----", "begin 6")):
        return ""
    return _PGP_ARMOUR.sub("", text, count=1).partition("-----BEGIN PGP SIGNATURE-----")[0]


def _text_of_html(text: str) -> str:
    quoted = _QUOTED_HTML.search(text)
    if quoted is not None:
        before = plain_text(text[: quoted.start()])
        if before.strip():
            return before
    return plain_text(text)


def plain_text(text: str) -> str:
    """HTML as text: its tags gone, a line for each block, characters as they are meant."""
    lines = _LINE_TAG.sub("\n\\g<0>", _SPACE.sub(" ", text))
    return html.unescape(_TAG.sub(" ", lines))


def _latest(text: str) -> str:
    """The newest reply of a thread; the text itself when nothing of it seems to be new."""
    lines = _bounded(text)
    own: list[str] = []
    place = 0
    while place < len(lines):
        line = lines[place]
        following = lines[place + 1] if place + 1 < len(lines) else ""
        introduces = 1 if _INTRODUCTION.fullmatch(line) else 2 if _wraps(line, following) else 0
        if (introduces or line == "--") and not _is_greeting(own):
            break
        if not introduces and not line.startswith(">"):
            own.append(line)
        place += introduces or 1
    kept = "\n".join(own).strip()
    return _without_quotation(kept) or kept or "\n".join(line.lstrip("> ") for line in lines)


def _is_greeting(lines: list[str]) -> bool:
    """Whether no more stands there than "Hello Ada,": the answer stands beneath the quotation then."""
    said = [line for line in lines if line]
    return not said or (len(said) == 1 and len(said[0]) <= 60 and said[0].endswith((",", "!")))


def _wraps(line: str, following: str) -> bool:
    return _INTRODUCTION.fullmatch(f"{line} {following}") is not None and not _INTRODUCTION.fullmatch(following)


def _without_quotation(text: str) -> str:
    """What mail-parser-reply takes for the newest reply, signature and all; empty when it finds none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            thread = EmailMessage(text=text, languages=list(_LANGUAGES), keep_hyphen_lists=True).read()
    except Exception:
        # A pattern of the library that fails on some text must not cost the mail.
        return ""
    return str(thread.replies[0].full_body).strip() if thread.replies else ""


def _bounded(text: str) -> list[str]:
    """The first 4,000 characters or so in lines of at most 250, blanks and blank lines made one."""
    lines: list[str] = []
    left = _LONGEST_REPLY
    for line in text.splitlines():
        one = _SPACE.sub(" ", line).strip()[:_LONGEST_LINE]
        if one or (lines and lines[-1]):
            lines.append(one)
            left -= len(one) + 1
        if left <= 0:
            break
    return lines
