"""What an organisation may send on which channel, and what it would rather: one table of settings.

The defaults are the law of the European Union as it is commonly read; a country or a house that is stricter says so
here.

- `NEEDS_OPT_IN`: a marketing call wants consent given before it in many member states (Directive 2002/58/EC, article
  13(3) leaves it to them). Messages to one's own customers may go out until they object (article 13(2)), letters until
  they object (Regulation (EU) 2016/679, article 21(2)). Where consent is wanted for messages as well, add
  `("offers", "email")` and the like: whoever has not given it is then left out, with that reason.
- `REQUIRED_BY_LAW`: an invoice must reach its debtor somehow, so `do_not_contact` leaves it the letter.
"""

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
