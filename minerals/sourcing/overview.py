"""The wide table that a reader begins with: each candidate supplier in one row, with names."""

from __future__ import annotations

import pandas as pd

from minerals import marts
from minerals.names import MARKET, MODELS, SUPPLIER


def supplier_overview(
    partners: pd.DataFrame, strategies: pd.DataFrame, forward: pd.DataFrame, countries: pd.DataFrame
) -> pd.DataFrame:
    """`supplier_overview` from `portfolio_partners`, `portfolio_strategy`, `ranking_forward` and
    `dim_country`."""
    frame = partners.rename(
        columns={"coefficient_source": "headline_model", "forward_rank": "headline_rank"}
    )
    ranks = forward.pivot(index=SUPPLIER, columns="coefficient_source", values="forward_rank")
    ranks = ranks.reindex(columns=MODELS).add_suffix("_rank").reset_index()
    frame = frame.merge(ranks, how="left", on=SUPPLIER, validate="one_to_one")
    frame = frame.merge(strategies[[*MARKET, "strategy"]], how="left", on=MARKET)
    by_code = countries.set_index("country_iso3")
    frame["importer_name"] = frame["importer_iso3"].map(by_code["country_name"])
    frame["exporter_name"] = frame["exporter_iso3"].map(by_code["country_name"])
    frame["exporter_region"] = frame["exporter_iso3"].map(by_code["region"]).fillna("")
    return marts.conform(frame, "supplier_overview")
