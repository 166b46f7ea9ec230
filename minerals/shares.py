"""What was imported, the share of each supplier, and how concentrated shares are.

An actual share and a model share are defined here once, for estimation and `sourcing` alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from minerals.names import CATEGORIES, MARKET, SUPPLIER, quantity_column


def imports_long(panel: pd.DataFrame) -> pd.DataFrame:
    """The panel with one row per category: key columns, category and qty_kg (null = unknown)."""
    key = panel[["importer_iso3", "mineral", "exporter_iso3", "year"]]
    parts = [key.assign(category=c, qty_kg=panel[quantity_column(c)]) for c in CATEGORIES]
    return pd.concat(parts, ignore_index=True)


def window_imports(panel: pd.DataFrame) -> pd.DataFrame:
    """What was imported over the importer's years in the panel, per importer, category, mineral and
    exporter: actual_qty_kg and actual_share as in `ranking_forward`, and n_unknown_qty, the years
    with trade of unknown quantity."""
    imports = imports_long(panel)
    groups = imports.assign(is_unknown=imports["qty_kg"].isna()).groupby(SUPPLIER, sort=True)
    frame = groups["qty_kg"].sum(min_count=1).rename("actual_qty_kg").reset_index()
    frame["n_unknown_qty"] = groups["is_unknown"].sum().to_numpy()
    frame["actual_share"] = part_of_total(frame["actual_qty_kg"], [frame[name] for name in MARKET])
    frame["actual_qty_kg"] /= frame["importer_iso3"].map(years_of_importers(panel))
    return frame


def years_of_importers(panel: pd.DataFrame) -> pd.Series:
    """How many years each importer has in the panel: those that it has reported."""
    return panel.groupby("importer_iso3")["year"].nunique()


def implied_shares(linear_predictor: pd.Series, keys: Sequence[pd.Series]) -> pd.Series:
    """exp(x'b) over its sum within the groups of `keys`, 0 to 1.

    What is the same for all of a group (a mineral's or a year's effect) cancels, so that shares
    exist where such an effect is not identified. Computed after subtracting the group's largest
    x'b. A null x'b (minus infinity) has share 0.
    """
    above = linear_predictor - linear_predictor.groupby(list(keys)).transform("max")
    weight = pd.Series(np.exp(above), index=linear_predictor.index).fillna(0.0)
    return weight / weight.groupby(list(keys)).transform("sum")


def part_of_total(quantity: pd.Series, keys: Sequence[pd.Series]) -> pd.Series:
    """Each quantity over its group's sum, 0 to 1; null where the sum is zero or unknown."""
    total = quantity.groupby(list(keys)).transform("sum")
    return quantity / total.where(total > 0)


def hhi(shares: pd.Series) -> float:
    """Herfindahl-Hirschman index: the sum of squared shares, 0 to 1; NaN without any."""
    return float((shares**2).sum(min_count=1))


def largest(shares: pd.Series, count: int) -> float:
    """The sum of the `count` largest shares; NaN without any."""
    return float(shares.nlargest(count).sum(min_count=1))
