"""Suppliers across minerals: who leads in many, and who in one alone."""

from __future__ import annotations

import pandas as pd

from minerals import marts
from minerals.names import CATEGORIES, MARKET

CORE_SHARE = 0.5
"""A core partner leads in at least this share of the markets."""


def core_partners(partners: pd.DataFrame) -> pd.DataFrame:
    """`portfolio_core_partners`, of `portfolio_partners`: each supplier that leads in a market.

    It leads where its forward rank is within effective_k and it is not excluded. partner_type core:
    in at least CORE_SHARE of the importer's markets, which comes before mineral_specific.
    """
    if partners.empty:
        return marts.empty("portfolio_core_partners")
    pair = ["importer_iso3", "exporter_iso3"]
    as_candidate = partners.groupby(pair).size().rename("n_markets_as_candidate").reset_index()
    n_all = partners.drop_duplicates(MARKET)["importer_iso3"].value_counts()
    leading = partners.loc[
        (partners["forward_rank"] <= partners["effective_k"]) & ~partners["is_excluded"]
    ]
    leading = leading.assign(**{f"n_{c}": leading["category"] == c for c in CATEGORIES})
    table = leading.groupby(pair, as_index=False).agg(
        n_markets=("mineral", "size"),
        **{f"n_{c}": (f"n_{c}", "sum") for c in CATEGORIES},
        n_minerals=("mineral", "nunique"),
        mean_recommended_share=("recommended_share", "mean"),
        minerals=("mineral", lambda names: "; ".join(sorted(set(names)))),
    )
    table = table.merge(as_candidate, on=pair, how="left", validate="one_to_one")
    table["share_of_markets"] = table["n_markets"] / table["importer_iso3"].map(n_all)
    table["partner_type"] = "regular"
    table.loc[table["n_minerals"] == 1, "partner_type"] = "mineral_specific"
    table.loc[table["share_of_markets"] >= CORE_SHARE, "partner_type"] = "core"
    return marts.conform(table, "portfolio_core_partners")
