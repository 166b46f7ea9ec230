"""What changed between two releases: which suppliers moved, entered or left, and by how much."""

from dataclasses import dataclass
from pathlib import Path

import duckdb

KEY = "importer_iso3, category, mineral, coefficient_source, exporter_iso3"


@dataclass(frozen=True)
class Move:
    """A supplier whose forward rank differs. A rank is None where it is not a candidate."""

    importer_iso3: str
    category: str
    mineral: str
    coefficient_source: str
    exporter_iso3: str
    rank_before: int | None
    rank_after: int | None

    @property
    def places(self) -> int | None:
        """Places gained (positive) or lost; None for who entered or left."""
        if self.rank_before is None or self.rank_after is None:
            return None
        return self.rank_before - self.rank_after


@dataclass(frozen=True)
class ReleaseDiff:
    """`row_counts` is before and after, by mart, where they differ; None where a mart is absent."""

    moves: tuple[Move, ...]
    n_compared: int
    row_counts: dict[str, tuple[int | None, int | None]]


def diff_releases(before: Path, after: Path, mineral: str | None = None) -> ReleaseDiff:
    """Compare two release folders by their forward rankings and row counts.

    Moves come largest first; who entered or left comes before, by the rank held. `mineral` limits
    them to one mineral.
    """
    with duckdb.connect() as connection:
        old, new = (str(folder / "ranking_forward.parquet") for folder in (before, after))
        pairs = connection.execute(
            f"""
            with old as (select {KEY}, forward_rank as rank_before from read_parquet($old)),
            new as (select {KEY}, forward_rank as rank_after from read_parquet($new))
            select {KEY}, rank_before, rank_after
            from old full outer join new using ({KEY})
            where $mineral is null or mineral = $mineral
            """,
            {"old": old, "new": new, "mineral": mineral},
        ).fetchall()
        counts = {
            folder: {
                file.stem: connection.execute(
                    "select count(*) from read_parquet(?)", [str(file)]
                ).fetchall()[0][0]
                for file in sorted(folder.glob("*.parquet"))
            }
            for folder in (before, after)
        }
    moves = [move for row in pairs for move in [Move(*row)] if move.rank_before != move.rank_after]
    marts = sorted(counts[before].keys() | counts[after].keys())
    row_counts = {m: (counts[before].get(m), counts[after].get(m)) for m in marts}
    return ReleaseDiff(
        moves=tuple(sorted(moves, key=_largest_first)),
        n_compared=len(pairs),
        row_counts={mart: pair for mart, pair in row_counts.items() if pair[0] != pair[1]},
    )


def minerals_of(*releases: Path) -> list[str]:
    """The minerals that the forward rankings of these release folders have, in order."""
    files = [str(folder / "ranking_forward.parquet") for folder in releases]
    with duckdb.connect() as connection:
        rows = connection.execute(
            "select distinct mineral from read_parquet(?) order by 1", [files]
        ).fetchall()
    return [row[0] for row in rows]


def _largest_first(move: Move) -> tuple[object, ...]:
    held = move.rank_before or move.rank_after or 0
    return (
        move.places is not None,
        -abs(move.places or 0),
        held,
        move.importer_iso3,
        move.category,
        move.mineral,
        move.coefficient_source,
        move.exporter_iso3,
    )
