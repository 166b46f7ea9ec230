"""World Mining Data, workbook 6.4: production of each mineral by country and year.

One sheet per mineral: a title in A1, in row 2 the header `Country, unit, <years>, data source`,
then one row per country, `Total` last, footnotes below. Units differ by sheet (t, kg, ct, Mio m3)
and are kept as printed. A workbook of another layout is refused with the sheet and the cell that is
not as expected.

The publisher replaces the workbook each year by an edition of five years, and its address changes.
Every edition ever fetched, or given as a file, is kept, and the newest wins, year by year: a year
that it holds is taken from it for all sheets, an older year from the newest edition that holds it.
Editions are ordered by their last year, then by the day they were fetched.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from urllib.parse import quote

import pyarrow as pa
from xlsxwriter.utility import xl_rowcol_to_cell  # type: ignore[import-untyped]

from minerals.errors import SourceError, TransientSourceError
from minerals.settings import Settings
from minerals.sources import seeds, workbooks
from minerals.sources.downloads import Downloads
from minerals.sources.http import Answer, Client, RetryPolicy
from minerals.sources.provider import Fetched, Provider
from minerals.sources.snapshots import Original
from minerals.sources.tables import sources

SOURCE = "world_mining_data"
_NAME = "Production_of_Mineral_Raw_Materials_of_individual_Countries_by_Minerals.xlsx"
WORKBOOK_PATH = f"wmd/downloads/XLS/6.4. {_NAME}"
# Where editions were found, the newest first; a site that is set has the paths of the publisher's.
MINISTRY = f"https://www.bmf.gv.at/dam/jcr:ed3d811d-6edd-4bf9-b564-40cacaedac94/6.4.%20{_NAME}"
WORKBOOK_PATHS = (WORKBOOK_PATH, f"wmd/downloads/XLS/6.4.{_NAME}")
TOTAL = "Total"
TOTAL_ISO = "DELETE"  # the code of these rows in the bundled source
_LATEST = "latest"
_HEADER_ROW = 1
_YEAR = re.compile(r"(?:19|20)\d\d")
_FOOTNOTE_MARK = re.compile(r"\s*(?:\d\)|\*+)$")
_NO_FIGURE = frozenset({"", "-", "–", "..", "n.a."})


@dataclass(frozen=True)
class Line:
    """One country of one sheet, with its figures by year; None is not zero."""

    sheet: str
    country: str
    unit: str
    quantities: Mapping[int, float | None]


@dataclass(frozen=True)
class Edition:
    """One workbook, read."""

    original: Original
    lines: tuple[Line, ...] = field(repr=False)

    @property
    def years(self) -> frozenset[int]:
        return frozenset(year for line in self.lines for year in line.quantities)

    @property
    def age(self) -> tuple[int, str, str]:
        """A key that is larger for a newer edition."""
        return max(self.years), self.original.retrieved_at, self.original.sha256


def read_edition(content: bytes, original: Original) -> Edition:
    """All sheets of a workbook 6.4. Raises SourceError naming sheet and cell."""
    sheets = workbooks.sheets(content, original.name)
    lines = tuple(line for sheet, rows in sheets for line in _read_sheet(sheet, rows))
    if not lines:
        raise SourceError(f"{original.name} holds no sheet. Nothing of it is used.")
    return Edition(original, lines)


def _refuse(sheet: str, row: int, column: int, problem: str) -> SourceError:
    return SourceError(
        f"World Mining Data 6.4, sheet '{sheet}', cell {xl_rowcol_to_cell(row, column)}: "
        f"{problem}. Either this is another table of the publisher, or its layout changed: then "
        "adapt minerals/sources/world_mining_data.py. Nothing of the workbook is used."
    )


def _read_sheet(sheet: str, rows: workbooks.Rows) -> Iterator[Line]:
    years = _years(sheet, rows)
    first: dict[str, int] = {}
    for number, row in enumerate(rows):
        texts = [workbooks.text(cell) for cell in row]
        if number <= _HEADER_ROW or not any(texts):
            continue
        country, unit = _FOOTNOTE_MARK.sub("", texts[0]), texts[1]
        if TOTAL in first or not any(texts[1:]):  # a footnote
            if sum(map(bool, texts)) > 1:
                raise _refuse(sheet, number, 0, f"a row of figures ('{texts[0]}') below '{TOTAL}'")
            continue
        if not country or not unit:
            column = 1 if country else 0
            raise _refuse(sheet, number, column, "a row with figures has no country or no unit")
        if country in first:
            raise _refuse(sheet, number, 0, f"'{country}' is also in row {first[country] + 1}")
        first[country] = number
        found = {y: _quantity(sheet, number, column, texts[column]) for column, y in years.items()}
        yield Line(sheet, country, unit, found)
    if TOTAL not in first:
        raise _refuse(sheet, len(rows), 0, f"no row '{TOTAL}': the sheet is cut short")


def _years(sheet: str, rows: workbooks.Rows) -> dict[int, int]:
    """{column: year} of the header. Raises SourceError unless it is as expected."""
    if len(rows) <= _HEADER_ROW:
        raise _refuse(sheet, _HEADER_ROW, 0, "there is no header row")
    header = [workbooks.text(cell).lower().replace("_", " ") for cell in rows[_HEADER_ROW]]
    while header and not header[-1]:
        header.pop()
    years: dict[int, int] = {}
    for column in range(max(3, len(header))):
        found = header[column] if column < len(header) else ""
        expected = {0: "country", 1: "unit", len(header) - 1: "data source"}.get(column)
        if expected and found != expected:
            raise _refuse(sheet, _HEADER_ROW, column, f"'{expected}' expected, '{found}' found")
        if expected:
            continue
        if not _YEAR.fullmatch(found):
            raise _refuse(sheet, _HEADER_ROW, column, f"a year expected, '{found}' found")
        if int(found) in years.values():
            raise _refuse(sheet, _HEADER_ROW, column, f"the year {found} is there twice")
        years[column] = int(found)
    if not years:
        raise _refuse(sheet, _HEADER_ROW, 2, "no year column")
    return years


def _quantity(sheet: str, row: int, column: int, text: str) -> float | None:
    if text in _NO_FIGURE:
        return None
    try:
        return float(text)
    except ValueError:
        raise _refuse(sheet, row, column, f"'{text}' is not a number") from None


def merge(editions: Iterable[Edition]) -> Iterator[tuple[Line, int]]:
    """Every line with each of its years that counts: a year counts in its newest edition only."""
    taken: set[int] = set()
    for edition in sorted(editions, key=lambda e: e.age, reverse=True):
        for line in edition.lines:
            yield from ((line, year) for year in line.quantities if year not in taken)
        taken |= edition.years


def _fetch(settings: Settings, policy: RetryPolicy) -> Fetched:
    """All editions held, after asking for the present one; unchanged, that costs no body."""
    downloads = Downloads(settings.downloads_dir / "world_mining_data")
    held = editions_held(settings, policy)

    def read_tables() -> dict[str, pa.Table]:
        aliases = seeds.aliases(settings.seeds_dir, "world_mining_data_name")
        editions = (read_edition(downloads.read(original), original) for original in held)
        rows = (
            {
                "sheet": line.sheet,
                "country": line.country,
                "country_iso": TOTAL_ISO if line.country == TOTAL else aliases.get(line.country),
                "year": year,
                "quantity": line.quantities[year],
                "unit": line.unit,
            }
            for line, year in merge(editions)
        )
        table = sources()[SOURCE].tables["production"]
        return {"production": table.read(rows, "World Mining Data 6.4: table production")}

    originals = [(original, downloads.path(original.name)) for original in held]
    return Fetched.from_files(originals, read_tables)


def addresses(settings: Settings) -> list[str]:
    """Where to ask for the workbook, in turn: the address in the settings is the workbook's own, or
    a site's, on which it has one of several paths."""
    url = settings.world_mining_data_url
    if url.lower().endswith(".xlsx"):
        return [url]
    on_site = [f"{url}/{quote(path)}" for path in WORKBOOK_PATHS]
    is_publisher = url == Settings.model_fields["world_mining_data_url"].default
    return [MINISTRY, *on_site] if is_publisher else on_site


def editions_held(settings: Settings, policy: RetryPolicy) -> list[Original]:
    """All editions on disk, after the present one was asked for, or taken from the file that is
    set.

    Raises SourceError when it cannot be had or read.
    """
    downloads = Downloads(settings.downloads_dir / "world_mining_data")
    latest = _from_file(settings, downloads) or _ask(settings, downloads, policy)
    name = f"{latest.sha256[:16]}.xlsx"
    if downloads.find(name) is None:
        read_edition(downloads.read(latest), latest)  # refuse one that cannot be read
        downloads.copy(latest, name)
    return [o for o in downloads.all() if not o.name.startswith(_LATEST)]


def _from_file(settings: Settings, downloads: Downloads) -> Original | None:
    file = settings.world_mining_data_file
    if file is None:
        return None
    moment = datetime.fromtimestamp(file.stat().st_mtime, UTC).isoformat(timespec="seconds")
    answer = Answer(f"file {file.name}", {}, 200, file.read_bytes(), None, None, moment)
    return downloads.keep(f"{_LATEST}-file", answer)


def _ask(settings: Settings, downloads: Downloads, policy: RetryPolicy) -> Original:
    """The present workbook, from the first address that has it.

    Raises SourceError with what each address said, transient when one of them may answer later.
    """
    refusals: list[SourceError] = []
    for number, address in enumerate(addresses(settings)):
        # Each address has a file, and so an ETag, of its own.
        name = f"{_LATEST}-{number}" if number else _LATEST
        client = Client(address, "World Mining Data", policy)
        try:
            return downloads.fetch(client, name, "", expected="workbook")
        except SourceError as error:
            refusals.append(error)
    said = "\n  ".join(map(str, refusals))
    kind = next(
        (type(e) for e in refusals if isinstance(e, TransientSourceError)), type(refusals[0])
    )
    raise kind(
        f"World Mining Data: no workbook 6.4 at {len(refusals)} address"
        f"{'' if len(refusals) == 1 else 'es'}. Look for table 6.4 on the publisher's pages, then "
        "set MINERALS_WORLD_MINING_DATA_URL to its address, or MINERALS_WORLD_MINING_DATA_FILE to "
        f"a copy.\n  {said}"
    )


def years_held(settings: Settings, policy: RetryPolicy | None = None) -> set[int]:
    """The years of all editions, after asking for the present one. Raises SourceError."""
    downloads = Downloads(settings.downloads_dir / "world_mining_data")
    held = editions_held(settings, policy or RetryPolicy())
    return {y for o in held for y in read_edition(downloads.read(o), o).years}


def production_provider(settings: Settings, policy: RetryPolicy | None = None) -> Provider:
    """Production, long: one row per sheet, country and year; the unit as printed."""
    fetch = partial(_fetch, settings, policy or RetryPolicy())
    return Provider(sources()[SOURCE], fetch, "World Mining Data 6.4")
