"""What an organisation may send on which channel, and what it would rather: one table of settings.

The defaults are the law of the European Union as it is commonly read; a country or a house that is stricter says so
here.

- `NEEDS_OPT_IN`: a marketing call wants consent given before it in many member states (Directive 2002/58/EC, article
  13(3) leaves it to them). Messages to one's own customers may go out until they object (article 13(2)), letters until
  they object (Regulation (EU) 2016/679, article 21(2)). Where consent is wanted for messages as well, add
  `("offers", "email")` and the like: whoever has not given it is then left out, with that reason.
- `QUIET`: the law of the Union names no hours; the default is custom, and the rule of the United States for sales calls
  (47 CFR 64.1200(c)(1): not before 8 in the morning nor after 9 in the evening). France is stricter: on weekdays from
  10:00 to 13:00 and from 14:00 to 20:00 (Code de la consommation, article D223-9). Holidays and days of the week are
  not in it.
- `REQUIRED_BY_LAW`: an invoice must reach its debtor somehow, so `do_not_contact` leaves it the letter.
"""

from datetime import time

KIND_OF_CHANNEL: dict[str, str] = {
    "email": "email",
    "post": "postal",
    "phone": "phone",
    "chat": "visitor",
    "social": "social",
}
"""The kind of contact point that a channel reaches."""

_ORDER = ("email", "post", "phone", "chat", "social")

ORDER: dict[str, tuple[str, ...]] = {"news": _ORDER, "offers": _ORDER, "invoices": _ORDER, "service": _ORDER}
"""The organisation's own order of the five channels, by content type: where nobody stated or showed anything else."""

MARKETING = frozenset({"news", "offers"})
"""Content types that nobody gets at a contact point of which it is not clear that it is theirs alone."""

NEEDS_OPT_IN = frozenset({("news", "phone"), ("offers", "phone")})
"""(content type, channel) that nobody gets who has not opted in."""

REQUIRED_BY_LAW = frozenset({("invoices", "post")})
"""(content type, channel) that `do_not_contact` does not reach."""

ZONE = "Europe/Stockholm"
"""The organisation's time zone (IANA), by whose clocks it is quiet: no event tells a person's own."""

QUIET: dict[str, tuple[time, time]] = {"phone": (time(21), time(8))}
"""By channel, from when until when nobody is disturbed; over midnight when the second is the earlier. The two differ.
Others are never quiet: a letter or a mail waits until it is read."""
