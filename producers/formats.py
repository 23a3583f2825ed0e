"""All formats, and which of them a file is in.

A format is found by where it is: every module of `producers/<channel>/` that has a `FORMAT`, and every entry point
of the group `touchlog.formats` in packages that are installed (docs/formats.md shows how to write one).
"""

from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules

import producers
from producers.format import Format
from schemas.errors import ConfigurationError
from schemas.models import Channel

ENTRY_POINTS = "touchlog.formats"


def _own() -> Iterator[Format]:
    for channel in Channel:
        folder = import_module(f"{producers.__name__}.{channel}")
        for module in iter_modules(folder.__path__, f"{folder.__name__}."):
            found = getattr(import_module(module.name), "FORMAT", None)
            if isinstance(found, Format):
                yield found


def _installed(own: tuple[Format, ...]) -> Iterator[Format]:
    """Formats of other packages. Raises ConfigurationError for an entry point that is none."""
    taken = {(known.channel, known.name) for known in own}
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        try:
            found = point.load()
        except Exception as error:
            raise _not_a_format(point.name, f"cannot be loaded: {type(error).__name__}") from error
        if not isinstance(found, Format) or found.channel not in list(Channel):
            raise _not_a_format(point.name, "is no producers.format.Format of a channel that exists")
        if (found.channel, found.name) in taken:
            raise _not_a_format(point.name, "has the name of another")
        taken.add((found.channel, found.name))
        yield found


def _not_a_format(name: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"the format {name} of another package {why}; mend or uninstall that package")


_OWN = tuple(_own())
FORMATS: tuple[Format, ...] = (*_OWN, *_installed(_OWN))


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
