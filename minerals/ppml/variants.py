"""The products model with refined output beside the base fit: never in its place.

Mine output says little of who can sell metal. Where a source gives a country's refined output of a
mineral, `ln_refined_qty` is ln(1 + kg refined), elsewhere ln(1 + kg mined) as in the base fit.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from minerals import marts
from minerals.ppml import EstimationError
from minerals.ppml.columns import FloatArray
from minerals.ppml.design import ModelSpec, build_design, study_spec
from minerals.ppml.diagnostics import diagnose
from minerals.ppml.estimator import fit_ppml
from minerals.ppml.terms import terms_frame

CATEGORY = "products"
BASE, REFINED = "base", "refined"
_PRODUCTION, _REFINED = "ln_production_qty", "ln_refined_qty"


def with_refined_output(panel: pd.DataFrame, types: pd.DataFrame) -> pd.DataFrame:
    """`panel` with ln_refined_qty and is_refined_known. types: `supplier_types`, of which the
    refined_output_kg of products (null where unknown) is used."""
    known = types.loc[
        (types["category"] == CATEGORY) & types["refined_output_kg"].notna(),
        ["exporter_iso3", "mineral", "refined_output_kg"],
    ]
    frame = panel.merge(known, how="left", on=["exporter_iso3", "mineral"], validate="many_to_one")
    is_known = frame["refined_output_kg"].notna()
    refined = np.log1p(frame.pop("refined_output_kg").astype("float64"))
    frame[_REFINED] = frame[_PRODUCTION].mask(is_known, refined)
    return frame.assign(is_refined_known=is_known)


def product_variants(panel: pd.DataFrame, importer: str) -> dict[str, pd.DataFrame]:
    """`ppml_variants` and `model_comparison` of one importer. `panel`: of `with_refined_output`.

    A variant that cannot be estimated has a row of the comparison that says why.
    """
    panel = panel.loc[panel["importer_iso3"] == importer]
    rows: list[dict[str, object]] = []
    coefficients: list[pd.DataFrame] = []
    left_out: dict[str, dict[int, float]] = {BASE: {}, REFINED: {}}
    for variant in (BASE, REFINED):
        names_of = {"importer_iso3": importer, "category": CATEGORY, "variant": variant}
        try:
            design = build_design(panel, _spec(variant))
            fit = fit_ppml(design)
            if not fit.is_converged:
                raise EstimationError("the fit did not converge")
            diagnostics = diagnose(design, fit)
            left_out[variant] = _deviance_left_out(panel, variant)
        except (EstimationError, ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
            rows.append({**names_of, "reason": str(error)})
            continue
        rows.append({**vars(fit), **vars(diagnostics), **names_of, "reason": None})
        coefficients.append(terms_frame(fit, fit.cov_clustered).assign(**names_of))
    years = left_out[BASE].keys() & left_out[REFINED].keys()
    for row in rows:
        own = left_out[str(row["variant"])]
        row["n_refined_known"] = int(panel["is_refined_known"].sum())
        row["n_years_left_out"] = len(years)
        row["n_years_better_than_base"] = sum(own[y] < left_out[BASE][y] for y in years)
        if years:
            row["deviance_left_out"] = float(np.mean([own[y] for y in years]))
    comparison = pd.DataFrame(
        rows, columns=[c.name for c in marts.python_marts()["model_comparison"].columns]
    )
    return {
        "ppml_variants": marts.conform(pd.concat(coefficients), "ppml_variants")
        if coefficients
        else marts.empty("ppml_variants"),
        "model_comparison": marts.conform(comparison, "model_comparison"),
    }


def _spec(variant: str) -> ModelSpec:
    base = study_spec(CATEGORY)
    if variant == BASE:
        return base
    regressors = tuple(_REFINED if name == _PRODUCTION else name for name in base.regressors)
    return replace(base, regressors=regressors)


def _deviance_left_out(panel: pd.DataFrame, variant: str) -> dict[int, float]:
    """Mean Poisson deviance (kg) of each year under the fit of the others.

    The year's own effect is unknown: predictions are scaled to the year's total, which maximises
    the likelihood over that effect. Rows of minerals that the fit cannot tell are left out; a year
    whose fit fails is missing.
    """
    spec = _spec(variant)
    found = {}
    for year in sorted(panel["year"].unique()):
        try:
            fit = fit_ppml(build_design(panel.loc[panel["year"] != year], spec))
        except (EstimationError, ValueError, ArithmeticError, np.linalg.LinAlgError):
            continue
        weights = dict(zip(fit.terms, fit.coefficients, strict=True))
        minerals = {t.name: v for t, v in weights.items() if t.term_type == "mineral"}
        minerals |= {t.name: 0.0 for t in fit.base_levels if t.term_type == "mineral"}
        rows = panel.loc[(panel["year"] == year) & panel["mineral"].isin(list(minerals))]
        rows = rows.dropna(subset=[spec.dependent, *spec.regressors])
        eta = rows["mineral"].map(minerals).to_numpy(dtype=np.float64)
        for term, value in weights.items():
            if term.term_type == "covariate":
                eta = eta + value * rows[term.name].to_numpy(dtype=np.float64)
        y = rows[spec.dependent].to_numpy(dtype=np.float64)
        if y.sum() > 0:
            found[int(year)] = _mean_deviance(y, eta)
    return found


def _mean_deviance(y: FloatArray, eta: FloatArray) -> float:
    """2 mean(y ln(y / mu) - (y - mu)), mu = exp(eta) scaled to the sum of y."""
    mu = np.exp(eta - eta.max())
    mu *= y.sum() / mu.sum()
    is_positive = y > 0
    logs = np.zeros_like(y)
    logs[is_positive] = y[is_positive] * np.log(y[is_positive] / mu[is_positive])
    return float(2.0 * np.mean(logs - (y - mu)))
