"""Tables of estimation: coefficients, covariances and fit statistics, estimated and published.

Belongs here: the contracts `ppml_coefficients`, `ppml_covariance` and `ppml_fit`, and the judgement
whether a fit may be published. Does not belong here: the estimator's arithmetic, or ranking.

Which terms have a row in `ppml_coefficients`, by `status`:
free       estimated, with standard errors.
base       the level left out: estimate 0 by definition, no standard error.
collinear  dropped because earlier columns imply it: estimate 0, no standard error.
separated  a dummy regressor with no import wherever it is 1: its estimate, minus infinity, is
           given as null, and such suppliers rank last.
A mineral or year without any import has no row: its effect does not exist.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from minerals.frames import Contract, empty, keep_contract, require_columns
from minerals.names import (
    BASE_MINERAL,
    BASE_YEAR,
    CATEGORIES,
    ESTIMATED,
    PUBLISHED,
    SE_CLUSTERED,
    SE_PUBLISHED,
    SE_ROBUST,
    STATUS_BASE,
    STATUS_COLLINEAR,
    STATUS_FREE,
    STATUS_SEPARATED,
)
from minerals.ppml.design import Dropped, EstimationError, Term, build_design, study_spec
from minerals.ppml.estimator import Fit, fit_ppml, normal_inference

MIN_NONZERO_OBSERVATIONS = 30
"""A fit on fewer positive quantities than this is not published."""

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

PPML_FIT = Contract(
    "ppml_fit",
    {
        "importer_iso3": "str",
        "category": "str",
        "n_observations": "Int64",
        "n_nonzero": "Int64",
        "n_clusters": "Int64",
        "n_missing_dropped": "Int64",
        "n_separated_dropped": "Int64",
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
    """The three tables of one or more fits; each keeps its contract, and may be empty but `fit`."""

    coefficients: pd.DataFrame
    covariance: pd.DataFrame
    fit: pd.DataFrame


def estimate_categories(
    panel: pd.DataFrame, importer: str, categories: Iterable[str] = CATEGORIES
) -> Estimates:
    """Estimate the study's model of each category for one importer, and tabulate it.

    `panel` is `import_panel` (rows of other importers are ignored). A category that cannot be
    estimated has a row in `fit` that says why, and no coefficients.
    """
    own = panel.loc[panel["importer_iso3"] == importer]
    results: dict[str, Fit | EstimationError] = {}
    for category in categories:
        try:
            results[category] = fit_ppml(build_design(own, study_spec(category)))
        except EstimationError as error:
            results[category] = error
    fits = {c: result for c, result in results.items() if isinstance(result, Fit)}
    return Estimates(
        coefficients=_stack(
            [coefficients_frame(importer, c, fit) for c, fit in fits.items()], PPML_COEFFICIENTS
        ),
        covariance=_stack(
            [covariance_frame(importer, c, fit) for c, fit in fits.items()], PPML_COVARIANCE
        ),
        fit=_stack([fit_frame(importer, c, result) for c, result in results.items()], PPML_FIT),
    )


def coefficients_frame(importer: str, category: str, fit: Fit) -> pd.DataFrame:
    """`ppml_coefficients` of a fit: every term twice, by clustered and by HC1 standard errors.

    95% bounds and p values are of the normal distribution. See the module for `status`.
    """
    return _stack(
        [
            _coefficients(importer, category, fit, SE_CLUSTERED, fit.cov_clustered),
            _coefficients(importer, category, fit, SE_ROBUST, fit.cov_robust),
        ],
        PPML_COEFFICIENTS,
    )


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


def fit_frame(importer: str, category: str, result: Fit | EstimationError) -> pd.DataFrame:
    """The one row of `ppml_fit`, of a fit or of the reason why there is none.

    `reason` is null when the fit is publishable. Statistics that do not exist are null, among them
    wald_chi2 where the clustered covariance is singular (see `estimator.wald_statistic`).
    """
    row: dict[str, object] = {"importer_iso3": importer, "category": category}
    row |= _dropped(result.dropped)
    if isinstance(result, Fit):
        reasons = unpublishable_reasons(result)
        row |= {
            "n_observations": result.n_observations,
            "n_nonzero": result.n_nonzero,
            "n_clusters": result.n_clusters,
            "n_parameters": result.n_parameters,
            "mean_dependent_kg": result.mean_dependent,
            "sd_dependent_kg": result.sd_dependent,
            "pseudo_r2": result.pseudo_r2,
            "log_likelihood": result.log_likelihood,
            "null_log_likelihood": result.null_log_likelihood,
            "aic": result.aic,
            "bic": result.bic,
            "wald_chi2": result.wald_chi2,
            "reset_p_value": result.reset_p_value,
            "is_converged": result.is_converged,
            "is_publishable": not reasons,
            "reason": "; ".join(reasons) or None,
        }
    else:
        row |= {"is_publishable": False, "reason": str(result)}
    frame = pd.DataFrame([row]).reindex(columns=list(PPML_FIT.columns))
    return keep_contract(frame, PPML_FIT)


def unpublishable_reasons(fit: Fit) -> list[str]:
    """Why a fit may not be published, one sentence each; empty when it may."""
    reasons = []
    if not fit.is_converged:
        reasons.append(
            f"the fit did not settle in {fit.n_iterations} iterations; "
            "a coefficient may be infinite (separation)"
        )
    if not fit.is_full_rank:
        reasons.append("the weighted design is not of full rank, so standard errors do not exist")
    if fit.n_nonzero < MIN_NONZERO_OBSERVATIONS:
        reasons.append(
            f"{fit.n_nonzero} positive quantities were observed, "
            f"fewer than {MIN_NONZERO_OBSERVATIONS}"
        )
    if fit.n_clusters < 2:
        reasons.append("there is one exporter only, so clustered standard errors do not exist")
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
    importer: str, category: str, fit: Fit, se_type: str, cov: np.ndarray
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
        "separated_terms": "; ".join(term.name for term in dropped.separated) or None,
        "collinear_terms": "; ".join(term.name for term in dropped.collinear) or None,
    }


def _stack(frames: list[pd.DataFrame], contract: Contract) -> pd.DataFrame:
    if not frames:
        return empty(contract)
    return keep_contract(pd.concat(frames, ignore_index=True), contract)
