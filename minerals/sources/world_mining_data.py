"""World Mining Data, workbook 6.4: production of each mineral by country and year.

One sheet a mineral: a title in A1, in row 2 the header `Country, unit, <years>, data source`, then
one row a country, `Total` last, footnotes below. Units differ by sheet (t, kg, ct, Mio m3) and are
kept as printed. A workbook of another layout is refused with the sheet and the cell that is not as
expected.

Editions: the publisher replaces the workbook each year, with five years in it. The newest edition
wins, year by year: a year that it holds is taken from it for all sheets, an older year from the
newest edition that holds it. Editions are ordered by their last year, then by the day they were
fetched. What a newer edition changed is kept in `production__revisions`.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from minerals.errors import SourceError
from minerals.settings import Settings
from minerals.sources import seeds, workbooks
from minerals.sources.downloads import Downloads
from minerals.sources.http import Client, RetryPolicy
from minerals.sources.provider import Provider, RawTable
from minerals.sources.snapshots import Original, SourceDescription

WORLD_MINING_DATA = SourceDescription(
    provider="Austrian Federal Ministry of Finance",
    citation=(
        "Reichl, C. and Schatz, M., World Mining Data, table 6.4, production of mineral raw "
        "materials of individual countries by minerals"
    ),
    licence="free use with attribution",
    url="https://www.world-mining-data.info",
)
WORKBOOK_PATH = (
    "wmd/downloads/XLS/6.4. Production_of_Mineral_Raw_Materials_of_individual_Countries_by_"
    "Minerals.xlsx"
)
TOTAL = "Total"
TOTAL_ISO = "DELETE"  # what the bundled source carries on these rows
_COUNTRY, _UNIT, _SOURCE = "country", "unit", "data source"
_HEADER_ROW = 1
_YEAR = re.compile(r"(?:19|20)\d\d")
_FOOTNOTE_MARK = re.compile(r"\s*(?:\d\)|\*+)$")
_NOTHING = frozenset({"", "-", "–", "..", "n.a."})

_TEXT, _REAL, _YEAR_TYPE = pa.string(), pa.float64(), pa.int32()
PRODUCTION_SCHEMA = pa.schema(
    [
        ("sheet", _TEXT), ("country", _TEXT), ("country_code", _TEXT), ("country_iso", _TEXT),
        ("year", _YEAR_TYPE), ("quantity", _REAL), ("unit", _TEXT), ("data_source", _TEXT),
    ]
)  # fmt: skip
TOTALS_SCHEMA = pa.schema(
    [
        ("sheet", _TEXT), ("year", _YEAR_TYPE), ("unit", _TEXT), ("stated_quantity", _REAL),
        ("added_quantity", _REAL), ("relative_difference", _REAL),
    ]
)  # fmt: skip
REVISIONS_SCHEMA = pa.schema(
    [
        ("sheet", _TEXT), ("country", _TEXT), ("year", _YEAR_TYPE), ("older_quantity", _REAL),
        ("quantity", _REAL), ("older_edition", _TEXT), ("edition", _TEXT),
    ]
)  # fmt: skip
FOOTNOTES_SCHEMA = pa.schema([("sheet", _TEXT), ("cell", _TEXT), ("footnote", _TEXT)])
EDITIONS_SCHEMA = pa.schema(
    [
        ("edition", _TEXT), ("first_year", _YEAR_TYPE), ("last_year", _YEAR_TYPE),
        ("n_sheets", pa.int32()), ("retrieved_at", _TEXT), ("sha256", _TEXT),
        ("n_revisions", pa.int32()),
    ]
)  # fmt: skip
TABLES = (
    RawTable(
        name="production",
        columns=tuple(PRODUCTION_SCHEMA.names),
        key=("sheet", "country", "year"),
        required=("sheet", "country", "year", "unit"),
        numeric=("quantity",),
        non_negative=("quantity",),
    ),
    RawTable(
        name="production__totals",
        columns=tuple(TOTALS_SCHEMA.names),
        key=("sheet", "year"),
        required=("sheet", "year", "added_quantity"),
    ),
    RawTable(
        name="production__editions",
        columns=tuple(EDITIONS_SCHEMA.names),
        key=("edition",),
        required=("edition", "first_year", "last_year"),
    ),
)


@dataclass(frozen=True)
class Line:
    """One country of one sheet, with its figures by year; None is not zero."""

    sheet: str
    country: str
    unit: str
    data_source: str | None
    quantities: Mapping[int, float | None]


@dataclass(frozen=True)
class Edition:
    """One workbook, read."""

    original: Original
    lines: tuple[Line, ...] = field(repr=False)
    footnotes: tuple[tuple[str, str, str], ...] = field(repr=False)

    @property
    def years(self) -> tuple[int, ...]:
        return tuple(sorted({year for line in self.lines for year in line.quantities}))

    @property
    def name(self) -> str:
        return f"{self.years[0]}-{self.years[-1]} {self.original.sha256[:8]}"


def read_edition(content: bytes, original: Original) -> Edition:
    """All sheets of a workbook 6.4. Raises SourceError naming sheet and cell."""
    lines: list[Line] = []
    footnotes: list[tuple[str, str, str]] = []
    for sheet, rows in workbooks.sheets(content, original.name):
        _read_sheet(sheet, rows, lines, footnotes)
    if not lines:
        raise SourceError(f"{original.name} holds no sheet. Nothing of it is used.")
    return Edition(original, tuple(lines), tuple(footnotes))


def _refuse(sheet: str, row: int, column: int, problem: str) -> SourceError:
    return SourceError(
        f"World Mining Data 6.4, sheet '{sheet}', cell {workbooks.address(row, column)}: "
        f"{problem}. Either this is another table of the publisher, or its layout changed: then "
        "adapt minerals/sources/world_mining_data.py. Nothing of the workbook is used."
    )


def _read_sheet(
    sheet: str,
    rows: workbooks.Rows,
    lines: list[Line],
    footnotes: list[tuple[str, str, str]],
) -> None:
    years = _years(sheet, rows)
    source_column = len(years) + 2
    first: dict[str, int] = {}
    for number in range(_HEADER_ROW + 1, len(rows)):
        row = rows[number]
        country, unit = workbooks.text(row[0]), workbooks.text(row[1])
        if not any(workbooks.text(cell) for cell in row):
            continue
        if TOTAL in first or not (unit or any(workbooks.text(c) for c in row[1:])):
            notes = [workbooks.text(cell) for cell in row if workbooks.text(cell)]
            if TOTAL in first and len(notes) > 1:
                raise _refuse(sheet, number, 0, f"a row of figures ('{country}') below '{TOTAL}'")
            footnotes.append((sheet, workbooks.address(number, 0), " ".join(notes)))
            continue
        if mark := _FOOTNOTE_MARK.search(country):
            footnotes.append((sheet, workbooks.address(number, 0), country))
            country = country[: mark.start()]
        if not country or not unit:
            column = 0 if not country else 1
            raise _refuse(sheet, number, column, "a row with figures has no country or no unit")
        if country in first:
            raise _refuse(sheet, number, 0, f"'{country}' is also in row {first[country] + 1}")
        first[country] = number
        quantities = {
            year: _quantity(sheet, number, column, row[column]) for column, year in years.items()
        }
        data_source = workbooks.text(row[source_column]) or None
        lines.append(Line(sheet, country, unit, data_source, quantities))
    if TOTAL not in first:
        raise _refuse(sheet, len(rows), 0, f"no row '{TOTAL}': the sheet is cut short")


def _years(sheet: str, rows: workbooks.Rows) -> dict[int, int]:
    """{column: year} of the header. Raises SourceError unless it is as expected."""
    if len(rows) <= _HEADER_ROW:
        raise _refuse(sheet, _HEADER_ROW, 0, "there is no header row")
    header = [workbooks.text(cell).lower() for cell in rows[_HEADER_ROW]]
    while header and not header[-1]:
        header.pop()
    expected = {0: _COUNTRY, 1: _UNIT, len(header) - 1: _SOURCE}
    for column, name in expected.items():
        found = header[column] if 0 <= column < len(header) else ""
        if found.replace("_", " ") != name:
            raise _refuse(sheet, _HEADER_ROW, max(column, 0), f"'{name}' expected, '{found}' found")
    years: dict[int, int] = {}
    for column in range(2, len(header) - 1):
        if not _YEAR.fullmatch(header[column]):
            problem = f"a year expected, '{header[column]}' found"
            raise _refuse(sheet, _HEADER_ROW, column, problem)
        if int(header[column]) in years.values():
            raise _refuse(sheet, _HEADER_ROW, column, f"the year {header[column]} is there twice")
        years[column] = int(header[column])
    if not years:
        raise _refuse(sheet, _HEADER_ROW, 2, "no year column")
    return years


def _quantity(sheet: str, row: int, column: int, cell: workbooks.Cell) -> float | None:
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return float(cell)
    value = workbooks.text(cell)
    if value in _NOTHING:
        return None
    try:
        return float(value)
    except ValueError:
        raise _refuse(sheet, row, column, f"'{value}' is not a number") from None


def in_order(editions: Iterable[Edition]) -> list[Edition]:
    """Newest first: by last year, then by the day it was fetched."""
    return sorted(
        editions,
        key=lambda e: (e.years[-1], e.original.retrieved_at, e.original.sha256),
        reverse=True,
    )


def merge(editions: Sequence[Edition]) -> list[tuple[Line, int, Edition]]:
    """(line, year, edition) of every figure that counts; `editions` come newest first."""
    taken_from: dict[int, Edition] = {}
    for edition in editions:
        for year in edition.years:
            taken_from.setdefault(year, edition)
    return [
        (line, year, edition)
        for edition in editions
        for line in edition.lines
        for year in line.quantities
        if taken_from[year] is edition
    ]


def revisions(editions: Sequence[Edition]) -> Iterator[dict[str, Any]]:
    """Figures that an edition gives otherwise than the next older one that has the year."""
    for newer, older in pairwise(editions):
        before = {
            (line.sheet.strip(), line.country, year): value
            for line in older.lines
            for year, value in line.quantities.items()
        }
        for line in newer.lines:
            for year, value in line.quantities.items():
                key = (line.sheet.strip(), line.country, year)
                if line.country != TOTAL and key in before and before[key] != value:
                    yield {
                        "sheet": line.sheet, "country": line.country, "year": year,
                        "older_quantity": before[key], "quantity": value,
                        "older_edition": older.name, "edition": newer.name,
                    }  # fmt: skip


def totals(lines: Iterable[tuple[Line, int, Edition]]) -> list[dict[str, Any]]:
    """The stated total of each sheet and year beside the sum of its countries.

    They differ for some minerals in every edition, so this is published and refuses nothing.
    """
    stated: dict[tuple[str, int], tuple[str, float | None]] = {}
    added: dict[tuple[str, int], float] = {}
    for line, year, _ in lines:
        value, key = line.quantities[year], (line.sheet, year)
        if line.country == TOTAL:
            stated[key] = (line.unit, value)
        else:
            added[key] = added.get(key, 0.0) + (value or 0.0)
    rows = []
    for (sheet, year), (unit, total) in sorted(stated.items()):
        part = added.get((sheet, year), 0.0)
        rows.append(
            {
                "sheet": sheet, "year": year, "unit": unit, "stated_quantity": total,
                "added_quantity": part,
                "relative_difference": (part - total) / total if total else None,
            }
        )  # fmt: skip
    return rows


def write_tables(
    editions: Sequence[Edition], aliases: Mapping[str, str], folder: Path
) -> Mapping[str, Path]:
    """Production, its totals, footnotes, editions and revisions; `editions` come newest first."""
    lines = merge(editions)
    revised = list(revisions(editions))
    production = [
        {
            "sheet": line.sheet,
            "country": line.country,
            "country_iso": TOTAL_ISO if line.country == TOTAL else aliases.get(line.country),
            "year": year,
            "quantity": line.quantities[year],
            "unit": line.unit,
            "data_source": line.data_source,
        }
        for line, year, _ in lines
    ]
    notes = [
        {"sheet": sheet, "cell": cell, "footnote": footnote}
        for sheet, cell, footnote in editions[0].footnotes
    ]
    held = [
        {
            "edition": edition.name,
            "first_year": edition.years[0],
            "last_year": edition.years[-1],
            "n_sheets": len({line.sheet for line in edition.lines}),
            "retrieved_at": edition.original.retrieved_at,
            "sha256": edition.original.sha256,
            "n_revisions": sum(revision["edition"] == edition.name for revision in revised),
        }
        for edition in editions
    ]
    tables = {
        "production": pa.Table.from_pylist(production, schema=PRODUCTION_SCHEMA),
        "production__totals": pa.Table.from_pylist(totals(lines), schema=TOTALS_SCHEMA),
        "production__footnotes": pa.Table.from_pylist(notes, schema=FOOTNOTES_SCHEMA),
        "production__editions": pa.Table.from_pylist(held, schema=EDITIONS_SCHEMA),
        "production__revisions": pa.Table.from_pylist(revised, schema=REVISIONS_SCHEMA),
    }
    written = {}
    for name, table in tables.items():
        written[name] = folder / f"{name}.parquet"
        pq.write_table(table, written[name], compression="zstd")
    return written


@dataclass
class WorldMiningData:
    """The client: the service, and the folder that keeps every edition ever fetched."""

    client: Client
    path: str
    folder: Path

    def fetch(self) -> list[tuple[Original, Path]]:
        """All editions held, after asking for the present one; unchanged, that costs no body."""
        downloads = Downloads(self.folder)
        latest = downloads.fetch(self.client, "latest.xlsx", self.path, expected="zip")
        name = f"{latest.sha256[:16]}.xlsx"
        if downloads.find(name) is None:
            content = downloads.read(latest)
            read_edition(content, latest)  # a workbook that cannot be read is no edition
            downloads.copy(latest, name)
        held = [downloads.find(file.name) for file in sorted(self.folder.glob("*.xlsx"))]
        return [
            (original, downloads.path(original.name))
            for original in held
            if original and original.name != latest.name
        ]


def source(settings: Settings, policy: RetryPolicy | None = None) -> WorldMiningData:
    """The client these settings describe: the address is the site's, or the workbook's own."""
    url = settings.world_mining_data_url
    return WorldMiningData(
        Client(url, "World Mining Data", policy or RetryPolicy()),
        "" if url.lower().endswith(".xlsx") else WORKBOOK_PATH,
        settings.downloads_dir / "world_mining_data",
    )


def production_provider(settings: Settings, policy: RetryPolicy | None = None) -> Provider:
    """Production, long: one row a sheet, country and year; the unit as printed."""
    client = source(settings, policy)
    aliases = seeds.aliases(settings.seeds_dir, "world_mining_data_name")
    state: dict[str, list[tuple[Original, Path]]] = {}

    def fingerprint() -> str:
        state["originals"] = client.fetch()
        hashes = sorted(original.sha256 for original, _ in state["originals"])
        return (
            hashes[0]
            if len(hashes) == 1
            else hashlib.sha256("\n".join(hashes).encode()).hexdigest()
        )

    def write(folder: Path) -> Mapping[str, Path]:
        read = (read_edition(path.read_bytes(), original) for original, path in state["originals"])
        return write_tables(in_order(read), aliases, folder)

    return Provider(
        dataset="production",
        layout="world-mining-data-6.4-1",
        source=WORLD_MINING_DATA,
        tables=TABLES,
        fingerprint=fingerprint,
        write_tables=write,
        origin="World Mining Data 6.4",
        originals=lambda: state["originals"],
    )
