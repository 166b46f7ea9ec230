"""One model from panel to evidence: its design, its fit, and all that supports or weakens it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from minerals.ppml import MIN_NONZERO_OBSERVATIONS
from minerals.ppml.bootstrap import Bootstrap, cluster_bootstrap, leave_one_out
from minerals.ppml.columns import FloatArray, IntArray
from minerals.ppml.design import Design, ModelSpec, build_design
from minerals.ppml.diagnostics import Diagnostics, diagnose, top_k_kept
from minerals.ppml.estimator import Fit, fit_ppml
from minerals.ppml.reference import Comparison, compare_with_statsmodels

if TYPE_CHECKING:
    import pandas as pd

    from minerals.settings import Choices


@dataclass(frozen=True)
class Stability:
    """How much of the leading suppliers stays when one exporter is left out, as in `ppml_fit`. NaN
    and None where no mineral has more than k candidates."""

    top_k_stability: float = float("nan")
    top_k_stability_min: float = float("nan")
    least_stable_exporter_iso3: str | None = None


@dataclass(frozen=True)
class Model:
    """An estimated model and its evidence."""

    design: Design
    fit: Fit
    diagnostics: Diagnostics
    bootstrap: Bootstrap
    stability: Stability
    comparison: Comparison


def estimate_model(panel: pd.DataFrame, spec: ModelSpec, choices: Choices) -> Model:
    """Estimate `spec` on the rows of one importer, with diagnostics, bootstrap and reference.

    A fit that cannot be published, as it did not converge or has too few positive quantities, has
    no bootstrap.
    Raises EstimationError when the model cannot be estimated. Sources: the functions called.
    """
    design = build_design(panel, spec)
    fit = fit_ppml(design)
    is_of_use = fit.is_converged and fit.n_nonzero >= MIN_NONZERO_OBSERVATIONS
    replications = choices.bootstrap_replications if is_of_use else 0
    return Model(
        design=design,
        fit=fit,
        diagnostics=diagnose(design, fit),
        bootstrap=cluster_bootstrap(design, fit, replications, choices.seed),
        stability=leave_one_out_stability(panel, design, fit, choices.top_k),
        comparison=compare_with_statsmodels(design, fit),
    )


def leave_one_out_stability(panel: pd.DataFrame, design: Design, fit: Fit, top_k: int) -> Stability:
    """Leave each exporter out of the estimation, rank all candidates anew, compare the top k.

    Candidates are ranked on their characteristics averaged over the panel's years, as the forward
    ranking does. Source: `bootstrap.leave_one_out`, `diagnostics.top_k_kept`.
    """
    if not (fit.is_converged and design.covariates):
        return Stability()
    X, groups = _candidates(panel, design)
    estimates = leave_one_out(design, fit)
    is_identified = np.isfinite(estimates).all(axis=1)
    if not is_identified.any():
        return Stability()
    others = X @ estimates[is_identified].T
    kept = top_k_kept(X @ fit.coefficients[: X.shape[1]], others, groups, top_k)
    if np.isnan(kept).any():
        return Stability()
    worst = int(np.argmin(kept))
    without = str(design.clusters.names[is_identified][worst])
    return Stability(float(kept.mean()), float(kept[worst]), without)


def _candidates(panel: pd.DataFrame, design: Design) -> tuple[FloatArray, list[IntArray]]:
    """Characteristics (n, p) of each mineral's candidates, and the rows of each mineral.

    Candidates that a separated dummy rules out are left out, as they rank last in any case.
    """
    from minerals.characteristics import average_characteristics  # imports pandas

    names = list(design.covariates)
    ruled_out = [t.name for t in design.dropped.separated if t.term_type == "covariate"]
    complete = panel.dropna(subset=[*names, *ruled_out])
    frame = average_characteristics(complete, [*names, *ruled_out])
    frame = frame.loc[~(frame[ruled_out] > 0).any(axis=1)].reset_index(drop=True)
    groups = [np.asarray(rows) for rows in frame.groupby("mineral", sort=True).indices.values()]
    return frame[names].to_numpy(dtype=np.float64), groups
