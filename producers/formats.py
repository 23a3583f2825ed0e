"""All formats, and which of them a file is in."""

from producers import chat, email, phone, post, social
from producers.format import Format
from schemas.errors import ConfigurationError
from schemas.models import Channel

FORMATS: tuple[Format, ...] = (*email.FORMATS, *chat.FORMATS, *phone.FORMATS, *post.FORMATS, *social.FORMATS)


def formats_of(channel: str) -> tuple[Format, ...]:
    """The formats of one channel. Raises ConfigurationError for a channel that does not exist."""
    found = tuple(known for known in FORMATS if known.channel == channel)
    if not found:
        raise ConfigurationError(f"no channel of that name; type one of {', '.join(Channel)}")
    return found


def find_format(channel: str, name: str) -> Format:
    """The format of that name. Raises ConfigurationError that lists what there is."""
    for known in formats_of(channel):
        if known.name == name:
            return known
    raise ConfigurationError(f"{channel} has no format of that name; type {_choice(formats_of(channel))}")


def recognise(channel: str, head: bytes) -> Format:
    """The one format of the channel that a file beginning with these bytes is in.

    Raises ConfigurationError when it is none of them, or might be several.
    """
    known = formats_of(channel)
    found = tuple(one for one in known if one.recognises(head))
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigurationError(f"{channel}: the file may be of several formats; type {_choice(found)}")
    raise ConfigurationError(
        f"{channel}: the file is of no format that is known by its beginning; type {_choice(known)}"
    )


def _choice(formats: tuple[Format, ...]) -> str:
    return ", or ".join(f"--format {known.name} for {known.title}" for known in formats)
