"""Which format a file is in."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.formats import FORMATS, find_format, formats_of, recognise
from schemas.errors import ConfigurationError
from schemas.models import Channel
from tests.producers.golden import SAMPLES, format_of, samples

HEAD = 65_536
OF_THIS_SUITE = [path for channel in ("email", "chat", "social") for path in samples(channel)]
REAL = SAMPLES / "social" / "conversations" / "twitter-customer-care.jsonl"


def test_every_format_has_a_name_of_its_own() -> None:
    assert len({(known.channel, known.name) for known in FORMATS}) == len(FORMATS)
    assert {known.channel for known in FORMATS} == set(Channel)
    for known in FORMATS:
        assert find_format(known.channel, known.name) is known
        assert known in formats_of(known.channel)


@pytest.mark.parametrize("path", [*OF_THIS_SUITE, REAL], ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_sample_is_recognised_as_what_it_is(path: Path) -> None:
    head = path.read_bytes()[:HEAD]
    assert recognise(path.parent.parent.name, head) is format_of(path)


def test_a_file_of_no_known_format_is_a_matter_of_configuration() -> None:
    with pytest.raises(ConfigurationError) as caught:
        recognise("email", b"\x89PNG\r\n")
    for part in ("--format rfc5322", "--format sendgrid"):
        assert part in str(caught.value)


def test_a_file_of_several_formats_is_a_matter_of_configuration() -> None:
    both = b'{"event": "message_created", "conversation": "c-1", "from": "customer"}\n'
    with pytest.raises(ConfigurationError, match=r"several formats; type --format chatwoot .* or --format transcript"):
        recognise("chat", both)


def test_a_name_that_does_not_exist_is_a_matter_of_configuration() -> None:
    with pytest.raises(ConfigurationError, match="--format instagram"):
        find_format("social", "myspace")
    with pytest.raises(ConfigurationError, match="email, chat, phone, post, social"):
        find_format("pigeon", "rfc5322")


@settings(max_examples=50)
@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:\n eventobjmsg', max_size=120).map(str.encode))
def test_no_beginning_makes_recognition_raise(head: bytes) -> None:
    for known in FORMATS:
        assert known.recognises(head) in (True, False)


@settings(max_examples=50)
@given(st.sampled_from(OF_THIS_SUITE), st.integers(min_value=0, max_value=2_000))
def test_no_cut_makes_recognition_raise(path: Path, length: int) -> None:
    for known in FORMATS:
        assert known.recognises(path.read_bytes()[:length]) in (True, False)
