"""`minerals query`: one SQL statement over the served marts, as a table, CSV or JSON.

Values are printed as they are: nothing in them is read as markup.
"""

import csv
import json
import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Literal, TextIO

import duckdb
from rich.console import Console
from rich.table import Table
from rich.text import Text

from minerals.errors import ReleaseError
from minerals.settings import Settings
from orchestration.summary import open_marts

Format = Literal["table", "csv", "json"]
ROWS_OF_A_TABLE = 200
_BATCH = 10_000
_DIGITS = 6


def print_query(settings: Settings, sql: str, form: Format, output: TextIO) -> None:
    """Write the answer to `output`: all rows as CSV or JSON, the first ones as a table.

    Raises ReleaseError for anything but one statement, and with what DuckDB says of it.
    """
    with open_marts(settings) as marts:
        try:
            answer = marts.execute(_only_statement(marts, sql))
            columns = [column[0] for column in answer.description or []]
            if form == "csv":
                _write_csv(output, columns, _rows(answer))
            elif form == "json":
                _write_json(output, columns, _rows(answer))
            else:
                rows = answer.fetchmany(ROWS_OF_A_TABLE + 1)
                _print_table(Console(file=output, highlight=False), columns, rows)
        except duckdb.Error as error:
            raise ReleaseError(f"DuckDB says: {error}") from error


def _only_statement(marts: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    statements = marts.extract_statements(sql)
    if not statements:
        raise ReleaseError(
            'There is no SQL to run: write for example "from marts.ranking_forward limit 5".'
        )
    if len(statements) > 1:
        raise ReleaseError(f"These are {len(statements)} statements: give one at a time.")
    return statements[0]


def _rows(answer: duckdb.DuckDBPyConnection) -> Iterator[Sequence[Any]]:
    while rows := answer.fetchmany(_BATCH):
        yield from rows


def _write_csv(output: TextIO, columns: Sequence[str], rows: Iterator[Sequence[Any]]) -> None:
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([str(x).lower() if isinstance(x, bool) else x for x in row])


def _write_json(output: TextIO, columns: Sequence[str], rows: Iterator[Sequence[Any]]) -> None:
    """A list with one object a line."""
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise ReleaseError(f"More than one column is called {', '.join(twice)}: name them apart.")
    before = "[\n"
    for row in rows:
        cells = dict(zip(columns, map(_finite, row), strict=True))
        output.write(before + json.dumps(cells, ensure_ascii=False, default=_as_json))
        before = ",\n"
    output.write("[]\n" if before == "[\n" else "\n]\n")


def _finite(value: Any) -> Any:
    """JSON has no word for what is not a number."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _as_json(value: Any) -> float | str:
    return float(value) if isinstance(value, Decimal) else str(value)


def _print_table(console: Console, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    if not columns:
        console.print("done; the statement has no answer to show")
        return
    shown = [[_cell(value) for value in row] for row in rows[:ROWS_OF_A_TABLE]]
    table = Table()
    for position, column in enumerate(columns):
        is_figure = any(isinstance(row[position], int | float | Decimal) for row in rows)
        table.add_column(Text(column), justify="right" if is_figure else "left")
    for row in shown:
        table.add_row(*map(Text, row))
    if console.measure(table, options=console.options.update(max_width=10_000)).maximum > (
        console.width
    ):
        _print_rows(console, columns, shown)
    else:
        console.print(table)
    if not rows:
        console.print("no rows")
    if len(rows) > ROWS_OF_A_TABLE:
        console.print(f"only the first {ROWS_OF_A_TABLE} rows are shown; --format csv has all")


def _print_rows(console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """One column a line, row by row, for tables that are wider than the terminal."""
    width = max(map(len, columns))
    for number, row in enumerate(rows, start=1):
        console.print(Text(f"row {number}", style="bold"))
        for column, value in zip(columns, row, strict=True):
            console.print(Text(f"  {column:<{width}}  {value}"), soft_wrap=True)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        # Large figures are easier to read whole than with an exponent.
        is_large = 10**_DIGITS <= abs(value) < 10**15
        return f"{value:.0f}" if is_large else f"{value:.{_DIGITS}g}"
    return "" if value is None else str(value)
