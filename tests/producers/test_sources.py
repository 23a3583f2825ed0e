"""Where payloads are read from: files, folders, patterns, Maildirs, gzip, standard input."""

import gzip
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from producers.sources import source_of_bytes, sources
from schemas.errors import ConfigurationError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("b.eml", "a.eml", "deep/er/c.eml", "deep/d.txt", ".hidden.eml", ".trash/e.eml", "odd[1].eml"):
        path = tmp_path / "mails" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    names = ("cur/1.M1P1.host,S=5:2,RS", "cur/2.host:2,", "new/3.host", "tmp/4.host", "dovecot-uidlist", "maildirsize")
    for name in (*names, "box.mbox", ".Sent/cur/5.host:2,S", ".Sent/new/6.host", ".Sent/tmp/7.host"):
        path = tmp_path / "Maildir" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "Maildir"


def names(*places: str | Path) -> list[str]:
    return [source.name for source in sources(places)]


def read(place: str | Path) -> list[bytes]:
    found = []
    for source in sources([place]):
        with source.opened() as stream:
            found.append(stream.read())
    return found


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("mails/*.eml", ["a.eml", "b.eml", "odd[1].eml"]),
        ("mails/**/*.eml", ["a.eml", "b.eml", "deep/er/c.eml", "odd[1].eml"]),
        ("mails/[ab].eml", ["a.eml", "b.eml"]),
        ("mails/?.eml", ["a.eml", "b.eml"]),
        ("mails/d*", ["deep/d.txt", "deep/er/c.eml"]),
        ("mails/**", ["a.eml", "b.eml", "deep/d.txt", "deep/er/c.eml", "odd[1].eml"]),
    ],
)
def test_a_pattern_names_files_in_order_each_once(folder: Path, pattern: str, found: list[str]) -> None:
    expected = [f"mails/{name}" for name in found]
    assert sorted(names(pattern)) == expected
    assert names(pattern) == names(pattern)
    assert sorted(names(folder / pattern)) == [str(folder / name) for name in expected]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(folder: Path) -> None:
    assert read("mails/odd[1].eml") == [b"odd[1].eml"]


def test_a_folder_is_what_is_in_it_without_what_is_hidden(folder: Path) -> None:
    assert names("mails") == [
        f"mails/{name}" for name in ("a.eml", "b.eml", "deep/d.txt", "deep/er/c.eml", "odd[1].eml")
    ]


@pytest.mark.parametrize("place", ["mails/nothing.eml", "mails/*.xyz", "nowhere/**/*.eml", "mails/**/*.d", "["])
def test_a_place_without_files_is_told_before_anything_is_read(folder: Path, place: str) -> None:
    with pytest.raises(ConfigurationError, match="no file"):
        sources(["mails/a.eml", place])


def test_of_a_maildir_the_messages_are_read(maildir: Path) -> None:
    expected = ["box.mbox", "cur/1.M1P1.host,S=5:2,RS", "cur/2.host:2,", "new/3.host"]
    assert names(maildir) == [str(maildir / name) for name in expected]
    assert names(maildir.parent) == names(maildir)
    assert sorted(names(f"{maildir.parent}/**/*")) == names(maildir)
    assert sorted(names(f"{maildir}/*/*")) == names(maildir)[1:]


def test_what_is_named_itself_is_read(maildir: Path) -> None:
    assert read(maildir / "tmp" / "4.host") == [b"tmp/4.host"]
    assert read(maildir / "tmp") == [b"tmp/4.host"]
    assert read(maildir / ".Sent") == [b".Sent/cur/5.host:2,S", b".Sent/new/6.host"]


def test_a_folder_called_tmp_is_no_maildirs(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / "a.eml").write_text("a")
    assert read(tmp_path) == [b"a"]


def test_gzip_is_known_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "1.host:2,S").write_bytes(gzip.compress(b"one") + gzip.compress(b" more"))
    (tmp_path / "2.gz").write_bytes(b"not packed")
    assert read(tmp_path) == [b"one more", b"not packed"]


def test_a_name_that_is_no_text_can_be_reported(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.eml"
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
    except OSError:
        pytest.skip("this file system has names of text alone")
    os.write(descriptor, b"x")
    os.close(descriptor)
    (name,) = names(tmp_path)
    assert name.encode().endswith("caf\ufffd.eml".encode())
    assert read(tmp_path) == [b"x"]


@pytest.mark.parametrize("packed", [False, True])
def test_standard_input_is_read_as_it_comes(packed: bool) -> None:
    program = (
        "import sys; from producers.sources import sources\n"
        "with sources(['-'], stdin=sys.stdin.buffer)[0].opened() as s: print(s.read())"
    )
    given = gzip.compress(b"hello") if packed else b"hello"
    done = subprocess.run([sys.executable, "-c", program], input=given, capture_output=True, check=True, timeout=60)
    assert done.stdout.strip() == b"b'hello'"
    with pytest.raises(ConfigurationError, match="no standard input"):
        sources(["-"])


def test_bytes_are_what_they_are() -> None:
    with source_of_bytes("x", gzip.compress(b"x")).opened() as stream:
        assert stream.read(2) == b"\x1f\x8b"
    given = io.BytesIO(b"again")
    with sources(["-"], stdin=given)[0].opened() as stream:
        assert stream.read() == b"again"
    assert not given.closed
