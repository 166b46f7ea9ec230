"""A raw dataset that is one CSV file: read as text, typed, with row and column named when a value
does not fit. Which columns it has and what they mean is declared by the module of the source.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

from minerals.errors import SourceError
from minerals.files import sha256_of
from minerals.sources.provider import TEXT, Fetched, Provider, RawTable
from minerals.sources.snapshots import SourceDescription

_CORRECT = "Nothing of the file is used; correct it and refresh again."


def csv_provider(
    file: Path, table: RawTable, source: SourceDescription, *, layout: str, remedy: str
) -> Provider:
    """The provider of a dataset that is one CSV file.

    `remedy` ends the sentence about a file that is missing or empty. Raises SourceError when the
    file is read, not here.
    """

    def fetch() -> Fetched:
        if not file.is_file():
            raise SourceError(f"The file {file} is missing: {remedy}.")
        return Fetched(sha256_of(file), lambda: {table.name: read_csv(file, table, remedy)})

    return Provider(table.name, layout, source, (table,), fetch, file.name)


def read_csv(file: Path, table: RawTable, remedy: str) -> pa.Table:
    """The file's columns, those of the table in their types; a further column as Arrow finds it.

    Raises SourceError naming the line, or row, column and value. A column that is missing is left
    to the check of the table, which names all that are.
    """
    types = {**table.columns, **table.optional}
    try:
        # One thread, so that an error names the row.
        rows = pacsv.read_csv(
            pa.BufferReader(_utf8(file, remedy)),
            read_options=pacsv.ReadOptions(use_threads=False),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(types, TEXT),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as error:
        raise SourceError(
            f"{file.name} cannot be read as comma-separated text: {error}. A number has a decimal "
            f"point, never a comma, and text with a comma stands in quotes. {_CORRECT}"
        ) from error
    names = rows.column_names
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise SourceError(f"{file.name}: more than one column {', '.join(repeated)}. {_CORRECT}")
    for place, name in enumerate(names):
        kind = types.get(name, TEXT)
        if kind != TEXT:
            try:
                rows = rows.set_column(place, name, rows[name].cast(kind))
            except pa.ArrowInvalid as error:
                raise SourceError(_misfit(file.name, rows, name, kind)) from error
    return rows


def _utf8(file: Path, remedy: str) -> bytes:
    """The bytes of the file. Raises SourceError unless they are UTF-8, with a header and a row."""
    content = file.read_bytes()
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SourceError(
            f"{file.name}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8 text. "
            f"Save the file in UTF-8. {_CORRECT}"
        ) from error
    filled = sum(bool(line.strip()) for line in lines)
    if filled < 2:
        raise SourceError(
            f"{file.name} {'has a header and no rows' if filled else 'is empty'}: "
            f"it is not used; {remedy}."
        )
    return content


def _misfit(file: str, rows: pa.Table, column: str, kind: pa.DataType) -> str:
    """The message about the first value of a column that cannot be cast."""
    expected = "a whole number" if pa.types.is_integer(kind) else "a number (with a decimal point)"
    for number, value in enumerate(rows[column]):
        try:
            value.cast(kind)
        except pa.ArrowInvalid:
            start = ", ".join(str(cell) for cell in rows.slice(number, 1).to_pylist()[0].values())
            return (
                f"{file}, row {number + 1} after the header ({start[:40]} ...), column {column}: "
                f"'{value}' is not {expected}. {_CORRECT}"
            )
    return f"{file}, column {column}: a value is not {expected}. {_CORRECT}"
