"""The importer's model with other regressors beside the base fit: never in its place.

The study names what it would add (section 5.3). `VARIANTS` declares each, `import_panel_covariates`
holds the figures, and years left out judge whether it helps. What no source at hand measures is a
row of `model_comparison` that says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from minerals import marts
from minerals.characteristics import average_characteristics, recent_years
from minerals.names import CATEGORIES
from minerals.ppml import FAILURES, EstimationError
from minerals.ppml.bootstrap import cluster_bootstrap
from minerals.ppml.columns import FloatArray, IntArray
from minerals.ppml.design import Design, ModelSpec, build_design, study_spec
from minerals.ppml.diagnostics import diagnose, top_k_kept, variance_inflation
from minerals.ppml.estimator import Fit, fit_ppml, irls, saturated_likelihood, standardise
from minerals.ppml.separation import separated_rows
from minerals.ppml.terms import terms_frame
from minerals.ranks import effective_k, krinsky_robb, rank_evidence, ranks_within

if TYPE_CHECKING:
    from minerals.settings import Choices

MAX_VIF = 10.0
MIN_BETTER_SHARE = 0.8
INTERVAL = (0.05, 0.95)
"""A variant is supported when each regressor that it adds has the sign expected of it, a variance
inflation below MAX_VIF and 90% intervals (clustered and bootstrap) without zero, and at least
MIN_BETTER_SHARE of the years left out are predicted better than by the base fit."""
_Z = 1.6448536269514722  # 0.95 of the normal distribution
_MOST_SAMPLES = 200  # are enough for an interval of 90%


@dataclass(frozen=True)
class Variant:
    """adds: columns of `import_panel_covariates` and the sign expected of each, `{category}` to be
    filled in. replaces: regressors of the study that they stand for. without: why there is nothing
    to add. caution: what to know before the result is read."""

    name: str
    adds: Mapping[str, int] = field(default_factory=dict)
    replaces: tuple[str, ...] = ()
    categories: tuple[str, ...] = CATEGORIES
    without: str | None = None
    caution: str | None = None

    def added(self, category: str) -> dict[str, int]:
        return {name.format(category=category): sign for name, sign in self.adds.items()}


BASE, ALL = "base", "all"
VARIANTS = (
    Variant(BASE),
    Variant(
        "alignment",
        {"ideal_point_distance": -1},
        caution="votes are not alliances",
    ),
    Variant(
        "agreements",
        {"n_agreements_in_force": 1},
        caution="agreements follow trade, and the register does not hold all",
    ),
    Variant(
        "restrictions",
        {"{category}_restriction_severity": -1},
        caution="most restrictions took effect after 2023, and the severity is judged",
    ),
    Variant(
        "refined",
        {"ln_refined_qty": 1},
        replaces=("ln_production_qty",),
        categories=("products",),
        caution="mine output stands where refined output is unknown",
    ),
    Variant("logistics", {"logistics_performance_index": 1}),
    Variant(
        "circular_economy",
        categories=("scrap",),
        without="the data hold neither what exporters sell of scrap to others nor what they "
        "recycle",
    ),
    Variant(
        "cost",
        {"ln_{category}_unit_value_ratio": -1},
        caution="goods of one HS code differ in grade",
    ),
    Variant(
        "risk",
        {"wgi_political_stability": 1, "wgi_regulatory_quality": 1},
        replaces=("wgi_average",),
    ),
    Variant(
        "value_added",
        without="the data hold neither manufacturing value added nor mineral rents; the proxy is "
        "ores_metals_exports",
    ),
    Variant(
        "ores_metals_exports",
        {"ores_metals_exports_pct_merchandise": 1},
        caution="a proxy: how much a country lives on ores and metals, not what it adds to them",
    ),
)


@dataclass
class _Tried:
    """A variant of one category: its row of `model_comparison`, and what was estimated."""

    category: str
    variant: str
    row: dict[str, object]
    spec: ModelSpec
    signs: Mapping[str, int]
    design: Design | None = None
    fit: Fit | None = None
    left_out: dict[str, float] = field(default_factory=dict)
    interval: dict[str, tuple[float, float]] = field(default_factory=dict)
    ranked: pd.DataFrame | None = None


def model_variants(
    panel: pd.DataFrame, covariates: pd.DataFrame, importer: str, choices: Choices
) -> dict[str, pd.DataFrame]:
    """`ppml_variants`, `model_comparison` and `ranking_forward_variants` of one importer.

    panel: `import_panel`; covariates: `import_panel_covariates`, a row for each of its rows. A
    variant that cannot be estimated has a row of the comparison that says why. ValueError when a
    row of the panel has no covariates.
    """
    key = ["importer_iso3", "exporter_iso3", "mineral", "year"]
    panel = panel.loc[panel["importer_iso3"] == importer]
    joined = panel.merge(covariates, on=key, validate="one_to_one")
    if len(joined) < len(panel):
        raise ValueError(
            f"import_panel_covariates lacks {len(panel) - len(joined)} rows of the panel of "
            f"{importer}: build both marts together"
        )
    tried = [t for category in CATEGORIES for t in _category(joined, category, choices)]
    coefficients = [_coefficients(t) for t in tried if t.fit is not None]
    ranked = [t.ranked for t in tried if t.ranked is not None]
    names = [column.name for column in marts.python_marts()["model_comparison"].columns]
    comparison = pd.DataFrame([t.row for t in tried], columns=names)
    comparison["importer_iso3"] = importer

    def table(name: str, frames: list[pd.DataFrame]) -> pd.DataFrame:
        if not frames:
            return marts.empty(name)
        return marts.conform(pd.concat(frames).assign(importer_iso3=importer), name)

    return {
        "ppml_variants": table("ppml_variants", coefficients),
        "model_comparison": marts.conform(comparison, "model_comparison"),
        "ranking_forward_variants": table("ranking_forward_variants", ranked),
    }


def _category(panel: pd.DataFrame, category: str, choices: Choices) -> list[_Tried]:
    """Every variant of one category, all of them together last."""
    own = [variant for variant in VARIANTS if category in variant.categories]
    tried = [_try(panel, category, variant) for variant in own]
    helpful = [v for v, t in zip(own, tried, strict=True) if t.fit is not None and v.adds]
    if len(helpful) > 1:
        everything = Variant(
            ALL,
            {name: sign for variant in helpful for name, sign in variant.adds.items()},
            replaces=tuple(name for variant in helpful for name in variant.replaces),
            caution="of: " + ", ".join(variant.name for variant in helpful),
        )
        tried.append(_try(panel, category, everything))
    base = tried[0]
    if base.fit is not None:
        _compare(panel, base, [t for t in tried if t.fit is not None], choices)
    return tried


def _try(panel: pd.DataFrame, category: str, variant: Variant) -> _Tried:
    signs, study = variant.added(category), study_spec(category)
    kept = [name for name in study.regressors if name not in variant.replaces]
    spec = replace(study, regressors=(*kept, *signs))
    row: dict[str, object] = {
        "category": category,
        "variant": variant.name,
        "added_terms": ", ".join(f"{n} {'+' if s > 0 else '-'}" for n, s in signs.items()) or None,
        "is_supported": None if variant.name == BASE else False,
        "caution": variant.caution,
        "reason": variant.without,
    }
    tried = _Tried(category, variant.name, row, spec, signs)
    if variant.without:
        return tried
    try:
        if signs:
            row["n_observed"] = _n_observed(panel, signs)
        design = build_design(panel, spec)
        if unidentified := [name for name in signs if name not in design.covariates]:
            raise EstimationError(
                f"{', '.join(unidentified)} does not vary, or varies only with other regressors, "
                f"where {category} could have been bought"
            )
        fit = fit_ppml(design)
        if not fit.is_converged:
            raise EstimationError("the fit did not converge")
        diagnostics = diagnose(design, fit)
    except FAILURES as error:
        row["reason"] = str(error)
        return tried
    row |= {name: value for name, value in vars(fit).items() if name not in row}
    row |= vars(diagnostics)
    tried.design, tried.fit = design, fit
    tried.left_out = _deviance_left_out(design, fit)
    return tried


def _n_observed(panel: pd.DataFrame, added: Mapping[str, int]) -> int:
    """Rows whose added regressors are all observed. EstimationError when there are none."""
    flags = [f"is_imputed_{name}" for name in added if f"is_imputed_{name}" in panel.columns]
    n_observed = int((~panel[flags].any(axis=1) & panel[list(added)].notna().all(axis=1)).sum())
    if not n_observed:
        raise EstimationError(f"the data hold no {', '.join(added)} of any supplier")
    return n_observed


def _compare(panel: pd.DataFrame, base: _Tried, estimated: list[_Tried], choices: Choices) -> None:
    """Write into the rows how each variant does beside the base fit, on the years both predict, and
    rank the candidates by each."""
    every = list(dict.fromkeys(name for t in estimated for name in t.spec.regressors))
    recent = recent_years(panel, choices.forward_years)
    means = average_characteristics(recent.dropna(subset=every), every)
    groups = [np.asarray(rows) for rows in means.groupby("mineral", sort=True).indices.values()]
    scores = {t.variant: scores_of(means, t.fit) for t in estimated if t.fit is not None}
    for t in estimated:
        years = base.left_out.keys() & t.left_out.keys()
        n_better = sum(t.left_out[year] < base.left_out[year] for year in years)
        kept = top_k_kept(scores[BASE], scores[t.variant][:, None], groups, choices.top_k)
        t.row |= {
            "n_years_left_out": len(years),
            "n_years_better_than_base": n_better,
            "top_k_overlap_with_base": float(kept[0]),
        }
        if years:
            deviance = np.mean([t.left_out[year] for year in years])
            t.row["deviance_left_out"] = float(f"{deviance:.9g}")  # a fit ends near its optimum
        if t is not base:
            _judge(t, bool(years) and n_better >= MIN_BETTER_SHARE * len(years), choices)
    candidates = means.groupby("mineral")["exporter_iso3"].transform("size")
    k = effective_k(candidates, choices.top_k).to_numpy()
    ranks = {name: ranks_within(score[:, None], groups)[:, 0] for name, score in scores.items()}
    for t in estimated:
        t.ranked = means[["mineral", "exporter_iso3"]].assign(
            category=t.category,
            variant=t.variant,
            forward_rank=ranks[t.variant],
            rank_change_from_base=ranks[BASE] - ranks[t.variant],
            **_evidence(means, t, scores[t.variant], groups, k, choices),
        )


def _evidence(
    means: pd.DataFrame,
    tried: _Tried,
    scores: FloatArray,
    groups: list[IntArray],
    k: IntArray,
    choices: Choices,
) -> Mapping[str, NDArray[np.number] | None]:
    """How sure the candidates' ranks are, over draws from the exporter-clustered covariance; null
    where the fit has none."""
    assert tried.design is not None and tried.fit is not None
    names = list(tried.design.covariates)
    p = len(names)
    cov = tried.fit.cov_clustered[:p, :p]
    if not (tried.fit.is_full_rank and np.isfinite(cov).all()):
        return dict.fromkeys(("rank_low", "rank_high", "top_k_probability"))
    draws = min(choices.simulation_draws, _MOST_SAMPLES)
    drawn = krinsky_robb(tried.fit.coefficients[:p], cov, draws, choices.seed)
    eta = means[names].to_numpy(dtype=np.float64) @ drawn.T
    eta[np.isneginf(scores)] = -np.inf
    return rank_evidence(ranks_within(eta, groups), k)


def scores_of(means: pd.DataFrame, fit: Fit) -> FloatArray:
    """x'b (n,) of the candidates; those that a separated dummy rules out are last."""
    names = [t.name for t in fit.terms if t.term_type == "covariate"]
    ruling_out = [t.name for t in fit.dropped.separated if t.term_type == "covariate"]
    eta = means[names].to_numpy(dtype=np.float64) @ fit.coefficients[: len(names)]
    return np.where((means[ruling_out] > 0).any(axis=1), -np.inf, eta)


def _judge(tried: _Tried, is_better: bool, choices: Choices) -> None:
    """Whether the variant is supported, and what speaks against it.

    The bootstrap, the dearest condition, runs where all others hold.
    """
    assert tried.design is not None and tried.fit is not None
    conditions, max_vif = conditions_of(tried.design, tried.fit, tried.signs)
    conditions |= {"years left out": is_better, "interval": conditions.pop("interval")}
    if all(conditions.values()):
        places = [tried.design.covariates.index(name) for name in tried.signs]
        replications = min(choices.bootstrap_replications, _MOST_SAMPLES)
        low, high = np.full((2, len(places)), np.nan)
        try:
            bootstrap = cluster_bootstrap(tried.design, tried.fit, replications, choices.seed)
        except FAILURES:
            bootstrap = None
        if bootstrap and bootstrap.usable_share > 0.5:
            low, high = np.quantile(bootstrap.draws[:, places], INTERVAL, axis=0)
        tried.interval = dict(zip(tried.signs, zip(low, high, strict=True), strict=True))
        conditions["interval"] = bool((low * high > 0).all())
    tried.row |= {"max_vif_added": max_vif} | verdict(conditions)


def conditions_of(
    design: Design, fit: Fit, signs: Mapping[str, int]
) -> tuple[dict[str, bool], float]:
    """Which conditions hold of all added regressors, and the largest variance inflation of one."""
    places = [design.covariates.index(name) for name in signs]
    estimates = fit.coefficients[places]
    margin = _Z * np.sqrt(np.diag(fit.cov_clustered)[places])
    max_vif = float(variance_inflation(design.columns)[places].max())
    return {
        "sign": bool((estimates * list(signs.values()) > 0).all()),
        "collinearity": max_vif < MAX_VIF,
        "interval": bool((np.abs(estimates) > margin).all()),
    }, max_vif


def verdict(conditions: Mapping[str, bool]) -> dict[str, object]:
    """Whether all conditions hold, as in `model_comparison`."""
    return {
        "is_sign_as_expected": conditions["sign"],
        "is_supported": all(conditions.values()),
        "not_supported_by": "; ".join(n for n, holds in conditions.items() if not holds) or None,
    }


def _coefficients(tried: _Tried) -> pd.DataFrame:
    assert tried.fit is not None
    frame = terms_frame(tried.fit, tried.fit.cov_clustered)
    for place, name in enumerate(("bootstrap_low", "bootstrap_high")):
        bounds = {term: interval[place] for term, interval in tried.interval.items()}
        frame[name] = frame["term"].map(bounds).astype("float64")
    return frame.assign(category=tried.category, variant=tried.variant)


def left_out_predictions(
    design: Design, fit: Fit, groups: IntArray
) -> Iterator[tuple[int, IntArray, FloatArray]]:
    """Each group (n,) of rows, predicted by the fit of the others: its code, the rows, their x'b.

    The first effect of the design is the mineral: rows of minerals that the others do not tell are
    left out, and so is a group whose fit fails, or without which a regressor does not vary. Another
    effect of the group's own is unknown and counts as zero.
    """
    minerals = design.columns.codes[0]
    standard, back = standardise(design.columns)
    mean = float(design.y.mean())
    start = np.asarray(np.linalg.solve(back, fit.coefficients), dtype=np.float64)
    start[-1] -= np.log(mean)
    for group in np.unique(groups):
        (rows,) = np.nonzero(groups != group)
        try:
            seen = rows[~separated_rows(design.y[rows], design.columns.take(rows))]
            others = standard.take(seen)
            if len(seen) <= others.shape[1] or not others.present().is_surely_full_rank():
                continue
            warm = start, others.predict(start)
            fitted = irls(design.y[seen] / mean, others, warm)
        except FAILURES:
            continue
        if fitted.is_converged:
            (told,) = np.nonzero((groups == group) & np.isin(minerals, minerals[seen]))
            yield int(group), told, standard.predict(fitted.coefficients)[told] + np.log(mean)


def _deviance_left_out(design: Design, fit: Fit) -> dict[str, float]:
    """Mean Poisson deviance (kg) of each year under the fit of the others.

    Predictions are scaled to the year's total, which maximises the likelihood over the year's own
    effect. A year without imports of what the others tell is missing.
    """
    names = [t.name for t in (*design.terms, *design.base_levels) if t.term_type == "year"]
    return {
        names[year]: _mean_deviance(design.y[rows], eta)
        for year, rows, eta in left_out_predictions(design, fit, design.columns.codes[1])
        if design.y[rows].sum() > 0
    }


def _mean_deviance(y: FloatArray, eta: FloatArray) -> float:
    """2 mean(y ln(y / mu) - (y - mu)), mu = exp(eta) scaled to the sum of y."""
    eta = eta - eta.max()
    eta += np.log(y.sum() / np.exp(eta).sum())
    return float(2.0 * np.mean(saturated_likelihood(y) - y * eta + np.exp(eta)))
