"""Ranks within minerals, and what draws say of them, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd

from minerals.ranks import effective_k, krinsky_robb, rank_evidence, ranks_within


def test_at_most_half_of_the_candidates_lead() -> None:
    candidates = pd.Series([1, 2, 5, 18, 19, 20, 80])
    assert effective_k(candidates, top_k=10).tolist() == [1, 1, 3, 9, 10, 10, 10]


def test_ranks_are_within_groups_and_ties_go_to_the_earlier_row() -> None:
    scores = np.array([[1.0, 5.0], [3.0, -np.inf], [3.0, -np.inf], [0.0, 2.0], [9.0, 1.0]])
    ranks = ranks_within(scores, [np.array([0, 1, 2]), np.array([3, 4])])
    assert ranks.tolist() == [[3, 1], [1, 2], [2, 3], [2, 1], [1, 2]]


def test_evidence_is_the_5th_and_95th_percentile_and_the_share_of_leading_draws() -> None:
    """Of twenty different ranks the first and the last but one."""
    ranks = np.array([[*range(1, 21)], [2] * 10 + [1] * 10])
    evidence = rank_evidence(ranks, np.array([5, 1]))
    assert {name: values.tolist() for name, values in evidence.items()} == {
        "rank_low": [1, 1],
        "rank_high": [19, 2],
        "top_k_probability": [0.25, 0.5],
    }


def test_draws_have_the_given_mean_and_covariance() -> None:
    mean = np.array([1.0, -2.0, 0.5])
    cov = np.array([[4.0, 1.2, 0.0], [1.2, 1.0, 0.0], [0.0, 0.0, 0.0]])
    draws = krinsky_robb(mean, cov, draws=200_000, seed=0)
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=0.02)
    np.testing.assert_allclose(np.cov(draws.T), cov, atol=0.04)
    assert (draws[:, 2] == 0.5).all()
    np.testing.assert_array_equal(draws, krinsky_robb(mean, cov, draws=200_000, seed=0))
