"""The sources as `sources.yml` declares them, and their raw tables: rows typed and checked.

A bad file is refused with the rows that are wrong, before a snapshot is written. Values are
otherwise kept as the provider gave them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import Literal, NoReturn

import duckdb
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, TypeAdapter

from minerals.errors import SourceError
from minerals.files import read_yaml

_TYPES = {"text": pa.string(), "integer": pa.int32(), "number": pa.float64()}
_SQL = {"text": "varchar", "integer": "integer", "number": "double"}
_SAMPLE = 5
_BATCH = 100_000

Columns = Mapping[str, Literal["text", "integer", "number"]]
Row = Sequence[object] | Mapping[str, object]


class RawTable(BaseModel):
    """The layout of a raw table; `sources.yml` explains the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: Columns
    key: tuple[str, ...]
    required: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    non_negative: tuple[str, ...] = ()
    optional: Columns = {}
    ignored: tuple[str, ...] = ()
    may_be_empty: bool = False

    @property
    def kinds(self) -> Columns:
        """The declared columns, the optional ones last."""
        return {**self.columns, **self.optional}

    def read(self, rows: Iterable[Row], where: str) -> pa.Table:
        """Rows as a typed table: values in the order of `columns`, or {column: value}, in which an
        absent column has no value.

        Raises SourceError naming the place, the column and the value that does not fit its type.
        """
        rows, schema = iter(rows), pa.schema([(c, _TYPES[k]) for c, k in self.columns.items()])
        batches = []
        while batch := list(islice(rows, _BATCH)):
            if isinstance(batch[0], Mapping):
                batch = [[row.get(c) for c in self.columns] for row in batch]  # type: ignore[union-attr]
            arrays = []
            for column, values in zip(schema, zip(*batch, strict=True), strict=True):
                try:
                    arrays.append(pa.array(values, column.type))
                except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                    raise SourceError(
                        f"{where}, column {column.name}: a value is not of type {column.type}: "
                        f"{error}. Nothing of it is used; correct it, or adapt the source module "
                        "when the publisher's layout changed."
                    ) from error
            batches.append(pa.record_batch(arrays, schema=schema))
        return pa.Table.from_batches(batches, schema)

    def checked(self, rows: pa.Table, where: str) -> pa.Table:
        """The declared columns of rows that keep the layout; a number written as text is cast.

        Raises SourceError with samples of the wrong rows.
        """
        if missing := [c for c in self.columns if c not in rows.column_names]:
            raise SourceError(
                f"{where} has no column {', '.join(missing)}. It has: "
                f"{', '.join(rows.column_names)}. The publisher's layout may have changed, or a "
                "header was edited; restore the header or adapt the source module."
            )
        if rows.num_rows == 0 and not self.may_be_empty:
            raise SourceError(f"{where} has no rows. An empty file is never used; fetch it again.")
        with duckdb.connect() as connection:
            connection.register("raw_table", rows)
            kept = {c: self.kinds[c] for c in rows.column_names if c in self.kinds}
            rules = list(self._row_rules(kept))
            counts = [f"count(*) filter (where {condition})" for _, _, condition in rules]
            broken = connection.sql(f"select {', '.join(counts)} from raw_table").fetchall()[0]
            for (column, problem, condition), count in zip(rules, broken, strict=True):
                if count:
                    shown = ", ".join(f'"{c}"' for c in dict.fromkeys((*self.key, column)))
                    _refuse(
                        connection,
                        f"{where}: {column} {problem} in {_count(count, 'row')}",
                        f'select row_number as "row", {shown} from (select *, row_number() over () '
                        f"as row_number from raw_table) where {condition}",
                    )
            keys = ", ".join(f'"{c}"' for c in self.key)
            many = f"select {keys}, count(*) as rows from raw_table group by all having rows > 1"
            ((count,),) = connection.sql(f"select count(*) from ({many})").fetchall()
            if count:
                problem = f"the key ({', '.join(self.key)}) is not unique: {_count(count, 'key')}"
                _refuse(connection, f"{where}: {problem} more than once", f"{many} order by all")
            casts = [
                f'"{c}"::{_SQL[kind]} as "{c}"'
                for c, kind in kept.items()
                if kind != "text" and pa.types.is_string(rows.schema.field(c).type)
            ]
            if casts:
                sql = f"select * replace ({', '.join(casts)}) from raw_table"
                rows = connection.sql(sql).to_arrow_table()
        return rows.select(list(kept))

    def _row_rules(self, kept: Columns) -> Iterator[tuple[str, str, str]]:
        """A column, what is wrong with it, and the SQL of that. 'nan' and 'inf' are not numbers."""
        for c in self.required:
            yield c, "has no value", f'"{c}" is null'
        for c in (*self.numeric, *(c for c, kind in kept.items() if kind == "number")):
            # DuckDB reads 1_000 as a number, too.
            number = f"try_cast(replace(\"{c}\"::varchar, '_', '?') as double)"
            yield (
                c,
                "is not a number",
                f'"{c}" is not null and not coalesce(isfinite({number}), false)',
            )
        for c in (c for c, kind in kept.items() if kind == "integer"):
            yield c, "is not a whole number", f"not regexp_full_match(\"{c}\"::varchar, '-?[0-9]+')"
        for c in self.non_negative:
            yield c, "is negative", f'try_cast("{c}" as double) < 0'


class Source(BaseModel):
    """One source: the dataset that it provides, its publisher, and its raw tables by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    layout: str
    provider: str
    citation: str
    licence: str
    url: str
    tables: Mapping[str, RawTable]

    @property
    def description(self) -> dict[str, str]:
        """Who published the dataset, under which licence, and how to cite it."""
        return self.model_dump(include={"provider", "citation", "licence", "url"})


@cache
def sources() -> Mapping[str, Source]:
    """All sources by name."""
    content = read_yaml(files("minerals.sources").joinpath("sources.yml"))
    return TypeAdapter(dict[str, Source]).validate_python(content)


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
