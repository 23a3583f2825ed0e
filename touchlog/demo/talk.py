"""What people ask and what we answer, by topic."""

TALK: dict[str, tuple[tuple[str, str], ...]] = {
    "delivery": (
        ("Where is my parcel?", "It left our warehouse yesterday and should be with you tomorrow."),
        ("The courier left no note.", "We have asked the carrier and put it on a second round."),
        ("Can you deliver to another address?", "Yes, we have changed it."),
    ),
    "billing": (
        ("I was charged twice.", "You are right, the second charge goes back today."),
        ("What is this fee on my invoice?", "That is the shipping of your second parcel."),
        ("Can I pay in two parts?", "Yes, the second half is due in thirty days."),
    ),
    "returns": (
        ("How do I send this back?", "The label is in your account, under returns."),
        ("When do I get my money?", "Within five days after the parcel is here."),
    ),
    "account": (
        ("I cannot log in.", "We have sent you a new link."),
        ("Please change my address.", "Done, thank you."),
    ),
    "product": (
        ("Does the lamp come in green?", "From next month on."),
        ("Is the kettle safe for gas?", "It is, on the smallest flame."),
    ),
    "complaint": (
        ("This is the third broken cup.", "We are sorry. A new set is on its way, free of charge."),
        ("Nobody has called me back.", "That must not happen. I have it on my desk now."),
    ),
}
"""Topic -> questions with their answers."""

FOLLOW_UPS = (
    ("Thank you, and how long does that take?", "Three working days at most."),
    ("It still does not work.", "We are looking at it together with the carrier."),
    ("And if it does not come?", "Then we send a new one."),
)
"""What is asked after the first answer."""

TOPICS = ("delivery", "delivery", "delivery", "billing", "billing", "returns", "account", "product", "complaint")
"""Topics as often as they come up."""
