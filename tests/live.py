"""The live profile over publishers on the loopback interface, which serve the real rows of the
bundle in their own formats: BACI's flows as UN Comtrade would report them, the figures of this
package as the World Bank and GeoDist."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.csv as pacsv

from minerals.settings import PROJECT_ROOT
from minerals.sources import seeds, world_bank, world_mining_data
from minerals.sources.snapshots import SnapshotStore
from tests.integration.conftest import MINERALS
from tests.publishers import (
    ComtradePublisher,
    FilePublisher,
    Publisher,
    Reply,
    WorldBankPublisher,
    geodist_workbook,
    make_workbook,
)

FIGURES = PROJECT_ROOT / "minerals" / "sources" / "figures"
SEEDS = PROJECT_ROOT / "dbt_project" / "seeds"
KEY = "a-key-that-nobody-may-see"
YEARS = range(2019, 2024)
USGS_PATH = "/catalog/file/get/an-item"


@dataclass
class Publishers:
    """The six servers."""

    comtrade: ComtradePublisher
    world_bank: WorldBankPublisher
    world_mining_data: FilePublisher
    usgs: FilePublisher
    geodist: FilePublisher
    oecd: Publisher

    @property
    def environment(self) -> dict[str, str]:
        return {
            "MINERALS_COMTRADE_URL": self.comtrade.url,
            "MINERALS_WORLD_BANK_URL": self.world_bank.url,
            "MINERALS_WORLD_MINING_DATA_URL": self.world_mining_data.url,
            "MINERALS_USGS_URL": f"{self.usgs.url}{USGS_PATH}",
            "MINERALS_GEODIST_URL": self.geodist.url,
            "MINERALS_OECD_URL": self.oecd.url,
        }


@dataclass
class LiveWarehouse:
    """A warehouse that is refreshed from the servers by ticks or by the command line; `said` is
    all that was seen on the screen."""

    folder: Path
    environment: dict[str, str]
    first: list[dict[str, Any]] = field(default_factory=list)
    said: str = ""

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run([MINERALS, *arguments])

    def ticks(self, *steps: str) -> list[dict[str, Any]]:
        """What became of these ticks of the daemon: see `tests/ticks.py`."""
        done = self._run([sys.executable, "-m", "tests.ticks", *steps])
        assert done.returncode == 0, done.stdout + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"step"')]

    def alerts(self) -> list[dict[str, str]]:
        lines = (self.folder / "logs" / "alerts.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            env=self.environment,
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=2400,
        )
        self.said += done.stdout + done.stderr
        return done

    def served(self, sql: str) -> list[tuple]:
        with duckdb.connect(str(self.folder / "serving.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()


Flow = tuple[int, str, str, float, float | None]


def flows_of(trade: str, reporter: str, years: Iterable[int]) -> list[Flow]:
    """A reporter's imports of the bundle: year, partner, HS92 code, USD and kg."""
    wanted = ", ".join(map(str, years))
    return duckdb.sql(
        f"""
        select cast(t as integer), i, lpad(cast(k as varchar), 6, '0'),
            round(cast(v as double) * 1000, 2), round(cast(q as double) * 1000, 3)
        from '{trade}' where j = '{reporter}' and cast(t as integer) in ({wanted})
        """
    ).fetchall()


def comtrade_rows(
    flows: Iterable[Flow], reporter: int = 699, revisions: Mapping[int, str] | None = None
) -> list[dict]:
    """Flows as UN Comtrade's rows, with World rows, in the revision of each year (or HS 1992)."""
    world: dict[tuple[int, str], float] = {}
    rows = []
    for year, partner, code, value, weight in flows:
        world[year, code] = world.get((year, code), 0.0) + value
        rows.append((year, partner, code, value, weight))
    rows += [(year, "0", code, value, None) for (year, code), value in world.items()]
    of_year = revisions or {}
    return [comtrade_row(*row, reporter, of_year.get(row[0], "H0")) for row in rows]


def comtrade_row(
    year: int,
    partner: str,
    code: str,
    value: float,
    weight: float | None,
    reporter: int = 699,
    revision: str = "H0",
) -> dict:
    return {
        "period": str(year), "refYear": year, "reporterCode": reporter, "flowCode": "M",
        "partnerCode": int(partner), "partner2Code": 0, "motCode": 0, "customsCode": "C00",
        "classificationCode": revision, "cmdCode": code, "cmdDesc": code, "primaryValue": value,
        "netWgt": weight,
    }  # fmt: skip


def workbook(production: str, years: range = YEARS) -> bytes:
    """The bundle's production of five years as a workbook 6.4."""
    cells = duckdb.sql(
        f"""
        select sheet, country, unit,
            {", ".join(f"max(quantity) filter (where year = {year})" for year in years)}
        from '{production}' group by sheet, country, unit
        order by sheet, country = 'Total', country
        """
    ).fetchall()
    header = ["Country", "unit", *years, "data source"]
    sheets: dict[str, list[list[object]]] = {}
    for sheet, country, unit, *quantities in cells:
        rows = sheets.setdefault(sheet, [["6.4. Production"], header])
        rows.append([country, unit, *quantities, "r"])
    for rows in sheets.values():
        if rows[-1][0] != "Total":
            rows.append(["Total", rows[-1][1], *([None] * len(years)), None])
    return make_workbook(sheets)


def data_release(edition: str = "usgs_mcs_2026") -> bytes:
    """The figures of this package as the USGS's data release of an edition, in Windows-1252: totals
    are 'rounded', the last year is 'Estimated.', and other sections and commodities are there."""
    tables = {t["table_id"]: t for t in seeds.usgs_tables(SEEDS) if t["edition"] == edition}
    units = {"kg": "kilograms", "t": "metric tons", "kt": "thousand metric tons"}
    with (FIGURES / "mineral_summaries.csv").open(encoding="utf-8", newline="") as file:
        figures = [row for row in csv.DictReader(file) if row["table_id"] in tables]
    made = io.StringIO()
    writer = csv.writer(made)
    writer.writerow(
        ["MCS chapter", "Section", "Commodity", "Country", "Statistics", "Statistics_detail",
         "Unit", "Year", "Value", "Notes", "Is critical mineral 2025", "Other notes"]
    )  # fmt: skip
    writer.writerow(
        ["COPPER", "Salient Statistics—United States", "Copper", "United States", "Import",
         "Imports", "percent", "2021–24", "45", "", "Yes", ""]
    )  # fmt: skip
    writer.writerow(
        ["GOLD", "World Mine Production", "Gold", "Atlantis", "Production", "Mine production",
         "metric tons", "2024", "330 - 390", "", "No", ""]
    )  # fmt: skip
    for row in figures:
        table = tables[row["table_id"]]
        is_total = row["country"].startswith("World")
        statistic = table["statistic"] + (": rounded" if is_total else "")
        notes = "Estimated." if row["is_estimated"] == "true" else ""
        writer.writerow(
            [table["commodity"].upper(), "World Mine Production and Reserves", table["commodity"],
             row["country"], "", statistic, units[table["unit"]], row["year"], row["as_printed"],
             notes, "Yes", ""]
        )  # fmt: skip
    return made.getvalue().encode("cp1252")


def restrictions(year: int, third: str = "ZMB") -> bytes:
    """Five measures, and a country without one, as the OECD's SDMX-CSV: a row per fact."""
    facts = [
        ("IDN", "260400", "M4", "Export prohibition", "1",
         {"DATI": "01/01/2020", "END": "nd", "NOD": "Regulation 11 of 2019;",
          "LINK": "example.org/11", "VAL": "n"}),
        ("ARG", "811020", "M1", "Export tax", "1",
         {"DATI": "30/12/2020", "VAL": "4,5", "VAL_UNIT": "%", "VAL_CONDITION": "Tax1"}),
        ("ARG", "811020", "M1", "Export tax", "2", {"DATI": "30/12/2020", "VAL": "12"}),
        ("IDN", "760200", "M12", "Domestic market obligation", "1", {"DATI": "01/01/2022"}),
        (third, "260300", "M6", "Licensing requirement", "1", {"DATI": "01/01/2021"}),
        ("CHL", "260300", "NO_RESTRICTION", "No restriction", "1", {"DATI": "nd"}),
    ]  # fmt: skip
    made = io.StringIO()
    writer = csv.writer(made)
    writer.writerow(
        ["STRUCTURE", "STRUCTURE_ID", "ACTION", "REF_AREA", "Reference area", "COMMODITY",
         "Commodity", "POLICY_TYPE", "Policy type", "POLICY_VARIATION", "POLICY_DESCRIPTION",
         "Policy description", "TIME_PERIOD", "OBS_VALUE"]
    )  # fmt: skip
    for actor, code, kind, label, variation, said in facts:
        for field_, fact in said.items():
            writer.writerow(
                ["DATAFLOW", "OECD:DF(3.0)", "I", actor, actor, f"HS07_{code}", code, kind, label,
                 variation, field_, field_, year, fact]
            )  # fmt: skip
    return made.getvalue().encode()


@contextmanager
def serving(store: SnapshotStore, rows: Iterable[dict], years: range) -> Iterator[Publishers]:
    """The six publishers: rows of UN Comtrade, the production of some years, and the figures of
    this package up to the last of them."""
    production = str(store.current("production").parquet("production"))
    countries = pacsv.read_csv(FIGURES / "country_geography.csv").to_pylist()
    indicators = pacsv.read_csv(FIGURES / "country_indicators.csv").to_pylist()
    code_of = {iso3: code for code, iso3 in seeds.aliases(SEEDS, "geodist").items()}
    cities = geodist_workbook(countries, code_of)
    economies = [c for c in countries if c["iso3"] in {r["iso3"] for r in indicators}]
    files = {"/" + world_mining_data.WORKBOOK_PATH: workbook(production, years)}
    with (
        ComtradePublisher(rows, key=KEY) as comtrade,
        WorldBankPublisher(figures_until(years[-1]), economies) as bank,
        FilePublisher(files) as mining,
        FilePublisher({USGS_PATH: data_release()}) as usgs,
        FilePublisher({"/distance/geo_cepii.xls": cities}) as geodist,
        Publisher(
            lambda _, params, __: Reply(200, restrictions(int(params["startPeriod"])))
        ) as oecd,
    ):
        yield Publishers(comtrade, bank, mining, usgs, geodist, oecd)


def figures_until(last_year: int) -> dict[str, dict[tuple[str, int], float]]:
    """The figures of this package: {indicator: {(iso3, year): figure}}."""
    indicators = pacsv.read_csv(FIGURES / "country_indicators.csv").to_pylist()
    return {
        code: {
            (r["iso3"], r["year"]): r[code]
            for r in indicators
            if r[code] is not None and r["year"] <= last_year
        }
        for codes in world_bank.DATABASES.values()
        for code in codes
    }


def live_environment(folder: Path, publishers: Publishers) -> dict[str, str]:
    """The environment of a live warehouse in a folder, with a key."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MINERALS_", "DBT_"))}
    return {
        **inherited,
        **publishers.environment,
        "MINERALS_PROFILE": "live",
        "MINERALS_WAREHOUSE_DIR": str(folder),
        "MINERALS_COMTRADE_SECONDS_BETWEEN_CALLS": "0",
        "MINERALS_BOOTSTRAP_REPLICATIONS": "100",
        "DAGSTER_HOME": str(folder / "dagster"),
        "COMTRADE_API_KEY": KEY,
        "COLUMNS": "160",
    }
