"""Country characteristics by country and year, with gaps filled, as conformed by dbt.

Bounds are outside what the open data of 2019-2023 show, so that a rule fails for a broken source or
a slip of unit, not for a bad year. Coverage and medians are judged before gaps are filled
(`raw_country_indicators`) and for suppliers (`import_panel`).
"""

from typing import Final

from expectations import rules
from expectations.rules import FULL_SHARE_PCT, Gate, Suite

RANGES: Final = (
    ("gdp_ppp_2021_usd", 1e7, 1e14, "USD of 2021 at PPP"),
    ("population", 500, 2e9, "persons"),
    ("access_to_electricity_pct", 0, FULL_SHARE_PCT, "% of population"),
    ("central_govt_debt_pct_gdp", 0, 400, "% of GDP"),
    ("electricity_fossil_pct", 0, FULL_SHARE_PCT, "% of generation"),
    ("electricity_renewable_ex_hydro_pct", 0, FULL_SHARE_PCT, "% of generation"),
    ("fdi_pct_gdp", -5000, 5000, "% of GDP"),
    ("wgi_average", -3.5, 3.5, "points of a standard normal scale"),
)
ROWS: Final = Suite(
    "rows",
    "One row per country and year.",
    ("country_iso3", "year"),
    (
        *(rules.in_range(name, low, high, "Outside, it is an error of unit or of parsing.",
              unit=unit)
          for name, low, high, unit in RANGES),
        rules.in_range("gdp_per_person", 200, 500_000, unit="USD (PPP) per person",
            why="GDP per person is that much everywhere; one country's slip of unit, in GDP "
            "or in population, shows here. Imputed values are left out."),
    ),
    rules.query(
        """
        select *,
            if(is_imputed_gdp_ppp_2021_usd or is_imputed_population, null,
                gdp_ppp_2021_usd / population) as gdp_per_person
        from conformed.fct_country_covariates order by country_iso3, year"""
    ),
)  # fmt: skip

_WHY: Final = (
    "The sum of the observed values is near what the world has in a year (1.7e14 USD and 8.0e9 "
    "persons in 2023); a slip of unit in the large countries moves it."
)
WORLD: Final = Suite(
    "world",
    "One row per run: the world in a year, by the observed values.",
    (),
    (
        rules.in_range("world_gdp_ppp_2021_usd", 5e13, 5e14, _WHY, unit="USD of 2021 at PPP"),
        rules.in_range("world_population", 5e9, 1.5e10, _WHY, unit="persons"),
    ),
    rules.query(
        """
        select
            sum(gdp_ppp_2021_usd) filter (gdp_ppp_2021_usd_imputation = 'observed')
                / count(distinct year) filter (gdp_ppp_2021_usd_imputation = 'observed')
                as world_gdp_ppp_2021_usd,
            sum(population) filter (population_imputation = 'observed')
                / count(distinct year) filter (population_imputation = 'observed')
                as world_population
        from conformed.fct_country_covariates"""
    ),
)
GATE: Final = Gate("fct_country_covariates", "conformed", lambda _: (ROWS, WORLD))
