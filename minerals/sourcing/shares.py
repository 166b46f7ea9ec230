"""Shares, and how concentrated they are.

Belongs here: the arithmetic of shares that several parts of the portfolio need, on plain series.
Does not belong here: which quantities or ranks the shares are of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

HIGHEST_GOVERNANCE = 2.5
"""The Worldwide Governance Indicators run from about -2.5 (weak) to 2.5 (strong)."""


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


def governance_risk(wgi_average: Any) -> Any:
    """(2.5 - WGI) / 5, held within 0 (strongest governance) and 1 (weakest)."""
    return ((HIGHEST_GOVERNANCE - wgi_average) / (2 * HIGHEST_GOVERNANCE)).clip(0.0, 1.0)
