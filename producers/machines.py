"""Whether software, and no person, opened a mail or followed a link or a code."""

import re

_LONGEST = 4_000
# Apple's privacy proxy loads every image of a mail, read or not, and calls itself this and nothing more. The image
# proxies of Gmail, Yahoo and Outlook fetch when a person reads: they are not here.
_PRIVACY_PROXY = "Mozilla/5.0"
_SOFTWARE = re.compile(
    r"bot\b|crawl|spider|scanner|facebookexternalhit|whatsapp|barracuda|proofpoint|mimecast|trendmicro|forcepoint|symantec|ironport|safelinks"
    r"|urldefense|headless|phantomjs|slurp|preview|prefetch"
    r"|^(?:curl|wget|python|go-http-client|java|okhttp|axios|node-fetch|ruby|libwww-perl)\b",
    re.IGNORECASE,
)


def is_software(user_agent: str) -> bool:
    """Whether it calls itself a scanner, a crawler, a preview of links or a program's library."""
    return _SOFTWARE.search(user_agent[:_LONGEST]) is not None


def is_machine(user_agent: str | None, *, said: bool | None = None) -> bool | None:
    """Whether an open or a click was made by no person; `said` is the vendor's word. None when nothing tells."""
    if said is not None or user_agent is None:
        return said
    agent = user_agent.strip()[:_LONGEST]
    return True if agent == _PRIVACY_PROXY or is_software(agent) else None
