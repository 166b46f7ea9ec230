"""Tables of estimation: coefficients, bootstrap and fit statistics, estimated and published.

A mineral or year without any import has no row: its effect does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from minerals import marts, names
from minerals.frames import require_columns
from minerals.ppml import FAILURES, MIN_NONZERO_OBSERVATIONS, EstimationError
from minerals.ppml.bootstrap import Bootstrap
from minerals.ppml.design import Dropped, Term, study_spec
from minerals.ppml.estimator import Fit
from minerals.ppml.model import Model, estimate_model
from minerals.ppml.reference import Comparison
from minerals.ppml.terms import free_terms, labelled, terms_frame
from minerals.ppml.variants import model_variants

if TYPE_CHECKING:
    from minerals.settings import Choices

NOT_CONFIRMED = "statsmodels does not agree"
LARGEST_COEFFICIENT, LARGEST_STD_ERROR, LARGEST_PSEUDO_R2 = 25.0, 50.0, 0.995
"""A fit beyond these is not published."""
MIN_USABLE_SHARE = 0.5
"""A fit of which fewer bootstrap samples than this identify all regressors is not published."""


AS_PRINTED = (
    "estimate_as_printed",
    "conf_low_as_printed",
    "conf_high_as_printed",
    "significance",
    "erratum",
)
"""Columns of `ppml_coefficients` that only the study's coefficients have, named as in the seed."""


@dataclass(frozen=True)
class Estimates:
    """The three marts of one importer's fits, and the models; all but `fit` may be empty."""

    coefficients: pd.DataFrame
    bootstrap: pd.DataFrame
    fit: pd.DataFrame
    models: Mapping[str, Model] = field(default_factory=dict)


def estimate_categories(panel: pd.DataFrame, importer: str, choices: Choices) -> Estimates:
    """Estimate the study's model of each category for one importer, and tabulate it.

    `panel` is `import_panel` (rows of other importers are ignored). A category that cannot be
    estimated has a row in `fit` that says why, and no coefficients. Each model's bootstrap starts
    from the seed anew.
    """
    own = panel.loc[panel["importer_iso3"] == importer]
    results: dict[str, Model | EstimationError] = {}
    for category in names.CATEGORIES:
        try:
            results[category] = estimate_model(own, study_spec(category), choices)
        except EstimationError as error:
            results[category] = error
        except FAILURES as error:
            results[category] = EstimationError(f"the fit failed: {error}")
    models = {c: result for c, result in results.items() if isinstance(result, Model)}

    def table(name: str, frame_of: Callable[[Model], pd.DataFrame]) -> pd.DataFrame:
        if not models:
            return marts.empty(name)
        frames = {category: frame_of(model) for category, model in models.items()}
        stacked = pd.concat(frames, names=["category"]).reset_index("category")
        stacked = stacked.assign(importer_iso3=importer, coefficient_source=names.ESTIMATED)
        return marts.conform(stacked, name)

    return Estimates(
        coefficients=table(
            "ppml_coefficients",
            lambda m: coefficients_frame(m.fit, m.bootstrap).assign(**dict.fromkeys(AS_PRINTED)),
        ),
        bootstrap=table("ppml_bootstrap", lambda m: bootstrap_frame(m.bootstrap)),
        fit=fit_frame(importer, results, own),
        models=models,
    )


def estimation_tables(
    panel: pd.DataFrame,
    importers: Sequence[str],
    choices: Choices,
    published: pd.DataFrame,
    covariates: pd.DataFrame,
) -> tuple[dict[str, pd.DataFrame], dict[str, Model]]:
    """The marts of estimation for some importers, the study's coefficients included, and the models
    by importer and category. `published`: the seed; covariates: `import_panel_covariates`."""
    found = {importer: estimate_categories(panel, importer, choices) for importer in importers}
    printed = [published_coefficients_frame(importer, published) for importer in importers]
    estimates = found.values()
    tables = {
        "ppml_coefficients": [*(e.coefficients for e in estimates), *printed],
        "ppml_bootstrap": [e.bootstrap for e in estimates],
        "ppml_fit": [e.fit for e in estimates],
    }
    for importer in importers:
        variants = model_variants(panel, covariates, importer, choices)
        ranked = variants["ranking_forward_variants"]
        is_rankable = _is_publishable(ranked, found[importer].fit)
        variants["ranking_forward_variants"] = ranked.loc[is_rankable]
        for name, frame in variants.items():
            tables.setdefault(name, []).append(frame)
    models = {f"{i}, {c}": model for i, e in found.items() for c, model in e.models.items()}
    return {name: pd.concat(parts, ignore_index=True) for name, parts in tables.items()}, models


def coefficients_frame(fit: Fit, bootstrap: Bootstrap) -> pd.DataFrame:
    """The rows of `ppml_coefficients` of a fit: every term by each kind of standard error."""
    frames = [
        terms_frame(fit, cov).assign(se_type=kind)
        for kind, cov in (
            (names.SE_CLUSTERED, fit.cov_clustered),
            (names.SE_ROBUST, fit.cov_robust),
            (names.SE_TWO_WAY, fit.cov_two_way),
        )
    ]
    if bootstrap.n_replications:
        p = len(bootstrap.terms)
        low, high = bootstrap.bounds()
        free = free_terms(fit.terms[:p], fit.coefficients[:p], bootstrap.std_errors())
        frames.append(free.assign(se_type=names.SE_BOOTSTRAP, conf_low=low, conf_high=high))
    return pd.concat(frames, ignore_index=True)


def bootstrap_frame(bootstrap: Bootstrap) -> pd.DataFrame:
    """The rows of `ppml_bootstrap`: the regressors' coefficients in every usable sample."""
    rows = pd.Index(bootstrap.replications, name="replication")
    draws = pd.DataFrame(bootstrap.draws, rows, pd.Index(bootstrap.terms, name="term"))
    return pd.Series(draws.stack(), name="estimate").reset_index()


def fit_frame(
    importer: str, results: Mapping[str, Model | EstimationError], panel: pd.DataFrame
) -> pd.DataFrame:
    """`ppml_fit` of an importer: a row per category, of a model or of why there is none."""
    rows = []
    for category, result in results.items():
        if isinstance(result, Model):
            row, dropped = _model_row(result), result.fit.dropped
        else:
            row = {"is_publishable": False, "reason": str(result)}
            dropped = result.dropped or Dropped()
        rows.append(
            row
            | {
                "importer_iso3": importer,
                "category": category,
                "n_estimated_qty": int((panel[f"{category}_estimated_qty_kg"] > 0).sum()),
                "n_missing_dropped": dropped.n_missing,
                "n_separated_dropped": dropped.n_separated,
                "n_separated_by_combination": dropped.n_separated_by_combination,
                "separated_terms": "; ".join(term.name for term in dropped.separated) or None,
                "collinear_terms": "; ".join(term.name for term in dropped.collinear) or None,
            }
        )
    columns = [column.name for column in marts.python_marts()["ppml_fit"].columns]
    return marts.conform(pd.DataFrame(rows, columns=columns), "ppml_fit")


def published_coefficients_frame(importer: str, published: pd.DataFrame) -> pd.DataFrame:
    """`ppml_coefficients` of the study's Tables 2-4, with the base levels it leaves out.

    `published` is the seed, errata corrected. Raises ValueError when a column is missing, or when
    the study's base level has an estimate of its own.
    """
    numbers = ["estimate", "std_error", "t_value", "p_value", "conf_low", "conf_high"]
    require_columns(published, ["category", "term_type", "term", *numbers, *AS_PRINTED], "the seed")
    bases = [Term(names.BASE_MINERAL, "mineral"), Term(str(names.BASE_YEAR), "year")]
    if published["term"].astype(str).isin([base.name for base in bases]).any():
        levels = ", ".join(base.name for base in bases)
        raise ValueError(f"the base levels {levels} may have no published estimate")
    base_rows = [
        labelled(bases, names.STATUS_BASE, estimate=0.0).assign(category=category)
        for category in published["category"].unique()
    ]
    printed = published.rename(columns={"t_value": "z_value"}).assign(status=names.STATUS_FREE)
    table = pd.concat([printed, *base_rows], ignore_index=True).assign(
        importer_iso3=importer, coefficient_source=names.PUBLISHED, se_type=names.SE_PUBLISHED
    )
    return marts.conform(table, "ppml_coefficients")


def publishable_coefficients(coefficients: pd.DataFrame, fit: pd.DataFrame) -> pd.DataFrame:
    """The rows of `ppml_coefficients` that may be ranked on: published ones, and estimated ones
    whose row of `ppml_fit` is publishable."""
    is_published = (coefficients["coefficient_source"] == names.PUBLISHED).to_numpy()
    is_allowed = is_published | _is_publishable(coefficients, fit)
    return coefficients.loc[is_allowed].reset_index(drop=True)


def _is_publishable(rows: pd.DataFrame, fit: pd.DataFrame) -> NDArray[np.bool_]:
    """Whether the model of each row's importer and category is publishable."""
    keys = ["importer_iso3", "category"]
    allowed = pd.MultiIndex.from_frame(fit.loc[fit["is_publishable"], keys])
    return np.asarray(pd.MultiIndex.from_frame(rows[keys]).isin(allowed))


def unpublishable_reasons(fit: Fit, bootstrap: Bootstrap, comparison: Comparison) -> list[str]:
    """Why a fit may not be published, one sentence each; empty when it may."""
    p = len(bootstrap.terms)
    largest = float(np.abs(fit.coefficients[:p]).max(initial=0.0))
    widest = float(np.sqrt(np.clip(np.diag(fit.cov_clustered)[:p], 0.0, None)).max(initial=0.0))
    n_combined, n_samples = fit.dropped.n_separated_by_combination, bootstrap.n_replications
    reasons = {
        f"the fit did not settle in {fit.n_iterations} iterations; "
        "a coefficient may be infinite (separation)": not fit.is_converged,
        "the weighted design is not of full rank, so standard errors do not exist": (
            not fit.is_full_rank
        ),
        f"{n_combined} rows are separated by a combination of regressors, "
        "so that a coefficient the ranking needs is infinite": n_combined > 0,
        f"{fit.n_nonzero} positive quantities were observed, fewer than "
        f"{MIN_NONZERO_OBSERVATIONS}": fit.n_nonzero < MIN_NONZERO_OBSERVATIONS,
        "there is one exporter only, so clustered standard errors do not exist": (
            fit.n_clusters < 2
        ),
        f"only {len(bootstrap.draws)} of {n_samples} bootstrap samples of exporters identify "
        "every regressor": n_samples > 0 and bootstrap.usable_share < MIN_USABLE_SHARE,
        f"a coefficient of {largest:.0f} is separation taken for a number": (
            largest > LARGEST_COEFFICIENT
        ),
        f"a standard error of {widest:.0f} says that a regressor is not identified": (
            widest > LARGEST_STD_ERROR
        ),
        f"a pseudo R2 of {fit.pseudo_r2:.4f} leaves nothing to explain: too few flows for the "
        "effects": fit.pseudo_r2 > LARGEST_PSEUDO_R2,
    }
    found = [reason for reason, holds in reasons.items() if holds]
    if not found and not np.isfinite(comparison.coefficients):
        found.append("statsmodels breaks down on it, so that nothing confirms the fit")
    elif not found and not comparison.agrees:
        found.append(
            f"{NOT_CONFIRMED}: coefficients {comparison.coefficients:.1e}, standard errors "
            f"{comparison.std_errors:.1e}, log-likelihood {comparison.log_likelihood:.1e} apart"
        )
    return found


def _model_row(model: Model) -> dict[str, object]:
    """The statistics of a model by their names in `ppml_fit`, among others."""
    bootstrap, comparison = model.bootstrap, model.comparison
    reasons = unpublishable_reasons(model.fit, bootstrap, comparison)
    found = {m: r for m, r in model.diagnostics.rank_correlations.items() if np.isfinite(r)}
    return {
        **vars(model.fit),
        **vars(model.diagnostics),
        **vars(model.stability),
        "rank_correlations": "; ".join(f"{m} {r:.2f}" for m, r in found.items()) or None,
        "n_bootstrap_replications": bootstrap.n_replications,
        "n_bootstrap_separated": bootstrap.n_separated,
        "n_bootstrap_failed": bootstrap.n_failed,
        "statsmodels_coefficient_difference": comparison.coefficients,
        "statsmodels_std_error_difference": comparison.std_errors,
        "statsmodels_log_likelihood_difference": comparison.log_likelihood,
        "is_publishable": not reasons,
        "reason": "; ".join(reasons) or None,
    }
