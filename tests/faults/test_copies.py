"""The store's files as a crash, a backup or a bad disk leaves them: go on, or a refusal in words; never wrong rows."""

import shutil
import signal

import pytest

from tests.faults.checks import Truth, assert_whole
from tests.faults.homes import Home, until

_STORE_ERROR = 3


@pytest.fixture
def truth(dice):
    return Truth(dice=dice)


def _copies(home, truth, dice, count, *, stopped=True):
    """Folders with what lay beside each other at some instant of a projector's work."""
    made = []
    while len(made) < count:
        with home.open() as log:
            truth.grow(log, 150, near=20, far=20, poison=1)
        command = home.project()
        while command.running and len(made) < count:
            size = home.wal_size()
            until(lambda size=size, command=command: home.wal_size() != size or not command.running, "a commit")
            if not command.running or dice.random() < 0.5:
                continue
            if stopped:
                command.send(signal.SIGSTOP)
            folder = home.folder / f"copy{len(made)}"
            folder.mkdir()
            # The database first, its logs after it, as a person would type it.
            for name in (home.store.name + ending for ending in ("", ".wal", ".wal.checkpoint")):
                if (home.folder / name).exists():
                    shutil.copy(home.folder / name, folder / name)
            made.append(folder)
            command.send(signal.SIGCONT)
        assert command.wait() == 0, command.said
    return made


def _home(home, folder):
    return Home(log=home.log, url=home.url, folder=folder, commands=home.commands)


def _go_on_or_be_refused(home, truth):
    """Whether it went on."""
    command = home.project()
    code = command.wait()
    assert code in (0, _STORE_ERROR), command.said
    if code == 0:
        assert_whole(home, truth)
        return True
    assert "cannot be opened" in command.said or "damaged" in command.said, command.said
    return False


@pytest.mark.form(ci="embedded", short="embedded")
def test_a_store_copied_between_two_instants(home, row, dice, times, truth):
    """What a power cut leaves: every such copy goes on."""
    row.fault = "store and its WAL copied at an instant"
    for folder in _copies(home, truth, dice, times(ci=2, short=3, long=60)):
        copy = _home(home, folder)
        copy.project_to_the_end()
        assert_whole(copy, truth)
        row.runs += 1


@pytest.mark.form(short="embedded")
def test_a_store_copied_while_it_is_written(home, row, dice, times, truth):
    """No way to make a backup: the copy may be refused, but does not go on with other rows."""
    row.fault = "store and its WAL copied while written"
    went_on = 0
    for folder in _copies(home, truth, dice, times(short=4, long=60), stopped=False):
        went_on += _go_on_or_be_refused(_home(home, folder), truth)
        row.runs += 1
    row.fault += f" ({went_on} went on, the others were refused)"


@pytest.mark.form(short="embedded")
@pytest.mark.parametrize("sort", ["WAL cut off", "WAL with a byte changed", "database cut off"])
def test_a_damaged_store(home, row, dice, times, truth, sort):
    row.fault = sort
    went_on = 0
    for folder in _copies(home, truth, dice, times(ci=2, short=3, long=60)):
        copy = _home(home, folder)
        path = copy.store if sort == "database cut off" else copy.store.with_name(copy.store.name + ".wal")
        if not path.exists() or not path.stat().st_size:
            continue
        content = bytearray(path.read_bytes())
        place = dice.randrange(len(content))
        if "changed" in sort:
            content[place] ^= 1 << dice.randrange(8)
        else:
            del content[place:]
        path.write_bytes(content)
        went_on += _go_on_or_be_refused(copy, truth)
        row.runs += 1
    row.fault += f" ({went_on} went on, the others were refused)"
