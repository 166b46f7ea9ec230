"""Country figures of the bundled profile: indicators and geography, as CSV files of this package.

The files carry the World Bank's and GeoDist's figures under their own column names; see the README
beside them for the attribution. Renaming and imputing belong to dbt.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from minerals.errors import SourceError
from minerals.settings import Settings
from minerals.sources.provider import Provider, RawTable
from minerals.sources.snapshots import SourceDescription, sha256_of

WORLD_BANK = SourceDescription(
    provider="World Bank",
    citation=(
        "World Bank, World Development Indicators, and Worldwide Governance Indicators, 2024 "
        "edition; electricity shares computed from Ember, Yearly Electricity Data, through Our "
        "World in Data; UN ideal points from Bailey, Strezhnev and Voeten, July 2025"
    ),
    licence="CC BY 4.0",
    url="https://data.worldbank.org",
)
GEODIST = SourceDescription(
    provider="CEPII",
    citation=(
        "Mayer, T. and Zignago, S. (2011) Notes on CEPII's distances measures: the GeoDist "
        "database. CEPII Working Paper 2011-25; regions and income groups from the World Bank"
    ),
    licence="Etalab Open Licence 2.0; World Bank classifications CC BY 4.0",
    url="https://www.cepii.fr/CEPII/en/bdd_modele/bdd_modele_item.asp?id=6",
)

_GOVERNANCE = ("CC.EST", "GE.EST", "PV.EST", "RL.EST", "RQ.EST", "VA.EST")
INDICATORS = (
    "BX.KLT.DINV.WD.GD.ZS",
    "EG.ELC.ACCS.ZS",
    "EG.ELC.FOSL.ZS",
    "EG.ELC.RNWX.ZS",
    "GC.DOD.TOTL.GD.ZS",
    "LP.LPI.OVRL.XQ",
    "NY.GDP.MKTP.PP.KD",
    "SP.POP.TOTL",
    "TX.VAL.MMTL.ZS.UN",
    "UN.IDEALPOINT",
    *_GOVERNANCE,
)
INDICATORS_TABLE = RawTable(
    name="country_indicators",
    columns=("iso3", "year", *INDICATORS),
    key=("iso3", "year"),
    required=("iso3", "year"),
    numeric=("year", *INDICATORS),
    non_negative=("EG.ELC.ACCS.ZS", "EG.ELC.FOSL.ZS", "NY.GDP.MKTP.PP.KD", "SP.POP.TOTL"),
)
_COORDINATES = (
    "main_city_lat_deg",
    "main_city_lon_deg",
    "capital_lat_deg",
    "capital_lon_deg",
)
_FLAGS = ("landlocked", "landlocked_geodist")
GEOGRAPHY_TABLE = RawTable(
    name="country_geography",
    columns=(
        "iso3", "name", "region", "income_group", *_FLAGS, "area_km2",
        "main_city", "capital", *_COORDINATES,
    ),
    key=("iso3",),
    required=("iso3", "name", "landlocked", "main_city_lat_deg", "main_city_lon_deg"),
    numeric=(*_FLAGS, "area_km2", *_COORDINATES),
    non_negative=("area_km2", *_FLAGS),
)  # fmt: skip


def indicators_provider(settings: Settings) -> Provider:
    """One row an economy and year, one column an indicator under its World Bank code."""
    types = {"iso3": pa.string(), "year": pa.int32()}
    types |= {code: pa.float64() for code in INDICATORS}
    return _provider(
        settings.figures_dir / "country_indicators.csv", INDICATORS_TABLE, WORLD_BANK, types
    )


def geography_provider(settings: Settings) -> Provider:
    """One row an economy: main city and capital with coordinates, area, landlocked, region."""
    text = ("iso3", "name", "region", "income_group", "main_city", "capital")
    types = {column: pa.string() for column in text}
    types |= {column: pa.float64() for column in (*_COORDINATES, "area_km2")}
    types |= {column: pa.int32() for column in _FLAGS}
    return _provider(
        settings.figures_dir / "country_geography.csv", GEOGRAPHY_TABLE, GEODIST, types
    )


def _provider(
    file: Path, table: RawTable, source: SourceDescription, types: Mapping[str, pa.DataType]
) -> Provider:
    return Provider(
        dataset=table.name,
        layout="figures-csv-1",
        source=source,
        tables=(table,),
        fingerprint=partial(_fingerprint, file),
        write_tables=partial(_write, file, table.name, types),
        origin=file.name,
    )


def _fingerprint(file: Path) -> str:
    if not file.is_file():
        raise SourceError(f"The figures file {file} is missing: restore it from the repository.")
    return sha256_of(file)


def _write(
    file: Path, name: str, types: Mapping[str, pa.DataType], folder: Path
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
            pa.BufferReader(_utf8(file)),
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


def _utf8(file: Path) -> bytes:
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
            "it is not used; restore it from the repository."
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
