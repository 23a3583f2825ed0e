"""Settings: options beat the environment (`TOUCHLOG_*`) beats a TOML file beats the defaults.

The file is the one named with `--config`, else by `TOUCHLOG_CONFIG`, else `touchlog.toml` in the working directory
when there is one. This module is the only place that reads the environment. Paths are relative to the working
directory, wherever the file lies.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from schemas.contact_points import DEFAULT_REGION
from schemas.errors import ConfigurationError
from schemas.topics import DEFAULT_PARTITIONS

PREFIX = "TOUCHLOG_"
DEFAULT_FILE = "touchlog.toml"

_TAKEN = frozenset({"information_schema", "main", "memory", "pg_catalog", "store", "system", "temp", "touchlog"})


def _known_zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("not an IANA time zone, for example Europe/Stockholm") from None


def _known_region(code: str) -> str:
    if len(code) != 2 or not (code.isascii() and code.isalpha()):
        raise ValueError("not the two letters of a country, for example SE")
    return code.upper()


def _memory_size(text: str) -> str:
    if not re.fullmatch(r"(?i)\d+(\.\d+)?\s*([KMGT]i?B|%)", text):
        raise ValueError("not a size of memory, for example 2GB or 70%")
    return text


def _usable_name(store: Path) -> Path:
    # DuckDB names a database by its file, and then cannot tell the database touchlog from the schema touchlog.
    if store.stem.lower() in _TAKEN:
        raise ValueError(f"a store cannot be named {store.name!r}: one of its schemas is; take another name")
    return store


def _split(given: object) -> object:
    """`a.example, b.example`, as the environment and a file may write a list."""
    return [part.strip() for part in given.split(",") if part.strip()] if isinstance(given, str) else given


Region = Annotated[str, AfterValidator(_known_region)]
Zone = Annotated[str, AfterValidator(_known_zone)]
Names = Annotated[frozenset[str], NoDecode, BeforeValidator(_split)]
MemorySize = Annotated[str, AfterValidator(_memory_size)]


class Settings(BaseSettings):
    """What one run of touchlog works with; every field can be an option, `TOUCHLOG_<FIELD>` or a line of the file."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    data_dir: Path = Field(Path("touchlog-data"), description="folder of the log, the store and the rejects file")
    log: str = Field(
        default_factory=lambda data: f"embedded:{data.get('data_dir')}/log.sqlite",
        min_length=1,
        description="the log: embedded:FILE or kafka://HOST:PORT",
    )
    store: Annotated[Path, AfterValidator(_usable_name)] = Field(
        default_factory=lambda data: Path(data.get("data_dir", "")) / "views.duckdb",
        description="the DuckDB file that the views live in",
    )
    registry: SecretStr | None = Field(None, description="URL of a Confluent-compatible schema registry")
    kafka: dict[str, SecretStr] = Field(default_factory=dict, description="librdkafka's own properties (a table)")
    region: Region = Field(DEFAULT_REGION, description="country (ISO 3166) of phone numbers written without one")
    timezone: Zone = Field("UTC", description="IANA time zone of times written without an offset, and of the card")
    account: str = Field("default", min_length=1, description="our account at the vendor: part of `source`")
    our_domains: Names = Field(frozenset(), description="e-mail domains on our side, separated by commas")
    our_numbers: Names = Field(frozenset(), description="phone numbers on our side, separated by commas")
    partitions: int = Field(DEFAULT_PARTITIONS, ge=1, le=10_000, description="partitions of topics created here")
    metrics: Path | None = Field(None, description="TOML file of the definitions of response times")
    batch_size: int = Field(
        30_000, ge=1, le=1_000_000, description="records folded in one transaction, at most: those that wait"
    )
    latency: float = Field(1.0, gt=0, le=60, description="seconds that folding one batch may take, about")
    compact_after: int = Field(300_000, ge=1, description="events after which the tail is compacted")
    memory_limit: MemorySize | None = Field(None, description="DuckDB's memory, for example 2GB")
    threads: int = Field(1, ge=1, le=1024, description="DuckDB's threads")
    on_poison: Literal["park", "stop"] = Field("park", description="what to do at a record that cannot be folded")
    max_parked: int = Field(10_000, ge=0, description="records that may be parked in the store before it stops")
    dead_letter_topic: bool = Field(False, description="publish parked records to interactions.<channel>.dead, too")
    unknown_schema: Literal["park", "wait", "stop"] = Field(
        "park", description="what to do about a schema that the registry does not know"
    )
    unknown_schema_seconds: float = Field(
        60.0, ge=0, le=86_400, description="seconds that such a schema is asked for before it is parked, or it stops"
    )
    rebuild_share: float = Field(0.5, gt=0, le=1, description="part of the projector's time that a rebuild may take")
    prometheus: int | None = Field(None, ge=1, le=65_535, description="port that metrics are served on")
    prometheus_address: str = Field("127.0.0.1", min_length=1, description="address that metrics are served on")
    query_timeout: float = Field(30.0, gt=0, le=86_400, description="seconds that a reader's query may take")

    @property
    def rejects(self) -> Path:
        """Where payloads that could not be published are kept whole."""
        return self.data_dir / "rejects.jsonl"

    def make_data_dir(self) -> None:
        """Make the folder where it is missing, for its owner alone: everything in it is about people.

        Raises ConfigurationError.
        """
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise ConfigurationError(
                f"{self.data_dir} cannot be made: {error.strerror}; name another folder with --data-dir"
            ) from None

    @property
    def registry_url(self) -> str | None:
        """The registry's address, with its credentials."""
        return None if self.registry is None else self.registry.get_secret_value()

    @property
    def kafka_options(self) -> dict[str, str]:
        """librdkafka's properties, with their secrets."""
        return {name: value.get_secret_value() for name, value in self.kafka.items()}

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


def load(config: Path | None = None, /, **options: Any) -> Settings:
    """The settings of this run; `options` that are None or empty were not given.

    Raises ConfigurationError: the file is missing or no TOML, a name is unknown, a value cannot work.
    """
    file = _file(config)
    given = {name: value for name, value in options.items() if value is not None and value != ()}
    from_file = _read(file)

    class Layered(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (the name is the interface's)
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (the name is the interface's)
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=dict(from_file))

    try:
        return Layered(**given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise ConfigurationError(_explain(str(first["loc"][0]), first["msg"], first["type"], given, file)) from None
    except SettingsError:
        raise ConfigurationError(
            f'{PREFIX}KAFKA has to be JSON text: {{"security.protocol": "SSL"}}, or a table [kafka] in {DEFAULT_FILE}'
        ) from None


def _file(config: Path | None) -> Path | None:
    named = config or (Path(text) if (text := os.environ.get(f"{PREFIX}CONFIG")) else None)
    if named is not None:
        if not named.is_file():
            raise ConfigurationError(f"there is no settings file at {named}; check --config (or {PREFIX}CONFIG)")
        return named
    return found if (found := Path(DEFAULT_FILE)).is_file() else None


def _read(file: Path | None) -> Mapping[str, Any]:
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} is not TOML: {error}") from None
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from None


def _explain(name: str, problem: str, kind: str, given: Mapping[str, Any], file: Path | None) -> str:
    """Names, never values: a value may be a secret."""
    if kind == "extra_forbidden":
        return f"{file}: there is no setting {name!r}; known are {', '.join(Settings.model_fields)}"
    option, variable = "--" + name.replace("_", "-"), PREFIX + name.upper()
    where = option if name in given else variable if os.environ.get(variable) else str(file)
    problem = problem.removeprefix("Value error, ")
    return f"{where}: {problem[:1].lower()}{problem[1:]} ({name}: {Settings.model_fields[name].description})"
