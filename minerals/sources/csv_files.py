"""Sources that are one CSV file: the country figures of this package, and a UN Comtrade download.

A file is read as text; the check of its table (`tables.py`) types it as `sources.yml` declares.
"""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

from minerals.errors import SourceError
from minerals.files import sha256_of
from minerals.settings import Settings
from minerals.sources.provider import Fetched, Provider
from minerals.sources.tables import RawTable, sources

_CORRECT = "Nothing of the file is used; correct it and refresh again."


def figures_provider(settings: Settings, source: str) -> Provider:
    """The country figures of this package: `indicators_file` or `geography_file`."""
    file = settings.figures_dir / f"{sources()[source].dataset}.csv"
    return csv_provider(source, file, "restore it from the repository")


def reported_trade_provider(settings: Settings) -> Provider | None:
    """UN Comtrade imports as `MINERALS_COMTRADE_FILE` holds them, to reconcile the trade data with
    and to complete it; None when it names no file. dbt decides about the rows."""
    if settings.comtrade_file is None:
        return None
    remedy = "download it again, or unset MINERALS_COMTRADE_FILE"
    return csv_provider("comtrade_file", settings.comtrade_file, remedy)


def csv_provider(source: str, file: Path, remedy: str) -> Provider:
    """The provider of a source that is one CSV file.

    `remedy` ends the sentence about a file that is missing or empty. Raises SourceError when the
    file is read, not here.
    """
    declared = sources()[source]
    ((name, table),) = declared.tables.items()

    def fetch() -> Fetched:
        if not file.is_file():
            raise SourceError(f"The file {file} is missing: {remedy}.")
        return Fetched(sha256_of(file), lambda: {name: read_csv(file, table, remedy)})

    return Provider(declared, fetch, file.name)


def csv_rows(text: str, where: str, needed: Iterable[str], adapt: str) -> Iterator[dict[str, str]]:
    """The rows of a publisher's CSV text by column, empty lines left out. Raises SourceError for a
    `needed` column that is not there (`adapt` says what to do) and a row that is cut short."""
    reader = csv.reader(text.splitlines(keepends=True))
    header = next(reader, [])
    if missing := [column for column in needed if column not in header]:
        raise SourceError(
            f"{where}, row 1: no column {', '.join(missing)}; there are: "
            f"{', '.join(header)[:300] or 'none'}. {adapt}"
        )
    for cells in filter(None, reader):
        if len(cells) != len(header):
            raise SourceError(
                f"{where}, row {reader.line_num}: {len(cells)} values, where the header has "
                f"{len(header)}: the file is cut short or damaged. Nothing of it is used."
            )
        yield dict(zip(header, cells, strict=True))


def read_csv(file: Path, table: RawTable, remedy: str) -> pa.Table:
    """The file's columns, the declared ones as text; an empty cell has no value. Raises SourceError
    naming the line or row. Missing columns and wrong values are left to the check of the table."""
    try:
        # One thread, so that an error names the row.
        rows = pacsv.read_csv(
            pa.BufferReader(checked_csv(file, remedy)),
            read_options=pacsv.ReadOptions(use_threads=False),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(table.kinds, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as error:
        raise SourceError(
            f"{file.name} cannot be read as comma-separated text: {error}. {_CORRECT}"
        ) from error
    names = rows.column_names
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise SourceError(f"{file.name}: more than one column {', '.join(repeated)}. {_CORRECT}")
    return rows


def checked_csv(file: Path, remedy: str) -> bytes:
    """The bytes of a CSV file. Raises SourceError, naming the row of the file (the header is row
    1), unless they are UTF-8, with a header and a row, each with as many values as the header."""
    content = file.read_bytes()
    try:
        lines = content.decode("utf-8-sig").splitlines(keepends=True)
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
        position = error.start - content.rfind(b"\n", 0, error.start)
        raise SourceError(
            f"{file.name}, row {row}, byte {position}: 0x{content[error.start]:02x} is not UTF-8 "
            f"text. Save the file in UTF-8. {_CORRECT}"
        ) from error
    filled = sum(bool(line.strip()) for line in lines)
    if filled < 2:
        raise SourceError(
            f"{file.name} {'has a header and no rows' if filled else 'is empty'}: "
            f"it is not used; {remedy}."
        )
    rows, first, expected = csv.reader(lines), 1, 0
    for cells in rows:
        expected = expected or len(cells)
        if cells and len(cells) != expected:
            raise SourceError(
                f"{file.name}, row {first}: {len(cells)} values, where the header has {expected}: "
                f"{','.join(cells)[:60]} ... A number has a decimal point, never a comma, and text "
                f"with a comma must be in quotes. {_CORRECT}"
            )
        first = rows.line_num + 1
    return content
