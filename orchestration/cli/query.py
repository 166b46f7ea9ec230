"""`minerals query` and `minerals export`: the served marts as a table, CSV, JSON or Excel.

Values are printed as they are: nothing in them is read as markup.
"""

import csv
import json
import math
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.text import Text

from minerals.errors import ReleaseError
from minerals.names import CATEGORIES
from orchestration.cli import common, names

if TYPE_CHECKING:
    import duckdb

app = typer.Typer()
ROWS_OF_A_TABLE = 200
_BATCH = 10_000
FileFormat = Literal["csv", "xlsx"]


@app.command()
def query(
    sql: Annotated[
        str, typer.Argument(help="One statement of SQL over the marts; `show tables` lists them.")
    ],
    form: Annotated[
        Literal["table", "csv", "json"] | None,
        typer.Option("--format", help="Default: a table on a terminal, csv elsewhere."),
    ] = None,
) -> None:
    """Ask the published marts a question in SQL.

    Select statements only; no file outside the releases can be read, and none written. A table
    shows the first 200 rows; csv and json hold all rows.
    """
    import duckdb

    from minerals.releases.serving import only_select

    form = form or ("table" if sys.stdout.isatty() else "csv")
    with common.Marts(common.settings(), common.console()) as served:
        marts = served.connection
        try:
            answer = marts.execute(only_select(marts, sql))
            columns = [column[0] for column in answer.description or []]
            if form == "csv":
                _write_csv(columns, _batches(answer))
            elif form == "json":
                _write_json(columns, _batches(answer))
            else:
                _print_table(columns, answer.fetchmany(ROWS_OF_A_TABLE + 1))
        except duckdb.Error as error:
            raise ReleaseError(f"DuckDB refuses the query: {error}") from error


def _batches(answer: "duckdb.DuckDBPyConnection") -> Iterator[Sequence[Any]]:
    while rows := answer.fetchmany(_BATCH):
        yield from rows


def _write_csv(columns: Sequence[str], rows: Iterator[Sequence[Any]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([str(x).lower() if isinstance(x, bool) else x for x in row])


def _write_json(columns: Sequence[str], rows: Iterator[Sequence[Any]]) -> None:
    """A list with one object per line."""
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise ReleaseError(f"More than one column is called {', '.join(twice)}: rename one.")
    before = "[\n"
    for row in rows:
        cells = dict(zip(columns, map(_finite, row), strict=True))
        sys.stdout.write(before + json.dumps(cells, ensure_ascii=False, default=_as_json))
        before = ",\n"
    sys.stdout.write("[]\n" if before == "[\n" else "\n]\n")


def _finite(value: Any) -> Any:
    """JSON has neither NaN nor infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _as_json(value: Any) -> float | str:
    return float(value) if isinstance(value, Decimal) else str(value)


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table; when it is wider than the terminal, one line per column, row by row."""
    console = common.console()
    if not columns:
        console.print("done; the statement has no answer to show")
        return
    cells = [[common.cell(value) for value in row] for row in rows[:ROWS_OF_A_TABLE]]
    widths = [max(map(len, column)) + 2 for column in zip(columns, *cells, strict=True)]
    if sum(widths) > console.width:
        _print_rows(console, columns, cells)
    else:
        common.show_table(console, columns, cells)
    if not rows:
        console.print("no rows")
    if len(rows) > ROWS_OF_A_TABLE:
        console.print(f"only the first {ROWS_OF_A_TABLE} rows are shown; --format csv has all")


def _print_rows(console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    width = max(map(len, columns))
    for number, row in enumerate(rows, start=1):
        console.print(Text(f"row {number}", style="bold"))
        for column, value in zip(columns, row, strict=True):
            console.print(Text(f"  {column:<{width}}  {value}"))


@app.command()
def export(
    mart: Annotated[
        str | None,
        typer.Argument(
            metavar="MART", help="For example ranking_forward.", autocompletion=names.MARTS
        ),
    ] = None,
    form: Annotated[
        FileFormat | None,
        typer.Option("--format", help="Default: the ending of --output, or csv."),
    ] = None,
    mineral: names.Mineral = None,
    category: names.Category = None,
    importer: Annotated[
        str | None,
        typer.Option(
            help="Only this importer, by name or ISO code.", autocompletion=names.COUNTRIES
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="File to write; default: <mart>.<format> here.")
    ] = None,
    mart_option: Annotated[str | None, typer.Option("--mart", hidden=True)] = None,
) -> None:
    """Write a mart of the current release as CSV or Excel, for people without a BI tool."""
    from minerals.releases.export import export_mart

    settings = common.settings()
    form = file_format(output, form)
    folder = common.find_release(common.releases(settings), "current")
    if (mart := mart or mart_option) is None:
        raise ReleaseError("Name a mart, for example `minerals export ranking_forward`.")
    mart = names.known("mart", mart, [file.stem for file in folder.glob("*.parquet")])
    filters = {}
    if mineral is not None:
        every = [row["mineral"] for row in names.mineral_rows(settings)]
        filters["mineral"] = names.known_mineral(mineral, settings, every, common.profile(settings))
    if category is not None:
        filters["category"] = names.known("category", category, CATEGORIES)
    if importer is not None:
        filters["importer_iso3"] = names.known_country(importer, settings)
    target = output or Path(f"{mart}.{form}")
    n_rows = export_mart(folder, mart, target, form, filters)
    common.console().print(f"{n_rows:,} rows of {mart}, release {folder.name}, in {target}")


def file_format(output: Path | None, form: FileFormat | None) -> FileFormat:
    """The format that the name of the file and --format agree on. Raises ReleaseError."""
    if output is None:
        return form or "csv"
    endings: dict[str, FileFormat] = {".csv": "csv", ".xlsx": "xlsx"}
    named = endings.get(output.suffix.lower())
    if form is None and named is None:
        raise ReleaseError(f"{output} does not end in .csv or .xlsx: name it so, or give --format.")
    if form and named and form != named:
        raise ReleaseError(f"{output} is the name of a {named} file, but --format is {form}.")
    return form or named or "csv"
