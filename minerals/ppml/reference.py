"""The reference: statsmodels' Poisson GLM on the same matrix, and how far our fit is from it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from minerals.ppml.columns import FloatArray
from minerals.ppml.design import Design
from minerals.ppml.estimator import Fit, standardise
from minerals.ppml.inference import poisson_log_likelihood

if TYPE_CHECKING:
    from statsmodels.genmod.generalized_linear_model import GLM

COEFFICIENT_TOLERANCE = 1e-8
STD_ERROR_TOLERANCE = 1e-6
LOG_LIKELIHOOD_TOLERANCE = 1e-10


@dataclass(frozen=True)
class Comparison:
    """The largest differences between a fit and its reference.

    coefficients: over the larger of the coefficient and its standard error, so that a coefficient
    near zero is not held to digits it does not have. std_errors, robust and clustered, and
    log_likelihood: relative.
    """

    coefficients: float
    std_errors: float
    log_likelihood: float

    @property
    def agrees(self) -> bool:
        return (
            self.coefficients <= COEFFICIENT_TOLERANCE
            and self.std_errors <= STD_ERROR_TOLERANCE
            and self.log_likelihood <= LOG_LIKELIHOOD_TOLERANCE
        )


def compare_with_statsmodels(design: Design, fit: Fit) -> Comparison:
    """Fit the design by statsmodels too, and compare.

    statsmodels gets a basis of the same columns that is orthonormal in the weights of our fit: on
    the columns themselves its robust errors are off by 1e-4 where the base level of an effect has a
    millionth of the imports (found in arithmetic of 80 bits). It starts from its own start, but
    does not halve its steps: where it breaks down, or ends below our likelihood, which has one
    maximum, it starts again from our coefficients, and leaves them unless they are that maximum.
    Differences are infinite where it breaks down from there, too, and where it differs while some
    fitted value is below 2e-16 of the mean: it takes such values for that. Source: statsmodels
    `genmod.generalized_linear_model.GLM`, Poisson family, covariance HC0 and cluster with the
    factors of `inference`.
    """
    from statsmodels.genmod.families import Poisson  # half a second to import
    from statsmodels.genmod.generalized_linear_model import GLM

    standard, back = standardise(design.columns)
    Z, mean = standard.to_array(), fit.mean_dependent_kg
    weights = np.exp(fit.linear_predictor) / mean
    n_clusters, (n, k) = fit.n_clusters, Z.shape
    broken = Comparison(np.inf, np.inf, np.inf)
    if n_clusters < 2:
        return broken  # clustered errors do not exist
    options: dict[str, object] = {"maxiter": 200, "atol": 0.0, "rtol": 1e-13}
    try:
        to_basis = np.linalg.inv(np.linalg.qr(Z * np.sqrt(weights)[:, None], mode="r"))
        Z, back = Z @ to_basis, back @ to_basis
        scaled = fit.coefficients.copy()
        scaled[-1] -= np.log(mean)
        ours_in_basis = np.asarray(np.linalg.solve(back, scaled), dtype=np.float64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a difference reports a wrong fit
            model = GLM(design.y / mean, Z, family=Poisson())
            start = _settled(model, options)
            best = model.loglike(ours_in_basis)
            if start is None or model.loglike(start) < best - LOG_LIKELIHOOD_TOLERANCE * abs(best):
                start = ours_in_basis
            # It stops on the deviance alone, 1e-8 short in a coefficient: once more from there.
            options["start_params"] = start
            robust = model.fit(cov_type="HC0", **options)
            clustered = model.fit(
                cov_type="cluster",
                cov_kwds={"groups": design.clusters.codes, "use_correction": False},
                **options,
            )
    except (ValueError, FloatingPointError, np.linalg.LinAlgError):
        return broken
    b = back @ np.asarray(robust.params, dtype=np.float64)
    b[-1] += np.log(mean)
    ours = np.sqrt(np.diag(fit.cov_robust)), np.sqrt(np.diag(fit.cov_clustered))
    factors = n / (n - k), n_clusters / (n_clusters - 1)
    # A variance of zero or below is a reference that broke down.
    with np.errstate(invalid="ignore", divide="ignore"):
        theirs = [
            np.sqrt(factor * np.diag(back @ np.asarray(result.cov_params()) @ back.T))
            for factor, result in zip(factors, (robust, clustered), strict=True)
        ]
        ratios = [a / c for a, c in zip(ours, theirs, strict=True)]
    log_likelihood = poisson_log_likelihood(design.y, design.columns.predict(b))
    found = Comparison(
        coefficients=_largest(np.abs(fit.coefficients - b) / np.maximum(np.abs(b), theirs[1])),
        std_errors=max(_largest(np.abs(ratio - 1.0)) for ratio in ratios),
        log_likelihood=abs(fit.log_likelihood / log_likelihood - 1.0),
    )
    is_clipped = weights.min() < np.finfo(np.float64).eps
    return broken if is_clipped and not found.agrees else found


def _settled(model: GLM, options: Mapping[str, object]) -> FloatArray | None:
    """Where the reference ends from its own start; None when it breaks down."""
    try:
        found = np.asarray(model.fit(**options).params, dtype=np.float64)
    except (ValueError, FloatingPointError, np.linalg.LinAlgError):
        return None
    return found if np.isfinite(found).all() else None


def _largest(differences: FloatArray) -> float:
    return float(differences.max()) if np.isfinite(differences).all() else float("inf")
