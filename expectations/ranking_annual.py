"""The ranking of each year, before it is published. How ranks are computed is tested in Python."""

from typing import Final

from expectations import rules
from expectations.rules import Gate, Given, Suite

KEY: Final = ("importer_iso3", "category", "mineral", "coefficient_source", "exporter_iso3")


def rows(given: Given, table: str, key: tuple[str, ...]) -> Suite:
    """The rows of a ranking."""
    judged = (
        rules.has_all("importer_iso3", given.importers, name="every_importer_is_ranked_for",
            severity="warn",
            why="Every importer of the settings is ranked for; one that cannot be is named."),
        rules.in_range("predicted_qty_kg", 0, 1e15, "A prediction is not negative and not absurd.",
            unit="kg"),
        rules.in_range("actual_qty_kg", 0, 1e13, unit="kg",
            why="A quantity imported is not negative and not absurd."),
    )  # fmt: skip
    sql = (
        f"select {', '.join(key)}, predicted_qty_kg, actual_qty_kg from marts.{table} order by all"
    )
    return Suite("rows", f"One row per {', '.join(key)}.", key, judged, rules.query(sql))


GATE: Final = Gate(
    "ranking_annual",
    "rankings",
    lambda given: (rows(given, "ranking_annual", (*KEY, "year")),),
)
