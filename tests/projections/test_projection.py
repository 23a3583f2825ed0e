"""A projection is one readable file; what is missing in it is said by name."""

import re
from importlib import resources

import pytest

from projections.projection import all_projections, parse

_GOOD = """\
-- projection: visits
-- version: 3
-- sort: merged
-- reads: consent, topics

-- :delta
SELECT contact_point_id, count(*) AS visits FROM events GROUP BY ALL; -- one row a key
-- :merge
SELECT contact_point_id, sum(visits) AS visits FROM parts GROUP BY ALL
-- :view
FROM state
"""


def test_a_file_becomes_data():
    found = parse(_GOOD)
    assert (found.name, found.version, found.sort, found.now, found.reads) == (
        "visits",
        3,
        "merged",
        False,
        ("consent", "topics"),
    )
    assert found.schema == "visits_v3"
    assert set(found.blocks) == {"delta", "merge", "view"}
    assert found.blocks["view"] == "FROM state"


@pytest.mark.parametrize("name", ["projection", "version", "sort"])
def test_a_header_that_is_missing_is_named(name):
    with pytest.raises(ValueError, match=f"header lacks: {name}"):
        parse(re.sub(rf"-- {name}:.*\n", "", _GOOD))


def test_an_empty_file_lacks_everything():
    with pytest.raises(ValueError, match="lacks: projection, sort, version"):
        parse("")


def test_a_sort_that_there_is_not():
    with pytest.raises(ValueError, match="visits: sort is one of merged, regrouped, plain"):
        parse(_GOOD.replace("merged", "folded"))


@pytest.mark.parametrize("block", ["delta", "merge", "view"])
def test_a_block_that_is_missing(block):
    with pytest.raises(ValueError, match="visits: a merged one has the blocks delta, merge, view"):
        parse(_GOOD.replace(f"-- :{block}", "--"))


def test_a_block_too_many():
    with pytest.raises(ValueError, match="visits: a plain one has the blocks view"):
        parse(_GOOD.replace("merged", "plain"))


def test_a_version_that_is_no_number():
    with pytest.raises(ValueError, match="invalid literal"):
        parse(_GOOD.replace("version: 3", "version: three"))


def test_the_fingerprint_is_of_the_sql_alone():
    found = parse(_GOOD)
    spaced = _GOOD.replace("SELECT contact", "SELECT   -- why\n    contact").replace("FROM state", "FROM\n\n  state")
    assert parse(spaced).fingerprint == found.fingerprint
    assert parse(_GOOD.replace("version: 3", "version: 4")).fingerprint == found.fingerprint
    assert parse(_GOOD.replace("count(*)", "sum(1)")).fingerprint != found.fingerprint
    assert parse(_GOOD.replace("FROM state", "FROM state LIMIT 1")).fingerprint != found.fingerprint


def test_every_file_is_a_projection_and_comes_after_those_it_reads():
    found = all_projections()
    files = [file.name for file in (resources.files("projections") / "sql").iterdir() if file.name.endswith(".sql")]
    assert sorted(f"{projection.name}.sql" for projection in found) == sorted(files)
    names = [projection.name for projection in found]
    for projection in found:
        assert set(projection.reads) <= set(names[: names.index(projection.name)])
        read = set(re.findall(r"\btouchlog\.(\w+?)(?:_at)?\b", "\n".join(projection.blocks.values())))
        assert read <= {*projection.reads, projection.name}, f"{projection.name} does not say what it reads"
