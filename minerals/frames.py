"""The check of its input that every function over frames makes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def require_columns(frame: "pd.DataFrame", names: Sequence[str], what: str) -> None:
    """Raise ValueError naming the columns of `names` that `frame` (called `what`) lacks."""
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise ValueError(f"{what} lacks the columns {', '.join(missing)}")
