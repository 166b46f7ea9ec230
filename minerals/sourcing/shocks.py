"""What is lost when a supplier drops out, and who could replace it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from minerals import marts
from minerals.frames import Columns, by_market, require_columns
from minerals.names import MARKET
from minerals.sourcing.portfolio import market_of
from minerals.sourcing.programme import NO_CHANGE_LIMIT, FloatArray, Solution, Weights, solve

LARGEST_PARTNERS = 10
NAMED_REPLACEMENTS = 5
FIGURES = ("lost_share", "lost_qty_kg", "replaceable_share", "n_candidates_left", "next_best",
           "hhi_before", "hhi_after")  # fmt: skip


EVENT_COLUMNS = ("event", "from_date", "actor_iso3", "target_iso3", "mineral", "category",
                 "instrument", "citation")  # fmt: skip

_NEEDED = [
    *MARKET, "exporter_iso3", "forward_rank", "annual_qty_kg", "headroom_qty_kg", "actual_share",
    "model_share",
]  # fmt: skip


@dataclass(frozen=True)
class Loss:
    """One market without some suppliers: figures as in `portfolio_shocks`, NaN for its nulls.
    replacements: exporter_iso3, added_qty_kg, by forward rank."""

    lost_share: float
    lost_qty_kg: float
    replaceable_share: float
    n_candidates_left: int
    replacements: Mapping[str, NDArray[Any]]
    hhi_before: float
    hhi_after: float

    def next_best(self, count: int) -> list[tuple[str, float]]:
        """The largest replacements: exporter, and the part of the loss that it takes over."""
        added = self.replacements["added_qty_kg"]
        order = np.argsort(-added, kind="stable")[:count]
        return [
            (str(self.replacements["exporter_iso3"][place]), float(added[place] / self.lost_qty_kg))
            for place in order
            if added[place] > 0
        ]


def lose(partners: pd.DataFrame, lost: Sequence[str]) -> Loss:
    """Take suppliers away from one market, and let the others replace them.

    partners: the rows of one importer, category and mineral of `portfolio_partners`. The loss is
    shared among the others in proportion to their model_share, within their headroom (`share_out`).
    """
    require_columns(partners, _NEEDED, "partners")
    return _lose(_columns(partners), lost)


def losses(partners: pd.DataFrame, lost: Sequence[str]) -> pd.DataFrame:
    """Take suppliers away from every market that has them: what the dashboard asks for.

    partners: rows of `portfolio_partners`, of any markets. One row per market that loses a known
    quantity, the largest lost share first: importer_iso3, category, mineral and the figures of
    `portfolio_shocks` from lost_share to hhi_after, in its units. Nothing lost gives no row.
    Raises ValueError for a missing column.
    """
    require_columns(partners, _NEEDED, "partners")
    rows = []
    for key, _, columns in by_market(partners, _NEEDED):
        loss = _lose(_columns(columns), lost)
        if loss.lost_qty_kg > 0:
            rows.append({**dict(zip(MARKET, key, strict=True)), **_figures(loss)})
    found = pd.DataFrame(rows, columns=[*MARKET, *FIGURES])
    return found.sort_values(
        ["lost_share", *MARKET], ascending=[False, True, True, True], ignore_index=True
    )


def _columns(partners: pd.DataFrame | Columns) -> Columns:
    """The columns of a market, by forward rank."""
    columns = {name: np.asarray(partners[name]) for name in _NEEDED[len(MARKET) :]}
    columns["exporter_iso3"] = columns["exporter_iso3"].astype(str)
    order = np.lexsort((columns["exporter_iso3"], columns["forward_rank"]))
    return {name: column[order] for name, column in columns.items()}


def _lose(market: Columns, lost: Sequence[str]) -> Loss:
    is_lost = np.isin(market["exporter_iso3"], list(lost))
    annual = market["annual_qty_kg"]
    gone, total = float(annual[is_lost].sum()), float(annual.sum())
    rest = {name: column[~is_lost] for name, column in market.items()}
    added = share_out(gone, rest["model_share"], rest["headroom_qty_kg"])
    after = rest["annual_qty_kg"] + added
    delivered = float(after.sum())
    return Loss(
        lost_share=gone / total if total > 0 else float("nan"),
        lost_qty_kg=gone,
        # Parts of a sum, added up again: 1 may come out as 0.9999999999999999 or just above.
        replaceable_share=round(float(added.sum()) / gone, 12) if gone > 0 else float("nan"),
        n_candidates_left=len(added),
        replacements={"exporter_iso3": rest["exporter_iso3"], "added_qty_kg": added},
        hhi_before=float(((annual / total) ** 2).sum()) if total > 0 else float("nan"),
        hhi_after=float(((after / delivered) ** 2).sum()) if delivered > 0 else float("nan"),
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

    `events` are the restrictions of `policy_events` (EVENT_COLUMNS), listed also where nothing is
    imported from there; one with a target is of that importer alone. import_value: importer_iso3,
    exporter_iso3, value_usd, all that is imported of critical minerals.
    """
    require_columns(events, EVENT_COLUMNS, "events")
    largest = largest_partners(import_value)
    dated = events.astype({"from_date": "datetime64[us]"}).to_dict("records")
    rows = []
    for key, _, columns in by_market(partners, _NEEDED):
        names, market = dict(zip(MARKET, key, strict=True)), _columns(columns)
        hit = [
            event
            for event in dated
            if (event["category"], event["mineral"]) == key[1:]
            and is_aimed_at(event["target_iso3"], names["importer_iso3"])
        ]
        for shock in _shocks(market, largest.get(names["importer_iso3"], []), hit):
            loss = _lose(market, [shock["lost_exporters"]])
            rows.append({**names, **shock, **_figures(loss)})
    if not rows:
        return marts.empty("portfolio_shocks")
    return marts.conform(pd.DataFrame(rows), "portfolio_shocks")


def is_aimed_at(targets: object, importer: str) -> bool:
    """Whether a measure binds an importer: its targets, by semicolons, or null for all."""
    return not isinstance(targets, str) or importer in targets.split(";")


def largest_partners(import_value: pd.DataFrame) -> dict[str, list[str]]:
    """The LARGEST_PARTNERS exporters of largest value_usd of each importer, ties by ISO3."""
    ordered = import_value.loc[import_value["value_usd"] > 0].sort_values(
        ["importer_iso3", "value_usd", "exporter_iso3"], ascending=[True, False, True]
    )
    top = ordered.groupby("importer_iso3").head(LARGEST_PARTNERS)
    return {str(key): list(rows["exporter_iso3"]) for key, rows in top.groupby("importer_iso3")}


def _shocks(
    market: Columns, largest: Sequence[str], events: Sequence[Mapping[Any, Any]]
) -> Iterator[dict[str, Any]]:
    names = ("shock", "shock_kind", "lost_exporters", "event_date", "event_source")
    annual, exporters = market["annual_qty_kg"], market["exporter_iso3"]
    sells = annual > 0
    order = np.lexsort((exporters[sells], -annual[sells]))
    suppliers = [str(exporter) for exporter in exporters[sells][order]]
    shocks = [
        ("loss of the largest supplier", "largest_supplier", s, None, "") for s in suppliers[:1]
    ]
    shocks += [(f"loss of {s}", "partner", s, None, "") for s in largest if s in suppliers]
    for event in events:
        source = event["instrument"] if isinstance(event["instrument"], str) else event["citation"]
        shocks.append((event["event"], "event", event["actor_iso3"], event["from_date"], source))
    for shock in shocks:
        yield dict(zip(names, shock, strict=True))


def _figures(loss: Loss) -> dict[str, object]:
    """The columns FIGURES of `portfolio_shocks`."""
    named = [f"{exporter} {part:.0%}" for exporter, part in loss.next_best(NAMED_REPLACEMENTS)]
    figures = {**vars(loss), "next_best": ", ".join(named)}
    return {name: figures[name] for name in FIGURES}
