"""Shares and the Herfindahl-Hirschman index by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from minerals.sourcing.concentration import (
    PORTFOLIO_CONCENTRATION,
    concentration,
    model_shares,
)


def forward(source: str = "estimated") -> pd.DataFrame:
    """Copper's model shares are 0.4, 0.3, 0.2 and 0.1; Gallium's 0.9 and 0.1."""
    rows = [
        ("Copper", "AUS", np.log(0.4) + 900),  # a large constant must not overflow
        ("Copper", "BRA", np.log(0.3) + 900),
        ("Copper", "CHL", np.log(0.2) + 900),
        ("Copper", "PER", np.log(0.1) + 900),
        ("Gallium", "AUS", np.log(0.9) - 900),
        ("Gallium", "CHN", np.log(0.1) - 900),
    ]
    frame = pd.DataFrame(rows, columns=["mineral", "exporter_iso3", "linear_predictor"])
    return frame.assign(importer_iso3="IND", category="ores", coefficient_source=source)


def test_actual_and_model_concentration(market: pd.DataFrame) -> None:
    frame = concentration(market, forward())
    assert {n: str(k) for n, k in frame.dtypes.items()} == dict(PORTFOLIO_CONCENTRATION.columns)
    copper = frame.set_index("mineral").loc["Copper"]
    # actual: AUS 500, BRA 700, CHL 800 of 2000, PER unknown in one year and else zero
    assert copper["hhi_actual"] == pytest.approx(0.25**2 + 0.35**2 + 0.4**2)
    assert copper["effective_suppliers"] == pytest.approx(1 / 0.345)
    assert copper["top1_share"] == pytest.approx(0.4)
    assert copper["top3_share"] == pytest.approx(1.0)
    assert copper["hhi_model"] == pytest.approx(0.16 + 0.09 + 0.04 + 0.01)
    assert copper["top3_model_share"] == pytest.approx(0.9)
    assert (copper["n_candidates"], copper["n_unknown_qty"]) == (4, 1)
    assert copper["is_concentrated"] and copper["is_narrow_pool"]


def test_thresholds_decide(market: pd.DataFrame) -> None:
    frame = concentration(
        market, forward(), hhi_threshold=0.35, narrow_candidates=4, narrow_top3_share=0.95
    )
    copper = frame.set_index("mineral").loc["Copper"]
    assert not copper["is_concentrated"] and not copper["is_narrow_pool"]


def test_a_mineral_without_imports_has_model_shares_only(market: pd.DataFrame) -> None:
    gallium = concentration(market, forward()).set_index("mineral").loc["Gallium"]
    assert gallium["hhi_model"] == pytest.approx(0.82)
    for name in ("hhi_actual", "top1_share", "top3_share", "effective_suppliers"):
        assert np.isnan(gallium[name]), name
    assert gallium["is_concentrated"] is pd.NA
    assert gallium["is_narrow_pool"]


def test_estimated_models_come_before_published_ones(market: pd.DataFrame) -> None:
    published = forward("published").assign(linear_predictor=0.0)
    both = concentration(market, pd.concat([published, forward()]))
    assert set(both["coefficient_source"]) == {"estimated"}
    assert both.set_index("mineral")["hhi_model"]["Copper"] == pytest.approx(0.3)
    alone = concentration(market, published)
    assert set(alone["coefficient_source"]) == {"published"}
    assert alone.set_index("mineral")["hhi_model"]["Copper"] == pytest.approx(0.25)


def test_model_shares_sum_to_one_and_a_null_predictor_has_none() -> None:
    frame = forward()
    frame.loc[0, "linear_predictor"] = np.nan
    shares = model_shares(frame)
    assert shares.groupby(frame["mineral"]).sum().tolist() == pytest.approx([1.0, 1.0])
    assert shares[0] == 0.0
    assert shares[1] == pytest.approx(0.5)


def test_no_ranks_no_rows(market: pd.DataFrame) -> None:
    assert concentration(market, forward().iloc[:0]).empty
