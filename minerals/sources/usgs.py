"""USGS Mineral Commodity Summaries: mine, refinery and plant output and reserves by country.

File: the data release of an edition on ScienceBase, one row per commodity, country, statistic and
year, of which the sections on the world are kept; a year's value is text as printed ("1,050", a
dash for none, "W" for withheld). A new edition comes each January under another address. Which
statistic is which table is said by `usgs_tables.csv`, and dbt reads it.
"""

import csv
from collections.abc import Iterator
from functools import partial

import pyarrow as pa

from minerals.errors import SourceError
from minerals.settings import Settings
from minerals.sources.csv_files import SUPPLY, figures_provider
from minerals.sources.downloads import Downloads
from minerals.sources.http import Client, RetryPolicy
from minerals.sources.provider import Fetched, Provider
from minerals.sources.tables import sources

# The release's name of each raw column, and the columns by which rows are chosen.
COLUMNS = {
    "commodity": "Commodity",
    "country": "Country",
    "statistic": "Statistics_detail",
    "unit": "Unit",
    "year": "Year",
    "value": "Value",
}
SECTION, OF_WORLD = "Section", "World"


def read_release(content: bytes, name: str) -> Iterator[dict[str, str | int | None]]:
    """The rows on the world. Raises SourceError when a column or every such row is missing, or a
    row has another number of values or no year."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")  # the edition of 2026
    lines = csv.reader(text.splitlines(keepends=True))
    header = [column.strip() for column in next(lines, [])]
    if missing := [column for column in (SECTION, *COLUMNS.values()) if column not in header]:
        raise SourceError(
            f"{name}, row 1: no column {', '.join(missing)}; there are: {', '.join(header)[:200]}. "
            "It is another file of the release (set MINERALS_USGS_RELEASE), or its layout changed. "
            "Nothing of it is used."
        )
    n_world = 0
    for cells in lines:
        if len(cells) != len(header):
            raise SourceError(
                f"{name}, row {lines.line_num}: {len(cells)} values, where the header has "
                f"{len(header)}: the file is cut short or damaged. Nothing of it is used."
            )
        row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
        if row[SECTION].startswith(OF_WORLD):
            if not row[COLUMNS["year"]].isdecimal():
                raise SourceError(
                    f"{name}, row {lines.line_num}: '{row[COLUMNS['year']]}' is no year. "
                    "Nothing of it is used."
                )
            n_world += 1
            values = {column: row[printed] or None for column, printed in COLUMNS.items()}
            yield {**values, "year": int(row[COLUMNS["year"]])}
    if not n_world:
        raise SourceError(f"{name} has no row of a section on the world. Nothing of it is used.")


def supply_provider(settings: Settings, policy: RetryPolicy | None = None) -> Provider:
    """World supply as the newest edition prints it, in the shape of this package's figures."""
    fetch = partial(_fetch, settings, policy or RetryPolicy())
    return Provider(sources()["usgs"], fetch, "USGS Mineral Commodity Summaries")


def _fetch(settings: Settings, policy: RetryPolicy) -> Fetched:
    """Of the release; before one was ever had, of this package, with a note that says why."""
    item, _, name = settings.usgs_release.partition("/")
    downloads = Downloads(settings.downloads_dir / "usgs")
    client = Client(settings.usgs_url, "USGS", policy)
    try:
        release = downloads.fetch(
            client, name, f"catalog/file/get/{item}", {"name": name}, expected="csv"
        )
        list(read_release(downloads.read(release), name))  # refuse one that cannot be read
    except SourceError as error:
        if any(settings.raw_dir.glob(f"{SUPPLY}/*/snapshot.json")):
            raise
        own = figures_provider(settings, "supply_file").fetch()
        note = f"The figures of this package are used, as the release could not be had: {error}"
        return Fetched(own.sha256, own.read_tables, notes=[note])

    def read_tables() -> dict[str, pa.Table]:
        rows = read_release(downloads.read(release), name)
        return {SUPPLY: sources()["usgs"].tables[SUPPLY].read(rows, name)}

    return Fetched.from_files([(release, downloads.path(name))], read_tables)
