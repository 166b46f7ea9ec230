"""What the raw country indicators must satisfy before dbt reads them (World Bank and others).

Judged in three shapes: `rows` (an economy and year), `years` (how many economies have an indicator,
how they differ, whether they repeat the year before) and `totals` (one row, against the release
served). Gaps are filled after staging; what may be filled is bounded here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from expectations.rules import (
    FULL_SHARE_PCT,
    NO_RELEASE,
    ColumnKind,
    Figures,
    Rule,
    Suite,
    columns_are_present,
    columns_have_kind,
    has_all,
    has_rows,
    in_range,
    is_iso3,
    key_is_unique,
    near_previous,
    needs,
    not_null,
)

TABLE: Final = "raw_country_indicators"
KEY_COLUMNS: Final = ("iso3", "year")
NEVER_REPEATED: Final = ("NY.GDP.MKTP.PP.KD", "SP.POP.TOTL")


@dataclass(frozen=True)
class Indicator:
    """What one indicator may look like.

    `floor` is the least share of the economies (0 to 1) that have it in a year of the window, and
    `distinct` the least number of different values: a constant column has one.
    """

    low: float
    high: float
    unit: str
    floor: float
    distinct: int
    median_band: tuple[float, float]


# Measured for 2015-2024 over 217 economies. Floors are for the years of a window; figures of the
# last year come late (electricity: 41% of the economies in 2024, so windows end before).
INDICATORS: Final[Mapping[str, Indicator]] = {
    "NY.GDP.MKTP.PP.KD": Indicator(
        1e7, 1e14, "USD of 2021 at PPP", 0.75, 150, (2e10, 4e11)
    ),
    "SP.POP.TOTL": Indicator(500, 2e9, "persons", 0.9, 180, (1e6, 3e7)),
    "EG.ELC.ACCS.ZS": Indicator(0, FULL_SHARE_PCT, "% of population", 0.85, 40, (80, 100.01)),
    "GC.DOD.TOTL.GD.ZS": Indicator(0, 400, "% of GDP", 0.12, 20, (30, 120)),
    "EG.ELC.FOSL.ZS": Indicator(-0.01, FULL_SHARE_PCT, "% of generation", 0.6, 80, (35, 90)),
    "EG.ELC.RNWX.ZS": Indicator(-0.01, FULL_SHARE_PCT, "% of generation", 0.6, 80, (0.5, 40)),
    "BX.KLT.DINV.WD.GD.ZS": Indicator(-5000, 5000, "% of GDP", 0.7, 120, (0.5, 10)),
    **{
        f"{part}.EST": Indicator(-3.5, 3.5, "points of governance", 0.8, 120, (-0.6, 0.6))
        for part in ("CC", "GE", "PV", "RL", "RQ", "VA")
    },
}  # fmt: skip


def short_name(code: str) -> str:
    """The code as a check may be named: SP.POP.TOTL becomes sp_pop_totl."""
    return code.lower().replace(".", "_")


def rows_suite() -> Suite:
    """One row an economy and year, one column an indicator."""
    kinds: dict[str, ColumnKind] = {
        "iso3": "text",
        "year": "integer",
        **dict.fromkeys(INDICATORS, "number"),
    }
    rules = (
        has_rows(),
        columns_are_present(kinds),
        columns_have_kind(kinds),
        key_is_unique(KEY_COLUMNS, "An economy twice in a year would repeat its suppliers' rows."),
        not_null("iso3", "Figures of no economy cannot be joined."),
        not_null("year", "Figures of no year cannot be joined."),
        is_iso3("iso3"),
        *(_range(code, indicator) for code, indicator in INDICATORS.items()),
    )
    return Suite(f"{TABLE}__rows", KEY_COLUMNS, rules)


def _range(code: str, indicator: Indicator) -> Rule:
    return in_range(
        code,
        indicator.low,
        indicator.high,
        f"In {indicator.unit}, a value outside {indicator.low:,.6g} to {indicator.high:,.6g} is an "
        "error of unit or of parsing.",
        name=f"{short_name(code)}_in_range",
    )


def years_suite(years: Sequence[int]) -> Suite:
    """One row a year of the window, four columns an indicator."""
    rules = (
        has_all("year", years, "Every year of the window has figures.", name="years_are_present"),
        in_range(
            "n_economies",
            200,
            300,
            "About 217 economies have figures each year.",
            name="economies_of_each_year_are_present",
        ),
        *(rule for code, one in INDICATORS.items() for rule in _of_each_year(code, one)),
        *(
            in_range(
                f"repeated_share {code}",
                0,
                0.5,
                "No economy's figure repeats the year before to the last digit; where half of them "
                "do it is last year's file again.",
                name=f"{short_name(code)}_is_not_the_year_before",
            )
            for code in NEVER_REPEATED
        ),
    )
    return Suite(f"{TABLE}__years", ("year",), rules)


def _of_each_year(code: str, indicator: Indicator) -> list[Rule]:
    low, high = indicator.median_band
    return [
        in_range(
            f"observed_share {code}",
            indicator.floor,
            1,
            f"At least {indicator.floor:.0%} of the economies have the figure each year; below, "
            "the model would be fitted on medians.",
            name=f"{short_name(code)}_is_complete_each_year",
        ),
        in_range(
            f"n_distinct {code}",
            indicator.distinct,
            None,
            f"Economies differ: at least {indicator.distinct} values a year, or a column was "
            "filled with a constant.",
            name=f"{short_name(code)}_differs_between_economies",
        ),
        in_range(
            f"median {code}",
            low,
            high,
            f"The median economy lies between {low:,.6g} and {high:,.6g} {indicator.unit} each "
            "year; a slip of unit moves it.",
            name=f"{short_name(code)}_median_of_each_year_in_band",
        ),
    ]


def totals_suite(previous: Figures | None, why_not: str = NO_RELEASE) -> Suite:
    """One row: the table as a whole, against the release served."""
    rules = [near_previous("n_rows", previous, 0.05, 0.30, "the rows")]
    return Suite(f"{TABLE}__totals", (), tuple(needs(previous, rules, why_not)))
