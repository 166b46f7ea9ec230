"""Scrap in the bundled profile, from a UN Comtrade file: all mapped scrap codes of HS 2017 and
2022, for forty importers and the years 2010-2023.

The bundle has no line of scrap and real rows may not be passed on, so that the rows are derived:
each scrap code has the flows that the bundle has of its mineral, at a few per cent of their value.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from minerals.settings import PROJECT_ROOT
from minerals.sources.snapshots import SnapshotStore
from tests.integration.conftest import TestWarehouse

SEED = PROJECT_ROOT / "dbt_project" / "seeds" / "hs_mineral_map.csv"
YEARS, N_IMPORTERS = range(2010, 2024), 40
GAP = (2021, "842")  # year and importer without rows
COLUMNS = (
    "refYear,reporterCode,flowCode,partnerCode,partner2Code,classificationCode,cmdCode,customsCode,"
    "motCode,primaryValue,netWgt"
)


def scrap_lines(trade: str) -> list[tuple]:
    """Year, reporter, partner, revision, code, USD and kg; World rows (partner 0) included."""
    return duckdb.sql(
        f"""
        with map as (from read_csv('{SEED}', all_varchar = true)),
        codes as (
            select hs_revision, hs_code, mineral from map
            where category = 'scrap' and hs_revision in ('H5', 'H6')
        ),
        bundle as (
            select t::int as year, j, i, mineral, sum(v::double) as v, sum(q::double) as q
            from '{trade}' inner join map
                on hs_revision = 'H0' and lpad(k::varchar, 6, '0') = hs_code
            where t::int between {YEARS[0]} and {YEARS[-1]} and i <> j
            group by all
        ),
        largest as (
            (select j from bundle where j not in ('699', '392') group by j
             order by sum(v) desc, j limit {N_IMPORTERS - 2})
            union all select unnest(['699', '392'])
        ),
        lines as (
            select year, j, i, hs_revision, hs_code, round(40 * v, 2) as usd, round(50 * q, 1) as kg
            from bundle semi join largest using (j) inner join codes using (mineral)
            where hs_revision = if(year < 2022, 'H5', 'H6') and v > 1
        )
        from lines
        union all
        select year, j, '0', hs_revision, hs_code, sum(usd), null from lines
        where (year + hs_code::int) % 2 = 0 group by all
        order by all
        """
    ).fetchall()


def write(file: Path, lines: list[tuple]) -> None:
    with file.open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out)
        rows.writerow(COLUMNS.split(","))
        for year, reporter, partner, revision, code, usd, kg in lines:
            rows.writerow([year, reporter, "M", partner, 0, revision, code, "C00", 0, usd, kg])


@pytest.fixture(scope="module")
def every_line(refreshed: TestWarehouse) -> list[tuple]:
    store = SnapshotStore(refreshed.settings.raw_dir)
    trade = store.current("bilateral_trade").parquet("bilateral_trade")
    return scrap_lines(str(trade))


@pytest.fixture(scope="module")
def lines(every_line: list[tuple]) -> list[tuple]:
    """Those of importers whose years are all there."""
    return [line for line in every_line if line[1] != GAP[1]]


@pytest.fixture(scope="module")
def scrapped(
    refreshed: TestWarehouse, every_line: list[tuple], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestWarehouse]:
    """The shared warehouse refreshed again, with the file, in which one importer lacks a year."""
    folder = tmp_path_factory.mktemp("scrap")
    write(folder / "scrap.csv", [line for line in every_line if line[:2] != GAP])
    warehouse = refreshed.copied_to(
        folder / "warehouse", MINERALS_COMTRADE_FILE=str(folder / "scrap.csv")
    )
    done = warehouse.command("refresh", "--quiet")
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "said").write_text(done.stdout)
    yield warehouse


def test_every_line_of_the_file_is_in_the_facts_and_in_the_balance(scrapped, lines):
    partners = [line for line in lines if line[2] != "0"]
    ((n_lines, usd),) = scrapped.query(
        "select count(*), sum(value_thousand_usd) * 1000 from staging.stg_comtrade__supplement"
    )
    assert n_lines == len(partners) > 50_000
    assert float(usd) == pytest.approx(sum(line[5] for line in partners), abs=1.0)
    mapped = {code for _, _, _, _, code, _, _ in partners}
    assert len(mapped) >= 15
    ((india,),) = scrapped.query(
        "select sum(scrap_value_usd) from marts.import_panel where importer_iso3 = 'IND'"
    )
    ((other,),) = scrapped.query(
        "select coalesce(sum(value_usd), 0) from conformed.fct_trade_flow_non_country "
        "where importer_iso3 = 'IND' and category = 'scrap' and year between 2019 and 2023"
    )
    expected = sum(usd for y, j, _, _, _, usd, _ in partners if j == "699" and 2019 <= y <= 2023)
    assert india + float(other) == pytest.approx(expected, rel=1e-9)


def test_ores_and_products_are_those_of_the_bundle(scrapped, refreshed):
    panel = """
        select importer_iso3, exporter_iso3, mineral, year, ores_value_usd, products_value_usd,
            ores_qty_kg, products_qty_kg
        from marts.import_panel where ores_value_usd + products_value_usd > 0 order by all
    """
    assert scrapped.served(panel) == refreshed.served(panel)


def test_the_model_of_scrap_is_estimated_ranked_and_leads(scrapped):
    fits = scrapped.served(
        "select importer_iso3, is_publishable, n_nonzero, pseudo_r2 from marts.ppml_fit "
        "where category = 'scrap' order by 1"
    )
    assert [(iso3, ok) for iso3, ok, *_ in fits] == [("IND", True), ("JPN", True)]
    assert all(n > 300 and r2 > 0.2 for _, _, n, r2 in fits)
    sources = scrapped.served(
        "select distinct coefficient_source from marts.ranking_forward "
        "where category = 'scrap' and importer_iso3 = 'IND' order by 1"
    )
    assert [s for (s,) in sources] == ["estimated", "expected", "published", "world"]
    ((leading,),) = scrapped.served(
        "select mode(coefficient_source) from marts.ranking_headline "
        "where category = 'scrap' and importer_iso3 = 'IND'"
    )
    assert leading in {"estimated", "world"}  # not the study's: a model of our own is judged best


def test_the_backtest_judges_the_world_model_of_scrap(scrapped):
    skill = scrapped.served("select * from marts.ranking_skill where category = 'scrap'")
    assert skill


def test_the_variants_of_scrap_are_judged(scrapped):
    judged = dict(
        scrapped.served(
            "select variant, coalesce(n_years_left_out::varchar, reason) "
            "from marts.model_comparison where category = 'scrap' and importer_iso3 = 'IND'"
        )
    )
    assert {judged[name] for name in ("base", "alignment", "agreements", "logistics", "risk")} == {
        "5"
    }
    assert "scrap" in judged["circular_economy"]
    assert "no ln_scrap_unit_value_ratio" in judged["cost"]  # the file is of some importers' trade
    of_world = scrapped.served(
        "select distinct part from marts.world_variants "
        "where category = 'scrap' and difference_to_base is not null order by 1"
    )
    assert of_world == [("dyads",), ("second_stage",)]


def test_the_portfolio_recommends_for_scrap(scrapped):
    shares = scrapped.served(
        "select mineral, sum(actual_share), sum(recommended_share) from marts.portfolio_partners "
        "where importer_iso3 = 'IND' and category = 'scrap' group by mineral "
        "having sum(actual_share) > 0 order by mineral"
    )
    assert {"Cobalt", "Copper", "Nickel", "Tin", "Titanium"} <= {mineral for mineral, *_ in shares}
    for _, actual, recommended in shares:
        assert (actual, recommended) == pytest.approx((1.0, 1.0), abs=1e-6)


def test_an_importer_with_a_year_missing_is_left_out_and_said(scrapped, every_line):
    """Its other years would pass for years without imports."""
    assert len([line for line in every_line if line[1] == GAP[1]]) > 1_000
    said = (scrapped.settings.warehouse_dir.parent / "said").read_text()
    assert "assert_supplement_is_whole" in said
    found = scrapped.query("select distinct importer_code from staging.stg_comtrade__supplement")
    assert ("392",) in found and (GAP[1],) not in found
