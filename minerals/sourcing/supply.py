"""What a country could sell that has not sold it: exporter effects from its characteristics.

A mine that never exported has no exporter effect in a gravity model. A second stage explains the
effects of those that did export (zero for producers that did not) by the study's characteristics of
suppliers, distance left out, with an effect per mineral (PPML), and predicts the others'. The
effects of a mineral are known up to a factor: they are taken as parts of their sum, so that every
mineral counts the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from minerals.names import REGRESSORS
from minerals.ppml import MIN_NONZERO_OBSERVATIONS, EstimationError
from minerals.ppml.design import Design, ModelSpec, build_design
from minerals.ppml.estimator import Fit, fit_ppml
from minerals.ppml.gravity import FloatArray, Gravity
from minerals.sourcing.world import shares

CHARACTERISTICS = tuple(name for name in REGRESSORS if name != "ln_distance")


@dataclass(frozen=True)
class Supply:
    """Characteristics of N countries as suppliers of M minerals, means over a window: x (C, M, N),
    in the order of CHARACTERISTICS, null where a country has none; production_kg (M, N)."""

    x: FloatArray
    production_kg: FloatArray

    @classmethod
    def of(
        cls,
        production: pd.DataFrame,
        covariates: pd.DataFrame,
        minerals: Sequence[str],
        countries: Sequence[str],
    ) -> Supply:
        """From `fct_production` and `fct_country_covariates` of the window's years."""
        n_years = max(production["year"].nunique(), 1)
        total = production.groupby(["mineral", "country_iso3"])["production_kg"].sum() / n_years
        index = pd.MultiIndex.from_product([minerals, countries])
        shape = (len(minerals), len(countries))
        kg = total.reindex(index).fillna(0.0).to_numpy(dtype=np.float64).reshape(shape)
        means = covariates.groupby("country_iso3").mean(numeric_only=True).reindex(list(countries))
        means["is_landlocked"] = (
            covariates.groupby("country_iso3")["is_landlocked"].max().reindex(list(countries))
        ).astype("float64")
        columns = {
            "ln_gdp": np.log(means["gdp_ppp_2021_usd"]),
            "ln_population": np.log(means["population"]),
            "landlocked": means["is_landlocked"],
        }
        per_country = [
            np.asarray(columns.get(name, means.get(name)), dtype=np.float64)
            for name in CHARACTERISTICS[1:]
        ]
        x = [np.log1p(kg), *(np.broadcast_to(values, shape) for values in per_country)]
        return cls(np.stack(x), kg)


def known_effects(
    model: Gravity, supply: Supply
) -> tuple[pd.DataFrame, NDArray[np.intp], NDArray[np.intp]]:
    """What the second stage is fitted on: CHARACTERISTICS, `mineral` and `exporter_iso3` (their
    numbers as text) and `effect`, the part that exp(b) is of the mineral's sum, or zero, of those
    that sold or mine; and these numbers."""
    sold, effects = np.asarray((model.y > 0).any(axis=1)), shares(model.exporter_effects)
    known = np.isfinite(supply.x).all(axis=0) & model.is_informative[:, None]
    m, j = np.nonzero(known & (sold | (supply.production_kg > 0)))
    frame = pd.DataFrame(supply.x[:, m, j].T, columns=list(CHARACTERISTICS))
    frame = frame.assign(mineral=m.astype(str), exporter_iso3=j.astype(str), effect=effects[m, j])
    return frame, m, j


def fit_effects(frame: pd.DataFrame, regressors: Sequence[str]) -> tuple[Design, Fit]:
    """The second stage: effects of exporters by what they are. Raises EstimationError."""
    design = build_design(frame, ModelSpec("effect", tuple(regressors), ("mineral",), {}))
    fit = fit_ppml(design)
    if not fit.is_converged:
        raise EstimationError("the fit did not converge")
    return design, fit


def predicted_effects(model: Gravity, supply: Supply) -> FloatArray:
    """exp(b) (M, N) as characteristics predict it; zero where they are unknown or nothing can be
    estimated (too few exporters, no convergence)."""
    frame, _, _ = known_effects(model, supply)
    known = np.isfinite(supply.x).all(axis=0) & model.is_informative[:, None]
    out = np.zeros(known.shape)
    try:
        _, fit = fit_effects(frame, CHARACTERISTICS)
    except EstimationError:
        return out
    if fit.n_nonzero < MIN_NONZERO_OBSERVATIONS:
        return out
    b = dict(zip(((t.term_type, t.name) for t in fit.terms), fit.coefficients, strict=True))
    slopes = np.array([b.get(("covariate", name), 0.0) for name in CHARACTERISTICS])
    by_mineral = [b.get(("mineral", str(number)), 0.0) for number in range(len(known))]
    constant = next(value for (kind, _), value in b.items() if kind == "constant")
    eta = np.tensordot(slopes, np.nan_to_num(supply.x), axes=1) + np.array(by_mineral)[:, None]
    total = model.exporter_effects.sum(axis=1, keepdims=True)
    return np.where(known, total * np.exp(eta + constant), 0.0)
