"""A raw dataset that is one CSV file: read as text, typed with the row and column named when a
value does not fit, written as Parquet. Which columns and what they mean is the source's module's.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from minerals.errors import SourceError
from minerals.sources.provider import Provider, RawTable
from minerals.sources.snapshots import SourceDescription, sha256_of


def csv_provider(
    file: Path,
    table: RawTable,
    source: SourceDescription,
    types: Mapping[str, pa.DataType],
    *,
    layout: str,
    where_from: str,
) -> Provider:
    """The provider of a dataset that is one CSV file.

    Columns in `types` are parsed, others kept as text. `where_from` ends the sentence about a file
    that is missing or empty: what to do. Raises SourceError when the file is read, not here.
    """
    return Provider(
        dataset=table.name,
        layout=layout,
        source=source,
        tables=(table,),
        fingerprint=partial(_fingerprint, file, where_from),
        write_tables=partial(_write, file, table.name, types, where_from),
        origin=file.name,
    )


def _fingerprint(file: Path, where_from: str) -> str:
    if not file.is_file():
        raise SourceError(f"The file {file} is missing: {where_from}.")
    return sha256_of(file)


def _write(
    file: Path, name: str, types: Mapping[str, pa.DataType], where_from: str, folder: Path
) -> Mapping[str, Path]:
    options = pacsv.ConvertOptions(
        column_types=dict.fromkeys(types, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )
    try:
        # One thread, so that an error names the row.
        text = pacsv.read_csv(
            pa.BufferReader(_utf8(file, where_from)),
            read_options=pacsv.ReadOptions(use_threads=False),
            convert_options=options,
        )
    except pa.ArrowInvalid as error:
        raise SourceError(
            f"{file.name} cannot be read as comma-separated text: {error}. A number has a decimal "
            f"point, never a comma, and text with a comma stands in quotes. {_CORRECT}"
        ) from error
    target = folder / f"{name}.parquet"
    pq.write_table(_typed(file.name, text, types), target, compression="zstd")
    return {name: target}


_CORRECT = "Nothing of the file is used; correct it and refresh again."


def _utf8(file: Path, where_from: str) -> bytes:
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
            f"it is not used; {where_from}."
        )
    return content


def _typed(file: str, text: pa.Table, types: Mapping[str, pa.DataType]) -> pa.Table:
    """The text as numbers where they are due. Raises SourceError naming row, column and value.

    A column that is missing is left to the check of the table, which names all that are.
    """
    names = text.column_names
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SourceError(f"{file}: more than one column {', '.join(twice)}. {_CORRECT}")
    for column in [name for name in types if name in names]:
        try:
            values = text[column].cast(types[column])
        except pa.ArrowInvalid as error:
            raise SourceError(_misfit(file, text, column, types[column])) from error
        text = text.set_column(names.index(column), column, values)
    return text


def _misfit(file: str, text: pa.Table, column: str, kind: pa.DataType) -> str:
    due = "a whole number" if pa.types.is_integer(kind) else "a number (with a decimal point)"
    for row, value in enumerate(text[column]):
        try:
            value.cast(kind)
        except pa.ArrowInvalid:
            start = ", ".join(str(cell) for cell in text.slice(row, 1).to_pylist()[0].values())
            return (
                f"{file}, row {row + 1} after the header ({start[:40]} ...), column {column}: "
                f"'{value}' is not {due}. {_CORRECT}"
            )
    return f"{file}, column {column}: a value is not {due}. {_CORRECT}"
