"""A disk that is full, then freed: a stop in words, and everything is there afterwards."""

import shutil
import subprocess

import pytest

from tests.faults.checks import Truth, assert_whole
from tests.faults.homes import Home

_STORE_ERROR = 3


class Disk:
    """A file system of a few megabytes in memory, that can be made larger."""

    def __init__(self, folder, megabytes):
        self.folder = folder
        folder.mkdir()
        self._mount("-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder))

    def grow(self, megabytes):
        self._mount("-o", f"remount,size={megabytes}m", str(self.folder))

    def fill(self):
        """Take what is left, but for some kilobytes."""
        free = shutil.disk_usage(self.folder).free - 200_000
        (self.folder / "filling").write_bytes(bytes(max(0, free)))

    def free(self):
        (self.folder / "filling").unlink()

    def _mount(self, *words):
        done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip("a disk to fill needs the right to mount one")


@pytest.fixture
def disk(tmp_path):
    disk = Disk(tmp_path / "disk", 24)
    yield disk
    subprocess.run(["umount", "-l", str(disk.folder)], check=False)


@pytest.mark.form(short="embedded")
def test_the_stores_disk_is_full(home, row, dice, times, disk):
    row.fault = "the store's disk full, then freed"
    there = Home(log=home.log, url=home.url, folder=disk.folder, commands=home.commands, batch=200)
    there.compact_after = 400
    truth = Truth(dice=dice)
    with home.open() as log:
        truth.grow(log, 60)
    there.project_to_the_end()
    for _ in range(times(ci=1, short=3, long=20)):
        with home.open() as log:
            truth.grow(log, 200, near=20, far=200, poison=2)
        disk.fill()
        for _ in range(2):
            command = there.project()
            assert command.wait() == _STORE_ERROR, command.said
            assert "no space left" in command.said
            row.runs += 1
        disk.free()
    there.project_to_the_end()
    assert_whole(Home(log=home.log, url=home.url, folder=disk.folder, commands=home.commands), truth)
