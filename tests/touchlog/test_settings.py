"""Options beat the environment, which beats the file, which beats the defaults; and no message holds a value."""

from pathlib import Path

import pytest

from schemas.errors import ConfigurationError
from touchlog.settings import Settings, load


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An empty working directory, and no settings of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"TOUCHLOG_{name.upper()}", raising=False)
    monkeypatch.delenv("TOUCHLOG_CONFIG", raising=False)


def test_each_source_beats_the_next(monkeypatch: pytest.MonkeyPatch):
    assert load().batch_size == 30_000
    Path("touchlog.toml").write_text("batch_size = 1\nregion = 'NO'\naccount = 'file'\n")
    assert load().batch_size == 1
    monkeypatch.setenv("TOUCHLOG_BATCH_SIZE", "2")
    monkeypatch.setenv("TOUCHLOG_REGION", "se")
    assert load().batch_size == 2
    found = load(batch_size=3, region=None, account=None)
    assert (found.batch_size, found.region, found.account) == (3, "SE", "file")


def test_an_empty_variable_and_an_option_that_was_not_given_count_as_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TOUCHLOG_REGION", "")
    assert load(our_domains=(), log=None).region == "US"


def test_log_and_store_lie_in_the_data_dir_unless_named():
    found = load(data_dir=Path("elsewhere"))
    assert (found.log, found.store) == ("embedded:elsewhere/log.sqlite", Path("elsewhere/views.duckdb"))
    assert found.rejects == Path("elsewhere/rejects.jsonl")
    named = load(log="kafka://localhost:9092", store=Path("a.duckdb"))
    assert (named.log, named.store) == ("kafka://localhost:9092", Path("a.duckdb"))


def test_lists_are_separated_by_commas_or_repeated(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TOUCHLOG_OUR_DOMAINS", "acme.example, acme.example.org,")
    Path("touchlog.toml").write_text("our_numbers = ['+46700000001', '+46700000002']\n")
    found = load()
    assert found.our_domains == {"acme.example", "acme.example.org"}
    assert found.our_numbers == {"+46700000001", "+46700000002"}
    assert load(our_domains=("other.example",)).our_domains == {"other.example"}


def test_the_file_is_the_option_or_the_variable_or_the_one_that_lies_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    Path("touchlog.toml").write_text("account = 'here'\n")
    Path("variable.toml").write_text("account = 'variable'\n")
    Path("option.toml").write_text("account = 'option'\n")
    assert load().account == "here"
    monkeypatch.setenv("TOUCHLOG_CONFIG", str(tmp_path / "variable.toml"))
    assert load().account == "variable"
    assert load(Path("option.toml")).account == "option"


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TOUCHLOG_KAFKA", '{"sasl.password": "hush"}')
    found = load(registry="https://me:hush@registry.example:8081")
    assert "hush" not in repr(found)
    assert "hush" not in str(found.model_dump())
    assert found.registry_url == "https://me:hush@registry.example:8081"
    assert found.kafka_options == {"sasl.password": "hush"}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("batch_size", "hush", "--batch-size: input should be a valid integer"),
        ("batch_size", 0, "--batch-size: .*greater than or equal to 1"),
        ("timezone", "hush", "--timezone: not an IANA time zone"),
        ("region", "hush", "--region: not the two letters of a country"),
        ("memory_limit", "hush", "--memory-limit: not a size of memory, for example 2GB"),
        ("query_timeout", 0, "--query-timeout: .*greater than 0"),
        ("store", Path("x/touchlog.duckdb"), "--store: a store cannot be named 'touchlog.duckdb'"),
        ("store", Path("Store.db"), "--store: a store cannot be named"),
        ("log", "", "--log: "),
    ],
)
def test_a_value_that_cannot_work_is_told_by_where_it_came_from_and_not_by_itself(name: str, value: object, said: str):
    with pytest.raises(ConfigurationError, match=said) as caught:
        load(**{name: value})
    assert "hush" not in str(caught.value)
    assert f"({name}: " in str(caught.value)


def test_a_wrong_value_of_the_environment_or_the_file_says_so(monkeypatch: pytest.MonkeyPatch):
    Path("touchlog.toml").write_text("partitions = 'hush'\n")
    with pytest.raises(ConfigurationError, match=r"^touchlog\.toml: input should be a valid integer"):
        load()
    monkeypatch.setenv("TOUCHLOG_PARTITIONS", "hush")
    with pytest.raises(ConfigurationError, match=r"^TOUCHLOG_PARTITIONS: input should be a valid integer"):
        load()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("batchsize = 1", "no setting 'batchsize'; known are data_dir, log, "),
        ("batch_size = ", "is not TOML"),
        ("\udcff", "is not TOML"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(text: str, said: str):
    Path("touchlog.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigurationError, match=said):
        load()


def test_a_file_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ConfigurationError, match=r"no settings file at none\.toml; check --config"):
        load(Path("none.toml"))
    monkeypatch.setenv("TOUCHLOG_CONFIG", "gone.toml")
    with pytest.raises(ConfigurationError, match=r"gone\.toml"):
        load()


def test_kafka_options_that_are_no_json_are_told_without_them(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TOUCHLOG_KAFKA", "hush")
    with pytest.raises(ConfigurationError, match="TOUCHLOG_KAFKA has to be JSON") as caught:
        load()
    assert "hush" not in str(caught.value)


def test_the_data_dir_is_its_owners_alone(tmp_path: Path):
    load(data_dir=tmp_path / "new" / "data").make_data_dir()
    assert (tmp_path / "new" / "data").stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="--data-dir"):
        load(data_dir=tmp_path / "file" / "data").make_data_dir()
