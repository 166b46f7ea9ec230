"""CEPII GeoDist: cities with coordinates, area, landlocked flag; distances between countries.

Files: `geo_cepii.xls` (one row a city; main city and capital are flagged) and `dist_cepii.zip` (one
.xls). A '.' is missing. Codes are of 2004: ROM, ZAR, TMP, PAL, YUG; `country_aliases.csv` resolves
them. GeoDist will not change again, so its known errors are corrected here, from a register with
reasons, and the economies it lacks are taken from the figures of this package. Regions and income
groups are the World Bank's.
"""

import csv
import hashlib
import io
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from minerals.errors import SourceError
from minerals.settings import Settings
from minerals.sources import figures, seeds, workbooks, world_bank
from minerals.sources.downloads import Downloads
from minerals.sources.figures import GEOGRAPHY_TABLE
from minerals.sources.http import Client, RetryPolicy
from minerals.sources.provider import Provider, RawTable
from minerals.sources.snapshots import Original

GEOGRAPHY_FILE, DISTANCE_FILE = "geo_cepii.xls", "dist_cepii.zip"
_PATH = "distance"
_MISSING = "."
_GEOGRAPHY_COLUMNS = (
    "iso3", "country", "area", "landlocked", "city_en", "lat", "lon", "cap", "maincity",
)  # fmt: skip
_MEASURES = ("dist", "distcap", "distw", "distwces")
_DISTANCE_COLUMNS = ("iso_o", "iso_d", "contig", *_MEASURES)
_TEXT, _REAL = pa.string(), pa.float64()
_NUMBERS = {
    "landlocked": pa.int32(), "landlocked_geodist": pa.int32(), "area_km2": _REAL,
    "main_city_lat_deg": _REAL, "main_city_lon_deg": _REAL, "capital_lat_deg": _REAL,
    "capital_lon_deg": _REAL,
}  # fmt: skip
GEOGRAPHY_SCHEMA = pa.schema([(c, _NUMBERS.get(c, _TEXT)) for c in GEOGRAPHY_TABLE.columns])
DISTANCES_SCHEMA = pa.schema(
    [("origin_iso3", _TEXT), ("destination_iso3", _TEXT), ("is_contiguous", pa.bool_())]
    + [(f"{measure}_km", _REAL) for measure in _MEASURES]
)
TABLES = (
    GEOGRAPHY_TABLE,
    RawTable(
        name="country_geography__distances",
        columns=tuple(DISTANCES_SCHEMA.names),
        key=("origin_iso3", "destination_iso3"),
        required=("origin_iso3", "destination_iso3", "dist_km"),
        numeric=("dist_km", "distw_km"),
        non_negative=("dist_km", "distw_km"),
    ),
)


@dataclass
class GeoDist:
    """The client: the service, where its files are kept, and the codes it uses."""

    client: Client
    folder: Path
    aliases: Mapping[str, str]

    def fetch(self) -> tuple[Original, Original]:
        """Both files; those that are unchanged cost a request without a body."""
        downloads = Downloads(self.folder)
        geography = downloads.fetch(
            self.client, GEOGRAPHY_FILE, f"{_PATH}/{GEOGRAPHY_FILE}", expected="xls"
        )
        distances = downloads.fetch(
            self.client, DISTANCE_FILE, f"{_PATH}/{DISTANCE_FILE}", expected="zip"
        )
        return geography, distances


def _table(content: bytes, name: str, columns: Iterable[str]) -> list[dict[str, Any]]:
    """The rows of a workbook's first sheet by column, '.' as None.

    Raises SourceError naming the columns that are missing.
    """
    sheet, rows = next(workbooks.sheets(content, name))
    header = [workbooks.text(cell) for cell in rows[0]] if rows else []
    missing = [column for column in columns if column not in header]
    if missing:
        raise SourceError(
            f"{name}, sheet '{sheet}', row 1: no column {', '.join(missing)}; there are: "
            f"{', '.join(header) or 'none'}. The publisher's layout changed: adapt "
            "minerals/sources/geodist.py. Nothing of it is used."
        )
    positions = {column: header.index(column) for column in columns}
    return [{c: _value(row[i]) for c, i in positions.items()} for row in rows[1:] if any(row)]


def _value(cell: workbooks.Cell) -> Any:
    if not isinstance(cell, str):
        return cell
    cell = cell.strip()
    return None if cell in {_MISSING, ""} else cell


def _resolve(codes: Iterable[str], aliases: Mapping[str, str], name: str) -> dict[str, str]:
    codes = list(dict.fromkeys(codes))
    if unknown := [code for code in codes if code not in aliases]:
        raise SourceError(
            f"{name}: codes that country_aliases.csv does not know: {', '.join(unknown)}. Add a "
            "line `geodist,<code>,<iso3>,,` for each."
        )
    return {code: aliases[code] for code in codes}


def read_geography(content: bytes, aliases: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """{iso3: its row}, from the rows flagged as main city and as capital.

    Raises SourceError when a country has not one of each.
    """
    cities = _table(content, GEOGRAPHY_FILE, _GEOGRAPHY_COLUMNS)
    iso3 = _resolve([city["iso3"] for city in cities], aliases, GEOGRAPHY_FILE)
    main = _one_a_country(cities, "maincity")
    capital = _one_a_country(cities, "cap")
    return {
        iso3[code]: {
            "iso3": iso3[code],
            "name": city["country"],
            "landlocked": int(city["landlocked"]),
            "landlocked_geodist": int(city["landlocked"]),
            "area_km2": city["area"],
            "main_city": city["city_en"],
            "main_city_lat_deg": city["lat"],
            "main_city_lon_deg": city["lon"],
            "capital": capital[code]["city_en"],
            "capital_lat_deg": capital[code]["lat"],
            "capital_lon_deg": capital[code]["lon"],
        }
        for code, city in main.items()
    }


def _one_a_country(cities: Iterable[Mapping[str, Any]], flag: str) -> dict[str, Mapping[str, Any]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for city in cities:
        flagged = found.setdefault(city["iso3"], [])
        if city[flag] == 1:
            flagged.append(city)
    if wrong := [f"{code} has {len(rows)}" for code, rows in found.items() if len(rows) != 1]:
        raise SourceError(
            f"{GEOGRAPHY_FILE}: each country has one row with {flag} = 1, but {', '.join(wrong)}. "
            "Nothing of it is used."
        )
    return {code: rows[0] for code, rows in found.items()}


def read_distances(content: bytes, aliases: Mapping[str, str]) -> pa.Table:
    """Distances in km between countries, in the zipped workbook's order of measures."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [name for name in archive.namelist() if name.lower().endswith(".xls")]
            if len(members) != 1:
                raise SourceError(
                    f"{DISTANCE_FILE} holds {', '.join(archive.namelist()) or 'nothing'}, not one "
                    ".xls file. The publisher's layout changed. Nothing of it is used."
                )
            workbook = archive.read(members[0])
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise SourceError(
            f"{DISTANCE_FILE} is not a whole zip archive ({error}). Nothing of it is used; the "
            "next refresh fetches it again."
        ) from error
    rows = _table(workbook, members[0], _DISTANCE_COLUMNS)
    iso3 = _resolve([row["iso_o"] for row in rows], aliases, DISTANCE_FILE)
    iso3 |= _resolve([row["iso_d"] for row in rows], aliases, DISTANCE_FILE)
    lines = [
        {
            "origin_iso3": iso3[row["iso_o"]],
            "destination_iso3": iso3[row["iso_d"]],
            "is_contiguous": bool(row["contig"]),
        }
        | {f"{measure}_km": row[measure] for measure in _MEASURES}
        for row in rows
    ]
    lines.sort(key=lambda line: (line["origin_iso3"], line["destination_iso3"]))
    return pa.Table.from_pylist(lines, schema=DISTANCES_SCHEMA)


def corrections() -> list[dict[str, str]]:
    """The register of GeoDist's known errors: iso3, column, value, reason, status."""
    text = files("minerals.sources").joinpath("registers/geodist_corrections.csv")
    with text.open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def complete(
    geography: Mapping[str, dict[str, Any]],
    economies: Mapping[str, Mapping[str, str | None]],
    own_figures: Iterable[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """GeoDist corrected, with the economies it lacks, and with the World Bank's groups.

    Groups of what the World Bank's list does not hold (Taiwan) come from `own_figures`, too.
    """
    ours = {row["iso3"]: row for row in own_figures}
    rows = {iso3: dict(row) for iso3, row in ours.items() if iso3 not in geography}
    rows |= {iso3: dict(row) for iso3, row in geography.items()}
    for correction in corrections():
        if correction["iso3"] in geography:
            rows[correction["iso3"]][correction["column"]] = int(correction["value"])
    for iso3, row in rows.items():
        groups = economies.get(iso3) or ours.get(iso3) or {}
        row |= {name: groups.get(name) or None for name in ("region", "income_group")}
    return [rows[iso3] for iso3 in sorted(rows)]


def source(settings: Settings, policy: RetryPolicy | None = None) -> GeoDist:
    """The client these settings describe."""
    return GeoDist(
        Client(settings.geodist_url, "GeoDist", policy or RetryPolicy()),
        settings.downloads_dir / "geodist",
        seeds.aliases(settings.seeds_dir, "geodist"),
    )


def geography_provider(settings: Settings, policy: RetryPolicy | None = None) -> Provider:
    """One row an economy, in the shape of the bundled figures; and GeoDist's own distances."""
    client = source(settings, policy)
    groups = world_bank.source(settings, policy)
    state: dict[str, Any] = {}

    def fingerprint() -> str:
        geography, distances = client.fetch()
        economies, listed = groups.economies()
        state["economies"] = economies
        state["originals"] = [
            (geography, client.folder / geography.name),
            (distances, client.folder / distances.name),
            (listed, groups.folder / listed.name),
        ]
        lines = [f"{original.name} {original.sha256}" for original, _ in state["originals"]]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def write(folder: Path) -> Mapping[str, Path]:
        (_, geography), (_, distances), _ = state["originals"]
        rows = complete(
            read_geography(geography.read_bytes(), client.aliases),
            state["economies"].rows,
            pacsv.read_csv(settings.figures_dir / "country_geography.csv").to_pylist(),
        )
        tables = {
            "country_geography": pa.Table.from_pylist(rows, schema=GEOGRAPHY_SCHEMA),
            "country_geography__distances": read_distances(distances.read_bytes(), client.aliases),
        }
        return {name: _write(folder / f"{name}.parquet", table) for name, table in tables.items()}

    return Provider(
        dataset="country_geography",
        layout="geodist-1",
        source=figures.GEODIST,
        tables=TABLES,
        fingerprint=fingerprint,
        write_tables=write,
        origin="GeoDist",
        originals=lambda: state["originals"],
    )


def _write(path: Path, table: pa.Table) -> Path:
    pq.write_table(table, path, compression="zstd")
    return path
