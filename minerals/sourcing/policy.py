"""What measures and news of other countries mean for each market, and what can be done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from minerals import marts
from minerals.names import MARKET, SUPPLIER, WEAKEST_FIRST

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
    frame = _with_latest(frame, last_year, "actor_iso3")
    frame["last_year"] = int(last_year["year"].max()) if len(last_year) else pd.NA
    bases = [_basis(row) for row in frame.to_dict("records")]
    for place, name in enumerate(("exposure_basis", "basis_stage", "lost_share_full")):
        frame[name] = [basis[place] for basis in bases]
    frame["lost_share_expected"] = frame["lost_share_full"] * frame["severity"]
    return marts.conform(frame, "policy_event_exposure")


def _with_latest(frame: pd.DataFrame, flows: pd.DataFrame, exporter: str) -> pd.DataFrame:
    """`frame` with import_share_latest: the share of the supplier in column `exporter` in the
    quantity bought in one year; 0 where the market bought of others only, null where of nobody."""
    bought = flows.groupby(SUPPLIER, as_index=False).agg(qty_kg=("qty_kg", "sum"))
    totals = bought.groupby(MARKET, as_index=False).agg(_total=("qty_kg", "sum"))
    frame = frame.merge(
        bought.rename(columns={"exporter_iso3": exporter}), "left", [*MARKET, exporter]
    )
    frame = frame.merge(totals[totals["_total"] > 0], "left", MARKET)
    share = frame.pop("qty_kg").fillna(0) / frame.pop("_total")
    return frame.assign(import_share_latest=share)


def _basis(row: Mapping[Any, Any]) -> tuple[str, str, float]:
    """What the loss is measured by, at which stage, and how large it is."""
    if not np.isnan(row["import_share_window"]):
        return IMPORTS, "", row["import_share_window"]
    if not row["has_trade_line"]:
        for stage in _STANDS_IN[str(row["category"])]:
            if not np.isnan(share := row[f"actor_{stage}_share"]):
                return WORLD_SUPPLY, stage, share
    return NONE, "", float("nan")


def signal_exposure(
    signals: pd.DataFrame,
    partners: pd.DataFrame,
    supply: pd.DataFrame,
    events: pd.DataFrame,
    countries: pd.DataFrame,
    last_year: pd.DataFrame,
) -> pd.DataFrame:
    """`signal_exposure`: the suppliers and markets that each signal touches.

    A signal without a mineral is of every market in which its partner is a candidate; a region
    stands for the candidates in it. signals: `supply_signals`; partners: `portfolio_partners`;
    supply: `int_world_supply__latest`; events: restrictions of `policy_events`; countries:
    `dim_country`; last_year: as in `policy_event_exposure`.
    """
    named = _named_pairs(signals, partners[MARKET].drop_duplicates())
    frame = pd.concat([named, _in_regions(signals, partners, countries)], ignore_index=True)
    frame = frame.drop_duplicates(["signal_id", *SUPPLIER])
    frame = frame.merge(partners, how="left", on=SUPPLIER, indicator="_found")
    frame["is_candidate"] = frame.pop("_found") == "both"
    frame = frame[frame["is_candidate"] | frame["is_named"]].copy()
    frame = _with_latest(frame, last_year, "exporter_iso3")
    world = supply.pivot_table(index=["mineral", "country_iso3"], columns="stage", values="share")
    world = world.reindex(columns=["mined", "refined"]).reset_index()
    frame = frame.merge(
        world.rename(columns={"country_iso3": "exporter_iso3"}),
        how="left",
        on=["mineral", "exporter_iso3"],
    )
    of_products = frame["refined"].fillna(frame["mined"])
    frame["actor_world_share"] = of_products.where(frame["category"] != "ores", frame["mined"])
    in_force = events.loc[events["is_in_force"], ["actor_iso3", "category", "mineral"]]
    acted = set(in_force.itertuples(index=False, name=None))
    keys = zip(frame["exporter_iso3"], frame["category"], frame["mineral"], strict=True)
    frame["has_event"] = [key in acted for key in keys]
    frame["role"] = frame["role"].fillna("not_a_candidate")
    return marts.conform(frame, "signal_exposure")


def _named_pairs(signals: pd.DataFrame, markets: pd.DataFrame) -> pd.DataFrame:
    """The partner that a signal names, in each market that it is of. Where it names the mineral,
    the pair stays though the partner is no candidate."""
    pairs = signals[signals["partner_iso3"].notna()].rename(
        columns={"partner_iso3": "exporter_iso3"}
    )
    return _of_markets(pairs, markets).assign(is_named=lambda f: f.pop("_has_mineral"))


def _in_regions(
    signals: pd.DataFrame, partners: pd.DataFrame, countries: pd.DataFrame
) -> pd.DataFrame:
    """The candidates in the regions that a signal names."""
    pairs = signals[signals["region"].notna()].assign(region=lambda f: f["region"].str.split(";"))
    members = countries[["region", "country_iso3"]].rename(
        columns={"country_iso3": "exporter_iso3"}
    )
    pairs = pairs.explode("region").merge(members, on="region")
    found = _of_markets(pairs, partners[MARKET].drop_duplicates())
    return found.drop(columns="_has_mineral").assign(is_named=False)


def _of_markets(pairs: pd.DataFrame, markets: pd.DataFrame) -> pd.DataFrame:
    """Each pair of signal and supplier in the markets of its importer, category and mineral; null
    stands for all."""
    own = pairs[["signal_id", "exporter_iso3", *MARKET]].rename(columns=lambda c: f"_{c}")
    frame = own.merge(markets, how="cross")
    fits = pd.Series(True, index=frame.index)
    for name in MARKET:
        fits &= frame[f"_{name}"].isna() | (frame[f"_{name}"] == frame[name])
    fits &= frame["_exporter_iso3"] != frame["importer_iso3"]
    frame = frame[fits].assign(_has_mineral=lambda f: f["_mineral"].notna())
    frame = frame.rename(columns={"_signal_id": "signal_id", "_exporter_iso3": "exporter_iso3"})
    return frame[["signal_id", *SUPPLIER, "_has_mineral"]]


def policy_options(
    strategies: pd.DataFrame, instruments: pd.DataFrame, core_partners: pd.DataFrame
) -> pd.DataFrame:
    """`policy_options`: what can be done about each market, by its strategy and category.

    strategies: `portfolio_strategy`; instruments: the seed `policy_instruments`; core_partners:
    `portfolio_core_partners`.
    """
    core = core_partners[core_partners["partner_type"] == "core"]
    leads: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in core.to_dict("records"):
        for mineral in row["minerals"].split(";"):
            leads[row["importer_iso3"], mineral.strip()].add(row["exporter_iso3"])

    @cache
    def options(strategy: str, category: str, has_core_partner: bool) -> dict[str, str]:
        words = [strategy, *(["core_partner"] if has_core_partner else [])]
        fits = instruments["category"].isna() | (instruments["category"] == category)
        fits &= instruments["strategy"].isna() | instruments["strategy"].isin(words)
        chosen = instruments[fits].sort_values("option_order", kind="stable")
        return {
            "instruments": "; ".join(chosen["instruments"]),
            "preconditions": "; ".join(chosen["preconditions"].dropna()),
            "source_id": ", ".join(sorted(set(chosen["source_id"]))),
            "location": "; ".join(dict.fromkeys(chosen["location"])),
            "evidence_label": min(chosen["evidence_label"], key=WEAKEST_FIRST.index, default=""),
        }

    rows: list[dict[Any, Any]] = []
    for market in strategies[[*MARKET, "strategy"]].to_dict("records"):
        partners = sorted(leads[market["importer_iso3"], market["mineral"]])
        found = options(market["strategy"], market["category"], bool(partners))
        rows.append({**market, **found, "core_partners": ", ".join(partners)})
    if not rows:
        return marts.empty("policy_options")
    return marts.conform(pd.DataFrame(rows), "policy_options")


def contingency_priorities(
    shocks: pd.DataFrame, concentration: pd.DataFrame, exposure: pd.DataFrame
) -> pd.DataFrame:
    """`contingency_priorities`: the markets with most to lose first: by the part of the largest
    supplier's loss that nobody replaces, then concentration, then events in force.

    shocks: `portfolio_shocks` of kind 'largest_supplier'; concentration:
    `portfolio_concentration`; exposure: `policy_event_exposure`.
    """
    in_force = exposure[exposure["is_in_force"]]
    events = in_force.groupby(MARKET, as_index=False).agg(
        n_events_in_force=("event_id", "nunique"),
        events_in_force=("event_id", lambda ids: ", ".join(sorted(ids))),
        largest_expected_loss_share=("lost_share_expected", "max"),
    )
    frame = (
        concentration[[*MARKET, "hhi_actual"]]
        .merge(shocks, how="left", on=MARKET)
        .merge(events, how="left", on=MARKET)
    )
    frame["n_events_in_force"] = frame["n_events_in_force"].fillna(0)
    frame["events_in_force"] = frame["events_in_force"].fillna("")
    frame = frame[frame["lost_share"].notna() | (frame["n_events_in_force"] > 0)]
    frame = frame.rename(columns={"lost_exporters": "largest_supplier_iso3"})
    frame["largest_supplier_iso3"] = frame["largest_supplier_iso3"].fillna("")
    frame["next_best"] = frame["next_best"].fillna("")
    frame["unreplaceable_share"] = frame["lost_share"] * (1 - frame["replaceable_share"])
    by = ["unreplaceable_share", "hhi_actual", "n_events_in_force"]
    frame = frame.sort_values(
        ["importer_iso3", *by, "category", "mineral"],
        ascending=[True, False, False, False, True, True],
        na_position="last",
    )
    frame["priority_rank"] = frame.groupby("importer_iso3").cumcount() + 1
    return marts.conform(frame, "contingency_priorities")
