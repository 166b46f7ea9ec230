"""What every source offers the ingestion: a fingerprint of its original bytes, and its tables.

The layout a source promises is stated as `RawTable`s and checked on the written Parquet before a
snapshot becomes visible, so that a bad file is refused with the rows that are wrong. Values are
otherwise kept as the provider gave them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import duckdb

from minerals.errors import SourceError
from minerals.sources.snapshots import Original, Snapshot, SnapshotStore, SourceDescription

DATASETS = ("bilateral_trade", "production", "country_indicators", "country_geography")
_SAMPLE = 5


@dataclass(frozen=True)
class RawTable:
    """The promises a raw table keeps: its columns, its key, and which columns hold what.

    `numeric` columns may be empty but otherwise must read as a number; `required` columns may not
    be empty; `non_negative` columns must not be below zero. Negative trade is not refused here: the
    conformance quarantines it row by row, with its value counted.
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    required: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    non_negative: tuple[str, ...] = ()


@dataclass(frozen=True)
class Provider:
    """One raw dataset from one publisher.

    `fingerprint()` returns the hex sha256 of the original bytes, and `write_tables(folder)` parses
    them into Parquet files, {table: file}. `layout` names the parsing: change it when the same
    bytes would be written differently, and a new snapshot is made. `originals()` gives the answers
    of a publisher to be kept beside the tables as received, after `fingerprint()` fetched them.
    """

    dataset: str
    layout: str
    source: SourceDescription
    tables: tuple[RawTable, ...]
    fingerprint: Callable[[], str]
    write_tables: Callable[[Path], Mapping[str, Path]]
    origin: str = field(default="")
    originals: Callable[[], Iterable[tuple[Original, Path]]] = tuple

    def ingest(self, store: SnapshotStore) -> tuple[Snapshot, bool]:
        """Make (or find) the snapshot of what the source holds now, checked; and whether it is new.

        Raises SourceError when the source breaks a promise of its layout.
        """
        return store.create(
            self.dataset,
            self.source,
            self.fingerprint(),
            self.layout,
            self._write_and_check,
            self.originals,
        )

    def _write_and_check(self, folder: Path) -> Mapping[str, Path]:
        files = self.write_tables(folder)
        for table in self.tables:
            check_table(table, files[table.name], self.origin or self.source.provider)
        return files


def check_table(table: RawTable, parquet: Path, origin: str) -> None:
    """Raise SourceError, with samples of the rows, unless the Parquet file keeps its promises."""
    with duckdb.connect() as connection:
        relation = connection.read_parquet(str(parquet))
        relation.create_view("raw_table")
        missing = [c for c in table.columns if c not in relation.columns]
        if missing:
            raise SourceError(
                f"{origin}: table {table.name} has no column {', '.join(missing)}. "
                f"It has: {', '.join(relation.columns)}. The publisher's layout may have changed, "
                "or a header was edited; restore the header or adapt the source module."
            )
        rules = _row_rules(table)
        counts = [f"count(*) filter (where {condition})" for _, _, condition in rules]
        scanned = connection.sql(f"select {', '.join(['count(*)', *counts])} from raw_table")
        total, *broken = scanned.fetchall()[0]
        if total == 0:
            raise SourceError(
                f"{origin}: table {table.name} has no rows. An empty file is never used; "
                "fetch it again."
            )
        for (column, problem, condition), count in zip(rules, broken, strict=True):
            if count:
                where = (
                    f"{origin}: table {table.name}: {column} {problem} in {_count(count, 'row')}"
                )
                _refuse_rows(connection, table, where, column, condition)
        _refuse_duplicates(connection, table, origin)


def _row_rules(table: RawTable) -> list[tuple[str, str, str]]:
    """The column, what is wrong with it, and the SQL of that. 'nan' and 'inf' are no numbers."""
    rules = [(c, "has no value", f'"{c}" is null') for c in table.required]
    rules += [
        (
            c,
            "is not a number",
            f'"{c}" is not null and not coalesce(isfinite(try_cast("{c}" as double)), false)',
        )
        for c in table.numeric
    ]
    rules += [(c, "is negative", f'try_cast("{c}" as double) < 0') for c in table.non_negative]
    return rules


def _refuse_rows(
    connection: duckdb.DuckDBPyConnection,
    table: RawTable,
    problem: str,
    column: str,
    condition: str,
) -> NoReturn:
    shown = ", ".join(f'"{c}"' for c in dict.fromkeys((*table.key, column)))
    bad = connection.sql(
        f"""
        select row_number as "row", {shown}
        from (select *, row_number() over () as row_number from raw_table)
        where {condition}
        """
    )
    sample = [_show(bad.columns, row) for row in bad.limit(_SAMPLE).fetchall()]
    raise SourceError(
        f"{problem}, for example\n"
        + "\n".join(f"  {row}" for row in sample)
        + "\nNothing of this file is used; correct it or fetch it again."
    )


def _refuse_duplicates(connection: duckdb.DuckDBPyConnection, table: RawTable, origin: str) -> None:
    keys = ", ".join(f'"{c}"' for c in table.key)
    rows = connection.sql(
        f"select {keys}, count(*) as n from raw_table group by all having n > 1 order by all"
    ).fetchall()
    if rows:
        raise SourceError(
            f"{origin}: table {table.name}: the key ({', '.join(table.key)}) is not unique: "
            f"{_count(len(rows), 'key')} more than once, for example\n"
            + "\n".join(f"  {_show(table.key, r[:-1])}: {r[-1]} rows" for r in rows[:_SAMPLE])
            + "\nNothing of this file is used; correct it or fetch it again."
        )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _show(columns: tuple[str, ...] | list[str], values: tuple[object, ...]) -> str:
    shown = [f"{c}={v}" for c, v in zip(columns, values, strict=True) if v is not None]
    return ", ".join(shown)
