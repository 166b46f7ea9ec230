"""Metrics by hand, and what a model may see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from joblib import Memory

from minerals.settings import Choices
from minerals.sourcing.backtest import METRICS, Foretold, foretell, judge, metrics, roll, skill
from minerals.sourcing.world import Pairs, Trade, shares
from minerals.sourcing.world_tables import Inputs, OfPast, fit_world, remember_past


def of(score: list[float], before: list[float], later: list[float], k: int = 2, **changes):
    """The metrics of one market of five countries, the last of which is no candidate."""
    arrays = [np.array([values]) for values in (score, before, later)]
    is_candidate = np.array([[True, True, True, True, False]])
    return {name: found[0] for name, found in metrics(*arrays, is_candidate, k, **changes).items()}


def test_a_perfect_score() -> None:
    later = [0.5, 0.3, 0.2, 0.0, 9.0]
    got = of(later, [1.0, 0.0, 0.0, 0.0, 0.0], later)
    assert got["spearman_rho"] == pytest.approx(1.0)
    assert got["top_k_value_share"] == pytest.approx(0.8)
    assert got["ndcg"] == pytest.approx(1.0)
    assert got["kl_divergence"] == pytest.approx(0.0, abs=1e-5)
    assert got["new_supplier_auc"] == 1.0


def test_a_reversed_score_by_hand() -> None:
    """Ranks 4, 3, 2, 1 against 1, 2, 3, 4; the first two sell nothing and a fifth; of the new
    suppliers (third, fourth) the third reaches 1% and ranks below the fourth."""
    got = of([1.0, 2.0, 3.0, 4.0, 99.0], [0.6, 0.4, 0.0, 0.0, 0.0], [0.5, 0.3, 0.2, 0.0, 0.0])
    assert got["spearman_rho"] == pytest.approx(-1.0)
    assert got["top_k_value_share"] == pytest.approx(0.2)
    gain = 0.2 / np.log2(3) + 0.3 / np.log2(4) + 0.5 / np.log2(5)
    best = 0.5 + 0.3 / np.log2(3) + 0.2 / np.log2(4)
    assert got["ndcg"] == pytest.approx(gain / best)
    expected = 0.5 * np.log(0.5 / 0.1) + 0.3 * np.log(0.3 / 0.2) + 0.2 * np.log(0.2 / 0.3)
    assert got["kl_divergence"] == pytest.approx(expected)
    assert got["new_supplier_auc"] == 0.0


def test_ties_share_their_mean_rank_and_a_half() -> None:
    got = of([1.0, 1.0, 1.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0, 0.0])
    assert np.isnan(got["spearman_rho"])  # the score has no order
    assert got["new_supplier_auc"] == 0.5
    got = of([3.0, 2.0, 2.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0], [0.4, 0.3, 0.2, 0.1, 0.0])
    ranks = np.corrcoef([4, 2.5, 2.5, 1], [4, 3, 2, 1])[0, 1]
    assert got["spearman_rho"] == pytest.approx(ranks)


def test_a_share_of_zero_counts_as_a_millionth() -> None:
    got = of([1.0, 0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0, 0.0])
    assert got["kl_divergence"] == pytest.approx(np.log(1e6), abs=1e-4)


def test_without_a_new_supplier_there_is_no_auc() -> None:
    got = of([4.0, 3.0, 2.0, 1.0, 0.0], [0.4, 0.3, 0.2, 0.1, 0.0], [0.4, 0.3, 0.2, 0.1, 0.0])
    assert np.isnan(got["new_supplier_auc"])


@pytest.fixture(scope="module")
def flows() -> pd.DataFrame:
    """Fourteen years of two minerals among 35 countries that buy by distance and size."""
    rng = np.random.default_rng(0)
    n = 35
    place = rng.normal(size=(n, 2))
    km = 3000 * np.linalg.norm(place[:, None] - place[None], axis=2) + 100
    size = rng.normal(0, 1.5, (2, 2, n))
    rows = []
    for year in range(2006, 2020):
        for m, mineral in enumerate(("Copper", "Tin")):
            eta = size[0, m][:, None] + size[1, m][None] - 0.8 * np.log(km)
            y = np.exp(eta + 18) * rng.gamma(0.5, 2, (n, n)) * (rng.random((n, n)) < 0.4)
            i, j = np.nonzero(y * (1 - np.eye(n)))
            rows.append(
                pd.DataFrame(
                    {"i": i, "j": j, "value_usd": y[i, j], "mineral": mineral, "year": year}
                )
            )
    frame = pd.concat(rows, ignore_index=True)
    names = np.array([f"C{number:02d}" for number in range(n)])
    frame["importer_iso3"], frame["exporter_iso3"] = names[frame.pop("i")], names[frame.pop("j")]
    frame.attrs["km"] = km
    return frame.assign(category="ores")


@pytest.fixture(scope="module")
def pair_frame(flows: pd.DataFrame) -> pd.DataFrame:
    names = sorted(set(flows["importer_iso3"]))
    i, j = (index.ravel() for index in np.indices((len(names), len(names))))
    km = flows.attrs["km"]
    frame = pd.DataFrame(
        {
            "importer_iso3": np.array(names)[i],
            "exporter_iso3": np.array(names)[j],
            "distance_km": km[i, j],
            "is_same_region": i % 3 == j % 3,
            "is_contiguous": km[i, j] < 800,
            "has_common_official_language": i % 4 == j % 4,
            "has_colonial_tie": (i + j) % 11 == 0,
        }
    )
    return frame[i != j]


@pytest.fixture(scope="module")
def pairs(flows: pd.DataFrame, pair_frame: pd.DataFrame) -> Pairs:
    return Pairs.of(pair_frame, sorted(set(flows["importer_iso3"])))


def trade_of(flows: pd.DataFrame) -> Trade:
    return Trade.of(flows, "ores", sorted(set(flows["importer_iso3"])))


def at_each_origin(trade: Trade, pairs: Pairs) -> list[Foretold]:
    """The models at 2013, 2016 and 2019, the last year of the data."""
    past = list(roll(trade, pairs, 2019))
    return [*(foretold for foretold, _ in past), foretell(trade, pairs, 2019, past[-1][1])]


def test_nothing_of_the_years_to_be_foretold_enters(flows: pd.DataFrame, pairs: Pairs) -> None:
    """What happens after an origin changes nothing that is foretold at it."""
    after = flows.assign(value_usd=flows["value_usd"].where(flows["year"] <= 2016, 1.0))
    as_it_was = {f.window.last: f for f in at_each_origin(trade_of(flows), pairs)}
    changed = {f.window.last: f for f in at_each_origin(trade_of(after), pairs)}
    assert list(as_it_was) == [2013, 2016, 2019]
    for model, found in as_it_was[2016].shares.items():
        np.testing.assert_array_equal(found, changed[2016].shares[model], err_msg=model)
        assert not np.array_equal(as_it_was[2019].shares[model], changed[2019].shares[model])


def test_shares_sum_to_one_over_candidates(flows: pd.DataFrame, pairs: Pairs) -> None:
    *_, last = at_each_origin(trade_of(flows), pairs)
    for model, found in last.shares.items():
        total = found.sum(axis=2)
        np.testing.assert_allclose(total[total > 0], 1.0, err_msg=model)
        assert not found[:, range(35), range(35)].any()


def test_rows_of_a_model_and_their_skill(flows: pd.DataFrame, pairs: Pairs) -> None:
    trade = trade_of(flows)
    found = [foretold for foretold, _ in roll(trade, pairs, 2019)]
    rows = []
    for origin, by_model in ((f.window.last, f.shares) for f in found):
        later = trade.mean_annual(origin + 1, origin + 3)
        rows.append(judge(trade, origin, by_model, later, ["C07"], 10))
    backtest = pd.concat(rows, ignore_index=True)
    assert set(backtest["model"]) == {"world", "expected", "persistence"}
    assert sorted(set(backtest["origin_year"])) == [2013, 2016]
    table = skill(backtest, ["C07"], seed=1).set_index(["scope", "model", "metric"])
    past = table.loc[("all_importers", "persistence")]
    assert (past["difference_to_past"] == 0).all() and set(past.index) == set(METRICS)
    divergence = table.loc[("all_importers", "expected", "kl_divergence")]
    assert divergence["conf_low"] <= divergence["difference_to_past"] <= divergence["conf_high"] < 0
    own = backtest[(backtest["importer_iso3"] == "C07") & (backtest["origin_year"] == 2016)]
    mean = own[own["model"] == "world"]["ndcg"].mean()
    assert table.loc[("chosen_importers", "world", "ndcg"), "mean_score"] == pytest.approx(mean)


def test_a_model_that_says_nothing_of_an_importer_has_no_row(
    flows: pd.DataFrame, pairs: Pairs
) -> None:
    trade = trade_of(flows)
    found, _ = next(iter(roll(trade, pairs, 2019)))
    half = shares(found.window.bought)
    half[:, 1:] = np.nan
    rows = judge(trade, 2013, {"estimated": half}, trade.mean_annual(2014, 2016), [], 10)
    assert set(rows["importer_iso3"]) == {"C00"}


def test_a_category_without_a_world_model_says_why(
    flows: pd.DataFrame, pair_frame: pd.DataFrame
) -> None:
    """Few importers, as in the live profile; one exporter of all; too few years."""
    nothing = pd.DataFrame(columns=["country_iso3", "production_kg"])
    panel = pd.DataFrame({"year": [2018, 2019]})

    def why(of: pd.DataFrame) -> str:
        inputs = Inputs(OfPast(of, pair_frame, nothing, None), nothing, panel, nothing)
        world = fit_world(inputs, ["C00"], Choices())
        assert not world.models and world.backtest.empty and world.skill.empty
        assert world.served(panel, ["C00"], Choices()).forward.empty
        return world.without["ores"]

    assert "5 countries import in the data, fewer than 30" in why(
        flows[flows["importer_iso3"] < "C05"]
    )
    assert "one country buys or sells all" in why(flows[flows["exporter_iso3"] == "C00"])
    assert "too few years" in why(flows[flows["year"] >= 2015])


def test_what_was_learnt_ahead_is_not_learnt_again(
    flows: pd.DataFrame, pair_frame: pd.DataFrame, tmp_path: Path
) -> None:
    nothing = pd.DataFrame(columns=["country_iso3", "mineral", "year", "production_kg"])
    past, memory = OfPast(flows, pair_frame, nothing, None), Memory(tmp_path, verbose=0)
    remember_past(past, 2019, ["C07"], Choices(), memory)
    (learnt,) = memory.store_backend.get_items()
    panel, published = pd.DataFrame({"year": [2018, 2019]}), pd.DataFrame(columns=["category"])
    measures = dict.fromkeys(["gdp_ppp_2021_usd", "population", "is_landlocked"], 1.0)
    covariates = pd.DataFrame([{"country_iso3": "C07", **measures}])
    fit_world(Inputs(past, covariates, panel, published), ["C07"], Choices(), memory)
    assert [item.path for item in memory.store_backend.get_items()] == [learnt.path]
