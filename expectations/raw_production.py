"""Raw mine production (World Mining Data), before dbt reads it.

Bands are outside what the editions of 2018-2024 show.
"""

from typing import Final

from expectations import rules
from expectations.rules import Connection, Gate, Given, Suite

# What the world produces of a sheet in a year, in the sheet's own unit, measured 2018-2024. Ten
# times more or less is allowed: a thousandfold slip shows, a boom (lithium: 2.6 times in six years)
# does not.
WORLD_OUTPUT: Final = {
    "Copper": 2.2e7,
    "Lithium (Li2O)": 2.5e5,
    "Nickel": 3.0e6,
    "Potash (K2O)": 4.3e7,
    "Rare Earths (REO)": 3.0e5,
    "Platinum": 1.8e5,
    "Palladium": 2.1e5,
}


def load_production(connection: Connection) -> None:
    connection.execute(
        "create temp table if not exists production as "
        "select * replace (trim(sheet) as sheet) from raw.production"
    )


ROWS: Final = Suite(
    "rows",
    "One row per sheet, country and year.",
    ("sheet", "country", "year"),
    (
        rules.in_range("quantity", 0, 1e10, unit="of the unit of the sheet",
            why="Production is not negative, and not absurd in any unit."),
        rules.in_range("name_length", 2, 60, unit="letters", name="country_is_a_name",
            why="A country's name is a name; a cell that slipped a column is not."),
        rules.in_range("n_broken_letters", 0, 0, name="names_are_read_in_the_right_encoding",
            why="A replacement sign, or Ã for é: the file was read in the wrong encoding."),
    ),
    rules.query(
        f"""
        select *, length(country) as name_length,
            {rules.broken_letters("country")} as n_broken_letters
        from production order by all"""
    ),
)  # fmt: skip


def years(given: Given) -> Suite:
    judged = (
        rules.has_all("year", given.years, name="years_are_present",
            why="Every year of the window has figures."),
        rules.in_range("n_missing_sheets", 0, 0, name="sheets_are_present",
            why="Without its sheet a mineral's production would be zero everywhere."),
        rules.in_range("n_countries", 120, None, name="countries_are_present",
            why="More than 150 countries mine something each year."),
        rules.in_range("share_without_figure", 0, 0.15, name="figures_are_given",
            why="At most 4% of the cells of a year are empty."),
        rules.in_range("share_as_the_year_before", 0, 0.5, name="year_is_not_the_year_before",
            why="A tenth of the figures repeat the year before; half is last year's file."),
    )  # fmt: skip
    sql = """
        with years as (
            select year, count(distinct country) filter (quantity > 0) as n_countries,
                avg((quantity is null)::int) as share_without_figure,
                list(distinct sheet) filter (quantity > 0) as sheets
            from production group by year
        ),
        repeated as (
            select now.year, avg((now.quantity = before.quantity)::int) as share
            from production as now join production as before on now.year = before.year + 1
                and now.sheet = before.sheet and now.country = before.country
            where now.quantity > 0 and before.quantity > 0 group by now.year
        )
        select years.* exclude (sheets), coalesce(share, 0) as share_as_the_year_before,
            len($sheets) - len(list_intersect($sheets, sheets)) as n_missing_sheets,
            array_to_string(list_filter($sheets, lambda s: not list_contains(sheets, s)), ', ')
                as missing_sheets
        from years left join repeated using (year) order by year"""
    shape = rules.query(sql, sheets=list(given.sheets.values()))
    return Suite("years", "One row per year.", ("year", "missing_sheets"), judged, shape)


def sheets(given: Given) -> Suite:
    judged = (
        rules.in_range("sum_to_total", 0.99, 1.01, name="countries_add_up_to_the_total", mostly=0.9,
            why="The countries add up to the sheet's Total within 1% in 98% of the sheets and "
            "years."),
        rules.in_range("sum_to_total", 0.6, 1.7, name="no_total_is_far_off",
            why="No Total is off by more than a half (selenium's is, by 48%)."),
        rules.in_range("sum_to_other_years", 0.2, 5, name="world_output_is_steady",
            rows=rules.where("is_mineral", "==", True),
            why="A mineral's world output is within a factor of 5 of its usual year's."),
        rules.within("sum_of_countries", "usual_low", "usual_high", name="world_output_in_band",
            why="The world produces within a factor of ten of the usual output, in the sheet's "
            "unit; kg taken for tons are a factor of 1,000."),
    )  # fmt: skip
    sql = """
        with sums as (
            select sheet, year, sum(quantity) filter (country <> 'Total') as sum_of_countries,
                max(quantity) filter (country = 'Total') as stated_total
            from production group by all
        )
        select sums.*, sum_of_countries / nullif(stated_total, 0) as sum_to_total,
            sum_of_countries / nullif(median(sum_of_countries) over (partition by sheet), 0)
                as sum_to_other_years,
            list_contains($sheets, sheet) as is_mineral,
            map($outputs, $usual)[sheet] as usual, usual / 10 as usual_low, usual * 10 as usual_high
        from sums order by sheet, year"""
    known = {"outputs": list(WORLD_OUTPUT), "usual": list(WORLD_OUTPUT.values())}
    shape = rules.query(sql, sheets=list(given.sheets.values()), **known)
    return Suite("sheets", "One row per sheet and year.", ("sheet", "year"), judged, shape)


GATE: Final = Gate(
    "raw_production",
    "raw",
    lambda given: (ROWS, years(given), sheets(given)),
    prepare=load_production,
)
