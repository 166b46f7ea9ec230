"""What is lost when a supplier drops out, and who could replace it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from minerals import marts
from minerals.frames import require_columns
from minerals.names import MARKET
from minerals.shares import hhi
from minerals.sourcing.portfolio import market_of
from minerals.sourcing.programme import NO_CHANGE_LIMIT, FloatArray, Solution, Weights, solve

LARGEST_PARTNERS = 10
NAMED_REPLACEMENTS = 5


EVENT_COLUMNS = ("event", "event_date", "exporter_iso3", "mineral", "category", "source")

_NEEDED = [
    *MARKET, "exporter_iso3", "forward_rank", "annual_qty_kg", "headroom_qty_kg", "actual_share",
    "model_share",
]  # fmt: skip


@dataclass(frozen=True)
class Loss:
    """One market without some suppliers: figures as in `portfolio_shocks`, NaN for its nulls.
    replacements: exporter_iso3, forward_rank, headroom_qty_kg, added_qty_kg, by forward rank."""

    lost_share: float
    lost_qty_kg: float
    replaceable_share: float
    n_candidates_left: int
    replacements: pd.DataFrame
    hhi_before: float
    hhi_after: float


def lose(partners: pd.DataFrame, lost: Sequence[str]) -> Loss:
    """Take suppliers away from one market, and let the others replace them.

    partners: the rows of one importer, category and mineral of `portfolio_partners`. The loss is
    shared among the others in proportion to their model_share, within their headroom (`share_out`).
    """
    require_columns(partners, _NEEDED, "partners")
    is_lost = partners["exporter_iso3"].isin(list(lost))
    gone = float(partners.loc[is_lost, "annual_qty_kg"].sum())
    total = float(partners["annual_qty_kg"].sum())
    rest = partners.loc[~is_lost].sort_values(["forward_rank", "exporter_iso3"], kind="stable")
    weights, limits = rest[["model_share", "headroom_qty_kg"]].to_numpy(dtype=np.float64).T
    added = share_out(gone, weights, limits)
    rest = rest.assign(added_qty_kg=added)
    after = rest["annual_qty_kg"] + added
    delivered = float(after.sum())
    return Loss(
        lost_share=gone / total if total > 0 else float("nan"),
        lost_qty_kg=gone,
        # Parts of a sum, added up again: 1 may come out as 0.9999999999999999 or just above.
        replaceable_share=round(float(added.sum()) / gone, 12) if gone > 0 else float("nan"),
        n_candidates_left=len(rest),
        replacements=rest[["exporter_iso3", "forward_rank", "headroom_qty_kg", "added_qty_kg"]],
        hhi_before=hhi(partners["annual_qty_kg"] / total) if total > 0 else float("nan"),
        hhi_after=hhi(after / delivered) if delivered > 0 else float("nan"),
    )


def share_out(amount: float, weights: FloatArray, limits: FloatArray) -> FloatArray:
    """Split `amount` (n,) in proportion to `weights`, none above its limit.

    What exceeds a limit is split among those below theirs, again in proportion, until all is given
    or every limit with a positive weight is met.
    """
    given = np.zeros(len(weights))
    is_open = (weights > 0) & (limits > 0)
    left = amount
    while left > 0 and is_open.any():
        wanted = given + np.where(is_open, left * weights / weights[is_open].sum(), 0.0)
        is_full = is_open & (wanted >= limits)
        if not is_full.any():
            return wanted
        given = np.where(is_full, limits, given)
        is_open &= ~is_full
        left = amount - float(given.sum())
    return given


def recommend_without(partners: pd.DataFrame, lost: Sequence[str], weights: Weights) -> Solution:
    """The recommended portfolio of one market without some suppliers.

    What they supplied has to move in any case: the limit on change is for the rest.
    """
    market = market_of(partners)
    is_lost = partners["exporter_iso3"].isin(list(lost)).to_numpy()
    market = replace(market, capacity=np.where(is_lost, 0.0, market.capacity))
    lost_share = 0.0 if market.today is None else float(market.today[is_lost].sum())
    limit = min(weights.change_limit + lost_share, NO_CHANGE_LIMIT)
    return solve(market, replace(weights, change_limit=limit))


def standing_shocks(
    partners: pd.DataFrame, import_value: pd.DataFrame, events: pd.DataFrame
) -> pd.DataFrame:
    """`portfolio_shocks`: the effect of a fixed list of supply losses on each market.

    `events` (EVENT_COLUMNS; a category of 'all' stands for every one) are listed also where nothing
    is imported from there. import_value: importer_iso3, exporter_iso3, value_usd, all that is
    imported of critical minerals.
    """
    require_columns(events, EVENT_COLUMNS, "events")
    largest = largest_partners(import_value)
    rows = [
        {**dict(zip(MARKET, key, strict=True)), **shock, **_figures(market, shock)}
        for key, market in partners.groupby(MARKET, sort=True)
        for shock in _shocks(market, largest.get(str(key[0]), []), events)
    ]
    if not rows:
        return marts.empty("portfolio_shocks")
    return marts.conform(pd.DataFrame(rows), "portfolio_shocks")


def largest_partners(
    import_value: pd.DataFrame, count: int = LARGEST_PARTNERS
) -> dict[str, list[str]]:
    """The `count` exporters of largest value_usd of each importer, ties by ISO3."""
    ordered = import_value.loc[import_value["value_usd"] > 0].sort_values(
        ["importer_iso3", "value_usd", "exporter_iso3"], ascending=[True, False, True]
    )
    top = ordered.groupby("importer_iso3").head(count)
    return {str(key): list(rows["exporter_iso3"]) for key, rows in top.groupby("importer_iso3")}


def _shocks(
    market: pd.DataFrame, largest: Sequence[str], events: pd.DataFrame
) -> Iterator[dict[str, str]]:
    names = ("shock", "shock_kind", "lost_exporters", "event_date", "event_source")
    sells = market.loc[market["annual_qty_kg"] > 0]
    sells = sells.sort_values(["annual_qty_kg", "exporter_iso3"], ascending=[False, True])
    suppliers = list(sells["exporter_iso3"])
    shocks = [
        ("loss of the largest supplier", "largest_supplier", s, "", "") for s in suppliers[:1]
    ]
    shocks += [(f"loss of {s}", "partner", s, "", "") for s in largest if s in suppliers]
    category, mineral = market["category"].iloc[0], market["mineral"].iloc[0]
    hit = events.loc[(events["mineral"] == mineral) & events["category"].isin([category, "all"])]
    for event in hit.astype(str).to_dict("records"):
        dated = event["event_date"][:10], event["source"]
        shocks.append((event["event"], "event", event["exporter_iso3"], *dated))
    for shock in shocks:
        yield dict(zip(names, shock, strict=True))


def _figures(market: pd.DataFrame, shock: dict[str, str]) -> dict[str, object]:
    loss = lose(market, [shock["lost_exporters"]])
    stepping_in = loss.replacements.loc[loss.replacements["added_qty_kg"] > 0]
    named = [
        f"{row['exporter_iso3']} {row['added_qty_kg'] / loss.lost_qty_kg:.0%}"
        for row in stepping_in.nlargest(NAMED_REPLACEMENTS, "added_qty_kg").to_dict("records")
    ]
    return {**vars(loss), "next_best": ", ".join(named)}
