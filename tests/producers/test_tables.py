"""Tables: CSV as offices export it, columns by option and by name, times and durations as spreadsheets write them."""

import csv
import io
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.csv_rows import MOST_LINES_OF_A_ROW, headless_payloads
from producers.fields import Fields
from producers.format import Options, Payload
from producers.tables import Columns, csv_payloads, header_of, moment, seconds, table_payloads
from schemas.errors import InvalidEvent

COLUMNS = Columns(start="start time, begun", customer="customer id, account", talk="talk time")


def rows(data: bytes) -> list[Payload]:
    return list(csv_payloads(io.BytesIO(data)))


def contents(data: bytes) -> list[dict | str]:
    return [payload.error or payload.content for payload in rows(data)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_what_the_header_has_most_of(delimiter: str) -> None:
    data = delimiter.join(["a", '"b, or; c"', "d"]) + "\n" + delimiter.join(["1", "2", "3"])
    assert contents(data.encode()) == [{"a": "1", "b, or; c": "2", "d": "3"}]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"])
def test_every_usual_encoding_is_read(encoding: str) -> None:
    data = "name;Straße\nÅsa;Größe 1\n".encode(encoding)
    assert contents(data) == [{"name": "Åsa", "Straße": "Größe 1"}]


def test_one_line_in_another_encoding_spoils_only_itself() -> None:
    data = "a;b\nå;1\n".encode() + "ä;2\n".encode("cp1252") + b"\x81;3\n" + "ö;4\n".encode()
    assert contents(data) == [{"a": text, "b": str(n)} for n, text in enumerate(["å", "ä", "\x81", "ö"], 1)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_usual_end_of_line_is_read_and_lines_are_counted(end: str) -> None:
    payloads = rows(end.join(["a,b", "", "1,2", ",", '"x', 'y",3', "4,5"]).encode())
    assert [(payload.line, payload.content["a"]) for payload in payloads] == [(3, "1"), (5, f"x{end}y"), (7, "4")]


def test_excels_line_about_the_separator_is_obeyed() -> None:
    assert contents(b"sep=;\na,b;c\n1;2\n") == [{"a,b": "1", "c": "2"}]


def test_raw_is_the_header_and_the_row_byte_for_byte_and_is_read_alone() -> None:
    data = b'sep=;\r\na;b\r\n"1\r\n2";\xe9\r\n3;4;5\r\n6;"7\r\n'
    payloads = rows(data)
    assert b"".join(payload.raw.removeprefix(b"sep=;\r\na;b\r\n") for payload in payloads) == data[12:]
    for payload in payloads:
        [again] = rows(payload.raw)
        assert (again.content, again.error, again.raw) == (payload.content, payload.error, payload.raw)


def test_a_row_with_other_cells_than_the_header_is_refused_and_the_rest_goes_on() -> None:
    assert contents(b"a,b\n1\n2,3,4\n5,6,,\n7,8\n") == [
        "row: 1 cells under 2 columns",
        "row: 3 cells under 2 columns",
        {"a": "5", "b": "6"},
        {"a": "7", "b": "8"},
    ]


@pytest.mark.parametrize("following", [3, MOST_LINES_OF_A_ROW + 50])
def test_a_quote_that_is_never_closed_costs_one_line(following: int) -> None:
    data = 'a,b\n1,"x\n' + "".join(f"{n},y\n" for n in range(following))
    first, *rest = rows(data.encode())
    assert (first.line, first.error) == (2, "row: a quote is opened and never closed")
    assert [(payload.line, payload.content) for payload in rest] == [
        (n + 3, {"a": str(n), "b": "y"}) for n in range(following)
    ]


def test_a_cell_larger_than_any_cell_costs_one_row() -> None:
    data = f"a,b\n1,{'x' * 200_000}\n2,3\n".encode()
    assert contents(data) == ["row: not CSV", {"a": "2", "b": "3"}]


def test_columns_without_or_with_the_same_name_stay_apart() -> None:
    assert contents(b"a,,a\n1,2,3\n") == [{"a": "1", "column 2": "2", "a 2": "3"}]


def test_rows_without_a_header_are_lists_of_cells_and_stand_alone() -> None:
    data = b'\xef\xbb\xbf"a, ""b""",1\r\n\r\n"x\r\ny",2\r\n"open,3\r\n4,5\r\n'
    payloads = list(headless_payloads(io.BytesIO(data)))
    assert [payload.content for payload in payloads] == [['a, "b"', "1"], ["x\r\ny", "2"], None, ["4", "5"]]
    assert [payload.line for payload in payloads] == [1, 3, 5, 6]
    assert payloads[2].error == "row: a quote is opened and never closed"
    for payload in payloads:
        [again] = headless_payloads(io.BytesIO(payload.raw))
        assert (again.content, again.error) == (payload.content, payload.error)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "cp1252"])
def test_rows_without_a_header_are_read_in_every_usual_encoding(encoding: str) -> None:
    [payload] = headless_payloads(io.BytesIO("Åsa,1\n".encode(encoding)))
    assert payload.content == ["Åsa", "1"]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"a,b\n", b"\xef\xbb\xbf", b"sep=;\n"])
def test_a_file_without_rows_has_no_payloads(data: bytes) -> None:
    assert rows(data) == []
    assert header_of(data) == ()


def test_the_stream_stays_its_owners() -> None:
    stream = io.BytesIO(b"a,b\n1,2\n3,4\n")
    payloads = csv_payloads(stream)
    next(payloads)
    payloads.close()
    assert not stream.closed


@settings(max_examples=100)
@given(
    table=st.integers(1, 4).flatmap(
        lambda width: st.lists(
            st.lists(
                st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
                min_size=width,
                max_size=width,
            ),
            max_size=4,
        )
    )
)
def test_what_the_csv_module_writes_is_read_back(table: list[list[str]]) -> None:
    table = [row for row in table if any(cell.strip() for cell in row)]
    width = len(table[0]) if table else 1
    text = io.StringIO(newline="")
    csv.writer(text).writerows([[f"column {n + 1}" for n in range(width)], *table])
    assert [list(content.values()) for content in contents(text.getvalue().encode())] == table


@given(data=st.binary(max_size=300) | st.text('a,;\n\r"é\x00', max_size=60).map(str.encode))
def test_any_bytes_become_rows_and_none_is_lost(data: bytes) -> None:
    for payload in rows(data):
        assert (payload.content is None) == (payload.error is not None)
        assert payload.raw
        assert payload.line >= 1
    header_of(data)


def test_json_with_the_same_names_is_read_as_well() -> None:
    payloads = list(table_payloads(io.BytesIO(b'{"a": "1"}\n{"a": "2"}\n'), Options()))
    assert [payload.content for payload in payloads] == [{"a": "1"}, {"a": "2"}]


def test_columns_are_found_by_their_usual_names_and_the_rest_is_kept() -> None:
    row = COLUMNS.read({"Start_Time": "x", "CUSTOMER ID": "C-17", "Shoe size": "39"}, Options())
    assert (row.fields.text("start"), row.fields.text("customer"), row.rest) == ("x", "C-17", {"shoe_size": "39"})


def test_an_option_names_the_column_and_goes_before_the_usual_name() -> None:
    options = Options(columns={"customer": "member no"})
    row = COLUMNS.read({"Member No": "M-1", "customer id": "C-17"}, options)
    assert (row.fields.text("customer"), row.rest) == ("M-1", {"customer_id": "C-17"})


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"customer": "nowhere"}, "columns.customer: the file has no such column"),
        ({"custommer": "a"}, "columns.custommer: not a field"),
    ],
)
def test_an_option_that_cannot_be_is_refused(columns: dict[str, str], reason: str) -> None:
    with pytest.raises(InvalidEvent, match=rf"^{reason}"):
        COLUMNS.read({"a": "1"}, Options(columns=columns))


@pytest.mark.parametrize(
    "text",
    [
        *("9.3.10 8:05", "09.03.2010 08.05", "2010-03-09 8:05", "2010/3/9 8:05:00", "2010-03-09T07:05:00Z"),
        *("3/9/2010 8:05 AM", "3/9/10 8:05", "9 Mar 2010 08:05", "20100309080500", "1268118300"),
        "2010-03-09 8:05 +0100",
    ],
)
def test_a_time_is_read_in_every_usual_spelling(text: str) -> None:
    given = Fields({"start": text})
    assert moment(given, "start", Options(timezone="Europe/Stockholm")) == datetime(2010, 3, 9, 7, 5, tzinfo=UTC)


def test_the_day_comes_first_when_the_options_say_so() -> None:
    given = Fields({"start": "9/3/2010 20:05"})
    assert moment(given, "start", Options(day_first=True)) == datetime(2010, 3, 9, 20, 5, tzinfo=UTC)
    assert moment(given, "start", Options()) == datetime(2010, 9, 3, 20, 5, tzinfo=UTC)


@pytest.mark.parametrize("text", ["25/3/2010", "9.13.2010", "22.3.1", "31.2.2010", "soon", "2010-03-09 25:00"])
def test_what_is_no_time_is_refused_by_field(text: str) -> None:
    with pytest.raises(InvalidEvent, match=r"^start: "):
        moment(Fields({"start": text}), "start", Options())


@pytest.mark.parametrize(
    ("text", "expected"),
    [("184", 184), ("184.9", 184), ("3:04", 184), ("0:03:04", 184), ("184 s", 184), (184, 184), ("", None), ("0", 0)],
)
def test_a_duration_is_read_in_every_usual_spelling(text: object, expected: int | None) -> None:
    assert seconds(Fields({"talk": text}), "talk") == expected


@pytest.mark.parametrize("text", ["-5", "3 minutes", "1:2:3:4", "abc", "1e9"])
def test_what_is_no_duration_is_refused_by_field(text: str) -> None:
    with pytest.raises(InvalidEvent, match=r"^talk: not a duration"):
        seconds(Fields({"talk": text}), "talk")


def test_a_header_of_thousands_of_columns_takes_no_time() -> None:
    names = "a," * 60_000
    [payload] = csv_payloads(io.BytesIO(f"{names}\n{names}\n".encode()))
    assert payload.content is not None
    assert list(payload.content)[-2:] == ["a 60000", "column 60001"]
