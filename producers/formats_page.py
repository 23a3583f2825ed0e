"""docs/formats.md: every format that touchlog brings, what it reads, and an example; and how to write another.

`python -m producers.formats_page` writes it anew.
"""

import io
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from types import ModuleType

import producers
from producers.format import Format, Options
from producers.formats import FORMATS
from producers.tables import Columns
from schemas.models import Channel, Event

WRITE_ONE = "## A format of your own"
_OBSERVED = datetime(2026, 3, 2, 12, tzinfo=UTC)


def page() -> str:
    """The page as Markdown. What stands from "A format of your own" on is written by hand, and not part of it."""
    own = [known for known in FORMATS if module_of(known).__name__.startswith(f"{producers.__name__}.")]
    rows = [f"| {known.channel} | [`{known.name}`](#{known.channel}-{known.name}) | {known.title} |" for known in own]
    parts = [_INTRODUCTION, "\n".join(["| channel | `--format` | what it is |", "|---|---|---|", *rows]), ""]
    for channel in Channel:
        parts += [_section(known) for known in own if known.channel == channel]
    return "\n".join(parts)


def examples_events(known: Format, options: Options | None = None) -> Iterator[Event]:
    """What comes of a format's example."""
    options = options or Options(observed_at=_OBSERVED, account="acme", our_domains=frozenset({"acme.example"}))
    for payload in known.payloads(io.BytesIO(known.example.encode()), options):
        yield from known.events(payload.content, options)


def module_of(known: Format) -> ModuleType:
    """The module that a format stands in."""
    for name, module in list(sys.modules.items()):
        if name.startswith(f"{producers.__name__}.{known.channel}.") and getattr(module, "FORMAT", None) is known:
            return module
    return sys.modules[known.events.__module__]


def _section(known: Format) -> str:
    made = ", ".join(f"`{event.channel}` `{event.type}`" for event in examples_events(known))
    said = (module_of(known).__doc__ or known.title).strip()
    return f"""\
## {known.channel} {known.name}

{said}
{"" if _NAMES in said else _columns(module_of(known))}
```
{known.example.strip()}
```

gives {made}.
"""


def _columns(module: ModuleType) -> str:
    """The columns of a table, of a module that has some and does not tell them itself."""
    rows = [
        f"| {field} | {', '.join(names)} |"
        for columns in vars(module).values()
        if isinstance(columns, Columns)
        for field, names in columns.shown.items()
    ]
    head = f"Columns by their {_NAMES}, or as `--column FIELD=COLUMN` says; what is in others is kept as attributes."
    return "\n".join(["", head, "", "| field | its column may be called |", "|---|---|", *rows, ""]) if rows else ""


_NAMES = "usual names"
_INTRODUCTION = """\
# Formats

What `touchlog produce CHANNEL FILE…` reads. The format is recognised by a file's beginning, and told; `--format NAME`
says it where a file does not. A file may hold one payload or many (a JSON array, JSON one after the other, an mbox, a
table), be gzipped, or come from standard input. A batch is cut into its payloads: one bad payload costs that payload.

The same payload gives the same event id, whenever and however often it is read; a webhook that a vendor delivers again
under another delivery id is the same event. What a format has no place for in the event is kept in `attributes`; a
vendor's word that the contract has no word for becomes an event of type `unknown`, which is shown and decides nothing.
Who unsubscribes from a list that names no content type has left news and offers; "from everything" is all e-mail.

Generated from the modules in `producers/`; after a change there, type `python -m producers.formats_page` (the last
section is written by hand and kept).
"""


def main() -> None:
    """Writes the page, with the last section as it stands in docs/formats.md."""
    from pathlib import Path

    kept = Path("docs/formats.md")
    written = kept.read_text(encoding="utf-8").partition(WRITE_ONE) if kept.exists() else ("", WRITE_ONE, "\n")
    kept.write_text(page() + "\n" + written[1] + written[2], encoding="utf-8")


if __name__ == "__main__":
    main()
