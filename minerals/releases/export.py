"""A mart as a CSV or Excel file, for people without a BI tool."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import duckdb

from minerals.errors import ReleaseError
from minerals.releases.contract import CONTRACT, read_contract

Format = Literal["csv", "xlsx"]
EXCEL_ROWS = 1_048_575  # below the header


def export_mart(
    release: Path, mart: str, target: Path, form: Format, filters: Mapping[str, str]
) -> int:
    """Write the rows of a mart of this release folder that match `filters` (column to value, upper
    and lower case alike); return how many.

    Raises ReleaseError for a mart or column that is not there, when no row matches, and for more
    rows than an Excel sheet holds.
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
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"select * from read_parquet(?) where {where} order by {order}",
            [str(release / f"{mart}.parquet"), *filters.values()],
        ).df()
    if rows.empty:
        shown = ", ".join(f"{column} {value}" for column, value in filters.items())
        raise ReleaseError(f"{mart} has no row with {shown or 'anything'}; nothing was written.")
    target.parent.mkdir(parents=True, exist_ok=True)
    if form == "csv":
        rows.to_csv(target, index=False)
        return len(rows)
    if len(rows) > EXCEL_ROWS:
        raise ReleaseError(
            f"{len(rows):,} rows are more than an Excel sheet holds ({EXCEL_ROWS:,}): filter by "
            "mineral, category or importer, or export csv."
        )
    import pandas as pd

    columns = [[x.column, x.type, x.unit, x.description] for x in described.values()]
    with pd.ExcelWriter(target, engine="xlsxwriter") as book:
        rows.to_excel(book, sheet_name=mart[:31], index=False, freeze_panes=(1, 0))
        sheet = book.sheets[mart[:31]]
        sheet.autofilter(0, 0, len(rows), len(rows.columns) - 1)
        sheet.autofit(max_width=400)
        words = pd.DataFrame(columns, columns=["column", "type", "unit", "meaning"])
        words.to_excel(book, sheet_name="columns", index=False, freeze_panes=(1, 0))
        book.sheets["columns"].autofit(max_width=700)
    return len(rows)
