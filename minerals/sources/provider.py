"""What every source offers the ingestion: what it holds now, and the layout that its tables keep.

A layout is declared once, as `RawTable`s. Rows are typed by it and checked against it before a
snapshot is written, so that a bad file is refused with the rows that are wrong. Values are
otherwise kept as the provider gave them.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NoReturn

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from minerals.errors import SourceError
from minerals.sources.snapshots import Original, Snapshot, SnapshotStore, SourceDescription

DATASETS = ("bilateral_trade", "production", "country_indicators", "country_geography")
TEXT, WHOLE, REAL = pa.string(), pa.int32(), pa.float64()
_SAMPLE = 5
_BATCH = 100_000


@dataclass(frozen=True)
class RawTable:
    """The layout of a raw table: its columns with their types, its key, and rules for its rows.

    `required` columns have a value in every row; `non_negative` columns are not below zero;
    `numeric` columns are kept as text and must read as a number; `optional` columns may be absent.
    Negative trade is not refused here: dbt quarantines it row by row, and publishes its value.
    """

    name: str
    columns: Mapping[str, pa.DataType]
    key: tuple[str, ...]
    required: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    non_negative: tuple[str, ...] = ()
    optional: Mapping[str, pa.DataType] = field(default_factory=dict)

    def read(self, rows: Iterable[Sequence[object]], origin: str) -> pa.Table:
        """Rows with their values in the order of `columns`, as a typed table.

        Raises SourceError naming the column and the value that does not fit its type.
        """
        rows, schema = iter(rows), pa.schema(list(self.columns.items()))
        batches = []
        while batch := list(islice(rows, _BATCH)):
            arrays = []
            for column, values in zip(schema, zip(*batch, strict=True), strict=True):
                try:
                    arrays.append(pa.array(values, column.type))
                except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                    raise SourceError(
                        f"{origin}: table {self.name}, column {column.name}: a value is not of "
                        f"type {column.type}: {error}. Nothing of it is used; correct it, or adapt "
                        "the source module when the publisher's layout changed."
                    ) from error
            batches.append(pa.record_batch(arrays, schema=schema))
        return pa.Table.from_batches(batches, schema)

    def read_records(self, records: Iterable[Mapping[str, object]], origin: str) -> pa.Table:
        """Rows as {column: value}; an absent column has no value. Raises as `read` does."""
        return self.read(([row.get(c) for c in self.columns] for row in records), origin)

    def check(self, rows: pa.Table, origin: str) -> None:
        """Raise SourceError, with samples of the wrong rows, unless the table keeps its layout."""
        if missing := [c for c in self.columns if c not in rows.column_names]:
            raise SourceError(
                f"{origin}: table {self.name} has no column {', '.join(missing)}. "
                f"It has: {', '.join(rows.column_names)}. The publisher's layout may have changed, "
                "or a header was edited; restore the header or adapt the source module."
            )
        if rows.num_rows == 0:
            raise SourceError(
                f"{origin}: table {self.name} has no rows. An empty file is never used; "
                "fetch it again."
            )
        with duckdb.connect() as connection:
            connection.register("raw_table", rows)
            rules = list(self._row_rules())
            counts = [f"count(*) filter (where {condition})" for _, _, condition in rules]
            broken = connection.sql(f"select {', '.join(counts)} from raw_table").fetchall()[0]
            for (column, problem, condition), count in zip(rules, broken, strict=True):
                if count:
                    shown = ", ".join(f'"{c}"' for c in dict.fromkeys((*self.key, column)))
                    _refuse(
                        connection,
                        f"{origin}: table {self.name}: {column} {problem} in "
                        f"{_count(count, 'row')}",
                        f'select row_number as "row", {shown} from (select *, row_number() over () '
                        f"as row_number from raw_table) where {condition}",
                    )
            keys = ", ".join(f'"{c}"' for c in self.key)
            repeated = (
                f"select {keys}, count(*) as rows from raw_table group by all having rows > 1"
            )
            ((count,),) = connection.sql(f"select count(*) from ({repeated})").fetchall()
            if count:
                problem = f"the key ({', '.join(self.key)}) is not unique: {_count(count, 'key')}"
                words = f"{origin}: table {self.name}: {problem} more than once"
                _refuse(connection, words, f"{repeated} order by all")

    def _row_rules(self) -> Iterator[tuple[str, str, str]]:
        """A column, what is wrong with it, and the SQL of that. 'nan' and 'inf' are not numbers."""
        for c in self.required:
            yield c, "has no value", f'"{c}" is null'
        for c in (*self.numeric, *(c for c, kind in self.columns.items() if kind == REAL)):
            finite = f'coalesce(isfinite(try_cast("{c}" as double)), false)'
            yield c, "is not a number", f'"{c}" is not null and not {finite}'
        for c in self.non_negative:
            yield c, "is negative", f'try_cast("{c}" as double) < 0'


@dataclass(frozen=True)
class Fetched:
    """What a source holds now: the hex sha256 of its original bytes, the tables they parse into
    (called only when no snapshot has them), and the files to keep as received."""

    sha256: str
    read_tables: Callable[[], Mapping[str, pa.Table]]
    originals: Iterable[tuple[Original, Path]] = ()

    @classmethod
    def from_files(
        cls,
        originals: Sequence[tuple[Original, Path]],
        read_tables: Callable[[], Mapping[str, pa.Table]],
    ) -> "Fetched":
        """What these files hold; the hash is of their names and hashes."""
        lines = sorted(f"{original.name} {original.sha256}" for original, _ in originals)
        return cls(hashlib.sha256("\n".join(lines).encode()).hexdigest(), read_tables, originals)


@dataclass(frozen=True)
class Provider:
    """One raw dataset from one publisher.

    `layout` names the parsing: change it when the same bytes would be written differently, and the
    next refresh makes a new snapshot.
    """

    dataset: str
    layout: str
    source: SourceDescription
    tables: tuple[RawTable, ...]
    fetch: Callable[[], Fetched]
    origin: str

    def ingest(self, store: SnapshotStore) -> tuple[Snapshot, bool]:
        """Make (or find) the snapshot of what the source holds now; and whether it is new.

        Raises SourceError when the source fails or does not keep its layout.
        """
        fetched = self.fetch()

        def write(folder: Path) -> Mapping[str, Path]:
            made = fetched.read_tables()
            for table in self.tables:
                table.check(made[table.name], self.origin)
            files = {name: folder / f"{name}.parquet" for name in made}
            for name, file in files.items():
                pq.write_table(made[name], file, compression="zstd", row_group_size=_BATCH)
            return files

        return store.create(
            self.dataset, self.source, fetched.sha256, self.layout, write, fetched.originals
        )


def _refuse(connection: duckdb.DuckDBPyConnection, problem: str, query: str) -> NoReturn:
    """Raise SourceError with the problem and some of the rows that the query finds."""
    found = connection.sql(query)
    sample = [
        ", ".join(f"{c}={v}" for c, v in zip(found.columns, row, strict=True) if v is not None)
        for row in found.limit(_SAMPLE).fetchall()
    ]
    raise SourceError(
        f"{problem}, for example\n"
        + "\n".join(f"  {row}" for row in sample)
        + "\nNothing of this file is used; correct it or fetch it again."
    )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
