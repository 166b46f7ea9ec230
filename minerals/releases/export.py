"""A mart as a CSV or Excel file, for people without a BI tool."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import duckdb

from minerals.errors import ReleaseError
from minerals.marts import Mart
from minerals.releases.contract import CONTRACT, read_contract

if TYPE_CHECKING:
    import pandas as pd

Format = Literal["csv", "xlsx"]
EXCEL_ROWS = 1_048_575  # below the header


def export_mart(
    release: Path, name: str, target: Path, form: Format, filters: Mapping[str, str]
) -> int:
    """Write the rows of a mart of this release folder that match `filters` (column to value, upper
    and lower case alike); return how many.

    Raises ReleaseError for a mart or column that is not there, when no row matches, for more rows
    than an Excel sheet holds, and when the file cannot be written.
    """
    marts = {mart.name: mart for mart in read_contract(release / CONTRACT)}
    if name not in marts:
        raise ReleaseError(f"There is no mart {name}. There are: {', '.join(sorted(marts))}.")
    mart = marts[name]
    unknown = filters.keys() - {column.name for column in mart.columns}
    if unknown:
        raise ReleaseError(f"{name} has no column {', '.join(sorted(unknown))} to filter by.")
    where = " and ".join(f'lower("{column}"::varchar) = lower(?)' for column in filters) or "true"
    with duckdb.connect() as connection:
        file = str(release / f"{name}.parquet")
        rows = connection.execute(
            f"select * from read_parquet(?) where {where} order by {', '.join(mart.key)}",
            [file, *filters.values()],
        ).df()
        if rows.empty:
            raise ReleaseError(_why_empty(connection, file, name, filters))
    if form == "xlsx" and len(rows) > EXCEL_ROWS:
        raise ReleaseError(
            f"{len(rows):,} rows are more than an Excel sheet holds ({EXCEL_ROWS:,}): filter by "
            "mineral, category or importer, or export csv."
        )
    try:
        if form == "csv":
            rows.to_csv(target, index=False)
        else:
            _write_workbook(target, rows, mart)
    except OSError as error:
        raise ReleaseError(f"{target} cannot be written ({error}): write elsewhere.") from error
    return len(rows)


def _why_empty(
    connection: duckdb.DuckDBPyConnection, file: str, mart: str, filters: Mapping[str, str]
) -> str:
    """Which filter no row matches, with the values that there are."""
    for column, value in filters.items():
        found = connection.execute(
            f'select distinct "{column}"::varchar as held from read_parquet(?) '
            "where held is not null order by held",
            [file],
        ).fetchall()
        held = [row[0] for row in found]
        if not held:
            return f"{mart} is empty in this release; nothing was written."
        if value.lower() not in {name.lower() for name in held}:
            return (
                f"{mart} has no row with {column} {value}; it has: {'; '.join(held)}. "
                "Nothing was written."
            )
    if not filters:
        return f"{mart} is empty in this release; nothing was written."
    shown = " and ".join(f"{column} {value}" for column, value in filters.items())
    return f"{mart} has no row with {shown}; nothing was written."


def _write_workbook(target: Path, rows: "pd.DataFrame", mart: Mart) -> None:
    """One sheet with the rows, one that explains the columns."""
    import pandas as pd

    words = pd.DataFrame(
        [[c.name, c.type, c.unit, c.description] for c in mart.columns],
        columns=["column", "type", "unit", "meaning"],
    )
    with pd.ExcelWriter(target, engine="xlsxwriter") as book:
        rows.to_excel(book, sheet_name=mart.name[:31], index=False, freeze_panes=(1, 0))
        sheet = book.sheets[mart.name[:31]]
        sheet.autofilter(0, 0, len(rows), len(rows.columns) - 1)
        sheet.autofit(max_width=400)
        words.to_excel(book, sheet_name="columns", index=False, freeze_panes=(1, 0))
        book.sheets["columns"].autofit(max_width=700)
