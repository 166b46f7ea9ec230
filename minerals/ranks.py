"""Ranks of the suppliers of a mineral by a score, and how sure they are: for estimation and
`sourcing` alike."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def effective_k(n_candidates: pd.Series, top_k: int) -> pd.Series:
    """How many suppliers count as leading in markets of (n,) candidates: min(top_k, ceil(n / 2)).

    Without the second limit every candidate of a market of ten or fewer would lead in it, always
    and with probability 1. A single candidate still does.
    """
    return ((n_candidates + 1) // 2).clip(upper=top_k)


def ranks_within(scores: FloatArray, groups: Iterable[NDArray[np.intp]]) -> IntArray:
    """Ranks from 1 of scores (n, m), each column by itself, within groups of rows.

    The highest score is first; ties go to the earlier row.
    """
    ranks = np.empty(scores.shape, dtype=np.int64)
    for rows in groups:
        order = np.argsort(-scores[rows], axis=0, kind="stable")
        own = np.empty_like(order)
        np.put_along_axis(own, order, np.arange(1, len(rows) + 1)[:, None], axis=0)
        ranks[rows] = own
    return ranks


def rank_evidence(ranks: NDArray[np.integer], k: IntArray) -> dict[str, NDArray[np.number]]:
    """rank_low, rank_high and top_k_probability of (n,) suppliers by their ranks (n, draws): 5th
    and 95th percentile, and the share of the draws within `k` (n,)."""
    low, high = np.quantile(ranks, [0.05, 0.95], axis=1, method="inverted_cdf")
    leads = (ranks <= k[:, None]).mean(axis=1)
    return {"rank_low": low, "rank_high": high, "top_k_probability": leads}


def krinsky_robb(mean: FloatArray, cov: FloatArray, draws: int, seed: int) -> FloatArray:
    """Draws (draws, k) from N(mean, cov) by the symmetric square root of cov's correlation matrix
    (Krinsky and Robb, "On approximating the statistical properties of elasticities", 1986).

    cov may be singular; negative eigenvalues from rounding count as zero. The symmetric root does
    not depend on the sign of eigenvectors, so that a seed gives the same draws on every machine.
    """
    sd = np.sqrt(np.clip(np.diag(cov), 0.0, None))
    safe = np.where(sd > 0, sd, 1.0)
    values, vectors = np.linalg.eigh(cov / np.outer(safe, safe))
    root = (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
    normal = np.random.default_rng(seed).standard_normal((draws, len(mean)))
    return mean + (normal @ root) * sd
