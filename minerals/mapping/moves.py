"""What a changed mapping moves: codes, candidates, and the ranks of suppliers.

Belongs here: comparing two versions of the mapping and of the rankings, as pure functions. Does not
belong here: how either version was computed (`minerals.ppml`, `minerals.sourcing`, dbt).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from minerals.mapping.seeds import Seed

GROUP = ["importer_iso3", "category", "mineral"]
SUPPLIER = [*GROUP, "exporter_iso3"]

OUTSIDE = "out of scope"
UNMAPPED = "unmapped"

Meanings = Mapping[tuple[str, str], str]
"""What each (revision, code) is: a mineral with its category, or out of scope."""


@dataclass(frozen=True)
class CodeChange:
    """A code that means something else than before."""

    hs_revision: str
    hs_code: str
    before: str
    after: str


@dataclass(frozen=True)
class Rankings:
    """The two marts compared: `ranking_forward` and `ranking_annual`."""

    forward: pd.DataFrame
    annual: pd.DataFrame


def meanings(mapped: Seed, out_of_scope: Seed) -> dict[tuple[str, str], str]:
    """What each code of the seeds is; out of scope prevails, as in the warehouse."""
    found = {
        (row["hs_revision"], row["hs_code"]): f"{row['mineral']} {row['category']}"
        for row in mapped.rows
    }
    return found | {(r["hs_revision"], r["hs_code"]): OUTSIDE for r in out_of_scope.rows}


def code_changes(before: Meanings, after: Meanings) -> list[CodeChange]:
    """The codes whose meaning differs, in the order of code and revision."""
    keys = sorted(before.keys() | after.keys(), key=lambda key: (key[1], key[0]))
    changes = [CodeChange(*k, before.get(k, UNMAPPED), after.get(k, UNMAPPED)) for k in keys]
    return [change for change in changes if change.before != change.after]


def mineral_changes(before: Rankings, after: Rankings, top_k: int) -> pd.DataFrame:
    """The importer-category-minerals in which anything differs, those with most changes first.

    Columns: the key; source_before, source_after: the coefficients that speak for the mineral
    (`ranking_forward.is_headline`); candidates_*, imports_* (supplier-years with a known positive
    quantity); top_in, top_out: suppliers that enter and leave the first `top_k`, in the order of
    rank; moved: suppliers with another rank, entered and left ones included.
    """
    columns = ["source", "candidates", "imports"]
    facts = _facts(before).join(
        _facts(after), how="outer", lsuffix="_before", rsuffix="_after", validate="one_to_one"
    )
    for name in columns[1:]:
        for side in ("_before", "_after"):
            facts[name + side] = facts[name + side].fillna(0).astype("int64")
    moves = supplier_moves(before, after)
    groups = moves.groupby(GROUP)
    facts["moved"] = groups.size().reindex(facts.index, fill_value=0)
    was, now = (
        (moves[name] <= top_k).fillna(False).astype("bool")
        for name in ("rank_before", "rank_after")
    )
    entered = moves.loc[now & ~was].sort_values("rank_after").groupby(GROUP)["exporter_iso3"]
    left = moves.loc[was & ~now].sort_values("rank_before").groupby(GROUP)["exporter_iso3"]
    facts["top_in"] = entered.agg(", ".join).reindex(facts.index).fillna("")
    facts["top_out"] = left.agg(", ".join).reindex(facts.index).fillna("")
    differs = facts["moved"] > 0
    for name in columns:
        differs |= facts[f"{name}_before"].astype("str") != facts[f"{name}_after"].astype("str")
    facts = facts.loc[differs].reset_index()
    return facts.sort_values(["moved", *GROUP], ascending=[False, True, True, True]).reset_index(
        drop=True
    )


def supplier_moves(before: Rankings, after: Rankings) -> pd.DataFrame:
    """Suppliers whose forward rank differs: who enters or leaves, then the others, the largest move
    first, ties by the key.

    Columns: the key, rank_before, rank_after (Int64, null for one who was or is no candidate), and
    places: positive towards the first rank. One who enters or leaves counts as coming from or going
    to the place after the last.
    """
    key = [*SUPPLIER, "rank"]
    old, new = (
        _headline(side.forward).rename(columns={"forward_rank": "rank"})[key]
        for side in (before, after)
    )
    moves = old.merge(new, on=SUPPLIER, how="outer", suffixes=("_before", "_after"))
    for name in ("rank_before", "rank_after"):
        moves[name] = moves[name].astype("Int64")
    last = moves.groupby(GROUP)[["rank_before", "rank_after"]].transform("max").fillna(0) + 1
    filled = {n: moves[n].fillna(last[n]) for n in ("rank_before", "rank_after")}
    moves["places"] = (filled["rank_before"] - filled["rank_after"]).astype("int64")
    is_same = (moves["rank_before"] == moves["rank_after"]).fillna(False)
    moves = moves.loc[~is_same]
    stays = moves[["rank_before", "rank_after"]].notna().all(axis=1)
    moves = moves.assign(stays=stays, size=-moves["places"].abs())
    moves = moves.sort_values(["stays", "size", *SUPPLIER], kind="stable", ignore_index=True)
    return moves.drop(columns=["stays", "size"])


def _headline(forward: pd.DataFrame) -> pd.DataFrame:
    """The rows that a reader is shown."""
    return forward.loc[forward["is_headline"].astype(bool)]


def _facts(rankings: Rankings) -> pd.DataFrame:
    facts = (
        _headline(rankings.forward)
        .groupby(GROUP)
        .agg(source=("coefficient_source", "first"), candidates=("exporter_iso3", "nunique"))
    )
    # What was bought is the same beside either source of coefficients.
    bought = rankings.annual.loc[rankings.annual["actual_qty_kg"] > 0]
    counts = bought.drop_duplicates([*SUPPLIER, "year"]).groupby(GROUP).size()
    return facts.assign(imports=counts.reindex(facts.index).fillna(0).astype("int64"))
