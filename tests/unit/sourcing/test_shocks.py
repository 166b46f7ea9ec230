"""Losses and their replacement by hand, and who recurs across minerals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from minerals.sourcing.core_partners import core_partners
from minerals.sourcing.programme import Weights
from minerals.sourcing.shocks import (
    EVENT_COLUMNS,
    largest_partners,
    lose,
    losses,
    recommend_without,
    share_out,
    standing_shocks,
)


def market(mineral: str = "Copper", category: str = "ores") -> pd.DataFrame:
    """CHL sells 60, BRA 30, AUS 10, PER nothing; headroom 5, 20, 50 and 0."""
    rows = [
        ("CHL", 1, 60.0, 5.0, 0.6, 0.4),
        ("BRA", 2, 30.0, 20.0, 0.3, 0.3),
        ("AUS", 3, 10.0, 50.0, 0.1, 0.2),
        ("PER", 4, 0.0, 0.0, 0.0, 0.1),
    ]
    columns = [
        "exporter_iso3", "forward_rank", "annual_qty_kg", "headroom_qty_kg", "actual_share",
        "model_share",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns).assign(
        importer_iso3="IND",
        category=category,
        mineral=mineral,
        supplier_risk=0.0,
        effective_k=2,
        is_excluded=False,
        capacity_share=[0.65, 0.5, 0.6, 0.0],
        recommended_share=0.25,
    )


def test_a_split_keeps_proportions_until_a_limit_is_met() -> None:
    weights, unlimited = np.array([3.0, 2.0, 1.0]), np.full(3, np.inf)
    assert share_out(60.0, weights, unlimited).tolist() == [30.0, 20.0, 10.0]
    # the first takes 10; the other 50 are split 2 to 1
    limits = np.array([10.0, np.inf, np.inf])
    assert share_out(60.0, weights, limits).tolist() == pytest.approx([10.0, 100 / 3, 50 / 3])
    assert share_out(60.0, weights, np.array([10.0, 5.0, 1.0])).tolist() == [10.0, 5.0, 1.0]
    assert share_out(60.0, np.zeros(3), unlimited).tolist() == [0.0, 0.0, 0.0]


def test_the_loss_is_replaced_within_headroom() -> None:
    loss = lose(market(), ["CHL"])
    assert (loss.lost_share, loss.lost_qty_kg, loss.n_candidates_left) == (0.6, 60.0, 3)
    # PER has no headroom; 60 split 3 to 2 would ask 36 of BRA, which has 20; AUS gives 40 of its 50
    assert dict(
        zip(*(loss.replacements[c] for c in ("exporter_iso3", "added_qty_kg")), strict=True)
    ) == {
        "BRA": 20.0,
        "AUS": 40.0,
        "PER": 0.0,
    }
    assert loss.replaceable_share == 1.0
    assert loss.hhi_before == pytest.approx(0.36 + 0.09 + 0.01)
    assert loss.hhi_after == pytest.approx(0.5)


def test_what_cannot_be_replaced_is_said() -> None:
    loss = lose(market(), ["CHL", "AUS"])
    assert (loss.lost_share, loss.replaceable_share) == pytest.approx((0.7, 20 / 70))
    assert loss.hhi_after == 1.0
    nobody = lose(market(), ["CHL", "AUS", "BRA", "PER"])
    assert (nobody.lost_share, nobody.replaceable_share) == (1.0, 0.0)
    assert np.isnan(nobody.hhi_after)


def test_losses_of_several_markets_are_those_of_each() -> None:
    partners = pd.concat([market("Copper"), market("Nickel"), market("Tin", "products")])
    partners.loc[partners["mineral"].eq("Nickel"), "annual_qty_kg"] = [10.0, 0.0, 90.0, 0.0]
    found = losses(partners, ["CHL"])
    assert list(found["mineral"]) == ["Copper", "Tin", "Nickel"]
    one = lose(partners[partners["mineral"] == "Nickel"], ["CHL"])
    row = found.iloc[2]
    assert (row["lost_share"], row["hhi_after"]) == (0.1, one.hhi_after)
    assert (row["category"], row["next_best"]) == ("ores", "BRA 60%, AUS 40%")
    assert losses(partners, ["PER"]).empty
    assert list(losses(partners, ["PER"]).columns) == list(found.columns)


def test_losing_who_sells_nothing_changes_nothing() -> None:
    loss = lose(market(), ["PER"])
    assert (loss.lost_share, loss.hhi_after) == pytest.approx((0.0, loss.hhi_before))
    assert np.isnan(loss.replaceable_share)
    idle = lose(market().assign(annual_qty_kg=0.0), ["CHL"])
    assert np.isnan(idle.lost_share) and np.isnan(idle.hhi_before)


def test_the_portfolio_without_a_supplier() -> None:
    """What CHL supplied moves in any case; beyond it nothing may, and BRA stops at its ceiling."""
    weights = Weights(concentration_penalty=0.0, risk_penalty=0.0, change_limit=0.0)
    solution = recommend_without(market(), ["CHL"], weights)
    assert solution.shares is not None
    assert solution.shares.tolist() == pytest.approx([0.0, 0.5, 0.5, 0.0], abs=1e-4)
    assert solution.change == pytest.approx(0.6, abs=1e-6)
    none = recommend_without(market(), ["CHL", "AUS"], weights)
    assert none.shares is None
    assert "can take 50%" in none.infeasible_because


EVENTS = pd.DataFrame(
    [
        ("ban", "2023-07-03", "CHL", None, "Copper", "ores", "a decree", "a paper"),
        ("other", "2024-01-01", "CHL", None, "Copper", "products", "another", "a paper"),
        ("gone", "2025-04-04", "XXX", "USA;IND", "Copper", "ores", None, "a paper"),
        ("aimed", "2025-04-04", "CHL", "USA;JPN", "Copper", "ores", "a fourth", "a paper"),
    ],
    columns=list(EVENT_COLUMNS),
)
VALUES = pd.DataFrame(
    {"importer_iso3": "IND", "exporter_iso3": ["AUS", "CHN"], "value_usd": [9.0, 5.0]}
)


def test_standing_shocks() -> None:
    frame = standing_shocks(market(), VALUES, EVENTS).set_index("shock")
    # CHN is a large partner that sells no copper; the event on products is not of ores, and the one
    # aimed at others not of India
    assert sorted(frame.index) == ["ban", "gone", "loss of AUS", "loss of the largest supplier"]
    assert frame["shock_kind"]["loss of the largest supplier"] == "largest_supplier"
    assert frame["lost_exporters"]["loss of the largest supplier"] == "CHL"
    assert frame["next_best"]["ban"] == "AUS 67%, BRA 33%"
    assert frame["event_date"]["ban"] == pd.Timestamp("2023-07-03")
    assert pd.isna(frame["event_date"]["loss of AUS"])
    assert frame["event_source"]["ban"] == "a decree"
    assert frame["event_source"]["gone"] == "a paper"
    assert frame["lost_share"]["gone"] == 0.0
    assert frame["next_best"]["gone"] == ""
    assert frame["lost_share"]["loss of AUS"] == pytest.approx(0.1)


def test_the_largest_partners_by_value() -> None:
    values = pd.DataFrame(
        {
            "importer_iso3": "IND",
            "exporter_iso3": list("CBADEFGHIJKL"),
            "value_usd": [5.0, 9.0, 5.0, 0.0, *[4.0] * 8],
        }
    )
    assert largest_partners(values.iloc[:4]) == {"IND": ["B", "A", "C"]}
    assert largest_partners(values) == {"IND": list("BACEFGHIJK")}


def test_core_partners_across_minerals() -> None:
    minerals = ["Copper", "Nickel", "Tin", "Tungsten"]
    partners = pd.concat([market(mineral) for mineral in minerals], ignore_index=True)
    is_tin = partners["mineral"] == "Tin"
    partners.loc[is_tin, "forward_rank"] = [4, 3, 2, 1]
    frame = core_partners(partners).set_index("exporter_iso3")
    assert frame["n_markets"].to_dict() == {"AUS": 1, "BRA": 3, "CHL": 3, "PER": 1}
    assert frame["share_of_markets"]["CHL"] == 0.75
    assert frame["partner_type"].to_dict() == {
        "AUS": "mineral_specific",
        "BRA": "core",
        "CHL": "core",
        "PER": "mineral_specific",
    }
    assert frame["minerals"]["CHL"] == "Copper; Nickel; Tungsten"
    assert frame["n_ores"]["CHL"] == 3 and frame["n_scrap"]["CHL"] == 0
    assert frame["n_markets_as_candidate"]["PER"] == 4
    led_by_none = [market(mineral, "scrap").iloc[2:] for mineral in minerals]
    wider = core_partners(pd.concat([partners, *led_by_none])).set_index("exporter_iso3")
    assert wider["share_of_markets"]["CHL"] == 3 / 8
    assert wider["partner_type"]["CHL"] == "regular"
    without = partners.assign(is_excluded=partners["exporter_iso3"] == "CHL")
    assert "CHL" not in set(core_partners(without)["exporter_iso3"])
