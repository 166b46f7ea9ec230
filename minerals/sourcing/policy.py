"""What measures of other countries put at risk in the importer's markets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from minerals import marts
from minerals.names import MARKET

IMPORTS, WORLD_SUPPLY, NONE = "imports", "world_supply", "none"
# What stands in where the importer's trade is not in the data: world output of the stage that the
# category is made at, else of the one before it. Nobody counts the supply of scrap.
_STANDS_IN = {"ores": ["mined"], "products": ["refined", "mined"], "scrap": ["refined", "mined"]}


def policy_event_exposure(
    events: pd.DataFrame, shocks: pd.DataFrame, last_year: pd.DataFrame
) -> pd.DataFrame:
    """`policy_event_exposure`: what each restriction puts at risk, in full and as judged.

    events: rows of `policy_events` that may end a supply; shocks: `portfolio_shocks` of kind
    'event'; last_year: `trade_flows` of the importers in the latest year of the trade data.
    """
    frame = shocks.rename(columns={"shock": "event", "lost_share": "import_share_window"}).merge(
        events, how="inner", on=["event", "mineral", "category"], validate="many_to_one"
    )
    shares = _shares(last_year).rename(columns={"exporter_iso3": "actor_iso3"})
    frame = frame.merge(shares, how="left", on=[*MARKET, "actor_iso3"])
    markets = shares.drop_duplicates(MARKET)[MARKET].assign(_is_bought=True)
    frame = frame.merge(markets, how="left", on=MARKET)
    is_bought = frame["_is_bought"].notna()
    frame["import_share_latest"] = frame["import_share_latest"].where(
        frame["import_share_latest"].notna() | ~is_bought, 0.0
    )
    frame["last_year"] = int(last_year["year"].max()) if len(last_year) else pd.NA
    basis = [_basis(row) for row in frame.to_dict("records")]
    frame[["exposure_basis", "basis_stage", "lost_share_full"]] = pd.DataFrame(
        basis, index=frame.index, columns=["exposure_basis", "basis_stage", "lost_share_full"]
    )
    frame["lost_share_full"] = frame["lost_share_full"].astype(float)
    frame["lost_share_expected"] = frame["lost_share_full"] * frame["severity"]
    return marts.conform(frame, "policy_event_exposure")


def _shares(flows: pd.DataFrame) -> pd.DataFrame:
    """Shares of the quantity that an importer buys of each market in one year."""
    supplier = [*MARKET, "exporter_iso3"]
    totals = flows.groupby(supplier, as_index=False)["qty_kg"].sum()
    of_market = totals.groupby(MARKET)["qty_kg"].transform("sum")
    shares = totals.assign(import_share_latest=totals["qty_kg"] / of_market)
    return shares.loc[of_market > 0, [*supplier, "import_share_latest"]]


def _basis(row: Mapping[Any, Any]) -> tuple[str, str, float]:
    """What the loss is measured by, at which stage, and how large it is."""
    if not np.isnan(row["import_share_window"]):
        return IMPORTS, "", row["import_share_window"]
    if not row["has_trade_line"]:
        for stage in _STANDS_IN[str(row["category"])]:
            if not np.isnan(share := row[f"actor_{stage}_share"]):
                return WORLD_SUPPLY, stage, share
    return NONE, "", float("nan")
