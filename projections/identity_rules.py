"""Which contact points can join people, and how many: one table.

A contact point that is linked to more points of a kind than its row allows is *shared*: a family's address, a
switchboard, a browser in the library. Values that many systems write for "nobody" never join anybody. Of a unique kind
one person has one.
"""

import re

from schemas.models import Assurance

LIMITS: dict[str, dict[str, int]] = {
    "account": {"account": 0, "email": 10, "phone": 10, "social": 10, "postal": 10, "visitor": 1000},
    "email": {"account": 1, "email": 3, "phone": 3, "social": 5, "postal": 3, "visitor": 50},
    "phone": {"account": 1, "email": 3, "phone": 3, "social": 5, "postal": 3, "visitor": 50},
    "social": {"account": 1, "email": 3, "phone": 3, "social": 5, "postal": 3, "visitor": 50},
    "postal": {"account": 1, "email": 2, "phone": 2, "social": 2, "postal": 2, "visitor": 10},
    "visitor": {"account": 1, "email": 2, "phone": 2, "social": 2, "postal": 2, "visitor": 2},
}
"""LIMITS[kind of the point][kind of its neighbours] = how many it may be linked to before it is shared."""

MOST_POSSIBLE = 20
"""How many customers may share a contact point for its events to be shown with each of them: those of a household, a
family or a small office. A switchboard's calls help nobody on ten thousand cards."""

UNIQUE = frozenset({"account"})
"""Kinds of which one customer has one: links that would bring two together are left out, the weakest first."""

JOINING = frozenset({"attested", "asserted"})
"""Assurance that joins; a claim waits until it is borne out."""

STRENGTHS = ("stated", *(str(assurance) for assurance in Assurance))
"""What a link rests on, the strongest first: a person's word, then evidence by its assurance."""

BLOCKED = re.compile(
    r"email:(no-?reply|do-?not-?reply|donotreply|mailer-daemon|postmaster|unknown|none|null|test)@.*"
    r"|account:(0+|NULL|NONE|N/?A|UNKNOWN|ANONYMOUS|TEST)"
    r"|phone:\+266696687"
    r"|visitor:(0+|null|none|undefined|00000000-0000-0000-0000-000000000000)",
    re.IGNORECASE,
)


def joins(key: str) -> bool:
    """Whether a contact point, by its key `kind:value`, can be evidence that people are one."""
    return key.partition(":")[0] in LIMITS and BLOCKED.fullmatch(key) is None


def may_be_linked(one: str, other: str) -> bool:
    """Whether two keys can be one person's at all: they differ, neither is nobody's, not both of one unique kind."""
    kinds = one.partition(":")[0], other.partition(":")[0]
    return one != other and "anonymous" not in kinds and not (kinds[0] == kinds[1] and kinds[0] in UNIQUE)
