"""Reading of one release: a session reads the one that it began with until its reader asks for the
newer one, so that no page mixes two.

The views in the release's own folder are opened read-only and without a lock, so that a refresh
goes on undisturbed.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import streamlit as st

from minerals.errors import ReleaseError
from minerals.marts import Column, Mart
from minerals.releases import ReleaseStore
from minerals.releases.contract import CONTRACT, read_contract
from minerals.releases.diff import Market, diff_releases
from minerals.releases.serving import PINNED, open_serving
from minerals.settings import Settings, read_settings

PIN = "release"
_MARKET_COLUMNS = [field.name for field in fields(Market)]
KEPT_ANSWERS = 500  # of questions to a release, over all sessions


@dataclass(frozen=True)
class Release:
    """A release that somebody reads."""

    folder: Path

    @property
    def release_id(self) -> str:
        return self.folder.name

    @property
    def made_at(self) -> datetime:
        """When it was published, UTC, from its name."""
        return datetime.strptime(self.release_id[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)


@st.cache_resource
def settings() -> Settings:
    """The settings of the environment, read once. Raises SettingsError."""
    return read_settings()


def newest() -> Path:
    """The folder of the release being served. Raises ReleaseError when there is none."""
    folder = ReleaseStore(settings().releases_dir, settings().serving_database).current()
    if folder is None:
        raise ReleaseError(
            f"There is no release under {settings().releases_dir}: run `minerals refresh` first. "
            "Is MINERALS_WAREHOUSE_DIR right?"
        )
    return folder


def pinned() -> Release:
    """The release that this session reads. One that was removed meanwhile gives way to the newest.

    Raises ReleaseError when there is no release.
    """
    folder = st.session_state.get(PIN)
    if folder is None or not folder.is_dir():
        folder = st.session_state[PIN] = newest()
    return Release(folder)


def take_newest() -> None:
    """Let this session read the release that is served now."""
    st.session_state[PIN] = newest()


def rows(sql: str, **parameters: Any) -> pd.DataFrame:
    """The rows of a query on the marts of this session's release; `$name` stands for a parameter.

    Raises ReleaseError for a mart or column that the release, made by other code, does not have.
    """
    return _rows(str(pinned().folder), sql, tuple(sorted(parameters.items())))


def sellers(importer: str) -> pd.DataFrame:
    """What each country sold to the importer in the last year of its trade, all minerals together:
    exporter_iso3, year, value_usd; the largest first."""
    return rows(
        """
        select exporter_iso3, year, sum(value_usd)::double as value_usd
        from marts.trade_flows
        where
            importer_iso3 = $importer
            and year = (select max(year) from marts.trade_flows where importer_iso3 = $importer)
        group by all
        order by value_usd desc, exporter_iso3
        """,
        importer=importer,
    )


def before() -> Path | None:
    """The release before the one of this session; None when there is none."""
    store = ReleaseStore(settings().releases_dir, settings().serving_database)
    older = [name for name in store.list() if name < pinned().release_id]
    return store.folder(older[-1]) if older else None


def changed_markets(older: Path) -> pd.DataFrame:
    """The markets whose headline ranking differs from that of an older release: suppliers that
    moved, entered and left the leading ones. Raises ReleaseError when they cannot be compared."""
    return _changed(str(older), str(pinned().folder))


def mart(name: str) -> Mart:
    """The declaration of a mart in this session's release: its words, key and columns."""
    return _contract(str(pinned().folder))[name]


def marts() -> list[str]:
    """The names of the marts that this session's release holds."""
    return sorted(_contract(str(pinned().folder)))


def later(sql: str, **parameters: Any) -> Callable[[], pd.DataFrame]:
    """What `rows` returns, asked when it is called, also in a thread without a session. It is not
    kept: whole marts are large."""
    connection = _connection(str(pinned().folder))

    def ask() -> pd.DataFrame:
        with connection.cursor() as cursor:
            return cursor.execute(sql, parameters).df()

    return ask


def columns() -> dict[str, Column]:
    """Every column by name; of a name in several marts, the first mart's words."""
    return _columns(str(pinned().folder))


def country_names() -> Mapping[str, str]:
    """The name of each country of the release by its ISO3 code."""
    return _country_names(str(pinned().folder))


@st.cache_resource(max_entries=4)
def _country_names(folder: str) -> Mapping[str, str]:
    held = _rows(folder, "select country_iso3, country_name from marts.dim_country", ())
    return dict(zip(held["country_iso3"], held["country_name"], strict=True))


@st.cache_resource(max_entries=4)
def _contract(folder: str) -> dict[str, Mart]:
    return {mart.name: mart for mart in read_contract(Path(folder) / CONTRACT)}


@st.cache_resource(max_entries=4)
def _columns(folder: str) -> dict[str, Column]:
    marts = _contract(folder).values()
    return {column.name: column for mart in reversed(marts) for column in mart.columns}


@st.cache_resource(max_entries=4)
def _connection(folder: str) -> duckdb.DuckDBPyConnection:
    return open_serving(Path(folder) / PINNED, settings().releases_dir)


@st.cache_data(max_entries=10, show_spinner="Comparing the releases ...")
def _changed(older: str, newer: str) -> pd.DataFrame:
    markets = diff_releases(Path(older), Path(newer)).markets
    rows = pd.DataFrame([asdict(market) for market in markets], columns=_MARKET_COLUMNS)
    for column in ("entered", "left"):
        rows[column] = [", ".join(codes or []) for codes in rows[column]]
    return rows


@st.cache_data(max_entries=KEPT_ANSWERS, show_spinner=False)
def _rows(folder: str, sql: str, parameters: tuple[tuple[str, Any], ...]) -> pd.DataFrame:
    try:
        with _connection(folder).cursor() as cursor:
            return cursor.execute(sql, dict(parameters)).df()
    except (duckdb.BinderException, duckdb.CatalogException) as error:
        raise ReleaseError(
            f"The release lacks what this page reads ({str(error).splitlines()[0]}): "
            "`minerals refresh` publishes one that has it."
        ) from error
