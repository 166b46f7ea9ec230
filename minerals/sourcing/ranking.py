"""Rankings of the suppliers of a mineral: each year's, with alignment, and the forward one.

The candidates of a mineral are the panel's exporters of it. Suppliers of one mineral are ranked by
the linear predictor without effects: mineral and year effects are the same for all of them. Ties
are broken by the exporter's ISO3 code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from minerals import marts
from minerals.characteristics import average_characteristics, recent_years, require_regressors
from minerals.frames import require_columns
from minerals.names import (
    PUBLISHED,
    REGRESSORS,
    SE_CLUSTERED,
    SE_PUBLISHED,
    SUPPLIER,
    quantity_column,
)
from minerals.ranks import effective_k, krinsky_robb, rank_evidence, ranks_within
from minerals.settings import Choices
from minerals.shares import implied_shares, window_imports
from minerals.sourcing.alignment import beside_actual

FloatArray = NDArray[np.float64]

UNIDENTIFIED_BELOW = -20.0
"""A published mineral effect below this means that the study saw no import: it is not an
estimate."""

FROM_TRADE, FROM_CHARACTERISTICS = "sales to others", "supply characteristics"
"""What a score rests on (`score_basis`)."""

SET_KEY = ["importer_iso3", "category", "coefficient_source"]


@dataclass(frozen=True)
class CoefficientSet:
    """One model's coefficients, by what they multiply.

    variances: of the regressors, from their standard errors. separated: dummy regressors whose
    coefficient is minus infinity. minerals, years: effects that are identified, with base levels.
    """

    importer: str
    category: str
    source: str
    regressors: dict[str, float]
    variances: dict[str, float]
    separated: tuple[str, ...]
    minerals: dict[str, float]
    years: dict[int, float]
    constant: float


def coefficient_sets(coefficients: pd.DataFrame) -> Iterator[CoefficientSet]:
    """The models in a `ppml_coefficients` frame, in the order of importer, category and source.

    Of several kinds of standard error the clustered one is taken. Raises ValueError when a column
    is missing, a term is given twice, or a model has no constant.
    """
    needed = [*SET_KEY, "se_type", "term_type", "term", "estimate", "std_error"]
    require_columns(coefficients, needed, "coefficients")
    for (importer, category, source), rows in coefficients.groupby(SET_KEY, sort=True):
        yield _coefficient_set(str(importer), str(category), str(source), rows)


def linear_predictor(
    frame: pd.DataFrame, coefficients: CoefficientSet, include_mineral: bool
) -> FloatArray:
    """x'b of the (n,) rows: constant, regressors, year effect and, on request, the mineral's.

    The year effect is added when `frame` has a column `year`; otherwise the logarithm of the mean
    of exp(year effect) over those that are identified, as characteristics are averaged in levels:
    exp(x'b) is then the mean quantity of these years. Unit: ln kg. NaN where an effect is not
    identified; minus infinity where a separated dummy regressor is 1. Source: Santos Silva and
    Tenreyro (2006), equation 9.
    """
    eta = coefficients.constant + attractiveness(frame, coefficients)
    if "year" in frame.columns:
        eta = eta + frame["year"].map(coefficients.years).to_numpy(dtype=np.float64)
    elif coefficients.years:
        eta = eta + float(np.log(np.mean(np.exp(list(coefficients.years.values())))))
    if include_mineral:
        eta = eta + frame["mineral"].map(coefficients.minerals).to_numpy(dtype=np.float64)
    return eta


def attractiveness(frame: pd.DataFrame, coefficients: CoefficientSet) -> FloatArray:
    """The regressors' part of x'b, (n,), by which suppliers are ranked.

    Minus infinity where a separated dummy is 1. Raises ValueError when a regressor is null.
    """
    names = list(coefficients.regressors)
    require_regressors(frame, [*names, *coefficients.separated])
    eta = frame[names].to_numpy(dtype=np.float64) @ np.array(list(coefficients.regressors.values()))
    return np.where(_is_separated(frame, coefficients), -np.inf, eta)


def annual_ranking(panel: pd.DataFrame, coefficients: pd.DataFrame, top_k: int) -> pd.DataFrame:
    """`ranking_annual`: predicted and actual rank of every candidate, each mineral and year.

    For every model in `coefficients` (see `coefficient_sets`), on the rows of its importer in
    `panel`. predicted_qty_kg = exp(x'b).
    """
    frames = [
        _annual(panel.loc[panel["importer_iso3"] == model.importer], model, top_k)
        for model in coefficient_sets(coefficients)
    ]
    if not frames:
        return marts.empty("ranking_annual")
    return marts.conform(pd.concat(frames, ignore_index=True), "ranking_annual")


def forward_ranking(
    panel: pd.DataFrame,
    coefficients: pd.DataFrame,
    bootstrap: pd.DataFrame,
    choices: Choices,
) -> pd.DataFrame:
    """Rows of `ranking_forward` of the models in `coefficients`.

    Characteristics are averaged by `average_characteristics`, year effects in levels too, over the
    last `choices.forward_years` years up to the importer's last in the panel; None means all of
    them, as in the study. Actual figures are over the whole panel.

    Intervals of ranks of estimated models are over the coefficients in `bootstrap`
    (`ppml_bootstrap`): one vector a sample of exporters. For published models they are over
    `simulation_draws` from N(b, V) (`krinsky_robb`), each model from the seed anew. The study
    prints standard errors only: V is diagonal, so that these intervals disregard the correlation
    between coefficients and are indicative.

    Raises ValueError when the bootstrap of an estimated model is missing.
    """
    imports = window_imports(panel)
    recent = recent_years(panel, choices.forward_years)
    frames = [
        _forward(
            recent.loc[recent["importer_iso3"] == model.importer],
            model,
            _other_coefficients(model, bootstrap, choices),
            choices.top_k,
        )
        for model in coefficient_sets(coefficients)
    ]
    if not frames:
        return marts.empty("ranking_forward")
    ranked = pd.concat(frames, ignore_index=True).merge(imports, how="left", on=SUPPLIER)
    keys = [ranked[name] for name in (*SET_KEY, "mineral")]
    ranked["model_share"] = implied_shares(ranked["linear_predictor"], keys)
    return ranked.assign(score_basis=FROM_CHARACTERISTICS)


def _annual(panel: pd.DataFrame, model: CoefficientSet, top_k: int) -> pd.DataFrame:
    frame = panel[["importer_iso3", "mineral", "year", "exporter_iso3"]].assign(
        category=model.category,
        coefficient_source=model.source,
        actual_qty_kg=panel[quantity_column(model.category)],
        predicted_qty_kg=_quantity(linear_predictor(panel, model, include_mineral=True)),
    )
    groups = ["mineral", "year"]
    score = attractiveness(panel, model)
    frame["predicted_rank"] = _rank(frame, groups, score)
    finite = pd.Series(np.where(np.isfinite(score), score, np.nan), index=frame.index)
    frame["model_share"] = implied_shares(finite, [frame[name] for name in groups])
    candidates = frame.groupby("mineral")["exporter_iso3"].transform("nunique")
    frame["effective_k"] = effective_k(candidates, top_k)
    return beside_actual(frame, groups)


def _forward(
    panel: pd.DataFrame, model: CoefficientSet, others: FloatArray, top_k: int
) -> pd.DataFrame:
    in_panel = set(panel["year"])
    model = replace(model, years={y: e for y, e in model.years.items() if y in in_panel})
    frame = average_characteristics(panel, [*model.regressors, *model.separated]).assign(
        importer_iso3=model.importer, category=model.category, coefficient_source=model.source
    )
    eta = linear_predictor(frame, model, include_mineral=False)
    frame["linear_predictor"] = np.where(np.isfinite(eta), eta, np.nan)
    frame["predicted_qty_kg"] = _quantity(linear_predictor(frame, model, include_mineral=True))
    frame["forward_rank"] = _rank(frame, ["mineral"], attractiveness(frame, model))
    candidates = frame.groupby("mineral")["exporter_iso3"].transform("size")
    frame["effective_k"] = effective_k(candidates, top_k)
    ranks = _simulated_ranks(frame, model, others)
    return frame.assign(**rank_evidence(ranks, frame["effective_k"].to_numpy()))


def _simulated_ranks(
    frame: pd.DataFrame, model: CoefficientSet, drawn: FloatArray
) -> NDArray[np.int64]:
    """Ranks (n, draws) within each mineral by the coefficients `drawn` (draws, p); `frame` is
    sorted by mineral and exporter."""
    eta = frame[list(model.regressors)].to_numpy(dtype=np.float64) @ drawn.T
    eta[_is_separated(frame, model)] = -np.inf
    groups = frame.groupby("mineral", sort=True).indices.values()
    return ranks_within(eta, [np.asarray(rows) for rows in groups])


def _other_coefficients(
    model: CoefficientSet, bootstrap: pd.DataFrame, choices: Choices
) -> FloatArray:
    """Coefficients of the model's regressors (draws, p) as other samples would give them.

    What a bootstrap lacks was dropped as collinear: its estimate is zero.
    """
    names = list(model.regressors)
    if model.source == PUBLISHED:
        mean = np.array(list(model.regressors.values()))
        matrix = np.diag([model.variances[name] for name in names])
        return krinsky_robb(mean, matrix, choices.simulation_draws, choices.seed)
    key = model.importer, model.category, model.source
    own = bootstrap.loc[(bootstrap[SET_KEY] == key).all(axis=1)]
    if own.empty:
        raise ValueError(f"no bootstrap of {', '.join(key)}")
    wide = own.pivot(index="replication", columns="term", values="estimate").sort_index()
    return wide.reindex(columns=names).fillna(0.0).to_numpy(dtype=np.float64)


def _coefficient_set(
    importer: str, category: str, source: str, rows: pd.DataFrame
) -> CoefficientSet:
    kinds = set(rows["se_type"])
    kind = next((k for k in (SE_CLUSTERED, SE_PUBLISHED) if k in kinds), min(kinds))
    rows = rows.loc[rows["se_type"] == kind]
    columns = (rows[name].tolist() for name in ("term_type", "term", "estimate", "std_error"))
    terms = list(zip(*columns, strict=True))
    label = f"{importer}, {category}, {source}"
    if len({term[:2] for term in terms}) < len(terms):
        raise ValueError(f"a term of {label} is given twice")

    def estimates(term_type: str, place: int = 2) -> dict[str, float]:
        """Of the terms that have an estimate, the study's order first, then by name."""
        known = {
            term[1]: term[place] for term in terms if term[0] == term_type and pd.notna(term[2])
        }
        first = [name for name in REGRESSORS if name in known]
        names = [*first, *sorted(known.keys() - set(first))]
        return {str(name): float(known[name]) for name in names}

    constants = estimates("constant")
    if not constants:
        raise ValueError(f"the coefficients of {label} have no constant")
    infinite = [term[1] for term in terms if term[0] == "covariate" and pd.isna(term[2])]
    floor = UNIDENTIFIED_BELOW if source == PUBLISHED else -np.inf
    errors = estimates("covariate", 3)
    return CoefficientSet(
        importer=importer,
        category=category,
        source=source,
        regressors=estimates("covariate"),
        variances={name: 0.0 if np.isnan(e) else e**2 for name, e in errors.items()},
        separated=tuple(map(str, infinite)),
        minerals={name: e for name, e in estimates("mineral").items() if e >= floor},
        years={int(year): effect for year, effect in estimates("year").items()},
        constant=next(iter(constants.values())),
    )


def _is_separated(frame: pd.DataFrame, model: CoefficientSet) -> NDArray[np.bool_]:
    return (frame[list(model.separated)] > 0).any(axis=1).to_numpy(dtype=bool)


def _quantity(eta: FloatArray) -> FloatArray:
    """exp(eta) in kg; NaN where eta is not a number or minus infinity."""
    return np.exp(np.where(np.isfinite(eta), eta, np.nan))


def _rank(frame: pd.DataFrame, groups: list[str], score: FloatArray) -> pd.Series:
    """Rank from 1 within `groups`, the highest score first, ties by exporter_iso3."""
    ordered = frame[[*groups, "exporter_iso3"]].assign(minus_score=-score)
    ordered = ordered.sort_values([*groups, "minus_score", "exporter_iso3"], kind="stable")
    return (ordered.groupby(groups).cumcount() + 1).reindex(frame.index)
