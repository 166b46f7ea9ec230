"""What functions over frames share: the check of their input, and markets as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from minerals.names import MARKET

if TYPE_CHECKING:
    import pandas as pd

Columns = dict[str, NDArray[Any]]
"""Columns of a frame, or of some of its rows, by name."""


def require_columns(frame: pd.DataFrame, names: Sequence[str], what: str) -> None:
    """Raise ValueError naming the columns of `names` that `frame` (called `what`) lacks."""
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise ValueError(f"{what} lacks the columns {', '.join(missing)}")


def by_market(
    frame: pd.DataFrame, names: Sequence[str]
) -> Iterator[tuple[tuple[str, ...], NDArray[np.intp], Columns]]:
    """Each importer, category and mineral in order, its rows' places in `frame`, and some columns
    of these rows as arrays. A frame per market would take most of the time of what is computed."""
    columns = {name: frame[name].to_numpy() for name in names}
    places_of: Mapping[Any, Any] = frame.groupby(MARKET).indices
    for key in sorted(places_of):
        places = places_of[key]
        yield key, places, {name: column[places] for name, column in columns.items()}
