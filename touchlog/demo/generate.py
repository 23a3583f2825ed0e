"""All payloads of the demo: 90 days that end the day before `today`."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from touchlog.demo.ada import tell_ada
from touchlog.demo.archive import Archive
from touchlog.demo.oddities import add_oddities
from touchlog.demo.people import cast
from touchlog.demo.sendings import send_everything
from touchlog.demo.stories import tell_everything


def archive_of(today: date) -> Archive:
    """Everything that was delivered; the same day gives the same bytes on every machine."""
    archive = Archive(today)
    people = cast()
    tell_ada(archive, people[0])
    send_everything(archive, people)
    tell_everything(archive, people)
    add_oddities(archive, people)
    return archive


def write(files: Mapping[str, bytes], folder: Path) -> None:
    """Files (path -> content, as `Archive.files` gives them) in a folder, which is made."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
