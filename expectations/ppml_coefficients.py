"""What the estimates must satisfy before suppliers are ranked with them.

Judged in three shapes: `terms` (a coefficient), `models` (an importer and category: whether it
converged, and what it explains) and `previous` (a covariate of an estimated model beside its value
in the release served). Whether the numbers are right is statsmodels' to say, in `ppml_fit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from expectations.import_panel import CATEGORIES, REGRESSORS
from expectations.rules import (
    ColumnKind,
    Suite,
    columns_are_present,
    columns_have_kind,
    every,
    every_group_counts,
    has_all,
    has_rows,
    in_order,
    in_range,
    in_set,
    key_is_unique,
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
    "is_publishable": "boolean",
}
_FREE: Final = where("status", "==", "free")
# What suppliers are ranked on. A constant, a mineral's or a year's effect may be of any size: it
# takes up the units of the others.
_RANKED_ON: Final = every(
    where("is_publishable", "==", True), where("term_type", "==", "covariate"), _FREE
)
BOOTSTRAP: Final = "bootstrap_exporter"


def terms_suite(importers: Sequence[str]) -> Suite:
    """One row a coefficient; `is_publishable` where its model is ours and may be published.

    Bands are those of 30 importers, 2019-2023: covariates up to 17, standard errors up to 11.
    """
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
        not_null(
            "estimate",
            "A coefficient that was estimated has a value.",
            name="free_estimates_are_known",
            rows=_FREE,
        ),
        in_range(
            "estimate",
            -25,
            25,
            "A covariate's estimate of the order of -30 is separation taken for a number; such "
            "terms carry no estimate of ours.",
            name="estimates_are_not_separated",
            rows=_RANKED_ON,
        ),
        not_null(
            "std_error",
            "An estimate that is ranked on has a standard error.",
            name="std_errors_are_known",
            rows=_RANKED_ON,
        ),
        in_range(
            "std_error",
            1e-9,
            50,
            "The standard error of an estimate of ours is positive and finite.",
            name="std_errors_in_range",
            rows=every(*_RANKED_ON["conditions"], where("se_type", "!=", BOOTSTRAP)),
        ),
        in_range(
            "std_error",
            1e-9,
            50,
            "A few samples that nearly separate a regressor make the bootstrap's standard error as "
            "large as they are; its intervals are percentiles and hold.",
            name="bootstrap_std_errors_in_range",
            severity="warn",
            rows=every(*_RANKED_ON["conditions"], where("se_type", "==", BOOTSTRAP)),
        ),
        in_order(
            "conf_low",
            "conf_high",
            "The lower bound of an interval is below its upper bound.",
            name="intervals_are_in_order",
        ),
    )
    return Suite(f"{TABLE}__terms", KEY_COLUMNS, rules)


def models_suite(importers: Sequence[str], min_nonzero: int) -> Suite:
    """One row an importer and category: `ppml_fit`.

    `min_nonzero` is the least number of positive imports that a model is published with.
    """
    published = where("is_publishable", "==", True)
    rules = (
        has_all(
            "importer_iso3",
            importers,
            "Every importer of the settings has its fits.",
            name="every_importer_has_models",
        ),
        *(
            not_null(
                column,
                "Without it nobody knows whether the model may be published.",
                name=f"published_models_have_{column}",
                rows=published,
            )
            for column in ("is_converged", "pseudo_r2", "n_nonzero")
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
            min_nonzero,
            None,
            f"A model of fewer than {min_nonzero} positive imports says little.",
            name="published_models_have_trade",
            rows=published,
        ),
        not_null(
            "reason",
            "A category without a model of ours says why, in words.",
            name="unpublished_models_say_why",
            rows=where("is_publishable", "==", False),
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


def previous_suite() -> Suite:
    """One row a covariate of a model of ours in the release served, as it is estimated now."""
    significant = where("abs_z_before", ">", SIGNIFICANT)
    rules = (
        not_null(
            "estimate",
            "A category that had a model of ours in the release served has one now.",
            name="models_are_still_published",
            severity="warn",
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
    )
    return Suite(f"{TABLE}__previous", ("importer_iso3", "category", "term"), rules)
