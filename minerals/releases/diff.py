"""What changed between two releases: suppliers that moved, and markets whose facts differ."""

from dataclasses import dataclass
from pathlib import Path

import duckdb

from minerals.errors import ReleaseError
from minerals.releases.serving import quoted

MARKET = "importer_iso3, category, mineral"


@dataclass(frozen=True)
class Move:
    """A supplier whose forward rank differs. A rank is None where it is not a candidate."""

    importer_iso3: str
    category: str
    mineral: str
    exporter_iso3: str
    coefficient_source: str
    rank_before: int | None
    rank_after: int | None

    @property
    def places(self) -> int | None:
        """Places gained (positive) or lost; None for a supplier that enters or leaves."""
        if self.rank_before is None or self.rank_after is None:
            return None
        return self.rank_before - self.rank_after


@dataclass(frozen=True)
class Market:
    """An importer, category and mineral of which something differs in the headline ranking.

    `imports` counts the supplier-years with a positive quantity; `entered` and `left` are the
    suppliers that enter and leave the leading k, in the order of rank.
    """

    importer_iso3: str
    category: str
    mineral: str
    source_before: str | None
    source_after: str | None
    candidates_before: int
    candidates_after: int
    imports_before: int
    imports_after: int
    entered: list[str]
    left: list[str]
    n_moved: int


@dataclass(frozen=True)
class ReleaseDiff:
    """`moves` compares each coefficient source with itself, `headline_moves` the rankings that a
    reader is shown, whatever their source. `markets` begins with those where most suppliers move.
    `row_counts` is before and after, by mart, where they differ; None where a mart is absent.
    `n_compared` counts the ranks behind `moves`."""

    moves: list[Move]
    headline_moves: list[Move]
    markets: list[Market]
    row_counts: dict[str, tuple[int | None, int | None]]
    n_compared: int


def diff_releases(before: Path, after: Path, mineral: str | None = None) -> ReleaseDiff:
    """Compare two release folders. `mineral` limits moves and markets to one mineral.

    Raises ReleaseError when a release lacks a ranking, or a column of it that is compared.
    """
    try:
        return _compared(before, after, mineral)
    except (duckdb.BinderException, duckdb.IOException) as error:
        reason = str(error).partition("\n")[0]
        raise ReleaseError(
            f"Releases {before.name} and {after.name} cannot be compared: {reason}"
        ) from error


def _compared(before: Path, after: Path, mineral: str | None) -> ReleaseDiff:
    with duckdb.connect() as connection:
        connection.execute("set variable mineral = ?", [mineral])
        for side, folder in (("old", before), ("new", after)):
            for mart in ("forward", "annual"):
                file = quoted(folder / f"ranking_{mart}.parquet")
                connection.execute(
                    f"create view {side}_{mart} as from read_parquet('{file}') "
                    "where mineral = coalesce(getvariable('mineral'), mineral)"
                )
            files = [str(file) for file in folder.glob("*.parquet")]
            connection.execute(
                f"create table {side}_rows as select parse_filename(file_name, true) as mart, "
                "num_rows from parquet_file_metadata(?)",
                [files],
            )
        ranks = _ranks(connection, "", f"{MARKET}, exporter_iso3, coefficient_source")
        headline = _ranks(connection, "where is_headline", f"{MARKET}, exporter_iso3")
        markets = [Market(*row) for row in connection.execute(_MARKETS).fetchall()]
        counts = connection.execute(
            "select mart, old.num_rows, new.num_rows from old_rows as old "
            "full outer join new_rows as new using (mart) "
            "where old.num_rows is distinct from new.num_rows order by mart"
        ).fetchall()
    return ReleaseDiff(
        moves=[move for move in ranks if move.rank_before != move.rank_after],
        headline_moves=[move for move in headline if move.rank_before != move.rank_after],
        markets=markets,
        row_counts={mart: (before, after) for mart, before, after in counts},
        n_compared=len(ranks),
    )


def minerals_of(*releases: Path) -> list[str]:
    """The minerals that the forward rankings of these release folders have, in order."""
    files = [str(folder / "ranking_forward.parquet") for folder in releases]
    with duckdb.connect() as connection:
        rows = connection.execute(
            "select distinct mineral from read_parquet(?) order by 1", [files]
        ).fetchall()
    return [row[0] for row in rows]


def _ranks(connection: duckdb.DuckDBPyConnection, where: str, key: str) -> list[Move]:
    """The forward rank of each supplier in both releases, joined by `key`: who enters or leaves
    comes first, then the largest move."""
    rows = connection.execute(
        f"""
        select
            {MARKET}, exporter_iso3,
            coalesce(new.coefficient_source, old.coefficient_source) as source,
            old.forward_rank as was, new.forward_rank as is_now
        from (from old_forward {where}) as old
        full outer join (from new_forward {where}) as new using ({key})
        order by
            was - is_now is not null, abs(was - is_now) desc, coalesce(was, is_now),
            {MARKET}, source, exporter_iso3
        """
    ).fetchall()
    return [Move(*row) for row in rows]


_MARKETS = f"""
with supplier as (
    select
        {MARKET}, exporter_iso3,
        old.coefficient_source as old_source, new.coefficient_source as new_source,
        old.forward_rank as old_rank, new.forward_rank as new_rank,
        coalesce(old.forward_rank <= old.effective_k, false) as was_leading,
        coalesce(new.forward_rank <= new.effective_k, false) as is_leading
    from (from old_forward where is_headline) as old
    full outer join (from new_forward where is_headline) as new using ({MARKET}, exporter_iso3)
),
market as (
    select
        {MARKET},
        any_value(old_source) as old_source, any_value(new_source) as new_source,
        count(old_rank) as old_candidates, count(new_rank) as new_candidates,
        list(exporter_iso3 order by new_rank) filter (is_leading and not was_leading) as entered,
        list(exporter_iso3 order by old_rank) filter (was_leading and not is_leading) as gone,
        count(*) filter (old_rank is distinct from new_rank) as n_moved
    from supplier group by all
),
old_bought as (
    select {MARKET}, count(distinct (exporter_iso3, year)) as old_imports
    from old_annual where actual_qty_kg > 0 group by all
),
new_bought as (
    select {MARKET}, count(distinct (exporter_iso3, year)) as new_imports
    from new_annual where actual_qty_kg > 0 group by all
)
select
    {MARKET}, old_source, new_source, old_candidates, new_candidates,
    coalesce(old_imports, 0), coalesce(new_imports, 0),
    coalesce(entered, []), coalesce(gone, []), n_moved
from market left join old_bought using ({MARKET}) left join new_bought using ({MARKET})
where
    n_moved > 0 or old_source is distinct from new_source
    or coalesce(old_imports, 0) <> coalesce(new_imports, 0)
    or len(entered) > 0 or len(gone) > 0
order by n_moved desc, {MARKET}
"""
