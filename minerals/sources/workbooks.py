"""Workbooks of publishers, .xlsx and .xls, as plain cells.

Read with calamine, since openpyxl refuses workbooks in which table names occur twice, as World
Mining Data 6.1 has them.
"""

import io
from collections.abc import Iterator

from python_calamine import CalamineError, CalamineWorkbook

from minerals.errors import SourceError

Cell = object
Rows = list[list[Cell]]


def sheets(content: bytes, name: str) -> Iterator[tuple[str, Rows]]:
    """All sheets with their cells, from A1 on, empty cells as ''. Raises SourceError."""
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(content))
        for sheet in workbook.sheet_names:
            rows = workbook.get_sheet_by_name(sheet).to_python(skip_empty_area=False)
            yield sheet, [list(row) for row in rows]
    except CalamineError as error:
        raise SourceError(
            f"{name} is not a readable workbook ({error}): it is damaged or cut short. Nothing of "
            "it is used; the next refresh fetches it again."
        ) from error


def text(cell: Cell) -> str:
    """A cell as text, without spaces around it; a whole number without its point."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()
