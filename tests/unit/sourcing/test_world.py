"""Weights that are known, shares near, mixtures: each against what made the data."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from minerals.sourcing.expected import _em
from minerals.sourcing.world import (
    FEATURES,
    Pairs,
    Trade,
    Weights,
    candidates,
    fit_weights,
    near_shares,
    shares,
)
from minerals.sourcing.world_tables import _Served


def test_trade_is_a_mean_over_years_without_a_countrys_own() -> None:
    flows = pd.DataFrame(
        [
            ("A", "B", 2019, 4.0),
            ("A", "B", 2020, 2.0),
            ("A", "A", 2020, 9.0),
            ("B", "A", 2018, 1.0),
        ],
        columns=["importer_iso3", "exporter_iso3", "year", "value_usd"],
    ).assign(mineral="Tin", category="ores")
    trade = Trade.of(flows, "ores", ["A", "B"])
    assert trade.mean_annual(2019, 2020).tolist() == [[[0.0, 3.0], [0.0, 0.0]]]
    assert trade.n_importers == 2
    assert Trade.of(flows, "products", ["A", "B"]).minerals == ()


def test_pairs_without_a_distance_have_the_median() -> None:
    rows = [("A", "B", 100.0), ("B", "A", 100.0), ("A", "C", 300.0)]
    frame = pd.DataFrame(rows, columns=["importer_iso3", "exporter_iso3", "distance_km"]).assign(
        is_same_region=True,
        is_contiguous=False,
        has_common_official_language=False,
        has_colonial_tie=False,
    )
    pairs = Pairs.of(frame, ["A", "B", "C"])
    assert pairs.x[0][0].tolist()[1:] == [np.log(100.0), np.log(300.0)]
    assert pairs.x[0][2, 0] == np.log(100.0)
    assert pairs.near[0, 1] == pytest.approx(np.exp(-0.2)) and pairs.near[0, 0] == 0


def test_shares_near_weigh_neighbours_by_distance_and_size() -> None:
    """A has two neighbours: B, half as near, buys 4 all from C; C buys 1, half of it from B."""
    near = np.array([[0.0, 0.5, 1.0], [0.5, 0.0, 0.0], [1.0, 0.0, 0.0]])
    bought = np.array([[[0.0, 0.0, 7.0], [0.0, 0.0, 4.0], [0.5, 0.5, 0.0]]])
    got = near_shares(bought, near)[0, 0]
    weights = np.array([0.5 * 2.0, 1.0 * 1.0])
    expected = (weights[0] * np.array([0, 0, 1.0]) + weights[1] * np.array([0.5, 0.5, 0])) / 2
    np.testing.assert_allclose(got, expected)


def test_candidates_sold_to_anyone_and_are_not_the_importer() -> None:
    bought = np.array([[[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]])
    assert candidates(bought)[0].tolist() == [
        [False, True, False],
        [False] * 3,
        [False, True, False],
    ]


def test_weights_that_made_the_data_are_found() -> None:
    """Later shares are exactly those of known weights, so that every market agrees on them."""
    rng = np.random.default_rng(0)
    w, n = np.array([0.8, -0.3, 0.5, 0.4]), 25
    x = rng.normal(size=(len(FEATURES), 3, n, n))
    window = SimpleNamespace(
        features=x, bought=np.ones((3, n, n)), trade=SimpleNamespace(countries=range(n))
    )
    eta = np.where(np.eye(n, dtype=bool), -np.inf, np.tensordot(w, x, axes=1))
    later = shares(np.exp(eta)) * rng.gamma(1, 1e8, (3, n, 1))
    found = fit_weights([(window, later)], np.zeros(4))  # type: ignore[list-item]
    np.testing.assert_allclose(found.w, w, atol=1e-4)
    np.testing.assert_allclose(found.influence, 0.0, atol=1e-4)
    model = found.shares(x, candidates(window.bought))
    np.testing.assert_allclose(model, shares(np.exp(eta)), atol=1e-4)


def test_a_mixture_finds_the_part_that_foretells() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(50), size=2)
    np.testing.assert_allclose(_em(p, p[0]), [1.0, 0.0], atol=0.02)
    np.testing.assert_allclose(_em(p, 0.3 * p[0] + 0.7 * p[1]), [0.3, 0.7], atol=0.02)


def test_no_importer_is_ranked_in_a_year_that_it_has_not_reported() -> None:
    """A and B may buy of each other and C; B has not reported 2020."""
    trade = SimpleNamespace(category="ores", minerals=("Tin",), countries=("A", "B", "C"))
    features = np.zeros((len(FEATURES), 1, 3, 3))
    window = SimpleNamespace(trade=trade, features_of_year=lambda year: features)
    weights = Weights(np.zeros(len(FEATURES)), np.zeros((3, len(FEATURES))))
    is_candidate = ~np.eye(3, dtype=bool)[None, :2]
    served = _Served(
        SimpleNamespace(window=window, learnt=SimpleNamespace(weights=weights)),  # type: ignore[arg-type]
        np.array([0, 1]),
        (np.empty(0), np.empty(0)),
        is_candidate,
        np.zeros_like(is_candidate),
        {},
    )
    bought = [("A", "C", 2019, 4.0), ("A", "C", 2020, 5.0), ("B", "C", 2019, 6.0)]
    columns = ["importer_iso3", "exporter_iso3", "year", "ores_qty_kg"]
    panel = pd.DataFrame(bought, columns=columns).assign(
        mineral="Tin", products_qty_kg=0.0, scrap_qty_kg=0.0
    )
    annual = served.annual(panel, 10)
    years = annual.groupby("importer_iso3")["year"].unique().map(sorted).to_dict()
    assert years == {"A": [2019, 2020], "B": [2019]}
