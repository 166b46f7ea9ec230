"""Raw country indicators (World Bank and others), before dbt reads them.

Gaps are filled after staging; what may be filled is bounded here. Years that
`fct_country_covariates` will carry forward, because an indicator lags, are not judged. dbt has not
run yet, so its rule stands here once more; all that runs later reads what dbt found.
"""

from typing import Final, NamedTuple

from expectations import rules
from expectations.rules import FULL_SHARE_PCT, Gate, Given, Suite


class Indicator(NamedTuple):
    """What one indicator may look like.

    `floor_share` is the least share of the economies (0 to 1) that have it in a year of the window,
    `least_values` the least number of different values: a constant column has one. `repeats` says
    whether an economy may have the same figure two years running.
    """

    code: str
    low: float
    high: float
    unit: str
    floor_share: float
    least_values: int
    median_low: float
    median_high: float
    repeats: bool = True


# Measured for 2015-2024 over 217 economies. Floors are for the years of a window that are not
# carried forward; figures of the last year come late (electricity: 41% of the economies in 2024).
INDICATORS: Final = (
    Indicator("NY.GDP.MKTP.PP.KD", 1e7, 1e14, "USD of 2021 at PPP", 0.75, 150, 2e10, 4e11, False),
    Indicator("SP.POP.TOTL", 500, 2e9, "persons", 0.9, 180, 1e6, 3e7, False),
    Indicator("EG.ELC.ACCS.ZS", 0, FULL_SHARE_PCT, "% of population", 0.85, 40, 80, 100.01),
    Indicator("GC.DOD.TOTL.GD.ZS", 0, 400, "% of GDP", 0.12, 20, 30, 120),
    Indicator("EG.ELC.FOSL.ZS", -0.01, FULL_SHARE_PCT, "% of generation", 0.6, 80, 35, 90),
    Indicator("EG.ELC.RNWX.ZS", -0.01, FULL_SHARE_PCT, "% of generation", 0.6, 80, 0.5, 40),
    Indicator("BX.KLT.DINV.WD.GD.ZS", -5000, 5000, "% of GDP", 0.7, 120, 0.5, 10),
    *(
        Indicator(f"{part}.EST", -3.5, 3.5, "points of governance", 0.8, 120, -0.6, 0.6)
        for part in ("CC", "GE", "PV", "RL", "RQ", "VA")
    ),
)
ROWS: Final = Suite(
    "rows",
    "One row per economy and year.",
    ("iso3", "year"),
    tuple(
        rules.in_range(one.code, one.low, one.high, unit=one.unit,
            why="Outside, it is an error of unit or of parsing.")
        for one in INDICATORS
    ),
    rules.query("from raw.country_indicators order by iso3, year"),
)  # fmt: skip


def years(given: Given) -> Suite:
    published = rules.where("is_carried", "==", False)
    judged = (
        rules.has_all("year", given.years, name="years_are_present",
            why="Every year of the window has figures."),
        rules.in_range("n_economies", 200, 300, name="economies_are_present",
            why="About 217 economies have figures each year."),
        rules.at_least("observed_share", "floor_share", name="figures_are_given", rows=published,
            why="Below this share of the economies the model would be fitted on medians."),
        rules.at_least("n_values", "least_values", name="economies_differ", rows=published,
            why="Fewer different values mean that a column was filled with a constant."),
        rules.within("median", "median_low", "median_high", name="medians_in_band", rows=published,
            why="The median economy moves slowly; a slip of unit moves it."),
        rules.in_range("repeated_share", 0, 0.5, name="year_is_not_the_year_before",
            why="No economy's GDP or population repeats the year before to the last digit; "
            "where half of them do it is last year's file."),
    )  # fmt: skip
    codes = ", ".join(f'"{one.code}"' for one in INDICATORS)
    sql = f"""
        with figures as (
            select iso3, year, indicator, if(isfinite(value), value, null) as value,
                lag(value) over (partition by iso3, indicator order by year) as value_before,
                lag(year) over (partition by iso3, indicator order by year) = year - 1 as has_before
            from raw.country_indicators unpivot include nulls (value for indicator in ({codes}))
        ),
        yearly as (
            select indicator, year, unit, count(*) as n_economies,
                avg((value is not null)::int) as observed_share, floor_share,
                count(distinct value) as n_values, least_values,
                median(value) as median, median_low, median_high,
                avg((value = value_before)::int) filter (has_before and not repeats)
                    as repeated_share
            from figures join indicators on indicator = code
            where year between list_min($years) - 2 and list_max($years) group by all
        ),
        lasting as (
            select indicator, max(year) as last_year
            from (select *, max(observed_share) over (partition by indicator) as best from yearly)
            where observed_share > 0 and 2 * observed_share >= best group by indicator
        )
        select yearly.*,
            coalesce(year between last_year + 1 and last_year + 2, false) as is_carried
        from yearly left join lasting using (indicator)
        where list_contains($years, year) order by all"""
    key = ("indicator", "year", "unit")
    shape = rules.query(sql, years=given.years)
    return Suite("years", "One row per indicator and year of the window.", key, judged, shape)


GATE: Final = Gate(
    "raw_country_indicators",
    "raw",
    lambda given: (ROWS, years(given)),
    {"indicators": INDICATORS},
)
