"""Who could supply each importer: a model of what all countries buy, its own purchases left out.

Two gravity models (`ppml.gravity`) over all importers say who sells a mineral at all (any trade: 1
where there was some) and how much (value). From both, exporter j's score for importer i leaves i's
own purchases out. The world model combines, with weights that are the same for all markets of a
category, the logarithms of these two scores, of the mean share of j among the importers near i, and
whether i and j share a border:

    share_mij = exp(f_mij'w) over its sum over j

The weights are those that best foretold later purchases in past windows (a Poisson regression of
later shares with an effect per importer and mineral, which is a conditional logit): the mean of two
fits, one in which every market counts the same and one in which it counts by its value to the power
of 0.75. Nothing of the years to be foretold enters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from minerals.frames import require_columns
from minerals.ppml.gravity import FloatArray, Gravity, effects_given, fit_gravity, leave_out

REGRESSORS = (
    "ln_distance",
    "is_same_region",
    "is_contiguous",
    "has_common_official_language",
    "has_colonial_tie",
)
FEATURES = ("ln_any_trade_score", "ln_value_score", "is_contiguous", "ln_share_near")
WINDOW_YEARS, TEST_YEARS = 5, 3
MIN_IMPORTERS = 30
"""Trade of fewer importers than this says nothing of the world."""

_NEAR_KM = 500.0
_SCORE_FLOOR, _NEAR_FLOOR = 1e-9, 1e-4
_VALUE_POWER, _VALUE_PART = 0.75, 0.4
_RIDGE = 1e-3
_ROUNDS = 60  # of the closed form of one year's effects


@dataclass(frozen=True)
class Trade:
    """What all countries buy in one category: M minerals, N countries, one entry per flow and year;
    `cell` is its place in an array (M, N, N) of mineral, importer and exporter, value in USD."""

    category: str
    minerals: tuple[str, ...]
    countries: tuple[str, ...]
    year: NDArray[np.int64]
    cell: NDArray[np.int64]
    value: FloatArray

    @classmethod
    def of(cls, flows: pd.DataFrame, category: str, countries: Sequence[str]) -> Trade:
        """From rows of importer_iso3, exporter_iso3, mineral, category, year and value_usd."""
        needed = ["importer_iso3", "exporter_iso3", "mineral", "category", "year", "value_usd"]
        require_columns(flows, needed, "the trade flows")
        own = flows.loc[flows["category"] == category]
        own = own.loc[own["importer_iso3"] != own["exporter_iso3"]]
        minerals = tuple(sorted(own["mineral"].unique()))
        places = [
            pd.Categorical(own[column], categories=list(words)).codes.astype(np.int64)
            for column, words in (
                ("mineral", minerals),
                ("importer_iso3", countries),
                ("exporter_iso3", countries),
            )
        ]
        shape = (len(minerals), len(countries), len(countries))
        return cls(
            category,
            minerals,
            tuple(countries),
            own["year"].to_numpy(dtype=np.int64),
            np.ravel_multi_index(tuple(places), shape) if len(own) else np.empty(0, np.int64),
            own["value_usd"].to_numpy(dtype=np.float64),
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        return len(self.minerals), len(self.countries), len(self.countries)

    @cached_property
    def n_importers(self) -> int:
        return len(np.unique(self.cell // len(self.countries) % len(self.countries)))

    def mean_annual(self, first: int, last: int) -> FloatArray:
        """USD a year over the years from first to last, (M, N, N)."""
        is_in = (self.year >= first) & (self.year <= last)
        total = np.bincount(self.cell[is_in], self.value[is_in], int(np.prod(self.shape)))
        return np.asarray(total.reshape(self.shape) / (last - first + 1))


@dataclass(frozen=True)
class Pairs:
    """What is between N countries: x (K, N, N) the REGRESSORS, near (N, N) the weight of one
    importer's purchases for another, exp(-distance / 500 km), zero for itself."""

    x: FloatArray
    near: FloatArray

    @classmethod
    def of(cls, frame: pd.DataFrame, countries: Sequence[str]) -> Pairs:
        """From `dim_country_pair`; a pair without a distance has the median of all."""
        index = pd.MultiIndex.from_product([countries, countries])
        wide = frame.set_index(["importer_iso3", "exporter_iso3"]).reindex(index)
        n = len(countries)
        km = wide["distance_km"].fillna(wide["distance_km"].median()).to_numpy(dtype=np.float64)
        ties = wide[list(REGRESSORS[1:])].astype("boolean").fillna(False).astype("float64")
        near = np.exp(-km.reshape(n, n) / _NEAR_KM)
        np.fill_diagonal(near, 0.0)
        x = np.vstack([np.log(np.maximum(km, 1.0)), ties.to_numpy().T]).reshape(-1, n, n)
        return cls(x, near)

    @property
    def is_contiguous(self) -> FloatArray:
        return np.asarray(self.x[REGRESSORS.index("is_contiguous")])


@dataclass(frozen=True)
class Window:
    """The gravity models of one window of years, and what they say of every pair."""

    trade: Trade
    pairs: Pairs
    first: int
    last: int
    bought: FloatArray
    any_trade: Gravity
    value: Gravity

    @classmethod
    def of(
        cls,
        trade: Trade,
        pairs: Pairs,
        first: int,
        last: int,
        starts: tuple[FloatArray | None, FloatArray | None] = (None, None),
    ) -> Window:
        """Fit a window; `starts`: the slopes to begin from.

        Raises EstimationError when a gravity model cannot be estimated.
        """
        bought = trade.mean_annual(first, last)
        any_trade = fit_gravity((bought > 0).astype(np.float64), pairs.x, starts[0])
        value = fit_gravity(bought, pairs.x, starts[1])
        return cls(trade, pairs, first, last, bought, any_trade, value)

    @cached_property
    def features(self) -> FloatArray:
        """(F, M, N, N), in the order of FEATURES."""
        any_trade, value = self.any_trade.leave_out(), self.value.leave_out()
        return self._features(any_trade, value, near_shares(self.bought, self.pairs.near))

    def features_of_year(self, year: int) -> FloatArray:
        """The same with the effects of one year's trade and the slopes of the window."""
        bought = self.trade.mean_annual(year, year)

        def score(model: Gravity, y: FloatArray) -> FloatArray:
            start = np.where(y.any(axis=1), 1.0, 0.0)
            a, _ = effects_given(y.sum(axis=2), y.sum(axis=1), model.ease, start, _ROUNDS)
            return leave_out(y, a, model.ease)

        any_trade = score(self.any_trade, (bought > 0).astype(np.float64))
        value = score(self.value, bought)
        return self._features(any_trade, value, near_shares(bought, self.pairs.near))

    def _features(self, any_trade: FloatArray, value: FloatArray, near: FloatArray) -> FloatArray:
        contiguous = np.broadcast_to(self.pairs.is_contiguous, near.shape)
        return stacked_features(any_trade, value, contiguous, near)


def stacked_features(
    any_trade: FloatArray, value: FloatArray, contiguous: FloatArray, near: FloatArray
) -> FloatArray:
    """(F, ..., N) from scores, border and shares near, each (..., N)."""
    logs = (log_score(any_trade), log_score(value))
    return np.stack([*logs, contiguous, np.log(_NEAR_FLOOR + near)])


def log_score(score: FloatArray) -> FloatArray:
    """The logarithm of the part (..., N) of the sum over exporters, and of 1e-9 more."""
    return np.asarray(np.log(_SCORE_FLOOR + shares(score)))


def shares(y: FloatArray) -> FloatArray:
    """Parts (..., N) of the sum over the last axis; zero where that is zero."""
    total = y.sum(axis=-1, keepdims=True)
    return np.divide(y, total, out=np.zeros_like(y), where=total > 0)


def near_shares(bought: FloatArray, near: FloatArray) -> FloatArray:
    """Each exporter's mean share among the other importers (M, N, N), weighted by nearness and the
    square root of what they buy."""
    weight = near * np.sqrt(bought.sum(axis=2))[:, None, :]
    total = weight.sum(axis=2, keepdims=True)
    return np.divide(weight @ shares(bought), total, out=np.zeros_like(bought), where=total > 0)


@dataclass(frozen=True)
class Weights:
    """w (F,), and what each importer's markets add to it, to first order: influence (N, F)."""

    w: FloatArray
    influence: FloatArray

    def shares(self, features: FloatArray, is_candidate: NDArray[np.bool_]) -> FloatArray:
        """The model's shares (..., N) from features (F, ..., N); zero for other than candidates."""
        eta = np.where(is_candidate, np.tensordot(self.w, features, axes=1), -np.inf)
        top = eta.max(axis=-1, keepdims=True)
        return shares(np.exp(eta - np.where(np.isfinite(top), top, 0.0)))


def candidates(bought: FloatArray) -> NDArray[np.bool_]:
    """Who sold a mineral to anyone, per importer (M, N, N); no country is its own supplier."""
    is_seller = np.asarray((bought > 0).any(axis=1))[:, None, :]
    return np.asarray(is_seller & ~np.eye(bought.shape[1], dtype=bool))


def fit_weights(past: Sequence[tuple[Window, FloatArray]], start: FloatArray) -> Weights:
    """The weights of the features, from windows and what was bought after them (M, N, N).

    Source: McFadden (1974) for the conditional logit; Guimaraes, Figueiredo and Woodward (2003) for
    its likelihood as that of a Poisson regression.
    """
    n_countries = len(past[0][0].trade.countries)
    blocks = [block for window, later in past for block in _blocks(window, later)]
    equal, by_value = (
        _logit([block.counted(power) for block in blocks], start, n_countries)
        for power in (0.0, _VALUE_POWER)
    )
    return Weights(
        (1 - _VALUE_PART) * equal.w + _VALUE_PART * by_value.w,
        (1 - _VALUE_PART) * equal.influence + _VALUE_PART * by_value.influence,
    )


def _logit(blocks: Sequence[_Block], start: FloatArray, n_countries: int) -> Weights:
    w = start
    for _ in range(50):
        gradient, hessian = -_RIDGE * w, _RIDGE * np.eye(len(w))
        for block in blocks:
            p, flat = block.probabilities(w), block.x.reshape(len(w), -1)
            gradient = gradient + flat @ ((block.share - p) * block.weight[:, None]).ravel()
            mean = (block.x * p).sum(axis=2)
            part = (flat * (p * block.weight[:, None]).ravel()) @ flat.T
            hessian = hessian + part - (mean * block.weight) @ mean.T
        move = np.linalg.solve(hessian, gradient)
        w = w + move / max(1.0, 2.0 * np.abs(move).max())
        if np.abs(move).max() < 1e-5:  # what is left is of the order of the square
            break
    scores = np.zeros((n_countries, len(w)))
    for block in blocks:
        rest = (block.share - block.probabilities(w)) * block.weight[:, None]
        scores[block.rows] += (block.x * rest).sum(axis=2).T
    return Weights(w, scores @ np.linalg.inv(hessian))


@dataclass(frozen=True)
class _Block:
    """One mineral: features (F, markets, sellers), later shares, the markets' weights (first what
    they bought, millions of USD a year) and importers' numbers, and where buyer and seller are
    the same."""

    x: FloatArray
    share: FloatArray
    weight: FloatArray
    rows: NDArray[np.intp]
    is_own: NDArray[np.bool_]

    def counted(self, power: float) -> _Block:
        return replace(self, weight=self.weight**power)

    def probabilities(self, w: FloatArray) -> FloatArray:
        eta = np.where(self.is_own, -np.inf, np.tensordot(w, self.x, axes=1))
        return shares(np.exp(eta - eta.max(axis=1, keepdims=True)))


def _blocks(window: Window, later: FloatArray) -> Iterator[_Block]:
    is_candidate = candidates(window.bought)
    for m in range(len(later)):
        sellers = np.flatnonzero(window.bought[m].any(axis=0))
        outcome = np.where(is_candidate[m], later[m], 0.0)[:, sellers]
        rows = np.flatnonzero(outcome.any(axis=1))
        if len(rows) and len(sellers) > 1:
            x = window.features[:, m][:, rows[:, None], sellers]
            weight = outcome[rows].sum(axis=1) / 1e6
            yield _Block(x, shares(outcome[rows]), weight, rows, rows[:, None] == sellers)
