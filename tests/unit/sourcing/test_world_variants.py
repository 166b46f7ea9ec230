"""The world model with more between countries, or in its second stage: against what made the
data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from minerals.ppml.gravity import Gravity
from minerals.sourcing.backtest import roll
from minerals.sourcing.supply import CHARACTERISTICS, Supply
from minerals.sourcing.world import REGRESSORS, TEST_YEARS, Pairs, Trade
from minerals.sourcing.world_variants import (
    Added,
    Dyads,
    Ties,
    dyad_rows,
    second_stage_rows,
    try_dyads,
)

COUNTRIES = [f"C{n:02d}" for n in range(36)]
MINERALS = ("Copper", "Tin", "Zinc")
YEARS = range(2005, 2020)


def of_pairs(**changes: pd.DataFrame) -> Ties:
    rng = np.random.default_rng(3)
    frames = {
        "votes": pd.DataFrame(
            [(c, year, p) for c, p in zip(COUNTRIES, rng.normal(size=36), strict=True)
             for year in range(2012, 2020)],
            columns=["country_iso3", "year", "ideal_point"],
        ),
        "agreements": pd.DataFrame(
            [("CLUB", None, "in_force", None, None), ("WHEEL", "C00", "in_force", None, None),
             ("LATE", None, "in_force", "2018-05-01", "2019-01-01"),
             ("ENDED", None, "ended", "2001-01-01", None)],
            columns=["agreement_id", "hub_iso3", "status", "signed_date", "in_force_date"],
        ),
        "parties": pd.DataFrame(
            [(name, c) for name in ("CLUB", "WHEEL", "LATE", "ENDED") for c in COUNTRIES[:3]],
            columns=["agreement_id", "country_iso3"],
        ),
    }  # fmt: skip
    return Ties(**(frames | changes))


def added(**changes: pd.DataFrame) -> Added:
    rng = np.random.default_rng(3)
    frames = {
        "attributes": pd.DataFrame({"country_iso3": COUNTRIES}).assign(
            logistics_performance_index=rng.uniform(1, 5, 36),
            wgi_political_stability=rng.normal(size=36),
            wgi_regulatory_quality=rng.normal(size=36),
            ores_metals_exports_pct_merchandise=np.nan,
        ),
        "types": pd.DataFrame(
            [("products", "Tin", "C01", 99.0), ("ores", "Tin", "C02", 5.0)],
            columns=["category", "mineral", "exporter_iso3", "refined_output_kg"],
        ),
    }  # fmt: skip
    return Added(**(frames | changes))


def test_an_agreement_binds_its_parties_from_its_date_and_a_hub_with_each() -> None:
    found = of_pairs().of_pairs(COUNTRIES, 2014, 2018)["agreements"]
    assert found[0, 1] == found[1, 0] == 2  # the club and the wheel
    assert found[1, 2] == 1  # both are rims of the wheel
    assert found[0, 3] == 0
    later = of_pairs().of_pairs(COUNTRIES, 2015, 2019)["agreements"]
    assert (later[0, 1], later[1, 2]) == (3, 2)


def test_windows_of_few_votes_have_no_variants() -> None:
    assert of_pairs().of_pairs(COUNTRIES, 2009, 2013) == {}
    assert set(of_pairs().of_pairs(COUNTRIES, 2010, 2014)) == {"alignment", "agreements"}


@pytest.fixture(scope="module")
def tried() -> list[Dyads]:
    """Trade falls by e^-1 for each point that two countries vote apart, and knows no agreement."""
    rng = np.random.default_rng(7)
    votes = (
        of_pairs().votes.drop_duplicates("country_iso3").set_index("country_iso3")["ideal_point"]
    )
    point = votes.loc[COUNTRIES].to_numpy()
    km = np.exp(rng.normal(7, 0.8, (36, 36)))
    eta = -np.log(km) - np.abs(point[:, None] - point)
    eta = eta + rng.normal(0, 1.5, 36)[:, None] + rng.normal(0, 1.5, (3, 1, 36)) + 15
    rows = []
    for year in YEARS:
        value = np.exp(eta) * rng.gamma(2.0, 0.5, eta.shape)
        m, i, j = np.nonzero((rng.random(eta.shape) < 0.6) & ~np.eye(36, dtype=bool))
        names = np.array(COUNTRIES)
        rows.append(
            pd.DataFrame(
                {
                    "mineral": np.array(MINERALS)[m],
                    "importer_iso3": names[i],
                    "exporter_iso3": names[j],
                    "year": year,
                    "value_usd": value[m, i, j],
                }
            )
        )
    trade = Trade.of(pd.concat(rows).assign(category="ores"), "ores", COUNTRIES)
    ties = (rng.random((len(REGRESSORS) - 1, 36, 36)) < 0.1).astype(float)
    near = np.exp(-km / 500.0) * ~np.eye(36, dtype=bool)
    pairs = Pairs(np.concatenate([np.log(km)[None], ties]), near)
    found = []
    for foretold, _ in roll(trade, pairs, YEARS[-1]):
        origin = foretold.window.last
        later = trade.mean_annual(origin + 1, origin + TEST_YEARS)
        if made := try_dyads(foretold, pairs, of_pairs(), later, 10):
            found.append(made)
    return found


def test_what_makes_trade_is_supported_and_what_does_not_is_not(tried: list[Dyads]) -> None:
    assert [int(t.slopes["origin_year"].iloc[0]) for t in tried] == [2016]
    rows = {row["variant"]: row for row in dyad_rows("ores", tried, 1)}
    alignment = rows["alignment"]
    assert alignment["estimate"] == pytest.approx(-1.0, abs=0.15)
    assert alignment["is_supported"] and alignment["conf_high"] < 0
    assert alignment["difference_to_base"] == pytest.approx(
        alignment["kl_divergence"] - alignment["kl_divergence_base"]
    )
    assert alignment["n_left_out"] == 36 and alignment["n_better_than_base"] > 18
    assert not rows["agreements"]["is_supported"]
    assert "left out" in rows["agreements"]["not_supported_by"]


def test_without_votes_the_row_says_why() -> None:
    rows = list(dyad_rows("ores", [], 1))
    assert [row["variant"] for row in rows] == ["alignment", "agreements"]
    assert all("no past origin" in str(row["reason"]) for row in rows)


def test_the_second_stage_is_judged_by_exporters_left_out() -> None:
    """Effects follow logistics; nobody has exports of ores and metals, one refines tin."""
    rng = np.random.default_rng(11)
    x = np.concatenate(
        [rng.uniform(0, 5, (1, 3, 36)),
         np.broadcast_to(rng.normal(size=(len(CHARACTERISTICS) - 1, 1, 36)),
                         (len(CHARACTERISTICS) - 1, 3, 36))]
    )  # fmt: skip
    what = added()
    logistics = what.attributes["logistics_performance_index"].to_numpy()
    effects = np.exp(1.2 * logistics + 0.1 * x[0]) * rng.gamma(4.0, 0.25, (3, 36))
    model = Gravity(
        x=np.zeros((1, 36, 36)), y=np.ones((3, 36, 36)), slopes=np.zeros(1), cov=np.eye(1),
        influence=np.zeros((36, 1)), importer_effects=np.ones((3, 36)), exporter_effects=effects,
        is_informative=np.ones(3, dtype=bool),
    )  # fmt: skip
    supply = Supply(x, np.ones((3, 36)))
    made = list(second_stage_rows("products", model, supply, what, MINERALS, COUNTRIES, 1))
    rows = {row["term"]: row for row in made}
    best = rows["logistics_performance_index"]
    assert best["is_supported"] and best["estimate"] == pytest.approx(1.2, abs=0.2)
    assert best["kl_divergence"] < 0.5 * best["kl_divergence_base"]
    assert not rows["wgi_political_stability"]["is_supported"]
    assert "no ores_metals_exports" in rows["ores_metals_exports_pct_merchandise"]["reason"]
    assert rows["ln_refined_qty"]["observed_share"] == pytest.approx(1 / (3 * 36))
    assert "ln_refined_qty" not in {
        row["term"]
        for row in second_stage_rows("ores", model, supply, what, MINERALS, COUNTRIES, 1)
    }
