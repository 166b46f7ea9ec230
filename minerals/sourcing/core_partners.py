"""Suppliers across minerals: who leads in many, and who in one alone."""

from __future__ import annotations

import pandas as pd

from minerals import marts
from minerals.frames import require_columns
from minerals.names import CATEGORIES, MARKET, SUPPLIER

CORE_SHARE = 0.5
"""A core partner leads in at least this share of the markets."""


def core_partners(partners: pd.DataFrame, core_share: float = CORE_SHARE) -> pd.DataFrame:
    """`portfolio_core_partners`: one row per importer and supplier that leads in any market.

    partners: `portfolio_partners`. A market is a mineral and category; a supplier leads where its
    forward rank is within effective_k and it is not excluded. share_of_markets = markets it leads
    in, over all markets of the importer. partner_type: core (at least `core_share` of the markets),
    mineral_specific (leads in one mineral only), else regular. minerals: those it leads in.
    mean_recommended_share: over the markets it leads in. Raises ValueError when a column is
    missing.
    """
    needed = [*SUPPLIER, "forward_rank", "effective_k", "is_excluded", "recommended_share"]
    require_columns(partners, needed, "partners")
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
    table.loc[table["share_of_markets"] >= core_share, "partner_type"] = "core"
    return marts.conform(table, "portfolio_core_partners")
