"""CEPII GeoDist: the cities of each country with coordinates, its area, and a landlocked flag.

File: `geo_cepii.xls`, one row per city; the main city is flagged; '.' means missing.
Distances are computed from the coordinates in dbt. Codes are of 2004 (ROM, ZAR, TMP, PAL, YUG);
`country_aliases.csv` resolves them. GeoDist will not change again, so its known errors are
corrected here, from a register with reasons, and the economies that it lacks are taken from the
figures of this package. Regions and income groups are the World Bank's.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

from minerals.errors import SourceError
from minerals.settings import Settings
from minerals.sources import seeds, workbooks, world_bank
from minerals.sources.downloads import Downloads
from minerals.sources.http import Client, RetryPolicy
from minerals.sources.provider import Fetched, Provider
from minerals.sources.tables import sources

FILE = "geo_cepii.xls"
_COLUMNS = ("iso3", "country", "area", "landlocked", "city_en", "lat", "lon", "maincity")


def read_geography(content: bytes, aliases: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """{iso3: its row}, from the row flagged as main city.

    Raises SourceError when a column is missing, a code is unknown, or a country has not one such
    row.
    """
    sheet, rows = next(workbooks.sheets(content, FILE))
    header = [workbooks.text(cell) for cell in rows[0]] if rows else []
    if missing := [column for column in _COLUMNS if column not in header]:
        raise SourceError(
            f"{FILE}, sheet '{sheet}', row 1: no column {', '.join(missing)}; there are: "
            f"{', '.join(header) or 'none'}. The publisher's layout changed: adapt "
            "minerals/sources/geodist.py. Nothing of it is used."
        )
    positions = {column: header.index(column) for column in _COLUMNS}
    cities = [{c: _value(row[i]) for c, i in positions.items()} for row in rows[1:] if any(row)]
    main: dict[str, list[Mapping[str, Any]]] = {city["iso3"]: [] for city in cities}
    for city in cities:
        if city["maincity"] == 1:
            main[city["iso3"]].append(city)
    if unknown := [code for code in main if code not in aliases]:
        raise SourceError(
            f"{FILE}: country_aliases.csv does not know the codes {', '.join(unknown)}. Add a "
            "row with code_system geodist for each."
        )
    if wrong := [f"{code} has {len(rows)}" for code, rows in main.items() if len(rows) != 1]:
        raise SourceError(
            f"{FILE}: each country has one row with maincity = 1, but {', '.join(wrong)}. "
            "Nothing of it is used."
        )
    return {
        aliases[code]: {
            "iso3": aliases[code],
            "name": city["country"],
            "landlocked": int(city["landlocked"]),
            "landlocked_geodist": int(city["landlocked"]),
            "area_km2": city["area"],
            "main_city": city["city_en"],
            "main_city_lat_deg": city["lat"],
            "main_city_lon_deg": city["lon"],
        }
        for code, (city,) in main.items()
    }


def _value(cell: workbooks.Cell) -> Any:
    value = cell.strip() if isinstance(cell, str) else cell
    return None if value in {".", ""} else value


def complete(
    geography: Mapping[str, Mapping[str, Any]],
    economies: Mapping[str, Mapping[str, str | None]],
    own_figures: Iterable[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """GeoDist corrected, with the economies it lacks, and with the World Bank's groups.

    The groups of economies that the World Bank does not list (Taiwan) come from `own_figures`, too.
    """
    ours = {row["iso3"]: row for row in own_figures}
    rows = {iso3: dict(row) for iso3, row in {**ours, **geography}.items()}
    for correction in seeds.register("geodist_corrections"):
        if correction["iso3"] in geography:
            rows[correction["iso3"]][correction["column"]] = int(correction["value"])
    for iso3, row in rows.items():
        groups = economies.get(iso3) or ours.get(iso3) or {}
        row |= {name: groups.get(name) or None for name in ("region", "income_group")}
    return [rows[iso3] for iso3 in sorted(rows)]


def geography_provider(settings: Settings, policy: RetryPolicy | None = None) -> Provider:
    """One row per economy, in the shape of the bundled figures."""
    fetch = partial(_fetch, settings, policy or RetryPolicy())
    return Provider(sources()["geodist"], fetch, "GeoDist")


def _fetch(settings: Settings, policy: RetryPolicy) -> Fetched:
    downloads = Downloads(settings.downloads_dir / "geodist")
    client = Client(settings.geodist_url, "GeoDist", policy)
    geography = downloads.fetch(client, FILE, f"distance/{FILE}", expected="workbook")
    bank = world_bank.source(settings, policy)
    economies, listed = bank.economies()

    def read_tables() -> dict[str, pa.Table]:
        aliases = seeds.aliases(settings.seeds_dir, "geodist")
        ours = pacsv.read_csv(settings.figures_dir / "country_geography.csv").to_pylist()
        rows = complete(read_geography(downloads.read(geography), aliases), economies.rows, ours)
        table = sources()["geodist"].tables["country_geography"]
        return {"country_geography": table.read(rows, FILE)}

    originals = [(geography, downloads.path(FILE)), (listed, bank.folder / listed.name)]
    return Fetched.from_files(originals, read_tables)
