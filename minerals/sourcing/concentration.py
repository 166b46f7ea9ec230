"""How concentrated supply is: in imports, in the model and in world production."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from minerals import marts
from minerals.names import MARKET, SUPPLIER
from minerals.shares import hhi, imports_long, part_of_total, window_imports
from minerals.sourcing.governance import with_governance

NARROW_CANDIDATES = 5
NARROW_TOP3_SHARE = 0.8
"""A pool is narrow with fewer candidates, or where three model shares sum to more."""


def concentration(
    panel: pd.DataFrame,
    ranking_forward: pd.DataFrame,
    production: pd.DataFrame,
    governance: pd.DataFrame,
    concentrated_above: float,
) -> pd.DataFrame:
    """`portfolio_concentration`, of the markets in `ranking_forward`.

    production: of `production_concentration`. governance: of `governance.governance`. The weighting
    by governance is after the index of the EU's list of critical raw materials (Blengini et al.,
    "Methodology for establishing the EU list of critical raw materials", 2017). Actual shares are
    of the window's known quantities, model shares those of the headline coefficients.
    """
    needed = [*SUPPLIER, "coefficient_source", "model_share"]
    if ranking_forward.empty:
        return marts.empty("portfolio_concentration")
    frame = ranking_forward.loc[ranking_forward["is_headline"], needed].merge(
        window_imports(panel), how="left", on=SUPPLIER, validate="one_to_one"
    )
    frame = with_governance(frame, governance)
    frame["risky_share"] = frame["actual_share"] ** 2 * frame["governance_risk"]
    frame = frame.sort_values(SUPPLIER, kind="stable", ignore_index=True)
    frame["is_supplier"] = frame["actual_share"] > 0
    groups = frame.groupby(MARKET)
    table = groups.agg(
        coefficient_source=("coefficient_source", "first"),
        top1_share=("actual_share", "max"),
        n_suppliers=("is_supplier", "sum"),
        n_candidates=("exporter_iso3", "size"),
        n_unknown_qty=("n_unknown_qty", "sum"),
        n_imputed_governance=("is_imputed_governance", "sum"),
    ).reset_index()
    markets = [frame[name] for name in MARKET]
    for name, column in (
        ("hhi_actual", frame["actual_share"] ** 2),
        ("hhi_model", frame["model_share"] ** 2),
        ("hhi_actual_governance", frame["risky_share"]),
    ):
        table[name] = column.groupby(markets).sum(min_count=1).to_numpy()
    for name, share in (("top3_share", "actual_share"), ("top3_model_share", "model_share")):
        first = frame[share].groupby(markets).rank(ascending=False, method="first") <= 3
        table[name] = frame[share].where(first).groupby(markets).sum(min_count=1).to_numpy()
    leader = _leader(frame, "actual_share", MARKET)
    table = table.merge(leader, how="left", on=MARKET)
    trends = _leaders_trends(panel, leader)
    table["top1_share_trend"] = [
        trends.get(market, float("nan")) for market in table[MARKET].itertuples(index=False)
    ]
    table = table.merge(production, how="left", on="mineral", validate="many_to_one")
    above = (table["hhi_actual"] > concentrated_above).astype("boolean")
    table["effective_suppliers"] = 1.0 / table["hhi_actual"]
    table["is_concentrated"] = above.where(table["hhi_actual"].notna())
    table["is_narrow_pool"] = (table["n_candidates"] < NARROW_CANDIDATES) | (
        table["top3_model_share"] > NARROW_TOP3_SHARE
    )
    return marts.conform(table, "portfolio_concentration")


def concentration_by_year(panel: pd.DataFrame) -> pd.DataFrame:
    """`portfolio_concentration_annual`: of each year's known quantities, for years with any."""
    key = [*MARKET, "year"]
    frame = imports_long(panel)
    frame = frame.loc[frame["qty_kg"] > 0].sort_values([*key, "exporter_iso3"], ignore_index=True)
    frame["share"] = part_of_total(frame["qty_kg"], [frame[name] for name in key])
    table = frame.groupby(key, as_index=False).agg(
        imports_qty_kg=("qty_kg", "sum"),
        hhi_actual=("share", hhi),
        top1_share=("share", "max"),
        n_suppliers=("share", "size"),
    )
    table = table.merge(_leader(frame, "share", key), how="left", on=key)
    return marts.conform(table, "portfolio_concentration_annual")


def production_concentration(production: pd.DataFrame, governance: pd.DataFrame) -> pd.DataFrame:
    """How concentrated the world's production of each mineral is: columns as in
    `portfolio_concentration`, of the production summed over the rows' years.

    production: mineral, country_iso3, production_kg, one row per year.
    """
    countries = production.groupby(["mineral", "country_iso3"])
    totals = countries.agg(production_kg=("production_kg", "sum")).reset_index()
    totals = with_governance(totals, governance, "country_iso3")
    share = part_of_total(totals["production_kg"], [totals["mineral"]])
    totals = totals.assign(share=share, risky_share=share**2 * totals["governance_risk"])
    groups = totals.groupby("mineral")
    table = groups.agg(
        hhi_production=("share", hhi),
        hhi_production_governance=("risky_share", lambda part: part.sum(min_count=1)),
        top1_production_share=("share", "max"),
    ).reset_index()
    leader = _leader(totals.rename(columns={"country_iso3": "exporter_iso3"}), "share", ["mineral"])
    leader = leader.rename(columns={"top1_exporter_iso3": "top1_producer_iso3"})
    return table.merge(leader, how="left", on="mineral")


def _leader(frame: pd.DataFrame, share: str, keys: list[str]) -> pd.DataFrame:
    """`keys` and top1_exporter_iso3, the exporter of each group's largest `share`, the first row of
    equals; no row for a group without a share."""
    known = frame.dropna(subset=share)
    first = known.loc[known.groupby(keys)[share].idxmax(), [*keys, "exporter_iso3"]]
    return first.rename(columns={"exporter_iso3": "top1_exporter_iso3"})


def _leaders_trends(panel: pd.DataFrame, leaders: pd.DataFrame) -> dict[Any, float]:
    """Slope by year of the share of each market's leader, for markets with three years or more."""
    yearly = imports_long(panel)
    yearly["share"] = part_of_total(yearly["qty_kg"], [yearly[name] for name in (*MARKET, "year")])
    yearly = yearly.rename(columns={"exporter_iso3": "top1_exporter_iso3"}).merge(leaders)
    return {
        key: float(np.polyfit(part["year"], part["share"], 1)[0])
        for key, part in yearly.dropna(subset="share").groupby(MARKET)
        if len(part) > 2
    }
