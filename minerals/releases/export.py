"""A mart as a CSV or Excel file, for people without a BI tool."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import duckdb

from minerals.errors import ReleaseError
from minerals.releases.contract import CONTRACT, ContractColumn, read_contract

if TYPE_CHECKING:
    import pandas as pd

Format = Literal["csv", "xlsx"]
EXCEL_ROWS = 1_048_575  # below the header


def export_mart(
    release: Path, mart: str, target: Path, form: Format, filters: Mapping[str, str]
) -> int:
    """Write the rows of a mart of this release folder that match `filters` (column to value, upper
    and lower case alike); return how many.

    Raises ReleaseError for a mart or column that is not there, when no row matches, for more rows
    than an Excel sheet holds, and when the file cannot be written.
    """
    contract = read_contract(release / CONTRACT)
    tables = sorted({line.table for line in contract})
    if mart not in tables:
        raise ReleaseError(f"There is no mart {mart}. There are: {', '.join(tables)}.")
    described = {line.column: line for line in contract if line.table == mart}
    unknown = [column for column in filters if column not in described]
    if unknown:
        raise ReleaseError(f"{mart} has no column {', '.join(unknown)} to filter by.")
    where = " and ".join(f'lower("{column}"::varchar) = lower(?)' for column in filters) or "true"
    order = ", ".join(f'"{name}"' for name, line in described.items() if line.is_key)
    file = str(release / f"{mart}.parquet")
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"select * from read_parquet(?) where {where} order by {order}",
            [file, *filters.values()],
        ).df()
        if rows.empty:
            raise ReleaseError(_why_empty(connection, file, mart, filters))
    if target.is_dir():
        raise ReleaseError(f"{target} is a folder: name a file in it.")
    if not target.parent.is_dir():
        what = "is a file" if target.parent.exists() else "is not there"
        raise ReleaseError(f"The folder {target.parent} {what}: create it, or write elsewhere.")
    if form == "xlsx" and len(rows) > EXCEL_ROWS:
        raise ReleaseError(
            f"{len(rows):,} rows are more than an Excel sheet holds ({EXCEL_ROWS:,}): filter by "
            "mineral, category or importer, or export csv."
        )
    try:
        if form == "csv":
            rows.to_csv(target, index=False)
        else:
            _write_workbook(target, mart, rows, list(described.values()))
    except OSError as error:
        raise ReleaseError(f"{target} cannot be written ({error}): write elsewhere.") from error
    return len(rows)


def _why_empty(
    connection: duckdb.DuckDBPyConnection, file: str, mart: str, filters: Mapping[str, str]
) -> str:
    """Which value to filter by is in no row, with those that are."""
    for column, value in filters.items():
        found = connection.execute(
            f'select distinct "{column}"::varchar as held from read_parquet(?) order by held',
            [file],
        ).fetchall()
        held = [row[0] for row in found if row[0] is not None]
        if held and value.lower() not in {name.lower() for name in held}:
            return (
                f"{mart} has no row with {column} {value}; it has: {'; '.join(held)}. "
                "Nothing was written."
            )
    rows = connection.execute("select 1 from read_parquet(?) limit 1", [file]).fetchall()
    if not rows:
        return f"{mart} is empty in this release; nothing was written."
    shown = " and ".join(f"{column} {value}" for column, value in filters.items())
    return f"{mart} has no row with {shown}; nothing was written."


def _write_workbook(
    target: Path, mart: str, rows: "pd.DataFrame", described: Sequence[ContractColumn]
) -> None:
    import pandas as pd

    columns = [[x.column, x.type, x.unit, x.description] for x in described]
    words = pd.DataFrame(columns, columns=["column", "type", "unit", "meaning"])
    with pd.ExcelWriter(target, engine="xlsxwriter") as book:
        rows.to_excel(book, sheet_name=mart[:31], index=False, freeze_panes=(1, 0))
        sheet = book.sheets[mart[:31]]
        sheet.autofilter(0, 0, len(rows), len(rows.columns) - 1)
        sheet.autofit(max_width=400)
        words.to_excel(book, sheet_name="columns", index=False, freeze_panes=(1, 0))
        book.sheets["columns"].autofit(max_width=700)
