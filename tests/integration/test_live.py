"""The live profile from end to end: four publishers on the loopback interface, one refresh each.

They serve the real rows of the bundle in their own formats (BACI's flows as UN Comtrade would
report them, in HS 1992), so that the two profiles must come to the same panel.
"""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow.csv as pacsv
import pytest

from minerals.settings import PROJECT_ROOT
from minerals.sources import world_bank, world_mining_data
from minerals.sources.snapshots import SnapshotStore
from tests.integration.conftest import MINERALS
from tests.publishers import ComtradePublisher, FilePublisher, WorldBankPublisher, make_workbook

CEPII = PROJECT_ROOT.parent / "shared" / "data" / "cepii"
FIGURES = PROJECT_ROOT / "minerals" / "sources" / "figures"
KEY = "a-key-that-nobody-may-see"
YEARS = range(2019, 2024)


@dataclass
class Publishers:
    """The four servers."""

    comtrade: ComtradePublisher
    world_bank: WorldBankPublisher
    world_mining_data: FilePublisher
    geodist: FilePublisher

    @property
    def environment(self) -> dict[str, str]:
        return {
            "MINERALS_COMTRADE_URL": self.comtrade.url,
            "MINERALS_WORLD_BANK_URL": self.world_bank.url,
            "MINERALS_WORLD_MINING_DATA_URL": self.world_mining_data.url,
            "MINERALS_GEODIST_URL": self.geodist.url,
        }


@dataclass
class LiveWarehouse:
    """A warehouse that is refreshed from the servers by the command line."""

    folder: Path
    environment: dict[str, str]

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [MINERALS, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )

    def served(self, sql: str) -> list[tuple]:
        with duckdb.connect(str(self.folder / "serving.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()


def comtrade_rows(trade: str) -> list[dict]:
    """India's imports of the bundle as UN Comtrade's rows, with World rows."""
    flows = duckdb.sql(
        f"""
        select cast(t as integer), i, lpad(cast(k as varchar), 6, '0'),
            round(cast(v as double) * 1000, 2), round(cast(q as double) * 1000, 3)
        from '{trade}' where j = '699' and cast(t as integer) between {YEARS[0]} and {YEARS[-1]}
        """
    ).fetchall()
    world: dict[tuple[int, str], float] = {}
    rows = []
    for year, partner, code, value, weight in flows:
        world[year, code] = world.get((year, code), 0.0) + value
        rows.append(comtrade_row(year, partner, code, value, weight))
    return rows + [comtrade_row(y, "0", code, value, None) for (y, code), value in world.items()]


def comtrade_row(year: int, partner: str, code: str, value: float, weight: float | None) -> dict:
    return {
        "period": str(year), "refYear": year, "reporterCode": 699, "reporterISO": "IND",
        "flowCode": "M", "partnerCode": int(partner), "partner2Code": 0, "motCode": 0,
        "customsCode": "C00", "classificationCode": "H0", "cmdCode": code, "cmdDesc": code,
        "primaryValue": value, "netWgt": weight,
    }  # fmt: skip


def workbook(production: str) -> bytes:
    """The bundle's production as a workbook 6.4."""
    cells = duckdb.sql(
        f"""
        select sheet, country, unit, any_value(data_source),
            {", ".join(f"max(quantity) filter (where year = {year})" for year in YEARS)}
        from '{production}' group by sheet, country, unit
        order by sheet, country = 'Total', country
        """
    ).fetchall()
    header = ["Country", "unit", *YEARS, "data source"]
    sheets: dict[str, list[list[object]]] = {}
    for sheet, country, unit, source, *quantities in cells:
        rows = sheets.setdefault(sheet, [["6.4. Production"], header])
        rows.append([country, unit, *quantities, source])
    for rows in sheets.values():
        if rows[-1][0] != "Total":
            rows.append(["Total", rows[-1][1], *([None] * len(YEARS)), None])
    return make_workbook(sheets)


@pytest.fixture(scope="module")
def publishers(refreshed) -> Iterator[Publishers]:
    geography, distances = CEPII / "geo_cepii.xls", CEPII / "dist_cepii.zip"
    if not geography.exists():
        pytest.skip(f"the real files of GeoDist are not in {CEPII}")
    store = SnapshotStore(refreshed.settings.raw_dir)
    trade, production = (
        str(store.current(name).parquet(name)) for name in ("bilateral_trade", "production")
    )
    countries = pacsv.read_csv(FIGURES / "country_geography.csv").to_pylist()
    indicators = pacsv.read_csv(FIGURES / "country_indicators.csv").to_pylist()
    figures = {
        code: {(r["iso3"], r["year"]): r[code] for r in indicators if r[code] is not None}
        for codes in world_bank.DATABASES.values()
        for code in codes
    }
    economies = [c for c in countries if c["iso3"] in {r["iso3"] for r in indicators}]
    with (
        ComtradePublisher(comtrade_rows(trade), key=KEY) as comtrade,
        WorldBankPublisher(figures, economies) as bank,
        FilePublisher({"/" + world_mining_data.WORKBOOK_PATH: workbook(production)}) as mining,
        FilePublisher(
            {
                "/distance/geo_cepii.xls": geography.read_bytes(),
                "/distance/dist_cepii.zip": distances.read_bytes(),
            }
        ) as geodist,
    ):
        yield Publishers(comtrade, bank, mining, geodist)


@pytest.fixture(scope="module")
def live(publishers: Publishers, tmp_path_factory: pytest.TempPathFactory) -> LiveWarehouse:
    """A warehouse after one live refresh, with a key."""
    folder = tmp_path_factory.mktemp("live")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MINERALS_", "DBT_"))}
    environment = {
        **inherited,
        **publishers.environment,
        "MINERALS_PROFILE": "live",
        "MINERALS_WAREHOUSE_DIR": str(folder),
        "MINERALS_COMTRADE_SECONDS_BETWEEN_CALLS": "0",
        "COMTRADE_API_KEY": KEY,
        "COLUMNS": "160",
    }
    warehouse = LiveWarehouse(folder, environment)
    publishers.comtrade.script = ["429 0", "500", "reset"]
    done = warehouse.command("refresh", "--quiet")
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "refresh.out").write_text(done.stdout + done.stderr)
    return warehouse


def test_a_live_refresh_publishes_the_panel_of_the_bundle(live, refreshed):
    sql = """
        select exporter_iso3, mineral, year, round(ores_qty_kg), round(products_qty_kg),
            round(scrap_qty_kg), round(production_kg), round(ln_distance, 4)
        from marts.import_panel where importer_iso3 = 'IND' order by all
    """
    ours, theirs = live.served(sql), refreshed.served(sql)
    assert len(ours) > 4000
    assert ours == theirs


def test_the_release_says_whose_data_it_was_made_from(live):
    rows = live.served("select dataset, provider from marts.source_snapshots order by dataset")
    assert [row for row in rows if row[0] != "reported_trade"] == [
        ("bilateral_trade", "UN Comtrade"),
        ("country_geography", "CEPII"),
        ("country_indicators", "World Bank"),
        ("production", "Austrian Federal Ministry of Finance"),
    ]


def test_with_a_source_down_it_still_publishes_and_says_so(live, publishers):
    before = (live.folder / "releases" / "current").resolve().name
    n_calls = len(publishers.comtrade.data_calls)
    publishers.world_mining_data.files.clear()  # every request is answered with 404
    done = live.command("refresh", "--quiet")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (live.folder / "releases" / "current").resolve().name != before
    assert len(publishers.comtrade.data_calls) == n_calls  # unchanged: nothing was fetched again
    (warning,) = [line for line in done.stdout.splitlines() if "is_up_to_date" in line]
    for words in ("raw_production", "status 404", "the last accepted snapshot, of 20", "goes on"):
        assert words in warning


def test_the_snapshots_are_as_their_sidecars_say(live):
    done = live.command("snapshots", "verify")
    assert done.returncode == 0, done.stdout
    assert "0 snapshots damaged" in done.stdout


def test_the_key_is_nowhere_on_disk_or_on_screen(live):
    files = [file for file in live.folder.rglob("*") if file.is_file()]
    assert len(files) > 50
    holding = [str(file) for file in files if KEY.encode() in file.read_bytes()]
    assert holding == []
