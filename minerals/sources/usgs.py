"""USGS Mineral Commodity Summaries: world output and reserves of minerals by country, as printed.

The data release of an edition is one CSV file in Windows-1252, one row per chapter, section,
commodity, country, statistic and year; of its sections those are read that begin with 'World'.
`usgs_tables.csv` says which commodity and statistic are a table here, in which unit. Headings and
the file's address change with each edition, so an edition that this seed does not have is refused.

The file holds one edition. The others come from the figures of this package, which are the whole of
the bundled profile, and stand in where the file was never had.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa

from minerals.errors import SourceError, some
from minerals.files import sha256_of
from minerals.settings import Settings
from minerals.sources import seeds
from minerals.sources.csv_files import csv_rows, read_csv
from minerals.sources.downloads import Downloads
from minerals.sources.http import Answer, Client, RetryPolicy
from minerals.sources.provider import Fetched, Provider
from minerals.sources.tables import sources

SOURCE, DATASET = "usgs", "mineral_summaries"
FILE = "MCS2026_Commodities_Data.csv"
_NAME = "USGS Mineral Commodity Summaries"
_COLUMNS = ("Section", "Commodity", "Country", "Statistics_detail", "Unit", "Year", "Value")
_UNITS = {"kg": "kilograms", "t": "metric tons", "kt": "thousand metric tons"}
_ROUNDED = re.compile(r"[:,] rounded$")  # ends the statistic of a world total
_PRINTED = re.compile(r">?[\d,]+(\.\d+)?|—|W|s|Large|")

Row = Mapping[str, str | None]


def read_release(content: bytes, where: str, seeds_dir: Path) -> list[dict[str, str]]:
    """The figures of a data release: `table_id, country, year, as_printed, is_estimated`.

    Raises SourceError when the file is cut short, a column or a table is missing, the edition is
    not in `usgs_tables.csv`, a unit is not the one stated there, or a row is not as expected.
    """
    rows = [row for row in _rows(content, where) if row["Section"].startswith("World")]
    years = {int(row["Year"]) for row in rows if row["Year"].isdigit()}
    if not years:
        raise SourceError(f"{where}: no row of a section 'World ...' has a year. {_adapt()}")
    edition = f"usgs_mcs_{max(years) + 1}"
    tables = {
        (table["commodity"].lower(), table["statistic"].lower()): table
        for table in seeds.usgs_tables(seeds_dir)
        if table["edition"] == edition
    }
    if not tables:
        raise SourceError(
            f"{where}: its latest year is {max(years)}, and usgs_tables.csv has no table of the "
            f"edition {edition}. Add its tables as docs/analysts.md, 'USGS tables', says. Nothing "
            "of it is used."
        )
    others = seeds.names(seeds_dir, "usgs_name") - set(seeds.aliases(seeds_dir, "usgs_name"))
    figures: list[dict[str, str]] = []
    for row in rows:
        if not row["Value"] and row["Country"] in others:
            continue  # a rest or a total without a figure says nothing
        statistic = _ROUNDED.sub("", row["Statistics_detail"].lower())
        if table := tables.get((row["Commodity"].lower(), statistic)):
            if row["Unit"].strip() != _UNITS[table["unit"]]:
                raise SourceError(
                    f"{where}: {table['table_id']} is in {row['Unit']!r}, usgs_tables.csv says "
                    f"{_UNITS[table['unit']]!r}. Correct the seed if the edition changed it. "
                    "Nothing of it is used."
                )
            is_estimated = row["Year"] == str(max(years)) or "stimated" in row.get("Notes", "")
            figures.append(
                {
                    "table_id": table["table_id"],
                    "country": row["Country"],
                    "year": row["Year"],
                    "as_printed": row["Value"],
                    "is_estimated": str(is_estimated).lower(),
                }
            )
    found = {figure["table_id"] for figure in figures}
    if lacking := [t["table_id"] for t in tables.values() if t["table_id"] not in found]:
        raise SourceError(
            f"{where} has no row of {some(lacking)}, of {len(tables)} tables of usgs_tables.csv: "
            f"it is cut short, or a heading changed. {_adapt()}"
        )
    check_figures(figures, where, seeds_dir)
    return figures


def check_figures(figures: Iterable[Row], where: str, seeds_dir: Path) -> None:
    """Raise SourceError on a table, a country or a sign that nobody explained."""
    known = {
        "table_id": {table["table_id"] for table in seeds.usgs_tables(seeds_dir)},
        "country": seeds.names(seeds_dir, "usgs_name"),
    }
    rows = list(figures)
    for column, seed in (
        ("table_id", "usgs_tables.csv"),
        ("country", "country_aliases.csv and non_country_partners.csv (code_system usgs_name)"),
    ):
        if unknown := sorted({str(row[column]) for row in rows} - known[column]):
            raise SourceError(
                f"{where}: the {column} {some(unknown)} is not in {seed}. Add a row for each. "
                "Nothing of it is used."
            )
    signs = {str(row["as_printed"]) for row in rows if row["as_printed"]}
    if strange := sorted(sign for sign in signs if not _PRINTED.fullmatch(sign)):
        raise SourceError(
            f"{where}: {some(strange)} is no figure: one is a number, a dash (zero), W, s, Large "
            "or empty. Nothing of it is used."
        )


def _rows(content: bytes, where: str) -> Iterator[dict[str, str]]:
    """The file's rows by column. Raises SourceError naming column or row."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", "replace")
    return csv_rows(text, where, _COLUMNS, _adapt())


def _adapt() -> str:
    return (
        "If the publisher's layout changed, adapt minerals/sources/usgs.py. Nothing of it is used."
    )


def figures_provider(settings: Settings) -> Provider:
    """The figures of this package: every edition that `usgs_tables.csv` has."""
    return Provider(sources()[f"{SOURCE}_file"], partial(_own, settings), f"{DATASET}.csv")


def summaries_provider(settings: Settings, policy: RetryPolicy | None = None) -> Provider:
    """The newest edition from the data release, older ones from the figures of this package."""
    fetch = partial(_fetch, settings, policy or RetryPolicy())
    return Provider(sources()[SOURCE], fetch, _NAME, stand_in=partial(_stand_in, settings))


def _own_file(settings: Settings) -> Path:
    return settings.figures_dir / f"{DATASET}.csv"


def _own_rows(settings: Settings) -> pa.Table:
    file, table = _own_file(settings), sources()[SOURCE].tables[DATASET]
    if not file.is_file():
        raise SourceError(f"The file {file} is missing: restore it from the repository.")
    rows = read_csv(file, table, "restore it from the repository")
    if set(table.columns) <= set(rows.column_names):
        check_figures(rows.to_pylist(), file.name, settings.seeds_dir)
    return rows


def _own(settings: Settings, notes: Sequence[str] = ()) -> Fetched:
    rows = _own_rows(settings)
    return Fetched(sha256_of(_own_file(settings)), lambda: {DATASET: rows}, notes=notes)


def _stand_in(settings: Settings) -> Fetched:
    n_figures = _own_rows(settings).num_rows
    note = (
        f"The data release of the USGS could not be had, so the {n_figures:,} figures of this "
        "package stand in for it: an edition after them is missing."
    )
    return _own(settings, [note])


def _fetch(settings: Settings, policy: RetryPolicy) -> Fetched:
    downloads = Downloads(settings.downloads_dir / SOURCE)
    is_file = settings.usgs_url.lower().endswith(".csv")
    params = None if is_file else {"name": FILE}
    where = f"{_NAME}, {settings.usgs_url.rpartition('/')[2] if is_file else FILE}"

    def is_readable(answer: Answer) -> None:
        read_release(answer.body, where, settings.seeds_dir)

    client = Client(settings.usgs_url, _NAME, policy)
    release = downloads.fetch(client, FILE, "", params, expected="csv", check=is_readable)

    def read_tables() -> dict[str, pa.Table]:
        newest = read_release(downloads.read(release), where, settings.seeds_dir)
        edition_of = {t["table_id"]: t["edition"] for t in seeds.usgs_tables(settings.seeds_dir)}
        replaced = {edition_of[figure["table_id"]] for figure in newest}
        older = [
            row
            for row in _own_rows(settings).to_pylist()
            if edition_of[row["table_id"]] not in replaced
        ]
        columns = sources()[SOURCE].tables[DATASET].columns
        rows = sorted(
            ([row[column] or None for column in columns] for row in [*older, *newest]),
            key=lambda row: [str(cell) for cell in row],
        )
        return {DATASET: pa.table(list(zip(*rows, strict=True)), names=list(columns))}

    read_with = [_own_file(settings), settings.seeds_dir / "usgs_tables.csv"]
    originals = [(release, downloads.path(FILE))]
    return Fetched.from_files(originals, read_tables, read_with=read_with)
