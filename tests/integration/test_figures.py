"""Figures that anyone can look up come out of the warehouse as they should."""

import re

import pytest

from minerals.settings import PROJECT_ROOT


def test_raw_trade_has_all_rows_of_the_bundle(refreshed):
    assert refreshed.query("select count(*) from raw.bilateral_trade") == [(1_264_888,)]


def test_india_has_its_rows_of_five_years(refreshed):
    rows = refreshed.query(
        "select count(*) from conformed.int_trade_flow__classified "
        "where importer_iso3 = 'IND' and year between 2019 and 2023"
    )
    assert rows == [(5_408,)]


def test_copper_ore_of_india_2022(refreshed):
    rows = refreshed.query(
        "select exporter_iso3, round(qty_kg / 1e6)::int from conformed.fct_trade_flow "
        "where importer_iso3 = 'IND' and year = 2022 and hs_code = '260300' "
        "order by qty_kg desc limit 5"
    )
    assert dict(rows) == {"IDN": 275, "CHL": 133, "PER": 122, "AUS": 91, "PAN": 91}
    assert [iso3 for iso3, _ in rows][:3] == ["IDN", "CHL", "PER"]


@pytest.mark.parametrize(
    ("mineral", "country", "tons"),
    [("Copper", "CHL", 5_250_400), ("Rare Earths", "CHN", 255_000), ("Lithium", "AUS", 204_200)],
)
def test_mine_production_2023(refreshed, mineral, country, tons):
    rows = refreshed.query(
        "select production_kg / 1000 from conformed.fct_production "
        f"where mineral = '{mineral}' and country_iso3 = '{country}' and year = 2023"
    )
    assert rows[0][0] == pytest.approx(tons, abs=0.5)


def test_kg_sheets_stay_kg(refreshed):
    rows = refreshed.query(
        "select production_kg from conformed.fct_production "
        "where mineral = 'Rhenium' and country_iso3 = 'CHL' and year = 2023"
    )
    assert rows == [(50_754.0,)]


def test_french_guiana_is_not_guyana(refreshed):
    rows = refreshed.query(
        "select country_iso3, quantity from conformed.int_production__classified "
        "where country_name = 'French Guiana' and year = 2023 and quantity > 0 limit 1"
    )
    assert rows and rows[0][0] == "GUF"


def test_population_of_india_2023(refreshed):
    """1,438,069,596 at the World Bank; the figures file keeps eight significant digits."""
    rows = refreshed.query(
        "select population from conformed.fct_country_covariates "
        "where country_iso3 = 'IND' and year = 2023"
    )
    assert rows[0][0] == pytest.approx(1_438_069_596, rel=1e-8)


def test_taiwan_has_its_own_figures_and_no_large_exporter_is_all_imputed(refreshed):
    """Taiwan had the population and the GDP of a median country: 6.6 million, 85 billion USD."""
    rows = refreshed.query(
        "select population, gdp_ppp_2021_usd / 1e12, population_imputation, "
        "is_imputed_population or is_imputed_wgi_average from conformed.fct_country_covariates "
        "where country_iso3 = 'TWN' and year = 2023"
    )
    assert rows == [(23_420_442, pytest.approx(1.56, abs=0.1), "register", False)]
    all_imputed = refreshed.query(
        "with largest as (select exporter_iso3, sum(value_usd) as value_usd "
        "from conformed.fct_trade_flow where year between 2019 and 2023 group by all "
        "order by value_usd desc limit 60) "
        "select exporter_iso3 from largest join conformed.fct_country_covariates "
        "on exporter_iso3 = country_iso3 group by all having bool_and(is_imputed_gdp_ppp_2021_usd "
        "and is_imputed_population and is_imputed_electricity_fossil_pct "
        "and is_imputed_fdi_pct_gdp and is_imputed_wgi_average)"
    )
    assert all_imputed == []


def test_distance_from_india_to_australia(refreshed):
    rows = refreshed.query(
        "select distance_km from conformed.dim_country_pair "
        "where importer_iso3 = 'IND' and exporter_iso3 = 'AUS'"
    )
    assert rows[0][0] == pytest.approx(10_435, abs=1)


def test_known_outlier_is_in_the_panel_at_the_weight_of_its_value(refreshed):
    """Copper ore from Papua New Guinea in 2020: reported as 1,092,800 t, worth 15,503 t."""
    rows = refreshed.query(
        "select ores_qty_kg / 1000, ores_estimated_qty_kg / 1000, ores_value_usd / 1e6 "
        "from marts.import_panel "
        "where importer_iso3 = 'IND' and exporter_iso3 = 'PNG' and mineral = 'Copper' "
        "and year = 2020"
    )
    assert rows[0] == (
        pytest.approx(15_503, abs=1),
        pytest.approx(15_503, abs=1),
        pytest.approx(27.9, abs=0.1),
    )


def test_the_readme_says_what_the_release_has(refreshed):
    readme = " ".join((PROJECT_ROOT / "README.md").read_text(encoding="utf-8").split())
    fits = refreshed.served(
        "select category, n_observations, round(pseudo_r2, 2) from marts.ppml_fit "
        "where importer_iso3 = 'IND' and is_publishable order by category"
    )
    said = re.search(
        r"ores ([\d,]+) observations and pseudo R2 ([\d.]+), products ([\d,]+) and ([\d.]*\d)",
        readme,
    )
    numbers = [float(number.replace(",", "")) for number in said.groups()]
    assert [tuple(numbers[:2]), tuple(numbers[2:])] == [tuple(row[1:]) for row in fits]
    ((overlap, minerals, rho),) = refreshed.served(
        "select round(100 * avg(overlap_share), 1), count(*), round(avg(spearman_rho), 2) "
        "from marts.replication_scorecard where category = 'ores' and n_candidates > 10"
    )
    words = f"give back {overlap}% of its top-10 ores suppliers (mean over {minerals} minerals"
    assert words in readme
    assert f"mean Spearman {rho})" in readme
    ((imputed,),) = refreshed.served(
        "select 100 * avg(is_imputed_central_govt_debt_pct_gdp::int) from marts.import_panel "
        "where importer_iso3 = 'IND'"
    )
    assert f"mostly imputed ({imputed:.0f}% of panel cells)" in readme
