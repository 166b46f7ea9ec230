"""Country characteristics by country and year, with gaps filled, as conformed by dbt.

Bounds are outside what the open data of 2019-2023 show, so that a rule fails for a broken source or
a slip of unit, not for a bad year. The rules on suppliers are in `import_panel`.
"""

from typing import Final, NamedTuple

from expectations import rules
from expectations.rules import FULL_SHARE_PCT, Gate, Suite


class Covariate(NamedTuple):
    """What one column may look like.

    `floor_share` is the least share of the rows (0 to 1) with an observed value. The world's total
    of the observed values in a year lies between `world_low` and `world_high`, where it means
    something.
    """

    name: str
    low: float
    high: float
    unit: str
    floor_share: float
    median_low: float
    median_high: float
    world_low: float | None = None
    world_high: float | None = None


# Measured on the World Bank figures for 2019-2023, 238 economies (21 of them outside its tables):
# observed shares are 0.91 population, 0.90 access, 0.85 governance, 0.83 GDP, 0.82 electricity
# mix and FDI, and only 0.20 for debt, which most governments do not report. The economies whose
# figure is observed have 8.0e9 persons and 1.7e14 USD in 2023.
COVARIATES: Final = (
    Covariate("gdp_ppp_2021_usd", 1e7, 1e14, "USD of 2021 at PPP", 0.70, 1e10, 6e11, 5e13, 5e14),
    Covariate("population", 500, 2e9, "persons", 0.80, 1e6, 5e7, 5e9, 1.5e10),
    Covariate("access_to_electricity_pct", 0, FULL_SHARE_PCT, "% of population", 0.75, 60, 100.01),
    Covariate("central_govt_debt_pct_gdp", 0, 400, "% of GDP", 0.10, 20, 150),
    Covariate("electricity_fossil_pct", 0, FULL_SHARE_PCT, "% of generation", 0.60, 20, 95),
    Covariate("electricity_renewable_ex_hydro_pct", 0, FULL_SHARE_PCT, "% of generation",
              0.60, 1, 50),
    Covariate("fdi_pct_gdp", -5000, 5000, "% of GDP", 0.65, 0.2, 20),
    Covariate("wgi_average", -3.5, 3.5, "points of a standard normal scale", 0.70, -1, 1),
)  # fmt: skip
ROWS: Final = Suite(
    "rows",
    "One row per country and year.",
    ("country_iso3", "year"),
    (
        *(rules.in_range(one.name, one.low, one.high, unit=one.unit,
              why="Outside, it is an error of unit or of parsing.")
          for one in COVARIATES),
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

OVERALL: Final = Suite(
    "covariates",
    "One row per covariate, over all countries and years.",
    ("covariate", "unit"),
    (
        rules.at_least("observed_share", "floor_share", name="covariates_are_observed",
            why="Below this share the model would be fitted on medians, not measurements."),
        rules.within("median", "median_low", "median_high", name="medians_in_band",
            why="The median country's value moves slowly; a slip of unit moves it."),
        rules.within("world_total_a_year", "world_low", "world_high", name="world_totals_in_band",
            why="The sum of the observed values is near what the world has; a slip of unit in "
            "the large countries moves it."),
    ),
    rules.query(
        " union all ".join(
            f"""
            select name as covariate, covariates.* exclude (name, low, high),
                avg((not is_imputed_{one.name})::int) as observed_share,
                median({one.name}) as median,
                sum({one.name}) filter (not is_imputed_{one.name}) / count(distinct year)
                    as world_total_a_year
            from conformed.fct_country_covariates, covariates
            where name = '{one.name}' group by all"""
            for one in COVARIATES
        )
    ),
)  # fmt: skip
GATE: Final = Gate(
    "fct_country_covariates",
    "conformed",
    lambda _: (ROWS, OVERALL),
    {"covariates": COVARIATES},
)
