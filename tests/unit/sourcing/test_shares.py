"""The arithmetic of shares by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from minerals.shares import (
    hhi,
    implied_shares,
    largest,
    part_of_total,
    window_imports,
)

KEYS = [pd.Series(["a", "a", "a", "b"])]


def test_implied_shares_survive_large_constants_and_a_null_predictor_has_none() -> None:
    eta = pd.Series([np.log(0.4) + 900, np.log(0.1) + 900, np.nan, -900.0])
    assert implied_shares(eta, KEYS).tolist() == pytest.approx([0.8, 0.2, 0.0, 1.0])


def test_part_of_total_is_null_where_nothing_was_bought() -> None:
    assert part_of_total(pd.Series([1.0, 3.0, np.nan, 0.0]), KEYS).tolist() == pytest.approx(
        [0.25, 0.75, np.nan, np.nan], nan_ok=True
    )


def test_concentration_of_shares() -> None:
    shares = pd.Series([0.5, 0.3, 0.2, np.nan])
    assert hhi(shares) == pytest.approx(0.38)
    assert largest(shares, 2) == pytest.approx(0.8)
    assert np.isnan(hhi(pd.Series([np.nan]))) and np.isnan(largest(pd.Series([np.nan]), 1))


def test_window_imports_tell_unknown_from_zero(market: pd.DataFrame) -> None:
    frame = window_imports(market).query("category == 'ores' and mineral == 'Copper'")
    per = frame.set_index("exporter_iso3").loc["PER"]
    assert (per["actual_qty_kg"], per["n_unknown_qty"]) == (0.0, 1)
    market.loc[market["exporter_iso3"] == "PER", "ores_qty_kg"] = np.nan
    frame = window_imports(market).query("category == 'ores' and mineral == 'Copper'")
    per = frame.set_index("exporter_iso3").loc["PER"]
    assert np.isnan(per["actual_qty_kg"]) and np.isnan(per["actual_share"])
    assert per["n_unknown_qty"] == 2
    assert frame["actual_share"].sum() == pytest.approx(1.0)


def test_a_year_that_an_importer_has_not_reported_is_no_year_of_its_mean(
    market: pd.DataFrame,
) -> None:
    japan = market[market["year"] == 2019].assign(importer_iso3="JPN")
    frame = window_imports(pd.concat([market, japan], ignore_index=True))
    chile = frame.query("category == 'ores' and mineral == 'Copper' and exporter_iso3 == 'CHL'")
    assert chile.set_index("importer_iso3")["actual_qty_kg"].to_dict() == {
        "IND": 400.0,
        "JPN": 600.0,
    }
