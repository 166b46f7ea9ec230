"""The previous release, which a new run is compared with before it takes its place.

It is read from its own Parquet files, so that what is compared with is what users see. A release of
another profile, other importers or another window is not comparable, nor is one that cannot be
read: the suite says why and passes. The module of each table sets the change that is tolerated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from expectations.rules import Connection, Shape, Suite, within

SAME_SETTINGS = ("profile", "importers", "first_year", "last_year")
NO_RELEASE = "there is no previous release"


class NotComparable(Exception):  # noqa: N818 (it is no error)
    """There is nothing to compare with; the message says why."""


@dataclass(frozen=True)
class Previous:
    """The release served: the folder of its Parquet files and the settings it was made with.

    `why_not` says why it is not to be compared with; empty when it is.
    """

    folder: Path | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    why_not: str = NO_RELEASE

    @classmethod
    def in_folder(
        cls, folder: Path, settings: Mapping[str, Any], now: Mapping[str, Any]
    ) -> Previous:
        """The release in this folder, to be compared with a run of the settings `now`."""
        for name in SAME_SETTINGS:
            before, after = settings.get(name), now.get(name)
            if before != after:
                reason = f"the previous release has another {name} ({before}, not {after})"
                return cls(folder, settings, reason)
        return cls(folder, settings, "")

    def load(self, connection: Connection, mart: str, select: str) -> None:
        """Make `select` (SQL, with {file} for the mart) readable as `previous_<mart>`.

        Raises NotComparable when there is no comparable release, or it cannot be read.
        """
        if self.folder is None or self.why_not:
            raise NotComparable(self.why_not)
        file = self.folder / f"{mart}.parquet"
        if not file.is_file():
            raise NotComparable(unreadable(f"it has no mart {mart}"))
        quoted = str(file).replace("'", "''")
        sql = select.format(file=f"read_parquet('{quoted}')")
        try:
            connection.execute(f"create or replace temp table previous_{mart} as {sql}")
        except duckdb.Error as error:
            raise NotComparable(unreadable(str(error))) from error


class Tolerance(NamedTuple):
    """How far a figure of a table may fall and rise against the previous release.

    As shares of the previous figure; `is_absolute` when they are in the figure's own unit.
    """

    figure: str
    fall: float
    rise: float
    unit: str
    is_absolute: bool = False


def totals(tolerances: Sequence[Tolerance], mart: str, before: str, now: str) -> Suite:
    """The suite `totals`: figures of a table as a whole, each near that of the previous release.

    `before` is SQL of one row on the {file} of the mart, `now` on the warehouse; both have a column
    per figure.
    """

    def shape(connection: Connection, previous: Previous) -> Shape:
        import pandas as pd

        previous.load(connection, mart, before)
        old, new = (connection.sql(sql).df().iloc[0] for sql in (f"from previous_{mart}", now))
        if old.isna().any():
            raise NotComparable("the previous release lacks the figures")
        rows = []
        for figure, fall, rise, unit, is_absolute in tolerances:
            scale = 1.0 if is_absolute else old[figure]
            low, high = old[figure] - fall * scale, old[figure] + rise * scale
            rows.append((figure, unit, old[figure], new[figure], low, high))
        names = ["figure", "unit", "previous", "now", "low", "high"]
        return Shape(pd.DataFrame(rows, columns=names))

    rule = within(
        "now",
        "low",
        "high",
        "Against the previous release a figure stays between `low` and `high`: less is a source "
        "cut short, more is one counted twice, and a median that moves has another unit or "
        "definition. Where the change is real, widen the tolerance with its reason.",
        name="figures_near_previous",
    )
    return Suite("totals", "One row per figure of the whole table.", ("figure", "unit", "previous"),
                 (rule,), shape)  # fmt: skip


def comparable(connection: Connection, sql: str, else_reason: str) -> Shape:
    """The shape of a comparison; raises NotComparable when it has no rows."""
    frame = connection.sql(sql).df()
    if frame.empty:
        raise NotComparable(else_reason)
    return Shape(frame)


def unreadable(reason: str) -> str:
    """The reason, as the first line of what was raised."""
    first_line = reason.strip().partition("\n")[0].rstrip(".")
    return f"the previous release cannot be read: {first_line}"
