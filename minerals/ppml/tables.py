"""Tables of estimation: coefficients, covariances and fit statistics, estimated and published.

Belongs here: the contracts `ppml_coefficients`, `ppml_covariance`, `ppml_bootstrap` and `ppml_fit`,
and the judgement whether a fit may be published. Does not belong here: the estimator's arithmetic,
or ranking.

Which terms have a row in `ppml_coefficients`, by `status`:
free       estimated, with standard errors.
base       the level left out: estimate 0 by definition, no standard error.
collinear  dropped because earlier columns imply it: estimate 0, no standard error.
separated  a dummy regressor with no import wherever it is 1: its estimate, minus infinity, is
           given as null, and such suppliers rank last.
A mineral or year without any import has no row: its effect does not exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from minerals.frames import Contract, empty, keep_contract, require_columns
from minerals.names import (
    BASE_MINERAL,
    BASE_YEAR,
    CATEGORIES,
    DEFAULT_TOP_K,
    ESTIMATED,
    PUBLISHED,
    SE_BOOTSTRAP,
    SE_CLUSTERED,
    SE_PUBLISHED,
    SE_ROBUST,
    SE_TWO_WAY,
    STATUS_BASE,
    STATUS_COLLINEAR,
    STATUS_FREE,
    STATUS_SEPARATED,
)
from minerals.ppml import MIN_NONZERO_OBSERVATIONS
from minerals.ppml.bootstrap import DEFAULT_REPLICATIONS, Bootstrap
from minerals.ppml.columns import FloatArray
from minerals.ppml.design import Dropped, EstimationError, Term, study_spec
from minerals.ppml.diagnostics import Diagnostics
from minerals.ppml.estimator import Fit
from minerals.ppml.inference import normal_inference
from minerals.ppml.model import Model, estimate_model
from minerals.ppml.reference import Comparison

MIN_USABLE_SHARE = 0.5
"""A fit of which fewer bootstrap samples than this identify all regressors is not published."""

PPML_COEFFICIENTS = Contract(
    "ppml_coefficients",
    {
        "importer_iso3": "str",
        "category": "str",
        "coefficient_source": "str",
        "se_type": "str",
        "term_type": "str",
        "term": "str",
        "status": "str",
        "estimate": "float64",
        "std_error": "float64",
        "z_value": "float64",
        "p_value": "float64",
        "conf_low": "float64",
        "conf_high": "float64",
    },
    key=("importer_iso3", "category", "coefficient_source", "se_type", "term_type", "term"),
)

PPML_COVARIANCE = Contract(
    "ppml_covariance",
    {
        "importer_iso3": "str",
        "category": "str",
        "coefficient_source": "str",
        "term": "str",
        "other_term": "str",
        "covariance": "float64",
    },
    key=("importer_iso3", "category", "coefficient_source", "term", "other_term"),
)

PPML_BOOTSTRAP = Contract(
    "ppml_bootstrap",
    {
        "importer_iso3": "str",
        "category": "str",
        "coefficient_source": "str",
        "replication": "int64",
        "term": "str",
        "estimate": "float64",
    },
    key=("importer_iso3", "category", "coefficient_source", "replication", "term"),
)

PPML_FIT = Contract(
    "ppml_fit",
    {
        "importer_iso3": "str",
        "category": "str",
        "n_observations": "Int64",
        "n_nonzero": "Int64",
        "n_estimated_qty": "Int64",
        "n_clusters": "Int64",
        "n_missing_dropped": "Int64",
        "n_separated_dropped": "Int64",
        "n_separated_by_combination": "Int64",
        "n_parameters": "Int64",
        "mean_dependent_kg": "float64",
        "sd_dependent_kg": "float64",
        "pseudo_r2": "float64",
        "log_likelihood": "float64",
        "null_log_likelihood": "float64",
        "aic": "float64",
        "bic": "float64",
        "wald_chi2": "float64",
        "reset_p_value": "float64",
        "dispersion_kg": "float64",
        "overdispersion_p_value": "float64",
        "max_vif": "float64",
        "max_vif_term": "str",
        "top5_deviance_share": "float64",
        "zero_share": "float64",
        "predicted_zero_share": "float64",
        "mean_rank_correlation": "float64",
        "rank_correlations": "str",
        "top_k_stability": "float64",
        "top_k_stability_min": "float64",
        "least_stable_exporter_iso3": "str",
        "n_bootstrap_replications": "Int64",
        "n_bootstrap_separated": "Int64",
        "n_bootstrap_failed": "Int64",
        "statsmodels_coefficient_difference": "float64",
        "statsmodels_std_error_difference": "float64",
        "statsmodels_log_likelihood_difference": "float64",
        "is_converged": "boolean",
        "is_publishable": "bool",
        "reason": "str",
        "separated_terms": "str",
        "collinear_terms": "str",
    },
    key=("importer_iso3", "category"),
)


@dataclass(frozen=True)
class Estimates:
    """The four tables of one or more fits; each keeps its contract, and may be empty but `fit`.

    models: the models behind them by category, where they could be estimated.
    """

    coefficients: pd.DataFrame
    covariance: pd.DataFrame
    bootstrap: pd.DataFrame
    fit: pd.DataFrame
    models: Mapping[str, Model] = field(default_factory=dict)


def estimate_categories(
    panel: pd.DataFrame,
    importer: str,
    categories: Iterable[str] = CATEGORIES,
    replications: int = DEFAULT_REPLICATIONS,
    seed: int = 0,
    top_k: int = DEFAULT_TOP_K,
) -> Estimates:
    """Estimate the study's model of each category for one importer, and tabulate it.

    `panel` is `import_panel` (rows of other importers are ignored). A category that cannot be
    estimated has a row in `fit` that says why, and no coefficients. Each model's bootstrap starts
    from `seed` anew.
    """
    own = panel.loc[panel["importer_iso3"] == importer]
    results: dict[str, Model | EstimationError] = {}
    for category in categories:
        try:
            results[category] = estimate_model(own, study_spec(category), replications, seed, top_k)
        except EstimationError as error:
            results[category] = error
    models = {c: result for c, result in results.items() if isinstance(result, Model)}
    return Estimates(
        coefficients=_stack(
            [coefficients_frame(importer, c, m.fit, m.bootstrap) for c, m in models.items()],
            PPML_COEFFICIENTS,
        ),
        covariance=_stack(
            [covariance_frame(importer, c, m.fit) for c, m in models.items()], PPML_COVARIANCE
        ),
        bootstrap=_stack(
            [bootstrap_frame(importer, c, m.bootstrap) for c, m in models.items()], PPML_BOOTSTRAP
        ),
        fit=_stack(
            [fit_frame(importer, c, result, _n_estimated(own, c)) for c, result in results.items()],
            PPML_FIT,
        ),
        models=models,
    )


def coefficients_frame(
    importer: str, category: str, fit: Fit, bootstrap: Bootstrap | None = None
) -> pd.DataFrame:
    """`ppml_coefficients` of a fit: every term by each kind of standard error.

    Clustered by exporter, HC1, clustered by exporter and mineral where there are minerals, and the
    regressors also by bootstrap. p values are of the normal distribution, 95% bounds too, but the
    bootstrap's, which are percentiles. See the module for `status`.
    """
    kinds = {SE_CLUSTERED: fit.cov_clustered, SE_ROBUST: fit.cov_robust}
    if fit.cov_two_way is not None:
        kinds[SE_TWO_WAY] = fit.cov_two_way
    frames = [_coefficients(importer, category, fit, kind, cov) for kind, cov in kinds.items()]
    if bootstrap is not None and bootstrap.n_replications:
        frames.append(_bootstrapped(importer, category, fit, bootstrap))
    return _stack(frames, PPML_COEFFICIENTS)


def bootstrap_frame(importer: str, category: str, bootstrap: Bootstrap) -> pd.DataFrame:
    """`ppml_bootstrap` of a model: the regressors' coefficients in every usable sample, long."""
    r, p = bootstrap.draws.shape
    frame = pd.DataFrame(
        {
            "importer_iso3": importer,
            "category": category,
            "coefficient_source": ESTIMATED,
            "replication": np.repeat(bootstrap.replications, p),
            "term": np.tile(np.array(bootstrap.terms, dtype=object), r),
            "estimate": bootstrap.draws.ravel(),
        }
    )
    return keep_contract(frame, PPML_BOOTSTRAP)


def covariance_frame(importer: str, category: str, fit: Fit) -> pd.DataFrame:
    """`ppml_covariance` of a fit: the exporter-clustered covariance of its free terms, long."""
    names = [term.name for term in fit.terms]
    k = len(names)
    frame = pd.DataFrame(
        {
            "importer_iso3": importer,
            "category": category,
            "coefficient_source": ESTIMATED,
            "term": np.repeat(names, k),
            "other_term": np.tile(names, k),
            "covariance": fit.cov_clustered.ravel(),
        }
    )
    return keep_contract(frame, PPML_COVARIANCE)


def published_coefficients_frame(importer: str, published: pd.DataFrame) -> pd.DataFrame:
    """`ppml_coefficients` of the study's Tables 2-4, with the base levels it leaves out.

    `published` is the seed: category, term_type, term, estimate (errata corrected), std_error,
    t_value, p_value, conf_low, conf_high. Raises ValueError when a column is missing, or when the
    study's base level has an estimate of its own.
    """
    columns = ["category", "term_type", "term", "estimate", "std_error"]
    require_columns(
        published, [*columns, "t_value", "p_value", "conf_low", "conf_high"], "the seed"
    )
    bases = {BASE_MINERAL, str(BASE_YEAR)}
    clash = published.loc[published["term"].astype(str).isin(bases), "term"]
    if not clash.empty:
        raise ValueError(
            f"the base levels {', '.join(sorted(bases))} may have no published estimate"
        )
    frame = published.rename(columns={"t_value": "z_value"}).assign(status=STATUS_FREE)
    base_rows = pd.DataFrame(
        [
            {"category": category, "term_type": kind, "term": level, "estimate": 0.0}
            for category in published["category"].unique()
            for kind, level in (("mineral", BASE_MINERAL), ("year", str(BASE_YEAR)))
        ]
    ).assign(status=STATUS_BASE)
    return keep_contract(
        pd.concat([frame, base_rows], ignore_index=True).assign(
            importer_iso3=importer, coefficient_source=PUBLISHED, se_type=SE_PUBLISHED
        ),
        PPML_COEFFICIENTS,
    )


def _n_estimated(panel: pd.DataFrame, category: str) -> int | None:
    """Rows whose quantity rests on an estimated weight; None where the panel does not say."""
    column = f"{category}_estimated_qty_kg"
    return int((panel[column] > 0).sum()) if column in panel.columns else None


def fit_frame(
    importer: str,
    category: str,
    result: Model | Fit | EstimationError,
    n_estimated_qty: int | None = None,
) -> pd.DataFrame:
    """The one row of `ppml_fit`, of a model, of a fit without evidence, or of the reason why there
    is none.

    `reason` is null when the fit is publishable. Statistics that do not exist are null, among them
    wald_chi2 where the clustered covariance is singular (see `inference.wald_statistic`).
    """
    row: dict[str, object] = {
        "importer_iso3": importer,
        "category": category,
        "n_estimated_qty": n_estimated_qty,
    }
    if isinstance(result, Model):
        reasons = unpublishable_reasons(result.fit, result.bootstrap, result.comparison)
        row |= _fit(result.fit, reasons) | _evidence(result)
    elif isinstance(result, Fit):
        row |= _fit(result, unpublishable_reasons(result))
    else:
        row |= _dropped(result.dropped) | {"is_publishable": False, "reason": str(result)}
    frame = pd.DataFrame([row]).reindex(columns=list(PPML_FIT.columns))
    return keep_contract(frame, PPML_FIT)


def _fit(fit: Fit, reasons: list[str]) -> dict[str, object]:
    return _dropped(fit.dropped) | {
        "n_observations": fit.n_observations,
        "n_nonzero": fit.n_nonzero,
        "n_clusters": fit.n_clusters,
        "n_parameters": fit.n_parameters,
        "mean_dependent_kg": fit.mean_dependent,
        "sd_dependent_kg": fit.sd_dependent,
        "pseudo_r2": fit.pseudo_r2,
        "log_likelihood": fit.log_likelihood,
        "null_log_likelihood": fit.null_log_likelihood,
        "aic": fit.aic,
        "bic": fit.bic,
        "wald_chi2": fit.wald_chi2,
        "is_converged": fit.is_converged,
        "is_publishable": not reasons,
        "reason": "; ".join(reasons) or None,
    }


def _evidence(model: Model) -> dict[str, object]:
    diagnostics, bootstrap = model.diagnostics, model.bootstrap
    return _diagnostics(diagnostics) | {
        "top_k_stability": model.stability.mean,
        "top_k_stability_min": model.stability.least,
        "least_stable_exporter_iso3": model.stability.least_without,
        "n_bootstrap_replications": bootstrap.n_replications,
        "n_bootstrap_separated": bootstrap.n_separated,
        "n_bootstrap_failed": bootstrap.n_failed,
        "statsmodels_coefficient_difference": model.comparison.coefficients,
        "statsmodels_std_error_difference": model.comparison.std_errors,
        "statsmodels_log_likelihood_difference": model.comparison.log_likelihood,
    }


def _diagnostics(diagnostics: Diagnostics) -> dict[str, object]:
    known = {m: r for m, r in diagnostics.rank_correlations.items() if np.isfinite(r)}
    return {
        "reset_p_value": diagnostics.reset_p_value,
        "dispersion_kg": diagnostics.dispersion_kg,
        "overdispersion_p_value": diagnostics.overdispersion_p_value,
        "max_vif": diagnostics.max_vif,
        "max_vif_term": diagnostics.max_vif_term,
        "top5_deviance_share": diagnostics.top5_deviance_share,
        "zero_share": diagnostics.zero_share,
        "predicted_zero_share": diagnostics.predicted_zero_share,
        "mean_rank_correlation": float(np.mean(list(known.values()))) if known else np.nan,
        "rank_correlations": "; ".join(f"{m} {r:.2f}" for m, r in known.items()) or None,
    }


def unpublishable_reasons(
    fit: Fit, bootstrap: Bootstrap | None = None, comparison: Comparison | None = None
) -> list[str]:
    """Why a fit may not be published, one sentence each; empty when it may.

    A reference that differs is no reason here: it stops the release, as one of the two is wrong.
    """
    reasons = []
    if not fit.is_converged:
        reasons.append(
            f"the fit did not settle in {fit.n_iterations} iterations; "
            "a coefficient may be infinite (separation)"
        )
    if not fit.is_full_rank:
        reasons.append("the weighted design is not of full rank, so standard errors do not exist")
    if fit.dropped.n_separated_by_combination:
        reasons.append(
            f"{fit.dropped.n_separated_by_combination} rows are separated by a combination of "
            "regressors, so that a coefficient the ranking needs is infinite"
        )
    if fit.n_nonzero < MIN_NONZERO_OBSERVATIONS:
        reasons.append(
            f"{fit.n_nonzero} positive quantities were observed, "
            f"fewer than {MIN_NONZERO_OBSERVATIONS}"
        )
    if fit.n_clusters < 2:
        reasons.append("there is one exporter only, so clustered standard errors do not exist")
    if (
        bootstrap is not None
        and bootstrap.n_replications
        and bootstrap.usable_share < MIN_USABLE_SHARE
    ):
        reasons.append(
            f"only {len(bootstrap.draws)} of {bootstrap.n_replications} bootstrap samples of "
            "exporters identify every regressor"
        )
    if not reasons and comparison is not None and not np.isfinite(comparison.coefficients):
        reasons.append("statsmodels breaks down on it, so that nothing confirms the fit")
    return reasons


def publishable_coefficients(coefficients: pd.DataFrame, fit: pd.DataFrame) -> pd.DataFrame:
    """The rows of `ppml_coefficients` that may be ranked on: published ones, and estimated ones
    whose row of `ppml_fit` is publishable."""
    keys = ["importer_iso3", "category"]
    allowed = pd.MultiIndex.from_frame(fit.loc[fit["is_publishable"], keys])
    is_allowed = pd.MultiIndex.from_frame(coefficients[keys]).isin(allowed)
    is_published = (coefficients["coefficient_source"] == PUBLISHED).to_numpy()
    return coefficients.loc[is_published | is_allowed].reset_index(drop=True)


def _coefficients(
    importer: str, category: str, fit: Fit, se_type: str, cov: FloatArray
) -> pd.DataFrame:
    std_error = np.sqrt(np.clip(np.diag(cov), 0.0, None))
    z_value, p_value, low, high = normal_inference(fit.coefficients, std_error)
    free = _terms(fit.terms, STATUS_FREE).assign(
        estimate=fit.coefficients,
        std_error=std_error,
        z_value=z_value,
        p_value=p_value,
        conf_low=low,
        conf_high=high,
    )
    regressors = tuple(t for t in fit.dropped.separated if t.term_type == "covariate")
    others = [
        _terms(fit.base_levels, STATUS_BASE).assign(estimate=0.0),
        _terms(fit.dropped.collinear, STATUS_COLLINEAR).assign(estimate=0.0),
        _terms(regressors, STATUS_SEPARATED).assign(estimate=np.nan),
    ]
    frame = pd.concat([free, *[other for other in others if not other.empty]], ignore_index=True)
    return frame.assign(
        importer_iso3=importer, category=category, coefficient_source=ESTIMATED, se_type=se_type
    )


def _bootstrapped(importer: str, category: str, fit: Fit, bootstrap: Bootstrap) -> pd.DataFrame:
    p = len(bootstrap.terms)
    estimate, std_error = fit.coefficients[:p], bootstrap.std_errors()
    z_value, p_value, _, _ = normal_inference(estimate, std_error)
    low, high = bootstrap.bounds()
    return _terms(fit.terms[:p], STATUS_FREE).assign(
        importer_iso3=importer,
        category=category,
        coefficient_source=ESTIMATED,
        se_type=SE_BOOTSTRAP,
        estimate=estimate,
        std_error=std_error,
        z_value=z_value,
        p_value=p_value,
        conf_low=low,
        conf_high=high,
    )


def _terms(terms: tuple[Term, ...], status: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "term_type": [term.term_type for term in terms],
            "term": [term.name for term in terms],
            "status": status,
        }
    )


def _dropped(dropped: Dropped) -> dict[str, object]:
    return {
        "n_missing_dropped": dropped.n_missing,
        "n_separated_dropped": dropped.n_separated,
        "n_separated_by_combination": dropped.n_separated_by_combination,
        "separated_terms": "; ".join(term.name for term in dropped.separated) or None,
        "collinear_terms": "; ".join(term.name for term in dropped.collinear) or None,
    }


def _stack(frames: list[pd.DataFrame], contract: Contract) -> pd.DataFrame:
    if not frames:
        return empty(contract)
    return keep_contract(pd.concat(frames, ignore_index=True), contract)
