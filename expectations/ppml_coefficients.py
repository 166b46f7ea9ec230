"""The estimates, before suppliers are ranked with them.

Whether the numbers are right is for statsmodels to say, in the check of `ppml_fit`.
"""

from typing import Final

from expectations import rules
from expectations.previous import Previous, comparable
from expectations.rules import Connection, Gate, Shape, Suite
from minerals.names import ESTIMATED, SE_BOOTSTRAP, SE_CLUSTERED, SE_TWO_WAY, STATUS_FREE

SIGNIFICANT: Final = 1.96
MAX_MOVE_SE: Final = 10.0

# What suppliers are ranked on. A constant, a mineral's or a year's effect may be of any size: it
# takes up the units of the others.
RANKED_ON: Final = f"""coefficient_source = '{ESTIMATED}' and coalesce(is_publishable, false)
    and term_type = 'covariate' and status = '{STATUS_FREE}'"""

# Bands are those of 30 importers, 2019-2023: covariates up to 17, standard errors up to 11.
TERMS: Final = Suite(
    "terms",
    "One row per coefficient of ours that suppliers are ranked on, and kind of standard error.",
    ("importer_iso3", "category", "term", "se_type"),
    (
        rules.is_known("estimate", name="estimates_are_known",
            why="A coefficient that is ranked on has a value."),
        rules.in_range("estimate", -25, 25, name="estimates_are_not_separated",
            why="An estimate of the order of -30 is separation taken for a number; such terms "
            "carry no estimate of ours."),
        rules.is_known("std_error", name="std_errors_are_known",
            rows=rules.where("se_type", "!=", SE_TWO_WAY),
            why="An estimate that is ranked on has a standard error. Clustered by exporter and "
            "mineral it has none where only one mineral is bought."),
        rules.in_range("std_error", 1e-9, 50, name="std_errors_in_range",
            rows=rules.where("se_type", "!=", SE_BOOTSTRAP),
            why="The standard error of an estimate of ours is positive and finite."),
        rules.in_range("std_error", 1e-9, 50, name="bootstrap_std_errors_in_range", severity="warn",
            rows=rules.where("se_type", "==", SE_BOOTSTRAP),
            why="A few samples that nearly separate a regressor make the bootstrap's standard "
            "error as large as they are; its intervals are percentiles and hold."),
    ),
    rules.query(
        f"""
        select importer_iso3, category, term, se_type, estimate, std_error
        from marts.ppml_coefficients left join marts.ppml_fit using (importer_iso3, category)
        where {RANKED_ON} order by all"""
    ),
)  # fmt: skip

MODELS: Final = Suite(
    "models",
    "One row per importer and category.",
    ("importer_iso3", "category"),
    (
        rules.in_range("pseudo_r2", 0.05, 0.995, name="published_models_explain",
            rows=rules.where("is_publishable", "==", True),
            why="A model explains something, and not everything."),
        rules.in_range("bootstrap_failed_share", 0, 0.1, name="bootstrap_samples_are_estimated",
            severity="warn",
            why="Intervals rest on the samples that could be estimated; nearly all can."),
    ),
    rules.query(
        """
        select importer_iso3, category, pseudo_r2, is_publishable,
            n_bootstrap_failed / n_bootstrap_replications as bootstrap_failed_share
        from marts.ppml_fit order by importer_iso3, category"""
    ),
)  # fmt: skip


def _previous(connection: Connection, previous: Previous) -> Shape:
    fits = "select importer_iso3, category, is_publishable from {file}"
    terms = """
        select importer_iso3, category, coefficient_source, se_type, term_type, term, status,
            estimate, std_error, z_value
        from {file}"""
    previous.load(connection, "ppml_fit", fits)
    previous.load(connection, "ppml_coefficients", terms)
    covariates = f"""
        select importer_iso3, category, term, estimate, std_error, z_value
        from {{schema}}ppml_coefficients join {{schema}}ppml_fit using (importer_iso3, category)
        where {RANKED_ON} and se_type = '{SE_CLUSTERED}'"""
    # Without a model now there is no sign to keep: that it is gone is the first rule's business.
    sql = f"""
        select importer_iso3, category, term, before.estimate as estimate_before, now.estimate,
            abs(before.z_value) as abs_z_before,
            (now.estimate - before.estimate) / before.std_error as move_in_se,
            now.estimate is null or now.estimate * before.estimate >= 0 as keeps_its_sign
        from ({covariates.format(schema="previous_")}) as before
        left join ({covariates.format(schema="marts.")}) as now
            using (importer_iso3, category, term)
        order by importer_iso3, category, term"""
    return comparable(connection, sql, "the previous release has no model of ours")


PREVIOUS: Final = Suite(
    "previous",
    "One row per covariate of our models in the previous release.",
    ("importer_iso3", "category", "term", "estimate_before", "estimate"),
    (
        rules.is_known("estimate", name="models_are_still_published", severity="warn",
            why="A category that had a model of ours in the previous release has one now."),
        rules.is_always("keeps_its_sign", True, name="signs_as_in_previous", severity="warn",
            rows=rules.where("abs_z_before", ">", SIGNIFICANT),
            why="A covariate that was significant in the previous release keeps its sign."),
        rules.in_range("move_in_se", -3, 3, name="sizes_near_previous", severity="warn",
            unit="former standard errors",
            why="An estimate moves by less than three of its former standard errors."),
        rules.in_range("move_in_se", -MAX_MOVE_SE, MAX_MOVE_SE, name="sizes_not_far_from_previous",
            unit="former standard errors",
            why="An estimate that moves further is another model, or broken data."),
    ),
    _previous,
)  # fmt: skip
GATE: Final = Gate("ppml_coefficients", "estimates", lambda _: (TERMS, MODELS, PREVIOUS))
