"""Raw world supply (USGS Mineral Commodity Summaries), before dbt reads it."""

from typing import Final

from expectations import rules
from expectations.rules import Gate, Suite

ROWS: Final = Suite(
    "rows",
    "One row per commodity, country, statistic and year, the value as printed.",
    ("commodity", "country", "statistic", "year"),
    (
        rules.in_range("year", 2000, 2100, "A calendar year."),
        rules.in_range("number", 0, 1e12, "World resources are below; null where none is printed.",
            name="values_are_plausible"),
        rules.figure_in_band("unique_value_count", "country", 40, 250, name="enough_countries",
            why="An edition names about a hundred producing countries."),
        rules.figure_in_band("unique_value_count", "year", 2, 3, name="two_years",
            why="An edition prints the two years before its own."),
        rules.has_all("commodity", ["Cobalt", "Copper", "Lithium", "Nickel", "Rare Earths"],
            name="commodities_are_there", why="Every edition has them, under these names."),
        rules.in_range("n_broken_letters", 0, 0, name="names_are_read_in_the_right_encoding",
            why="A replacement sign, or Ã for é: the file was read in the wrong encoding."),
    ),
    rules.query(
        f"""
        select *, try_cast(replace(value, ',', '') as double) as number,
            {rules.broken_letters("country", "statistic")} as n_broken_letters
        from raw.supply_figures order by commodity, country, statistic, year"""
    ),
)  # fmt: skip

GATE: Final = Gate("raw_supply_figures", "raw", lambda _: (ROWS,), {})
