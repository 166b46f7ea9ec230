"""What the estimates must satisfy before suppliers are ranked with them.

Judged in three shapes: `terms` (a coefficient), `models` (an importer and category: whether it
converged, and what it explains) and `previous` (a covariate of an estimated model beside its value
in the release served). Whether the numbers are right is statsmodels' to say, in `ppml_fit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from expectations.import_panel import CATEGORIES, REGRESSORS
from expectations.rules import (
    NO_RELEASE,
    ColumnKind,
    Rule,
    Suite,
    both,
    columns_are_present,
    columns_have_kind,
    every_group_counts,
    has_all,
    has_rows,
    in_range,
    in_set,
    key_is_unique,
    needs,
    not_null,
    where,
)

TABLE: Final = "ppml_coefficients"
KEY_COLUMNS: Final = ("importer_iso3", "category", "coefficient_source", "term", "se_type")
SOURCES: Final = ("estimated", "published")
SIGNIFICANT: Final = 1.96
MAX_MOVE_SE: Final = 10.0

_KINDS: Final[dict[str, ColumnKind]] = {
    "importer_iso3": "text",
    "category": "text",
    "coefficient_source": "text",
    "term_type": "text",
    "term": "text",
    "status": "text",
    "estimate": "number",
    "std_error": "number",
    "conf_low": "number",
    "conf_high": "number",
}
_FREE: Final = where("status", "==", "free")


def terms_suite(importers: Sequence[str]) -> Suite:
    """One row a coefficient."""
    estimated = where("coefficient_source", "==", "estimated")
    rules = (
        has_rows(),
        columns_are_present(_KINDS),
        columns_have_kind(_KINDS),
        key_is_unique(KEY_COLUMNS, "A term twice would count twice in a prediction."),
        *(not_null(c, "A coefficient without its key is nobody's.") for c in KEY_COLUMNS),
        in_set("category", CATEGORIES, "Ores, products or scrap.", name="categories_are_known"),
        in_set("coefficient_source", SOURCES, "Ours or the study's.", name="sources_are_known"),
        in_set(
            "term_type",
            ("constant", "covariate", "mineral", "year"),
            "What a term may be.",
            name="term_types_are_known",
        ),
        has_all(
            "importer_iso3",
            importers,
            "Every importer of the settings has coefficients.",
            name="every_importer_has_coefficients",
        ),
        every_group_counts(
            ["importer_iso3"],
            "category",
            len(CATEGORIES),
            len(CATEGORIES),
            "All three categories have coefficients, be it the study's.",
            name="every_category_has_coefficients",
        ),
        has_all(
            "term",
            REGRESSORS,
            "The eleven regressors of the study are in the models.",
            name="every_regressor_is_there",
            rows=where("term_type", "==", "covariate"),
        ),
        Rule(
            name="free_estimates_are_known",
            severity="block",
            why="A coefficient that was estimated has a value.",
            expectation="expect_column_values_to_not_be_null",
            arguments={"column": "estimate", "row_condition": _FREE},
        ),
        in_range(
            "estimate",
            -25,
            25,
            "An estimate of the order of -30 is separation taken for a number; such terms carry no "
            "estimate of ours.",
            name="estimates_are_not_separated",
            rows=both(estimated, _FREE),
        ),
        in_range(
            "std_error",
            1e-9,
            50,
            "The standard error of an estimate of ours is positive and finite.",
            name="std_errors_in_range",
            rows=both(estimated, _FREE),
        ),
        Rule(
            name="intervals_are_in_order",
            severity="block",
            why="The lower bound of an interval is below its upper bound.",
            expectation="expect_column_pair_values_a_to_be_greater_than_b",
            arguments={
                "column_A": "conf_high",
                "column_B": "conf_low",
                "or_equal": True,
                "ignore_row_if": "either_value_is_missing",
            },
        ),
    )
    return Suite(f"{TABLE}__terms", KEY_COLUMNS, rules)


def models_suite(importers: Sequence[str]) -> Suite:
    """One row an importer and category: `ppml_fit`."""
    published = where("is_publishable", "==", True)
    rules = (
        has_all(
            "importer_iso3",
            importers,
            "Every importer of the settings has its fits.",
            name="every_importer_has_models",
        ),
        in_set(
            "is_converged",
            [True],
            "A model that is published has converged.",
            name="published_models_converged",
            rows=published,
        ),
        in_range(
            "pseudo_r2",
            0.05,
            0.995,
            "A model explains something, and not everything.",
            name="published_models_explain",
            rows=published,
        ),
        in_range(
            "n_nonzero",
            50,
            None,
            "A model of fewer than 50 positive imports says little.",
            name="published_models_have_trade",
            rows=published,
        ),
        Rule(
            name="unpublished_models_say_why",
            severity="block",
            why="A category without a model of ours says why, in words.",
            expectation="expect_column_values_to_not_be_null",
            arguments={"column": "reason", "row_condition": where("is_publishable", "==", False)},
        ),
        in_range(
            "bootstrap_failed_share",
            0,
            0.1,
            "Intervals rest on the samples that could be estimated; nearly all can.",
            name="bootstrap_samples_are_estimated",
            severity="warn",
        ),
    )
    return Suite(f"{TABLE}__models", ("importer_iso3", "category"), rules)


def previous_suite(previous: Any | None, why_not: str = NO_RELEASE) -> Suite:
    """One row a covariate of a model of ours in the release served, as it is estimated now."""
    significant = where("abs_z_before", ">", SIGNIFICANT)
    rules = [
        Rule(
            name="models_are_still_published",
            severity="warn",
            why="A category that had a model of ours in the release served has one now.",
            expectation="expect_column_values_to_not_be_null",
            arguments={"column": "estimate"},
        ),
        in_set(
            "keeps_its_sign",
            [True],
            "A covariate that was significant in the release served keeps its sign.",
            name="signs_as_in_previous",
            severity="warn",
            rows=significant,
        ),
        in_range(
            "move_in_se",
            -3,
            3,
            "An estimate moves by less than three of its former standard errors.",
            name="sizes_near_previous",
            severity="warn",
        ),
        in_range(
            "move_in_se",
            -MAX_MOVE_SE,
            MAX_MOVE_SE,
            f"An estimate that moves by {MAX_MOVE_SE:g} of its former standard errors is another "
            "model, or the same on broken data.",
            name="sizes_not_far_from_previous",
        ),
    ]
    return Suite(
        f"{TABLE}__previous",
        ("importer_iso3", "category", "term"),
        tuple(needs(previous, rules, why_not)),
    )
