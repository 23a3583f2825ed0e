"""The events as Python records: one frozen model a channel, the same common fields in the same order.

Times are aware datetimes (microseconds kept); a naive one is refused. The Avro files say the same in their
language, and a test holds the two together.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Self
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from schemas.event_types import EVENT_TYPES

EARLIEST = datetime(1995, 1, 1, tzinfo=UTC)
CLOCK_TOLERANCE = timedelta(days=1)
MAX_CONTACT_POINTS = 100
"""Of one event: every pair of them is looked at as evidence."""


def plausible(occurred_at: datetime, observed_at: datetime) -> bool:
    """Whether something can have happened then: not before 1995, not over a day after it was seen."""
    return occurred_at >= EARLIEST and occurred_at - observed_at <= CLOCK_TOLERANCE


class Kind(StrEnum):
    """Kinds of contact point, the strongest identification first. `anonymous` is nobody's identity."""

    ACCOUNT = "account"
    EMAIL = "email"
    PHONE = "phone"
    SOCIAL = "social"
    POSTAL = "postal"
    VISITOR = "visitor"
    ANONYMOUS = "anonymous"


class Assurance(StrEnum):
    """How sure it is that the contact point is the person's, the surest first."""

    ATTESTED = "attested"
    ASSERTED = "asserted"
    CLAIMED = "claimed"
    INFERRED = "inferred"


class Role(StrEnum):
    """What the person at the contact point is to the event. Only `self` points are evidence of one person."""

    SELF = "self"
    ON_BEHALF_OF = "on_behalf_of"
    CC = "cc"
    MENTIONED = "mentioned"


class Direction(StrEnum):
    """The customer acted; we acted; a provider tells about an outbound item."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    REPORT = "report"


class ContentType(StrEnum):
    """What kind of information."""

    NEWS = "news"
    OFFERS = "offers"
    INVOICES = "invoices"
    SERVICE = "service"


class Purpose(StrEnum):
    """Why it was sent, in the sense of the law."""

    MARKETING = "marketing"
    TRANSACTIONAL = "transactional"
    SERVICE = "service"


class Author(StrEnum):
    """Who or what wrote it."""

    HUMAN = "human"
    BOT = "bot"
    TEMPLATE = "template"
    MACHINE = "machine"
    CUSTOMER = "customer"


class Channel(StrEnum):
    """The five channels."""

    EMAIL = "email"
    CHAT = "chat"
    PHONE = "phone"
    POST = "post"
    SOCIAL = "social"


class StatementKind(StrEnum):
    """What a customer states about being contacted."""

    PREFER = "prefer"
    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"
    PAUSE = "pause"
    DO_NOT_CONTACT = "do_not_contact"


class SurveyKind(StrEnum):
    """Customer satisfaction, net promoter score, customer effort score."""

    CSAT = "csat"
    NPS = "nps"
    CES = "ces"


class BounceClass(StrEnum):
    """Hard: the address is dead; soft: not now; block: refused for what we are."""

    HARD = "hard"
    SOFT = "soft"
    BLOCK = "block"


class AnsweredBy(StrEnum):
    """Who picked up."""

    HUMAN = "human"
    MACHINE = "machine"


class DeliveryBasis(StrEnum):
    """How sure a delivery by post is: scanned at the door, concluded by the carrier, reckoned from the calendar."""

    SCAN = "scan"
    LOGICAL = "logical"
    ESTIMATED = "estimated"


class Record(BaseModel):
    """Frozen, keyword-only, nothing unknown taken silently."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=False, validate_default=False)


def well_formed(value: str) -> str:
    """Text that can be written as UTF-8: half an emoji becomes `?`; NUL, which ends strings elsewhere, goes."""
    if type(value) is str and value.isascii() and "\x00" not in value:
        return value
    return value.encode("utf-8", "replace").decode("utf-8").replace("\x00", "")


Text = Annotated[str, AfterValidator(well_formed)]
NonEmptyText = Annotated[Text, Field(min_length=1)]


class ContactPoint(Record):
    """One normalised identifier. `normalised` is false when the value had to be kept as given; it then joins nobody."""

    kind: Kind
    value: NonEmptyText
    assurance: Assurance = Assurance.ASSERTED
    role: Role = Role.SELF
    normalised: bool = True

    @property
    def key(self) -> str:
        """`email:ada@example.org`: the Kafka key, and the name under which it is known everywhere."""
        return f"{self.kind}:{self.value}"


class Statement(Record):
    """A choice that the customer states, on whatever channel.

    `content_type` or `channel` None means all; `about` is the key of one contact point (`email:…`), None means
    the person; `until` ends a pause.
    """

    kind: StatementKind
    content_type: ContentType | None = None
    channel: Channel | None = None
    about: Text | None = None
    until: AwareDatetime | None = None


class Survey(Record):
    """An answer to a survey: `score` of at most `scale_max` (CSAT 5, NPS 10, CES 7)."""

    kind: SurveyKind
    score: int = Field(ge=0, le=100)
    scale_max: int = Field(ge=1, le=100)

    @model_validator(mode="after")
    def _score_within_scale(self) -> Self:
        if self.score > self.scale_max:
            raise ValueError("score is above scale_max")
        return self


class Event(Record):
    """The fields that every record begins with; docs/event.md explains each."""

    channel: ClassVar[str]

    event_id: UUID
    type: str
    occurred_at: AwareDatetime
    observed_at: AwareDatetime
    source: NonEmptyText
    source_event_id: Text | None = None
    direction: Direction
    contact_points: tuple[ContactPoint, ...] = Field(min_length=1, max_length=MAX_CONTACT_POINTS)
    conversation_ref: NonEmptyText | None = None
    message_ref: NonEmptyText | None = None
    answers_ref: NonEmptyText | None = None
    read_up_to: AwareDatetime | None = None
    case_refs: tuple[NonEmptyText, ...] = ()
    content_type: ContentType | None = None
    purpose: Purpose | None = None
    topic: Text | None = None
    author: Author | None = None
    machine: bool | None = None
    agent: Text | None = None
    promised_at: AwareDatetime | None = None
    statement: Statement | None = None
    survey: Survey | None = None
    summary: Text | None = None
    attributes: dict[Text, Text] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _type_is_known(self) -> Self:
        if self.type not in EVENT_TYPES[self.channel]:
            raise ValueError(f"type: no such event type on {self.channel}; docs/event-types.md lists them")
        return self

    @model_validator(mode="after")
    def _time_is_plausible(self) -> Self:
        if not plausible(self.occurred_at, self.observed_at):
            raise ValueError(
                "occurred_at: before 1995 or over a day after observed_at; build events with schemas.event"
            )
        return self

    @property
    def primary(self) -> ContactPoint:
        """The contact point that the event is folded under."""
        return self.contact_points[0]


class EmailEvent(Event):
    """An event of the e-mail channel."""

    channel: ClassVar[str] = "email"

    subject: Text | None = None
    bounce_class: BounceClass | None = None
    url: Text | None = None
    in_reply_to: Text | None = None


class ChatEvent(Event):
    """An event of the chat channel (web chat, SMS) and of self-service (forms, cart, portal: `step`)."""

    channel: ClassVar[str] = "chat"

    page_url: Text | None = None
    step: Text | None = None


class PhoneEvent(Event):
    """An event of the phone channel; waiting and talking in whole seconds."""

    channel: ClassVar[str] = "phone"

    wait_s: int | None = Field(default=None, ge=0, lt=2**31)
    talk_s: int | None = Field(default=None, ge=0, lt=2**31)
    queue: Text | None = None
    ivr_path: Text | None = None
    disposition: Text | None = None
    answered_by: AnsweredBy | None = None


class PostEvent(Event):
    """An event of the physical channel: letters, parcels, visits at the counter."""

    channel: ClassVar[str] = "post"

    piece: Text | None = None
    document_class: Text | None = None
    delivery_basis: DeliveryBasis | None = None
    return_reason: Text | None = None


class SocialEvent(Event):
    """An event of a social network: public posts, comments, direct messages."""

    channel: ClassVar[str] = "social"

    network: Text | None = None
    public: bool | None = None
    parent_ref: Text | None = None


class IdentityEvent(Event):
    """A statement about identity itself: the first two contact points are the pair it is about; `reason` says why."""

    channel: ClassVar[str] = "identity"

    reason: Text | None = None


EVENT_MODELS: dict[str, type[Event]] = {
    model.channel: model for model in (EmailEvent, ChatEvent, PhoneEvent, PostEvent, SocialEvent, IdentityEvent)
}
