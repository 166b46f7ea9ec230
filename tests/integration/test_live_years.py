"""A live refresh of three importers through mixed faults, and one a year later, when every source
has a new year, the World Bank has renamed its indicators and the workbook has moved. Nobody helps.

Japan has not reported 2021 at first, and Germany's 2019 is in HS 2007. A year later all importers
are asked for, and Germany's revised 2023 is out of the limits.

The other rows are BACI's, written in HS 2017 and, from 2022 on, HS 2022, with lines of scrap
derived from them: each scrap code has a few per cent of the flows of its mineral.
"""

from collections.abc import Iterator

import duckdb
import pytest

from minerals.sources import world_bank, world_mining_data
from minerals.sources.snapshots import SnapshotStore
from tests.live import (
    SEEDS,
    LiveWarehouse,
    Publishers,
    comtrade_rows,
    figures_until,
    live_environment,
    serving,
    workbook,
)
from tests.publishers import as_json

IMPORTERS = {"IND": 699, "JPN": 392, "DEU": 276}
FIRST, LATER = range(2019, 2024), range(2020, 2025)
EMPTY = as_json({"elapsedTime": "1.17 secs", "count": 0, "data": []})
ERROR = as_json({"statusCode": 500, "message": "Something went wrong. Please try again."})
FAULTS = ["429 0", "", "500", EMPTY, "reset", "", "half", "html", "", "damaged gzip", ERROR,
          "previous page", "", "empty"]  # fmt: skip
RELEASED = "select min(year), max(year), count(distinct importer_iso3) from marts.import_panel"


def flows(trade: str, reporter: int) -> list[tuple]:
    """Year, partner, code, USD and kg of a reporter in 2019-2024, in the revision of each year."""
    return duckdb.sql(
        f"""
        with map as (from read_csv('{SEEDS / "hs_mineral_map.csv"}', all_varchar = true)),
        bundle as (
            select t::int as year, i, h0.hs_code, mineral, category, v::double as v,
                q::double as q,
                case when t::int >= 2022 then 'H6' when t::int = 2019 and j = '276' then 'H4'
                    else 'H5' end as revision
            from '{trade}' inner join map as h0
                on h0.hs_revision = 'H0' and lpad(k::varchar, 6, '0') = h0.hs_code
            where j = '{reporter}' and t::int between 2019 and 2024
        ),
        -- the same code where it still means the same, else the first of its mineral and category
        codes as (
            select bundle.*, coalesce(
                min(map.hs_code) filter (map.hs_code = bundle.hs_code), min(map.hs_code)
            ) as code
            from bundle inner join map
                on map.hs_revision = revision and map.mineral = bundle.mineral
                and map.category = bundle.category
            group by all
        ),
        scrap as (
            select bundle.year, i, map.hs_code as code, 0.04 * v as v, 0.05 * q as q
            from bundle inner join map
                on map.hs_revision = revision and map.mineral = bundle.mineral
            where map.category = 'scrap' and v > 1
        ),
        -- the line of several metals, out of which rhenium went in HS 2022
        grouped as (
            select year, i, 0.02 * v as v, 0.02 * q as q,
                unnest(if(year < 2022, ['811292'], ['811292', '811241'])) as code
            from bundle where mineral = 'Tungsten' and v > 1
        )
        select year, i, code, round(1000 * sum(v), 2), round(1000 * sum(q), 3)
        from (
            select year, i, code, v, q from codes
            union all by name from scrap union all by name from grouped
        )
        group by all order by all
        """
    ).fetchall()


def rows_of(trade: str, years: range) -> list[dict]:
    revisions = {year: "H5" if year < 2022 else "H6" for year in range(2019, 2025)}
    older = {IMPORTERS["DEU"]: {2019: "H3"}}
    return [
        row
        for reporter in IMPORTERS.values()
        for row in comtrade_rows(
            flows(trade, reporter), reporter, revisions | older.get(reporter, {})
        )
        if int(row["period"]) in years
    ]


def reported_late(row: dict) -> bool:
    return (row["reporterCode"], row["period"]) == (IMPORTERS["JPN"], "2021")


@pytest.fixture(scope="module")
def store(refreshed) -> SnapshotStore:
    return SnapshotStore(refreshed.settings.raw_dir)


@pytest.fixture(scope="module")
def trade(store) -> str:
    return str(store.current("bilateral_trade").parquet("bilateral_trade"))


@pytest.fixture(scope="module")
def publishers(store, trade) -> Iterator[Publishers]:
    rows = [row for row in rows_of(trade, FIRST) if not reported_late(row)]
    with serving(store, rows, FIRST) as made:
        made.world_bank.governance_prefix = ""
        made.comtrade.script = list(FAULTS)
        made.world_bank.script = ["", "500", "html", "", "reset"]
        made.world_mining_data.script = ["503"]
        made.geodist.script = ["half"]
        yield made


@pytest.fixture(scope="module")
def live(publishers, tmp_path_factory) -> LiveWarehouse:
    folder = tmp_path_factory.mktemp("years")
    chosen = {"MINERALS_IMPORTERS": ",".join(IMPORTERS)}
    warehouse = LiveWarehouse(folder, live_environment(folder, publishers) | chosen)
    done = warehouse.command("refresh", "--quiet")
    assert done.returncode == 0, done.stdout + done.stderr
    return warehouse


def test_the_first_refresh_publishes_what_the_sources_share_through_all_faults(live, publishers):
    assert live.served(RELEASED) == [(2019, 2023, 3)]
    assert "years: 2019-2023 (the latest that trade and production both hold" in live.said
    for publisher in (publishers.comtrade, publishers.world_bank, publishers.geodist):
        assert publisher.script == []
    served = {(r["reporterCode"], r["period"], r["cmdCode"], r["partnerCode"]): r["primaryValue"]
              for r in publishers.comtrade.rows if r["partnerCode"] != 0}  # fmt: skip
    with duckdb.connect(str(live.folder / "warehouse.duckdb"), read_only=True) as connection:
        ((n_rows, usd),) = connection.execute(
            "select count(*), sum(primaryValue) from raw.bilateral_trade"
        ).fetchall()
    assert n_rows == len(served)
    assert usd == pytest.approx(sum(served.values()), rel=1e-12)


def test_a_year_that_is_not_reported_is_left_out_and_named_and_is_no_zero(live):
    years = live.served("select distinct year from marts.import_panel where importer_iso3 = 'JPN'")
    assert sorted(years) == [(2019,), (2020,), (2022,), (2023,)]
    said = " ".join(live.said.split())
    assert "not in the panel, because no trade of them is reported: 1 (JPN 2021)" in said
    means = """
        select abs(forward.actual_qty_kg - bought.kg) <= 1e-6 * bought.kg
        from marts.ranking_headline as forward
        join (
            select exporter_iso3, sum(qty_kg) / 4 as kg from marts.trade_flows
            where importer_iso3 = 'JPN' and mineral = 'Copper' and category = 'ores'
            and year between 2019 and 2023 group by 1
        ) as bought using (exporter_iso3)
        where importer_iso3 = 'JPN' and mineral = 'Copper' and category = 'ores' and bought.kg > 0
    """
    found = live.served(means)
    assert len(found) > 5 and all(is_mean for (is_mean,) in found)


def test_a_year_in_hs_2007_is_read_as_hs_2012(live, publishers):
    with duckdb.connect(str(live.folder / "warehouse.duckdb"), read_only=True) as connection:
        ((revision, usd),) = connection.execute(
            "select hs_revision, sum(value_usd)::double from conformed.int_trade_flow__classified "
            "where importer_iso3 = 'DEU' and year = 2019 and disposition <> 'unmapped' group by 1"
        ).fetchall()
    served = [
        row["primaryValue"]
        for row in publishers.comtrade.rows
        if row["classificationCode"] == "H3" and row["partnerCode"] != 0
    ]
    assert revision == "H4"
    assert usd == pytest.approx(sum(served), rel=1e-9) and len(served) > 900


def test_scrap_is_estimated_for_each_importer_and_has_a_portfolio(live):
    fits = live.served(
        "select importer_iso3, is_publishable from marts.ppml_fit where category = 'scrap' "
        "order by 1"
    )
    assert fits == [("DEU", True), ("IND", True), ("JPN", True)]
    ranked = live.served(
        "select distinct importer_iso3 from marts.ranking_forward "
        "where category = 'scrap' and coefficient_source = 'estimated' order by 1"
    )
    assert [iso3 for (iso3,) in ranked] == ["DEU", "IND", "JPN"]
    shares = live.served(
        "select sum(recommended_share) from marts.portfolio_partners where category = 'scrap' "
        "group by importer_iso3, mineral"
    )
    assert len(shares) > 30
    assert all(share == pytest.approx(1.0, abs=1e-6) for (share,) in shares)


def test_a_line_that_was_split_in_2022_stays_one_market_in_the_window(live):
    minerals = live.served(
        "select distinct mineral from marts.import_panel "
        "where products_value_usd > 0 and (mineral like 'Gallium, %' or mineral = 'Rhenium')"
    )
    assert minerals == [("Gallium, Germanium, Hafnium, Indium, Niobium, Rhenium and Vanadium",)]


def with_new_year(
    figures: dict[str, dict[tuple[str, int], float]], year: int
) -> dict[str, dict[tuple[str, int], float]]:
    """The package's figures end before the new year, which takes those of the year before."""
    return {
        code: {(iso3, year): known[iso3, y] for iso3, y in known if y == year - 1} | known
        for code, known in figures.items()
    }


def lagging(
    figures: dict[str, dict[tuple[str, int], float]],
) -> dict[str, dict[tuple[str, int], float]]:
    """Governance ends a year before the others, electricity two."""
    last = {"EG.ELC.FOSL.ZS": 2022, "EG.ELC.RNWX.ZS": 2022}
    last |= dict.fromkeys(world_bank.DATABASES["3"], 2023)
    return {
        code: {place: v for place, v in known.items() if place[1] <= last.get(code, 2024)}
        for code, known in figures.items()
    }


@pytest.fixture(scope="module")
def later(live, publishers, store, trade) -> LiveWarehouse:
    """A year later: everything has moved on."""
    production = str(store.current("production").parquet("production"))
    publishers.comtrade.rows = rows_of(trade, range(2019, 2025))
    for row in publishers.comtrade.rows:
        if (row["reporterCode"], row["period"]) == (IMPORTERS["DEU"], "2023"):
            row["primaryValue"] *= 2
    publishers.comtrade.revised["2023"] = 2
    publishers.comtrade.script = ["500", "", EMPTY, "reset"]
    publishers.world_mining_data.files = {
        "/" + world_mining_data.WORKBOOK_PATHS[1]: workbook(production, LATER)
    }
    publishers.world_bank.figures = lagging(with_new_year(figures_until(2024), 2024))
    publishers.world_bank.governance_prefix = "GOV_WGI_"
    publishers.world_bank.updated = {"2": "2027-07-01", "3": "2026-11-01"}
    new = {"iso3": "XYZ", "name": "Atlantis", "region": "South Asia", "income_group": ""}
    publishers.world_bank.economies.append(new)
    live.said = ""
    live.environment["MINERALS_IMPORTERS"] = "all"
    done = live.command("refresh", "--quiet")
    assert done.returncode == 0, done.stdout + done.stderr
    return live


def test_a_year_later_the_window_has_moved_without_a_hand(later):
    assert later.served(RELEASED) == [(2020, 2024, 3)]
    assert "years: 2020-2024" in later.said
    made = later.served("select count(distinct release_id) from marts.import_panel")
    assert made == [(1,)]
    assert len(list((later.folder / "releases").glob("*/*/manifest.json"))) == 2


def test_a_year_that_came_late_is_in_the_panel(later):
    years = later.served("select distinct year from marts.import_panel where importer_iso3 = 'JPN'")
    assert sorted(years) == [(2020,), (2021,), (2022,), (2023,), (2024,)]


def test_an_importer_that_is_out_of_the_limits_keeps_its_years_and_the_others_move_on(later):
    years = later.served("select distinct year from marts.import_panel where importer_iso3 = 'DEU'")
    assert sorted(years) == [(2020,), (2021,), (2022,), (2023,)]
    said = " ".join(later.said.split())
    assert "DEU (276) keeps the rows in use" in said
    assert "The value of 276 in 2023 changes by +100.0%; the limit is 25%" in said
    assert "not in the panel, because no trade of them is reported: 1 (DEU 2024)" in said
    growth = """
        select (sum(value_usd) filter (year = 2023) / sum(value_usd) filter (year = 2022))::double
        from marts.trade_flows where importer_iso3 = 'DEU'
    """
    assert 0.5 < later.served(growth)[0][0] < 1.6, "not the doubled ones"


def test_what_the_sources_lack_is_said_beside_the_release(later):
    warnings = [line for line in later.said.splitlines() if "is_up_to_date" in line]
    assert any("XYZ (Atlantis)" in line for line in warnings)
    assert not any("is kept but not used" in line for line in warnings)


def test_indicators_that_lag_are_carried_forward_flagged_and_counted(later):
    carried = later.served(
        "select indicator_id, year, bool_and(is_imputed), count(*) from marts.indicator_values "
        "where imputation = 'carried_forward' group by all order by all"
    )
    assert [row[:3] for row in carried] == [
        ("fossil", 2023, True), ("fossil", 2024, True), ("renewables", 2023, True),
        ("renewables", 2024, True), ("wgi", 2024, True),
    ]  # fmt: skip
    said = " ".join(later.said.split())
    total = sum(row[3] for row in carried)
    assert f"because the World Bank does not have the year yet: {total} (fossil 2023: " in said
    held = later.served(
        "select year, wgi_average, is_imputed_wgi_average from marts.import_panel "
        "where exporter_iso3 = 'CHL' and year >= 2023 group by all order by all"
    )
    assert [(year, imputed) for year, _, imputed in held] == [(2023, False), (2024, True)]
    assert held[0][1] == held[1][1]
