"""How much of a mineral's supply hangs on how few suppliers, in fact and by the model.

Belongs here: shares, the Herfindahl-Hirschman index and its thresholds, per mineral and category.
Does not belong here: ranks (`ranking`), or what to do about concentration.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from minerals.frames import Contract, empty, keep_contract, require_columns
from minerals.names import ESTIMATED
from minerals.sourcing.ranking import window_imports

HHI_THRESHOLD = 0.25
"""Above this a portfolio counts as concentrated (US merger guidelines of 2010: 2,500 points)."""
NARROW_POOL_CANDIDATES = 5
NARROW_POOL_TOP3_SHARE = 0.8

PORTFOLIO_CONCENTRATION = Contract(
    "portfolio_concentration",
    {
        "importer_iso3": "str",
        "category": "str",
        "mineral": "str",
        "coefficient_source": "str",
        "hhi_actual": "float64",
        "hhi_model": "float64",
        "top1_share": "float64",
        "top3_share": "float64",
        "top3_model_share": "float64",
        "effective_suppliers": "float64",
        "n_candidates": "int64",
        "n_unknown_qty": "int64",
        "is_concentrated": "boolean",
        "is_narrow_pool": "bool",
    },
    key=("importer_iso3", "category", "mineral"),
)

_KEY = list(PORTFOLIO_CONCENTRATION.key)


def concentration(
    panel: pd.DataFrame,
    ranking_forward: pd.DataFrame,
    hhi_threshold: float = HHI_THRESHOLD,
    narrow_candidates: int = NARROW_POOL_CANDIDATES,
    narrow_top3_share: float = NARROW_POOL_TOP3_SHARE,
) -> pd.DataFrame:
    """`portfolio_concentration`: one row an importer, category and mineral of `ranking_forward`.

    Actual shares are of the window's known quantities; hhi_actual = sum of squared shares,
    effective_suppliers = 1 / hhi_actual; these, top1_share, top3_share and is_concentrated
    (hhi_actual above `hhi_threshold`) are null when nothing was imported. n_unknown_qty counts
    exporter-years with trade of unknown quantity, which are in no share. Model shares are
    `model_shares`, of estimated coefficients where the category has them, else of published ones.
    is_narrow_pool: fewer than `narrow_candidates` candidates, or the three largest model shares sum
    to more than `narrow_top3_share`.
    """
    require_columns(
        ranking_forward, [*_KEY, "exporter_iso3", "coefficient_source", "linear_predictor"], "ranks"
    )
    if ranking_forward.empty:
        return empty(PORTFOLIO_CONCENTRATION)
    chosen = _headline(ranking_forward)
    imports = window_imports(panel)
    frame = chosen[[*_KEY, "exporter_iso3", "coefficient_source"]].assign(
        model_share=model_shares(chosen)
    )
    frame = frame.merge(imports, how="left", on=[*_KEY, "exporter_iso3"], validate="one_to_one")
    groups = frame.groupby(_KEY)
    table = groups.agg(
        coefficient_source=("coefficient_source", "first"),
        hhi_actual=("actual_share", _hhi),
        hhi_model=("model_share", _hhi),
        top1_share=("actual_share", lambda shares: _top(shares, 1)),
        top3_share=("actual_share", lambda shares: _top(shares, 3)),
        top3_model_share=("model_share", lambda shares: _top(shares, 3)),
        n_candidates=("exporter_iso3", "size"),
        n_unknown_qty=("n_unknown_qty", "sum"),
    ).reset_index()
    above = (table["hhi_actual"] > hhi_threshold).astype("boolean")
    table["effective_suppliers"] = 1.0 / table["hhi_actual"]
    table["is_concentrated"] = above.where(table["hhi_actual"].notna())
    table["is_narrow_pool"] = (table["n_candidates"] < narrow_candidates) | (
        table["top3_model_share"] > narrow_top3_share
    )
    return keep_contract(table, PORTFOLIO_CONCENTRATION)


def model_shares(ranking_forward: pd.DataFrame) -> pd.Series:
    """exp(x'b) over its sum within importer, category, mineral and coefficient source, 0 to 1.

    The mineral effect cancels, so shares exist for minerals without imports too. Computed after
    subtracting the largest x'b. A null x'b (minus infinity) has share 0.
    """
    keys = [ranking_forward[name] for name in (*_KEY, "coefficient_source")]
    eta = ranking_forward["linear_predictor"]
    above = eta - eta.groupby(keys).transform("max")
    weight = pd.Series(np.exp(above), index=eta.index).fillna(0.0)
    return weight / weight.groupby(keys).transform("sum")


def _headline(ranking_forward: pd.DataFrame) -> pd.DataFrame:
    """Rows of estimated coefficients where an importer's category has them, else all its rows."""
    is_estimated = ranking_forward["coefficient_source"] == ESTIMATED
    groups = [ranking_forward["importer_iso3"], ranking_forward["category"]]
    has_estimated = is_estimated.groupby(groups).transform("any")
    return ranking_forward.loc[is_estimated | ~has_estimated].reset_index(drop=True)


def _hhi(shares: pd.Series) -> float:
    return float((shares**2).sum(min_count=1))


def _top(shares: pd.Series, count: int) -> float:
    return float(shares.nlargest(count).sum(min_count=1))
