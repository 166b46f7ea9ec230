"""Averages of suppliers' characteristics over years, for the stability test and the ranking."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from minerals.frames import require_columns

LOG1P = frozenset({"ln_production_qty", "ln_refined_qty"})
"""Regressors that are ln(1 + x); other names that begin with ln_ are ln(x)."""


def recent_years(panel: pd.DataFrame, years: int | None) -> pd.DataFrame:
    """The rows of the last `years` years up to each importer's last in the panel; None: all."""
    last = panel.groupby("importer_iso3")["year"].transform("max")
    return panel if years is None else panel.loc[panel["year"] > last - years]


def average_characteristics(panel: pd.DataFrame, regressors: Sequence[str]) -> pd.DataFrame:
    """Mean of each regressor over the years, per mineral and exporter, sorted by both.

    What enters in logarithms is averaged in its own unit and logged afterwards: ln(1 + mean kg) for
    production, ln(mean) for the other `ln_` regressors. The mean of logarithms would divide the
    output of a mine that stood still in one of five years by about e^4, not by 5/4. Raises
    ValueError when a regressor is null.
    """
    require_regressors(panel, regressors)
    levels = panel[["mineral", "exporter_iso3", *regressors]].copy()
    logged = [name for name in regressors if name.startswith("ln_")]
    for name in logged:
        levels[name] = np.expm1(levels[name]) if name in LOG1P else np.exp(levels[name])
    means = levels.groupby(["mineral", "exporter_iso3"], as_index=False, sort=True).mean()
    for name in logged:
        means[name] = np.log1p(means[name]) if name in LOG1P else np.log(means[name])
    return means


def require_regressors(frame: pd.DataFrame, names: Sequence[str]) -> None:
    """Raise ValueError when a column of `names` is missing or null, naming up to three rows."""
    require_columns(frame, names, "the frame to rank")
    is_missing = frame[list(names)].isna().any(axis=1)
    if is_missing.any():
        shown = frame.loc[is_missing].filter(["mineral", "exporter_iso3", "year"]).head(3)
        raise ValueError(
            f"candidates lack a regressor in {int(is_missing.sum())} rows, "
            f"e.g. {shown.to_dict('records')}"
        )
