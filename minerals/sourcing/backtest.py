"""How well each model foretold what was bought next: metrics, rolling origins, skill.

At an origin, models see the five years up to it and are judged by what was bought in the three
years after it. Origins are three years apart, so that no year is judged twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from minerals import marts
from minerals.names import EXPECTED, PERSISTENCE, WORLD
from minerals.ppml.gravity import FloatArray
from minerals.sourcing.expected import (
    COMPONENTS,
    FROM_SUPPLIERS,
    components,
    expected_shares,
    fit_mixture,
)
from minerals.sourcing.world import (
    TEST_YEARS,
    WINDOW_YEARS,
    Pairs,
    Trade,
    Weights,
    Window,
    candidates,
    fit_weights,
    shares,
)

METRICS = (
    "spearman_rho",
    "top_k_value_share",
    "ndcg",
    "kl_divergence",
    "new_supplier_auc",
)
MIN_SUPPLIERS = 5
"""Markets of fewer suppliers before the origin are judged for the chosen importers alone."""
NEW_SHARE = 0.01
"""A new supplier had less than this share before the origin, and has it or more afterwards."""

_SHARE_FLOOR = 1e-6
_PAST = 2  # windows that the weights are learnt from
_DRAWS = 1000


def metrics(
    score: FloatArray,
    before: FloatArray,
    later: FloatArray,
    is_candidate: NDArray[np.bool_],
    k: int,
) -> dict[str, FloatArray]:
    """Each of METRICS for n markets (n,), from arrays (n, N): a model's score, an exporter's share
    before the origin and after it, and who is a candidate.

    spearman_rho: of score and later share over candidates, ties by their mean rank. The others:
    top_k_value_share, the later share of the k ranked first; ndcg, the same for 10 places with the
    gain of a place falling as 1/log2(1 + place), over that of the best order (Jarvelin and
    Kekalainen 2002); kl_divergence, sum of p ln(p/q) with p the later shares and q the score's, no
    q below 1e-6 (Kullback and Leibler 1951); new_supplier_auc, the probability that a new supplier
    ranks above another country that sold less than 1% before (area under the ROC curve, Hanley and
    McNeil 1982). Null where a metric is not defined. Ties of places go by column.
    """
    score = np.where(is_candidate, score, -1.0)
    later = shares(np.where(is_candidate, later, 0.0))
    order = np.argsort(-score, axis=1, kind="stable")
    sorted_later = np.take_along_axis(later, order, axis=1)
    discount = 1.0 / np.log2(np.arange(2, 12))
    ideal = -np.sort(-later, axis=1)[:, :10] @ discount[: later.shape[1]]
    positive = np.where(is_candidate, score, 0.0)
    q = np.where(is_candidate, np.maximum(shares(positive), _SHARE_FLOOR), 0.0)
    q = shares(q)
    with np.errstate(divide="ignore", invalid="ignore"):
        kl = np.where(later > 0, later * np.log(later / q), 0.0).sum(axis=1)
        ndcg = sorted_later[:, :10] @ discount[: later.shape[1]] / ideal
    is_new = is_candidate & (before < NEW_SHARE)
    return {
        "spearman_rho": _spearman(score, later, is_candidate),
        "top_k_value_share": np.minimum(sorted_later[:, :k].sum(axis=1), 1.0),
        "ndcg": ndcg,
        "kl_divergence": kl,
        "new_supplier_auc": _auc(score, is_new, is_new & (later >= NEW_SHARE)),
    }


def _spearman(a: FloatArray, b: FloatArray, is_in: NDArray[np.bool_]) -> FloatArray:
    """Per row the correlation of the ranks of those that are in."""
    ranks = []
    for values in (a, b):
        rank = rankdata(np.where(is_in, values, np.inf), axis=1)
        rank = np.where(is_in, rank, 0.0)
        mean = rank.sum(axis=1, keepdims=True) / is_in.sum(axis=1, keepdims=True)
        ranks.append(np.where(is_in, rank - mean, 0.0))
    x, y = ranks
    with np.errstate(divide="ignore", invalid="ignore"):
        return (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))


def _auc(score: FloatArray, is_in: NDArray[np.bool_], is_hit: NDArray[np.bool_]) -> FloatArray:
    rank = rankdata(np.where(is_in, score, np.inf), axis=1)
    hits, misses = is_hit.sum(axis=1), (is_in & ~is_hit).sum(axis=1)
    above = np.where(is_hit, rank, 0.0).sum(axis=1) - hits * (hits + 1) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return above / (hits * misses)


@dataclass(frozen=True)
class Learnt:
    """What the windows before an origin teach: the weights of the features and of the mixture, and
    the slopes of the two gravity models, to start from."""

    weights: Weights
    mixture: FloatArray
    slopes: tuple[FloatArray | None, FloatArray | None]


_NOTHING = Learnt(
    Weights(np.array([0.6, 0.2, 0.7, 0.3]), np.zeros((0, 4))),
    np.full((len(FROM_SUPPLIERS) + 1, len(COMPONENTS)), 1 / len(COMPONENTS)),
    (None, None),
)


@dataclass(frozen=True)
class Foretold:
    """What the models of one category say at one origin: shares (M, N, N) by model, and the
    components (4, M, N, N) that `expected` mixes."""

    window: Window
    learnt: Learnt
    components: FloatArray
    shares: Mapping[str, FloatArray]


def foretell(trade: Trade, pairs: Pairs, origin: int, learnt: Learnt) -> Foretold:
    """The models at an origin. Raises EstimationError as `fit_gravity` does."""
    window = Window.of(trade, pairs, origin - WINDOW_YEARS + 1, origin, learnt.slopes)
    world = learnt.weights.shares(window.features, candidates(window.bought))
    mixed = components(window, world)
    foretold = {
        WORLD: world,
        EXPECTED: expected_shares(window, mixed, learnt.mixture),
        PERSISTENCE: shares(window.bought),
    }
    return Foretold(window, learnt, mixed, foretold)


def roll(trade: Trade, pairs: Pairs, last: int) -> Iterator[tuple[Foretold, Learnt]]:
    """The models at origins three years apart before `last`, each with what it teaches the next.

    At each, the weights are learnt from the two windows before, whose outcomes end at the origin or
    earlier. The first window that the data allow has nothing to learn from and is not given.
    """
    first = int(trade.year.min())
    origins = range(last - TEST_YEARS, first + WINDOW_YEARS - 2, -TEST_YEARS)[::-1]
    past: list[tuple[Window, FloatArray, FloatArray]] = []
    learnt = _NOTHING
    for origin in origins:
        foretold, is_first = foretell(trade, pairs, origin, learnt), not past
        window, later = foretold.window, trade.mean_annual(origin + 1, origin + TEST_YEARS)
        past = [*past[1 - _PAST :], (window, foretold.components, later)]
        learnt = Learnt(
            fit_weights([(before, bought) for before, _, bought in past], learnt.weights.w),
            fit_mixture(past),
            (window.any_trade.slopes, window.value.slopes),
        )
        if not is_first:
            yield foretold, learnt


def judge(
    trade: Trade,
    origin: int,
    by_model: Mapping[str, FloatArray],
    later: FloatArray,
    importers: Sequence[str],
    k: int,
) -> pd.DataFrame:
    """Rows of `ranking_backtest` of one origin and the shares (M, N, N) of some models: markets
    with five suppliers or more in the window, and all of `importers`, in which anything was bought
    afterwards (M, N, N).

    A model that says nothing of an importer (NaN) has no row there.
    """
    bought = trade.mean_annual(origin - WINDOW_YEARS + 1, origin)
    is_candidate = candidates(bought)
    n_suppliers = (bought > 0).sum(axis=2)
    is_chosen = np.isin(trade.countries, list(importers))
    is_judged = (n_suppliers >= MIN_SUPPLIERS) | is_chosen
    is_judged &= np.where(is_candidate, later, 0.0).any(axis=2)
    m, i = np.nonzero(is_judged)
    frames = []
    for model, all_shares in by_model.items():
        score = all_shares[m, i]
        known = np.isfinite(score).all(axis=1)
        found = metrics(
            score[known],
            shares(bought)[m[known], i[known]],
            later[m[known], i[known]],
            is_candidate[m[known], i[known]],
            k,
        )
        frames.append(
            pd.DataFrame(
                {
                    "importer_iso3": np.array(trade.countries)[i[known]],
                    "mineral": np.array(trade.minerals)[m[known]],
                    "n_candidates": is_candidate[m[known], i[known]].sum(axis=1),
                    "n_suppliers": n_suppliers[m[known], i[known]],
                    **found,
                }
            ).assign(model=model)
        )
    return pd.concat(frames, ignore_index=True).assign(
        category=trade.category,
        origin_year=origin,
        last_test_year=origin + TEST_YEARS,
    )


def skill(backtest: pd.DataFrame, importers: Sequence[str], seed: int) -> pd.DataFrame:
    """`ranking_skill`: the mean of each metric by category, model and scope, and how much it
    differs from that of past purchases on the same markets, with a 90% interval.

    Scopes: `all_importers`, markets of five suppliers or more at all origins, importers resampled
    whole; `chosen_importers`, the markets of `importers` at the last origin, the only one at which
    the models of the study's kind are judged, minerals resampled.
    """
    last = backtest["origin_year"].max()
    scopes = {
        "all_importers": (backtest["n_suppliers"] >= MIN_SUPPLIERS, "importer_iso3"),
        "chosen_importers": (
            backtest["importer_iso3"].isin(list(importers)) & (backtest["origin_year"] == last),
            "mineral",
        ),
    }
    market = ["importer_iso3", "mineral", "origin_year"]
    rows = []
    for scope, (is_in, resampled) in scopes.items():
        for (category, model), own in backtest[is_in].groupby(["category", "model"], sort=True):
            if scope == "all_importers" and model not in (WORLD, EXPECTED, PERSISTENCE):
                continue
            base = backtest[is_in & (backtest["model"] == PERSISTENCE)]
            base = base[base["category"] == category]
            both = own.merge(base, on=market, suffixes=("", "_past"))
            for metric in METRICS:
                known = own[metric].dropna()
                difference = (both[metric] - both[f"{metric}_past"]).to_numpy()
                rows.append(
                    {
                        "category": category,
                        "model": model,
                        "scope": scope,
                        "metric": metric,
                        "mean_score": known.mean(),
                        "n_markets": len(known),
                        **interval(difference, both[resampled], seed),
                    }
                )
    return marts.conform(pd.DataFrame(rows), "ranking_skill")


def interval(difference: FloatArray, cluster: pd.Series, seed: int) -> dict[str, float]:
    """The mean difference and its 90% interval, whole clusters resampled (Efron 1979)."""
    known = np.isfinite(difference)
    codes = pd.factorize(cluster[known])[0]
    nothing = {"difference_to_past": np.nan, "conf_low": np.nan, "conf_high": np.nan}
    if not len(codes):
        return nothing
    sums, counts = np.bincount(codes, difference[known]), np.bincount(codes)
    n = len(counts)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=_DRAWS)
    low, high = np.quantile((drawn @ sums) / (drawn @ counts), [0.05, 0.95])
    mean = sums.sum() / counts.sum()
    return {"difference_to_past": mean, "conf_low": low, "conf_high": high}
