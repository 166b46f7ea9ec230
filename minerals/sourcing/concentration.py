"""How much of a mineral's supply hangs on how few suppliers, in fact and by the model.

Belongs here: the Herfindahl-Hirschman index and its thresholds, per mineral and category, over the
window and by year, of imports, of what the model implies and of world production. Does not belong
here: ranks (`ranking`), or what to do about concentration (`roles`).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from minerals import marts
from minerals.frames import require_columns
from minerals.names import MARKET
from minerals.shares import (
    hhi,
    imports_long,
    largest,
    part_of_total,
    window_imports,
)
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
    """`portfolio_concentration`: one row an importer, category and mineral of `ranking_forward`.

    production: `production_concentration`. governance: of `governance.governance`. Actual shares
    are of the window's known quantities; hhi_actual = sum of squared shares, effective_suppliers =
    1 / hhi_actual; hhi_actual_governance = sum of share^2 times (2.5 - WGI) / 5, after the index of
    the EU's list of critical raw materials (Blengini et al., "Methodology for establishing the EU
    list of critical raw materials", 2017), 0 to 1. top1_share_trend: slope of the largest
    supplier's share by year, points of share a year, null with fewer than three years of imports.
    All of these are null when nothing was imported. n_unknown_qty counts exporter-years with trade
    of unknown quantity, which are in no share, n_imputed_governance the candidates whose governance
    nobody has observed. Model shares are those of the headline coefficients.
    is_concentrated: hhi_actual above `concentrated_above`. is_narrow_pool: fewer than
    NARROW_CANDIDATES, or three model shares that sum to more than NARROW_TOP3_SHARE.
    """
    needed = [*MARKET, "exporter_iso3", "coefficient_source", "model_share", "is_headline"]
    require_columns(ranking_forward, needed, "ranks")
    if ranking_forward.empty:
        return marts.empty("portfolio_concentration")
    frame = ranking_forward.loc[ranking_forward["is_headline"], needed].merge(
        window_imports(panel), how="left", on=[*MARKET, "exporter_iso3"], validate="one_to_one"
    )
    frame = with_governance(frame, governance)
    frame["risky_share"] = frame["actual_share"] ** 2 * frame["governance_risk"]
    frame = frame.sort_values([*MARKET, "exporter_iso3"], kind="stable", ignore_index=True)
    groups = frame.groupby(MARKET)
    table = groups.agg(
        coefficient_source=("coefficient_source", "first"),
        hhi_actual=("actual_share", hhi),
        hhi_model=("model_share", hhi),
        hhi_actual_governance=("risky_share", lambda part: part.sum(min_count=1)),
        top1_share=("actual_share", "max"),
        top3_share=("actual_share", lambda shares: largest(shares, 3)),
        top3_model_share=("model_share", lambda shares: largest(shares, 3)),
        n_suppliers=("actual_share", lambda shares: int((shares > 0).sum())),
        n_candidates=("exporter_iso3", "size"),
        n_unknown_qty=("n_unknown_qty", "sum"),
        n_imputed_governance=("is_imputed_governance", "sum"),
    ).reset_index()
    first = frame.loc[_first_largest(frame["actual_share"], [frame[n] for n in MARKET])]
    leader = first.rename(columns={"exporter_iso3": "top1_exporter_iso3"})
    table = table.merge(leader[[*MARKET, "top1_exporter_iso3"]], how="left", on=MARKET)
    table = table.merge(_leaders_trend(panel, leader), how="left", on=MARKET)
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
    first = frame.loc[_first_largest(frame["share"], [frame[name] for name in key])]
    leader = first.rename(columns={"exporter_iso3": "top1_exporter_iso3"})
    table = table.merge(leader[[*key, "top1_exporter_iso3"]], how="left", on=key)
    return marts.conform(table, "portfolio_concentration_annual")


def production_concentration(production: pd.DataFrame, governance: pd.DataFrame) -> pd.DataFrame:
    """How concentrated the world's production of each mineral is, the importer's own included.

    production: mineral, country_iso3, production_kg, one row a year. Columns: mineral,
    hhi_production, hhi_production_governance (as in `concentration`), top1_producer_iso3,
    top1_production_share, of the production summed over the rows' years.
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
    first = totals.loc[_first_largest(totals["share"], [totals["mineral"]])]
    leader = first.rename(columns={"country_iso3": "top1_producer_iso3"})
    return table.merge(leader[["mineral", "top1_producer_iso3"]], how="left", on="mineral")


def _first_largest(values: pd.Series, keys: list[pd.Series]) -> pd.Index:
    """The label of each group's largest value, the first of equals; none for groups of nulls."""
    known = values.dropna()
    return pd.Index(known.groupby([key.loc[known.index] for key in keys]).idxmax())


def _leaders_trend(panel: pd.DataFrame, leaders: pd.DataFrame) -> pd.DataFrame:
    """The slope by year of the share of each market's largest supplier, `top1_share_trend`."""
    yearly = imports_long(panel)
    keys = [yearly[name] for name in (*MARKET, "year")]
    yearly["share"] = part_of_total(yearly["qty_kg"], keys)
    yearly = yearly.merge(
        leaders[[*MARKET, "top1_exporter_iso3"]],
        left_on=[*MARKET, "exporter_iso3"],
        right_on=[*MARKET, "top1_exporter_iso3"],
    )
    yearly = yearly.dropna(subset="share")
    rows = [
        {
            **dict(zip(MARKET, key, strict=True)),
            "top1_share_trend": float(np.polyfit(part["year"], part["share"], 1)[0])
            if len(part) > 2
            else float("nan"),
        }
        for key, part in yearly.groupby(MARKET)
    ]
    return pd.DataFrame(rows, columns=[*MARKET, "top1_share_trend"])
