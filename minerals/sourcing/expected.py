"""Who will supply an importer if nothing changes: its own history, shrunk to the world model.

An exporter's expected share is a mixture of the importer's purchases of the last five years, the
last three, the last one, and of the world model. How much each counts is estimated from past
windows: the weights maximise the likelihood of what was bought afterwards, so that history counts
for more in markets of many suppliers, where it repeats itself, and for nothing where there is none.
Source: empirical Bayes, as Efron and Morris (1973); mixtures by Dempster, Laird and Rubin (1977).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from minerals.ppml.gravity import FloatArray
from minerals.sourcing.world import Window, shares

HISTORY_YEARS = (5, 3, 1)
COMPONENTS = ("history_5_years", "history_3_years", "history_1_year", "world")
FROM_SUPPLIERS = (1, 4, 10, 20)
"""Markets are grouped by their number of suppliers in the window: 0, then from these numbers on."""

_ROUNDS = 200


def components(window: Window, world: FloatArray) -> FloatArray:
    """The parts of the mixture, each shares (4, M, N, N), in the order of COMPONENTS."""
    last, trade = window.last, window.trade
    own = [shares(trade.mean_annual(last - years + 1, last)) for years in HISTORY_YEARS]
    return np.stack([*own, world])


def group_of(window: Window) -> NDArray[np.intp]:
    """The group (M, N) of each market by the number of its suppliers."""
    return np.digitize((window.bought > 0).sum(axis=2), FROM_SUPPLIERS)


def fit_mixture(past: Sequence[tuple[Window, FloatArray, FloatArray]]) -> FloatArray:
    """Weights (groups, 4) from past windows, their components and what was bought afterwards.

    Every market counts the same. A group without any market has the weights of all.
    """
    parts, shared, groups = [], [], []
    for window, mixed, later in past:
        y = shares(later)
        m, i, j = np.nonzero(y)
        parts.append(mixed[:, m, i, j])
        shared.append(y[m, i, j])
        groups.append(group_of(window)[m, i])
    p, y, group = np.concatenate(parts, axis=1), np.concatenate(shared), np.concatenate(groups)
    overall = _em(p, y)
    return np.array(
        [
            _em(p[:, group == g], y[group == g]) if (group == g).any() else overall
            for g in range(len(FROM_SUPPLIERS) + 1)
        ]
    )


def _em(p: FloatArray, y: FloatArray) -> FloatArray:
    """Mixture weights (K,) of densities p (K, n) by the EM algorithm; y (n,) are the counts."""
    weights = np.full(len(p), 1.0 / len(p))
    for _ in range(_ROUNDS):
        mixed = weights @ p + 1e-12
        moved = weights * (p @ (y / mixed))
        moved /= moved.sum()
        is_settled = np.abs(moved - weights).max() < 1e-5
        weights = moved
        if is_settled:
            break
    return weights


def expected_shares(window: Window, mixed: FloatArray, weights: FloatArray) -> FloatArray:
    """Shares (M, N, N) by the mixture; those of the world alone where it knows no history."""
    of_market = weights[group_of(window)]
    return shares(np.einsum("mik,kmij->mij", of_market, mixed, optimize=True))
