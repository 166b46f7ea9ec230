"""What the rankings must satisfy before they are published: annual, forward, against the last.

`annual` is one row a supplier, mineral and year; `forward` one a supplier and mineral; `churn` one
a list (importer, category, mineral, source) of the release served: how many of its leading
suppliers still lead. How ranks are computed belongs to the domain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from expectations.import_panel import CATEGORIES
from expectations.ppml_coefficients import SOURCES
from expectations.rules import (
    ColumnKind,
    Rule,
    Suite,
    columns_are_present,
    columns_have_kind,
    every_group_counts,
    has_all,
    has_rows,
    in_order,
    in_range,
    in_set,
    is_iso3,
    key_is_unique,
    not_null,
    years_are,
)

LIST_COLUMNS: Final = ("importer_iso3", "category", "mineral", "coefficient_source")
FORWARD_KEY: Final = (*LIST_COLUMNS, "exporter_iso3")
ANNUAL_KEY: Final = (*FORWARD_KEY, "year")
ALIGNMENTS: Final = ("aligned", "overrepresented", "underutilized", "peripheral")

# The shares of the leading suppliers of a list that stay from one release to the next.
KEPT_OF_A_LIST: Final = 0.6
KEPT_OF_ALL: Final = 0.8

_KINDS: Final[dict[str, ColumnKind]] = {
    **dict.fromkeys(FORWARD_KEY, "text"),
    "predicted_qty_kg": "number",
    "actual_qty_kg": "number",
}


def forward_suite(importers: Sequence[str], minerals: Sequence[str]) -> Suite:
    """`ranking_forward`, with `n_candidates` of each list beside."""
    rules = (
        *_common(importers, minerals, FORWARD_KEY, {"forward_rank": "integer"}),
        _ranks_differ("forward_rank", LIST_COLUMNS),
        in_order("forward_rank", "n_candidates", "Ranks run from 1 to the number of candidates.",
                 name="ranks_end_with_the_candidates"),
        in_range("forward_rank", 1, None, "The first supplier has rank 1."),
        *(
            not_null(column, "A rank without its uncertainty passes for a certain one.")
            for column in ("rank_low", "rank_high", "top_k_probability")
        ),
        in_order("rank_low", "rank_high", "The best rank of an interval is not below its worst.",
                 name="rank_intervals_are_in_order"),
        in_range("top_k_probability", 0, 1, "A probability."),
        in_range("actual_share", 0, 1.000001, "A share of the imports."),
    )  # fmt: skip
    return Suite("ranking_forward", FORWARD_KEY, rules)


def annual_suite(years: Sequence[int], importers: Sequence[str], minerals: Sequence[str]) -> Suite:
    """`ranking_annual`, with `n_candidates` of each list and year beside."""
    rules = (
        *_common(importers, minerals, ANNUAL_KEY, {"year": "integer"}),
        years_are(years),
        every_group_counts(
            FORWARD_KEY,
            "year",
            len(years),
            len(years),
            "A supplier is ranked every year of the window.",
            name="every_supplier_has_every_year",
        ),
        _ranks_differ("predicted_rank", (*LIST_COLUMNS, "year")),
        in_range("predicted_rank", 1, None, "The first supplier has rank 1."),
        in_order("predicted_rank", "n_candidates", "Ranks run from 1 to the number of candidates.",
                 name="ranks_end_with_the_candidates"),
        not_null("alignment", "Every supplier of every year has its word."),
        in_set("alignment", ALIGNMENTS, "The four words of the contract.", name="alignments_known"),
    )  # fmt: skip
    return Suite("ranking_annual", ANNUAL_KEY, rules)


def churn_suite() -> Suite:
    """One row a list of the release served; `kept_share` of its leading suppliers still lead."""
    rules = (
        in_range(
            "kept_share",
            KEPT_OF_A_LIST,
            1,
            f"At least {KEPT_OF_A_LIST:.0%} of the leading suppliers of a list lead it still, "
            "nine lists in ten; ranks that turn over are new data to be looked at, or broken data.",
            name="leading_suppliers_stay",
            severity="warn",
            mostly=0.9,
        ),
        Rule(
            name="churn_is_bounded",
            severity="block",
            why=f"Over all lists {KEPT_OF_ALL:.0%} of the leading suppliers stay; less is another "
            "model, or the same on broken data.",
            expectation="expect_column_mean_to_be_between",
            arguments={"column": "kept_share", "min_value": KEPT_OF_ALL, "max_value": 1},
        ),
    )
    return Suite("ranking_forward__churn", LIST_COLUMNS, rules)


def _common(
    importers: Sequence[str],
    minerals: Sequence[str],
    key: Sequence[str],
    more: dict[str, ColumnKind],
) -> list[Rule]:
    kinds = {**_KINDS, **more}
    return [
        has_rows(),
        columns_are_present(kinds),
        columns_have_kind(kinds),
        key_is_unique(key, "A supplier twice in a list would push the others down."),
        *(not_null(column, "A rank of nobody.") for column in key),
        is_iso3("exporter_iso3"),
        in_set("category", CATEGORIES, "Ores, products or scrap.", name="categories_are_known"),
        in_set("coefficient_source", SOURCES, "Ours or the study's.", name="sources_are_known"),
        in_set("mineral", minerals, "As in the list of minerals.", name="minerals_are_the_listed"),
        has_all(
            "importer_iso3",
            importers,
            "Every importer of the settings is ranked for.",
            name="every_importer_is_ranked_for",
        ),
        every_group_counts(
            ["importer_iso3"],
            "category",
            len(CATEGORIES),
            len(CATEGORIES),
            "All three categories are ranked, be it with the study's coefficients.",
            name="every_category_is_ranked",
        ),
        in_range("predicted_qty_kg", 0, 1e15, "A predicted quantity (kg) is not negative."),
        in_range("actual_qty_kg", 0, 1e13, "An imported quantity (kg) is not negative."),
    ]


def _ranks_differ(rank: str, of_list: Sequence[str]) -> Rule:
    return Rule(
        name=f"{rank}s_differ",
        severity="block",
        why="Ties are broken, so that no two suppliers of a list share a rank.",
        expectation="expect_compound_columns_to_be_unique",
        arguments={"column_list": [*of_list, rank]},
    )
