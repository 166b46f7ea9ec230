"""Frames that keep a contract: fixed columns, fixed types, fixed order, one row a key.

Belongs here: what every table built in Python needs before it may be published. Does not belong
here: the contracts themselves; each stands beside the function that builds the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Contract:
    """A table's promise: its name, its columns with their pandas types, and its key.

    Types in use: ``str``, ``int64``, ``float64`` (null = NaN), ``bool``, and ``Int64``,
    ``boolean`` where an integer or a truth may be null.
    """

    name: str
    columns: Mapping[str, str]
    key: Sequence[str]


def keep_contract(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """The contract's columns of `frame`, typed, sorted by the key, with a fresh index.

    Raises ValueError when a column is missing or a key occurs twice, naming the first three.
    """
    missing = [name for name in contract.columns if name not in frame.columns]
    if missing:
        raise ValueError(f"{contract.name} lacks the columns {', '.join(missing)}")
    key = list(contract.key)
    kept = frame[list(contract.columns)].astype(dict(contract.columns))
    kept = kept.sort_values(key, kind="stable", ignore_index=True)
    repeated = kept.duplicated(key)
    if repeated.any():
        sample = kept.loc[repeated, key].head(3).to_dict("records")
        raise ValueError(f"{contract.name} has {int(repeated.sum())} repeated keys, e.g. {sample}")
    return kept


def empty(contract: Contract) -> pd.DataFrame:
    """A frame of no rows that keeps the contract."""
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in contract.columns.items()})


def require_columns(frame: pd.DataFrame, names: Sequence[str], what: str) -> None:
    """Raise ValueError naming the columns of `names` that `frame` (called `what`) lacks."""
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise ValueError(f"{what} lacks the columns {', '.join(missing)}")
