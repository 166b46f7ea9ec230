"""The one place that reads the environment.

Every other module takes a `Settings` object; none reads `os.environ`. Paths are derived here so
that the layout of `warehouse/` is written once. No behaviour lives here but to refuse what cannot
be used: opening, fetching and writing belong to the modules that take the settings.
"""

import csv
import difflib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from minerals.errors import SettingsError
from minerals.names import EVERY_IMPORTER, STUDY_IMPORTER

PROJECT_ROOT = Path(__file__).resolve().parents[1]
IMPORTERS_FILE = "state/importers.txt"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
_DBT_VARS = ("profile", "importers", "first_year", "last_year", "other_asia_is_taiwan",
             "estimate_missing_quantities", "as_of")  # fmt: skip
# Read by dbt's profile and by deploy/dagster-postgres.yaml, not by us.
_OTHER_VARIABLES = {"MINERALS_WAREHOUSE_DB", "MINERALS_PG_HOST", "MINERALS_PG_DB",
                    "MINERALS_PG_USER", "MINERALS_PG_PASSWORD"}  # fmt: skip


def _countries(value: Any) -> tuple[str, ...]:
    """ISO3 codes as a person writes them: separated by commas or blanks, in any case."""
    parts = re.split(r"[,\s]+", value.strip()) if isinstance(value, str) else value
    codes = [str(part).upper() for part in parts if part]
    wrong = [code for code in codes if not re.fullmatch(r"[A-Z]{3}", code)]
    if wrong:
        raise ValueError(
            f"{', '.join(wrong)}: a country is an ISO 3166 alpha-3 code, such as IND or JPN"
        )
    return tuple(dict.fromkeys(codes))


Countries = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_countries)]


def _weight(default: float, of: str) -> Any:
    return Field(default, ge=0, le=1e6, description=f"weight of {of} in a supplier's risk")


class Choices(BaseModel):
    """What an analyst may choose for a run: the domain takes it, the launchpad shows it, and each
    release records it."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    top_k: int = Field(10, ge=1, le=100, description="how many suppliers count as leading")
    forward_years: int | None = Field(
        None,
        ge=1,
        description="how many last years the forward ranking averages over; default: all",
    )
    concentrated_above: float = Field(
        0.25, gt=0, le=1, description="Herfindahl index (0-1) above which imports are concentrated"
    )
    capacity_fraction: float = Field(
        0.25, ge=0, le=1, description="part of a supplier's production that may be asked for"
    )
    excluded_suppliers: Countries = Field(
        (),
        description="ISO3 codes of suppliers that no portfolio may use (sanctions, embargoes), "
        "separated by commas; they stay in the rankings",
    )
    change_limit: float = Field(
        0.3, ge=0, le=1, description="part of today's imports that the portfolio may move"
    )
    concentration_penalty: float = Field(
        2.0, ge=0, le=1e6, description="weight of the Herfindahl index in the recommended portfolio"
    )
    risk_penalty: float = Field(
        1.0, ge=0, le=1e6, description="weight of the suppliers' risk in the recommended portfolio"
    )
    governance_weight: float = _weight(0.5, "governance")
    rank_weight: float = _weight(0.5, "the rank's uncertainty")
    alignment_weight: float = _weight(0.0, "the distance of votes")
    restriction_weight: float = _weight(0.0, "export restrictions")
    logistics_weight: float = _weight(0.0, "poor logistics")
    regulatory_weight: float = _weight(0.0, "political and regulatory risk")
    limit_by_restrictions: bool = Field(
        False, description="let bans and quotas in force limit a supplier's capacity"
    )
    simulation_draws: int = Field(
        1000,
        ge=100,
        le=100_000,
        description="draws behind rank intervals of published models; of variants 200 at most",
    )
    bootstrap_replications: int = Field(
        500, ge=100, le=100_000, description="samples behind rank intervals of estimated models"
    )
    world_replications: int = Field(
        200, ge=50, le=100_000, description="samples behind rank intervals of world and expected"
    )
    seed: int = Field(20260101, ge=0, le=2**32 - 1, description="seed of every random draw")


class _Inside:
    """A path in the warehouse folder."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, settings: "Settings", owner: object = None) -> Path:
        return settings.warehouse_dir / self.name


class _KeptImporters(PydanticBaseSettingsSource):
    """The list that `minerals importers` keeps in the warehouse folder: it stands in for
    MINERALS_IMPORTERS where the environment does not set it."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False  # one field has a value here: `__call__` gives it

    def __call__(self) -> dict[str, Any]:
        if "importers" in self.current_state:
            return {}
        fields = self.settings_cls.model_fields
        folder, project = (
            Path(self.current_state.get(name) or fields[name].default).expanduser()
            for name in ("warehouse_dir", "dbt_project_dir")
        )
        file = folder / IMPORTERS_FILE
        try:
            kept = _countries(file.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise SettingsError(f"{file} is not UTF-8 text: delete the file.") from error
        except ValueError as error:
            raise SettingsError(f"{file}: {error}, one a line; or delete the file.") from error
        except OSError:
            return {}
        names = country_names(project / "seeds")
        if names and (unknown := [c for c in kept if c not in names and c != EVERY_IMPORTER]):
            raise SettingsError(
                f"{file}: {', '.join(unknown)} must be the ISO3 code of a country of "
                f"{project / 'seeds' / 'countries.csv'}; correct the line or delete the file."
            )
        return {"importers": ",".join(kept)} if kept else {}


class Settings(BaseSettings, Choices):
    """What a deployment may choose. Each field is set by `MINERALS_<FIELD>` in the environment."""

    model_config = SettingsConfigDict(
        env_prefix="MINERALS_",
        extra="ignore",
        frozen=True,
        ignored_types=(_Inside,),
        populate_by_name=True,
        hide_input_in_errors=True,  # an error is shown, and one of the inputs is a key
    )

    profile: Literal["bundled", "live"] = Field(
        "bundled",
        description="where the raw data come from: the open bundle, or the publishers' services",
    )
    engine: Literal["duckdb", "spark"] = Field(
        "duckdb",
        description="what computes the tables: DuckDB on this machine, or Apache Spark",
    )
    duckdb_memory: str = Field(
        "1GB",
        description="memory of DuckDB while dbt builds the tables, such as 4GB; it writes to disk "
        "what does not fit, but for medians",
    )
    spark_remote: str | None = Field(
        None,
        description="address of a Spark Connect server, sc://host:15002; default: one is started "
        "here for each run",
    )
    spark_master: str = Field(
        "local[*]",
        min_length=1,
        description="where the server that is started here finds its executors, as Spark names it",
    )
    importers: Countries = Field(
        ("IND",),
        description="ISO3 codes of the importing countries, separated by commas, or all; default: "
        "the list of `minerals importers`",
    )
    first_year: int = Field(
        2019,
        ge=1995,
        le=2100,
        description="first year of the panel; live and unset, the sources decide",
    )
    last_year: int = Field(
        2023,
        ge=1995,
        le=2100,
        description="last year of the panel; live and unset, the latest of trade and production",
    )
    other_asia_is_taiwan: bool = Field(
        True, description="count 'Other Asia, nes' in the trade sources as Taiwan"
    )
    estimate_missing_quantities: bool = Field(
        False, description="estimate missing quantities from the median unit value of code and year"
    )
    as_of: date | None = Field(
        None,
        description="day on which policy events are judged to be in force; default: the day of the "
        "refresh",
    )
    comtrade_file: Path | None = Field(
        None,
        description="CSV of UN Comtrade imports: reconciles the bundle, completes it with scrap",
    )
    releases_to_keep: int = Field(5, ge=1, description="how many releases stay on disk")
    runs_to_keep: int = Field(
        200, ge=1, description="how many ended runs stay in Dagster's history"
    )
    warehouse_dir: Path = Field(
        PROJECT_ROOT / "warehouse", description="the folder that holds all data"
    )
    figures_dir: Path = Field(
        PROJECT_ROOT / "minerals" / "sources" / "figures",
        description="country figures of the bundled profile",
    )
    bundle_hash: str | None = Field(
        None,
        description="SHA-256 of an open-data bundle of your own, in the pinned one's layout and "
        "place; default: the pinned one's",
    )
    hs_reference_dir: Path | None = Field(
        None, description="folder of UN Comtrade's HS lists; default: reference/hs in the warehouse"
    )
    dagster_config: Path = Field(
        PROJECT_ROOT / "orchestration" / "dagster.yaml",
        description="the Dagster instance (deploy/dagster-postgres.yaml: history in PostgreSQL)",
    )
    ui_port: int = Field(3000, ge=1, le=65535, description="port of the Dagster UI")
    dashboard_port: int = Field(8501, ge=1, le=65535, description="port of the dashboard")
    comtrade_api_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("COMTRADE_API_KEY", "MINERALS_COMTRADE_API_KEY"),
        description="subscription key of the UN Comtrade API (live profile)",
    )

    comtrade_url: str = Field(
        "https://comtradeapi.un.org", description="address of the UN Comtrade API (live profile)"
    )
    comtrade_calls_per_day: int = Field(
        500, ge=1, description="calls a day that the plan of the UN Comtrade key allows"
    )
    comtrade_seconds_between_calls: float = Field(
        1.0, ge=0, le=3600, description="least time between two calls of the UN Comtrade API"
    )
    world_bank_url: str = Field(
        "https://api.worldbank.org", description="address of the World Bank API (live profile)"
    )
    world_mining_data_url: str = Field(
        "https://www.world-mining-data.info",
        description="address of World Mining Data, or of the workbook 6.4 itself (live profile)",
    )
    world_mining_data_file: Path | None = Field(
        None, description="a downloaded workbook 6.4, instead of asking for it (live profile)"
    )
    usgs_url: str = Field(
        "https://www.sciencebase.gov/catalog/file/get/696a75d5d4be0228872d3bf8",
        description="address of the data release of the USGS Mineral Commodity Summaries, or of "
        "its CSV file (live profile)",
    )
    geodist_url: str = Field(
        "https://www.cepii.fr", description="address of CEPII's GeoDist files (live profile)"
    )
    oecd_url: str = Field(
        "https://sdmx.oecd.org/public/rest",
        description="address of the OECD's SDMX service (live profile)",
    )
    oecd_dataflow: str = Field(
        "OECD.TAD.ADM/DSD_QDD_TAD_EXP_RESTRIC@DF_QDD_TAD_EXP_RESTRIC/3.0",
        pattern=r"^([\w.]+/[\w@]+(/[\d.+]+)?)?$",
        description="dataflow of the Inventory of Export Restrictions: agency/id/version; empty: "
        "it is not asked (live profile)",
    )
    dbt_project_dir: Path = Field(
        PROJECT_ROOT / "dbt_project",
        description="the dbt project; its seeds map HS codes and country names",
    )
    schedules_on: bool = Field(
        False, description="let schedules and sensors run without being switched on in the UI"
    )
    alert_webhook_url: SecretStr | None = Field(
        None, description="where alerts are posted as JSON, beside the local log (optional)"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given, then the environment, then the kept importers."""
        return init_settings, env_settings, _KeptImporters(settings_cls)

    @field_validator("duckdb_memory")
    @classmethod
    def _memory(cls, value: str) -> str:
        if not re.fullmatch(r"\d+(\.\d+)?(MB|GB)", value):
            raise ValueError("this is no amount of memory such as 500MB or 4GB")
        return value

    @field_validator(
        "comtrade_url",
        "world_bank_url",
        "world_mining_data_url",
        "usgs_url",
        "geodist_url",
        "oecd_url",
    )
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("this is no address such as https://example.org")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError(
                "an address has no user, password, query or fragment in it: addresses are logged, "
                "and a key belongs into COMTRADE_API_KEY"
            )
        return value.rstrip("/")

    @field_validator("bundle_hash")
    @classmethod
    def _is_sha256(cls, given: str | None) -> str | None:
        if given and not re.fullmatch(r"[0-9a-f]{64}", given):
            raise ValueError("this is no SHA-256 in hexadecimal, as `sha256sum` prints it")
        return given

    @field_validator("spark_remote")
    @classmethod
    def _connects(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if "token=" in value:
            raise ValueError("a token belongs into SPARK_CONNECT_AUTHENTICATE_TOKEN")
        if not re.match(r"sc://[^/:;]+(:\d+)?(/|$)", value):
            raise ValueError(
                "this is no address of a Spark Connect server, such as sc://spark:15002"
            )
        return value

    @field_validator("alert_webhook_url")
    @classmethod
    def _webhook(cls, value: SecretStr | None) -> SecretStr | None:
        """The address is a secret (it carries a token), so no message shows it."""
        if value is None or not value.get_secret_value().strip():
            return None
        value = SecretStr(value.get_secret_value().strip())
        try:
            parts = urlsplit(value.get_secret_value())
            sound = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:
            sound = False
        if not sound:
            raise ValueError("this is no address such as https://example.org/hook")
        return value

    @field_validator("comtrade_api_key", mode="before")
    @classmethod
    def _key_fits_a_header(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        value = value.strip()
        if value and not re.fullmatch(r"[!-~]+", value):
            raise ValueError("the key has blanks or signs in it that no key has: copy it again")
        return value or None

    @field_validator(
        "warehouse_dir",
        "figures_dir",
        "dbt_project_dir",
        "comtrade_file",
        "world_mining_data_file",
        "hs_reference_dir",
        "dagster_config",
    )
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().resolve()

    @field_validator("importers")
    @classmethod
    def _at_least_one_importer(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("name at least one importer, for example IND")
        if EVERY_IMPORTER in value and len(value) > 1:
            raise ValueError("'all' already holds every importer: write it alone")
        return value

    @field_validator("warehouse_dir")
    @classmethod
    def _can_hold_a_warehouse(cls, value: Path) -> Path:
        # SQLite's addresses end at ? and #, dbt renders {{ }}, and DuckDB reads \\ as a separator.
        if found := sorted(set(re.findall(r"[#?\\{}\x00-\x1f]", str(value)))):
            raise ValueError(
                f"{value} has {' '.join(map(repr, found))} in it, where files would be written "
                "elsewhere: name a folder without # ? \\ { } and control characters"
            )
        if value.exists() and not value.is_dir():
            raise ValueError(f"{value} is a file: name a folder, which is made when needed")
        return value

    @field_validator("hs_reference_dir", "figures_dir", "dbt_project_dir")
    @classmethod
    def _is_a_folder(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_dir():
            raise ValueError(f"there is no folder {value}")
        return value

    @field_validator("dagster_config", "comtrade_file", "world_mining_data_file")
    @classmethod
    def _is_a_file(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError(f"there is no file {value}")
        return value

    @model_validator(mode="after")
    def _years_in_order(self) -> "Settings":
        if self.last_year < self.first_year:
            raise ValueError(
                f"MINERALS_FIRST_YEAR, MINERALS_LAST_YEAR: last_year {self.last_year} is before "
                f"first_year {self.first_year}"
            )
        return self

    raw_dir = _Inside("raw")
    downloads_dir = _Inside("downloads")
    state_dir = _Inside("state")  # what must survive a restart and is no data: quotas used
    importers_file = _Inside(IMPORTERS_FILE)  # the kept importers, one ISO3 code a line
    releases_dir = _Inside("releases")
    spark_dir = _Inside("spark")
    spark_tables_dir = _Inside("spark/tables")  # <schema>.db/<table>/*.parquet
    serving_database = _Inside("serving.duckdb")  # what BI opens, read-only
    data_docs_dir = _Inside("data_docs")  # what the quality gates found: a folder a run, `latest`
    dagster_home = _Inside("dagster")
    log_dir = _Inside("logs")
    alert_log = _Inside("logs/alerts.jsonl")  # one JSON object per line and alert

    @property
    def database(self) -> Path:
        """One writer at a time, not for BI. With Spark it holds views over Spark's tables."""
        return self.warehouse_dir / (
            "spark/views.duckdb" if self.engine == "spark" else "warehouse.duckdb"
        )

    @property
    def choices(self) -> Choices:
        """The choices of a run, by themselves."""
        return Choices(**self.model_dump(include=set(Choices.model_fields)))

    @property
    def recorded(self) -> dict[str, Any]:
        """All that decides what a refresh computes, as a release records it."""
        return self.model_dump(mode="json", include={*_DBT_VARS, *Choices.model_fields})

    @property
    def first_importer(self) -> str:
        """The importer that is shown when none is named."""
        first = self.importers[0]
        return STUDY_IMPORTER if first == EVERY_IMPORTER else first

    @property
    def years(self) -> tuple[int, ...]:
        """The panel's years, first to last."""
        return tuple(range(self.first_year, self.last_year + 1))

    @property
    def seeds_dir(self) -> Path:
        """The folder of the dbt seeds."""
        return self.dbt_project_dir / "seeds"

    @property
    def hs_reference(self) -> Path:
        """The folder of UN Comtrade's lists of HS codes, which may not be there."""
        return self.hs_reference_dir or self.warehouse_dir / "reference" / "hs"

    @property
    def dbt_vars(self) -> dict[str, Any]:
        """The variables the dbt project takes from here (dbt_project.yml holds their defaults)."""
        return self.model_dump(mode="json", include=set(_DBT_VARS))


def read_settings() -> Settings:
    """The settings of the environment.

    Raises SettingsError with all that is wrong: each variable, its value and what is allowed.
    """
    settings, wrong = None, [*_unknown_variables(), *_unknown_countries()]
    try:
        settings = Settings()  # type: ignore[call-arg]
    except ValidationError as error:
        wrong += [_fault(found["loc"], found["input"], found["msg"]) for found in error.errors()]
    if settings is None or wrong:
        raise SettingsError("A setting is wrong:\n  " + "\n  ".join(wrong))
    return settings


def _unknown_variables() -> Iterator[str]:
    known = {f"MINERALS_{name.upper()}" for name in Settings.model_fields} | _OTHER_VARIABLES
    by_ending = {name.removeprefix("MINERALS_"): name for name in sorted(known)}
    for name in sorted(os.environ):
        ending = name.upper().removeprefix("MINERALS_")
        if name.upper().startswith("MINERALS_") and ending not in by_ending:
            near = difflib.get_close_matches(ending, by_ending, n=1, cutoff=0.7)
            hint = (
                f"did you mean {by_ending[near[0]]}?" if near else "`minerals settings` lists all"
            )
            yield f"{name}: there is no such setting; {hint}"


def _unknown_countries() -> Iterator[str]:
    default = Settings.model_fields["dbt_project_dir"].default
    environ = {name.upper(): value for name, value in os.environ.items()}
    seeds_dir = Path(environ.get("MINERALS_DBT_PROJECT_DIR", default)).expanduser() / "seeds"
    names = country_names(seeds_dir)
    for variable in ("MINERALS_IMPORTERS", "MINERALS_EXCLUDED_SUPPLIERS"):
        given = environ.get(variable, "")
        codes = [code for code in re.split(r"[,\s]+", given.upper()) if len(code) == 3]
        known = {*names, EVERY_IMPORTER} if variable == "MINERALS_IMPORTERS" else set(names)
        if names and (unknown := [code for code in codes if code not in known]):
            yield (
                f"{variable}={given}: {', '.join(unknown)} must be the ISO3 code of a country of "
                f"{seeds_dir / 'countries.csv'}, such as IND or JPN"
            )


@cache
def country_names(seeds_dir: Path) -> dict[str, str]:
    """The name of each country by its ISO3 code; empty when the seed cannot be read."""
    try:
        with (seeds_dir / "countries.csv").open(encoding="utf-8", newline="") as file:
            return {row["iso3"]: row["name"] for row in csv.DictReader(file)}
    except (OSError, KeyError, ValueError):
        return {}


def _fault(location: tuple[int | str, ...], value: object, message: str) -> str:
    """A line about a wrong value. Of a key or an address, which may hold one, it is not shown."""
    if not location:
        return message.removeprefix("Value error, ")
    field = str(location[0]).lower()
    is_secret = field in {"comtrade_api_key", "spark_remote"} or field.endswith("_url")
    variable = "COMTRADE_API_KEY" if field == "comtrade_api_key" else f"MINERALS_{field.upper()}"
    shown = variable if is_secret else f"{variable}={value}"
    if message.startswith("Value error, "):
        return f"{shown}: {message.removeprefix('Value error, ')}"
    return f"{shown}: must be {_allowed(field)}"


def _allowed(field: str) -> str:
    """What a field takes, from its declaration: 'a whole number, at least 1, at most 100'."""
    schema = Settings.model_json_schema()["properties"][field]
    kind = schema["anyOf"][0] if "anyOf" in schema else schema
    if "enum" in kind:
        return " or ".join(kind["enum"])
    nouns = {"integer": "a whole number", "number": "a number", "boolean": "true or false"}
    limits = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most"}
    bounds = [f"{words} {kind[key]:.15g}" for key, words in limits.items() if key in kind]
    return ", ".join([nouns.get(kind.get("type"), "a text"), *bounds])


def child_environment(settings: Settings) -> dict[str, str]:
    """The environment of a process that must find the same Dagster instance and warehouse."""
    return {
        **os.environ,
        "DAGSTER_HOME": str(settings.dagster_home),
        "MINERALS_WAREHOUSE_DIR": str(settings.warehouse_dir),
        "MINERALS_WAREHOUSE_DB": str(settings.database),
        **ONE_THREAD,
    }


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment for this process and those that it starts meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def spark_address() -> tuple[str, int]:
    """Host and port of the Spark that `environment` names to this process (SPARK_REMOTE)."""
    host, _, port = os.environ["SPARK_REMOTE"].removeprefix("sc://").split("/")[0].partition(":")
    return host, int(port or 15002)


def spark_server_environment(home: Path, token: str) -> dict[str, str]:
    """The environment of a Spark Connect server from this folder: its workers are this Python, its
    clients show the token, and it is no client itself. Without memory it ends: else it would live
    on with threads lost, and its clients wait for ever."""
    others = {k: v for k, v in os.environ.items() if k not in ("SPARK_REMOTE", "SPARK_HOME")}
    return {
        **others,
        **ONE_THREAD,
        "JDK_JAVA_OPTIONS": f"{others.get('JDK_JAVA_OPTIONS', '')} -XX:+ExitOnOutOfMemoryError",
        "SPARK_HOME": str(home),
        "SPARK_SCALA_VERSION": "2.13",
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_CONNECT_AUTHENTICATE_TOKEN": token,
    }


def limit_linear_algebra_threads() -> None:
    """Give linear algebra one thread in this process; to be called before numpy is imported.

    Our matrices are small: threads only wait for each other, tenfold when another process computes.
    """
    for name, value in ONE_THREAD.items():
        os.environ.setdefault(name, value)
