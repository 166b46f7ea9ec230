"""World Bank: country indicators (WDI and governance), and the list of economies.

API: https://datahelpdesk.worldbank.org/knowledgebase/articles/898581, version 2, in JSON. An answer
is `[meta, rows]`; an error comes with status 200 as `[{"message": [...]}]`. Renaming and imputing
belong to dbt.

Each database says when it was last updated; what was fetched is stored under that date, so that an
unchanged database costs one small request. Regions and income groups are told apart from economies
by the list of economies (`region` is Aggregates), never by name.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from minerals.errors import PermanentSourceError, SourceError, TransientSourceError
from minerals.settings import Settings
from minerals.sources import seeds
from minerals.sources.downloads import Downloads, remove_folder
from minerals.sources.figures import INDICATORS_TABLE
from minerals.sources.http import Answer, Client, RetryPolicy
from minerals.sources.provider import Provider, RawTable
from minerals.sources.snapshots import Original, SourceDescription

log = logging.getLogger(__name__)

WORLD_BANK = SourceDescription(
    provider="World Bank",
    citation="World Bank, World Development Indicators and Worldwide Governance Indicators",
    licence="CC BY 4.0",
    url="https://data.worldbank.org",
)
WDI, WGI = "2", "3"
DATABASES: Mapping[str, tuple[str, ...]] = {
    WDI: (
        "SP.POP.TOTL", "NY.GDP.MKTP.PP.KD", "BX.KLT.DINV.WD.GD.ZS", "EG.ELC.ACCS.ZS",
        "EG.ELC.FOSL.ZS", "EG.ELC.RNWX.ZS", "GC.DOD.TOTL.GD.ZS", "LP.LPI.OVRL.XQ",
        "TX.VAL.MMTL.ZS.UN",
    ),
    WGI: ("CC.EST", "GE.EST", "PV.EST", "RL.EST", "RQ.EST", "VA.EST"),
}  # fmt: skip
# No regressor needs these: one that is withdrawn leaves an empty column, not a refused snapshot.
OPTIONAL = frozenset({"LP.LPI.OVRL.XQ", "TX.VAL.MMTL.ZS.UN"})
# Medians of a region need a few years around the window; the API gives a decade in one page.
LEAST_YEARS = 10
PER_PAGE = 20_000
_AGGREGATES = "NA"
# "Service currently unavailable" and "unknown error" in the API's list of error codes.
_PASSING_MESSAGES = frozenset({"105", "199"})

_TEXT, _REAL = pa.string(), pa.float64()
INDICATORS_SCHEMA = pa.schema(
    [("iso3", _TEXT), ("year", pa.int32())]
    + [(c, _REAL) for c in INDICATORS_TABLE.columns if c not in {"iso3", "year"}]
)
ECONOMIES_SCHEMA = pa.schema(
    [("iso3", _TEXT), ("name", _TEXT), ("region", _TEXT), ("income_group", _TEXT)]
)
SERIES_SCHEMA = pa.schema(
    [("indicator", _TEXT), ("database", _TEXT), ("last_updated", _TEXT), ("n_values", pa.int32())]
)
TABLES = (
    INDICATORS_TABLE,
    RawTable(
        name="country_indicators__economies",
        columns=tuple(ECONOMIES_SCHEMA.names),
        key=("iso3",),
        required=("iso3", "name"),
    ),
    RawTable(
        name="country_indicators__series",
        columns=tuple(SERIES_SCHEMA.names),
        key=("indicator",),
        required=("indicator", "database", "n_values"),
    ),
)


@dataclass(frozen=True)
class Economies:
    """The list of economies: {iso3: its row}; and the codes of what is no economy."""

    rows: Mapping[str, Mapping[str, str | None]]
    iso3_of: Mapping[str, str]
    aggregates: frozenset[str]


@dataclass
class WorldBank:
    """The client: the service, where answers are kept, and the names of economies."""

    client: Client
    folder: Path
    aliases: Mapping[str, str]

    def economies(self) -> tuple[Economies, Original]:
        """The economies with region and income group; asked for again only when it changed."""
        downloads = Downloads(self.folder)
        original = downloads.fetch(
            self.client,
            "economies.json",
            "v2/country",
            {"format": "json", "per_page": "500"},
            check=partial(_check, page=1),
        )
        meta, rows = json.loads(downloads.read(original))
        if int(meta["pages"]) != 1:
            raise SourceError(
                f"The World Bank lists {meta['total']} economies and groups, more than one page "
                "holds: raise per_page in minerals/sources/world_bank.py."
            )
        return read_economies(rows, self.aliases), original

    def last_updated(self, database: str) -> str:
        """The day of the database's last update: one small request."""
        answer = self.client.get(
            f"v2/country/all/indicator/{DATABASES[database][0]}",
            {"format": "json", "per_page": "1", "source": database},
            check=partial(_check, page=1),
        )
        return str(answer.json()[0].get("lastupdated") or "unknown")

    def pages(
        self, database: str, updated: str, code: str, years: Sequence[int]
    ) -> list[tuple[Original, Path]]:
        """All pages of one indicator, stored ones first; together as many rows as they say."""
        downloads = Downloads(self.folder / f"{database}-{updated}")
        pages, n_rows = [], 0
        number, n_pages, total = 1, 1, 0
        while number <= n_pages:
            name = f"{code}-{years[0]}-{years[-1]}-{number}.json"
            original = downloads.find(name) or downloads.keep(
                name,
                self.client.get(
                    f"v2/country/all/indicator/{code}",
                    {
                        "format": "json",
                        "per_page": str(PER_PAGE),
                        "date": f"{years[0]}:{years[-1]}",
                        "source": database,
                        "page": str(number),
                    },
                    check=partial(_check, page=number, code=code, updated=updated),
                ),
            )
            meta, rows = json.loads(downloads.read(original))
            n_pages, total, n_rows = (
                int(meta["pages"]),
                int(meta["total"]),
                n_rows + len(rows or ()),
            )
            pages.append((original, downloads.path(name)))
            number += 1
        if n_rows != total:
            for _, path in pages:
                path.unlink()
            raise TransientSourceError(
                f"World Bank: {code} has {total} rows by its own count and {n_rows} in its pages. "
                "Nothing is used; the next refresh asks again."
            )
        return pages

    def prune(self, updates: Mapping[str, str]) -> int:
        """Delete the answers of earlier updates of these databases, {database: day}, which no
        fetch would look for again; return how many files that were."""
        n_files = 0
        for database, updated in updates.items():
            kept = self.folder / f"{database}-{updated}"
            older = set(self.folder.glob(f"{database}-*")) - {kept}
            n_files += sum(remove_folder(folder) for folder in older if folder.is_dir())
            n_files += Downloads(kept).remove_leftovers()
        return n_files


def _check(answer: Answer, page: int, code: str | None = None, updated: str | None = None) -> None:
    """Refuse an answer that is an error with status 200, or of another page or indicator."""
    content = answer.json()
    where = f"World Bank: {answer.url}"
    if isinstance(content, list) and content and "message" in (content[0] or {}):
        messages = content[0]["message"]
        said = "; ".join(f"{m.get('key')}: {m.get('value')} (code {m.get('id')})" for m in messages)
        if {str(m.get("id")) for m in messages} & _PASSING_MESSAGES:
            raise TransientSourceError(f"{where} was answered with an error: {said}.")
        raise PermanentSourceError(
            f"{where} was refused: {said}. The indicator may have been renamed or withdrawn: see "
            "https://data.worldbank.org and adapt minerals/sources/world_bank.py."
        )
    if not (isinstance(content, list) and len(content) == 2 and isinstance(content[0], dict)):
        raise PermanentSourceError(
            f"{where}: the answer is not [meta, rows]. Either another service answers at "
            "MINERALS_WORLD_BANK_URL, or its layout changed."
        )
    meta, rows = content
    if int(meta.get("page", 0)) != page:
        raise TransientSourceError(f"{where}: page {page} was asked for, {meta.get('page')} came.")
    if updated and str(meta.get("lastupdated") or "unknown") != updated:
        raise TransientSourceError(
            f"{where}: the database was updated ({meta.get('lastupdated')}) while it was read."
        )
    strange = {row["indicator"]["id"] for row in rows or () if code} - {code}
    if strange:
        raise TransientSourceError(
            f"{where}: rows of {', '.join(sorted(strange))} came for {code}."
        )


def read_economies(rows: Iterable[Mapping[str, Any]], aliases: Mapping[str, str]) -> Economies:
    """Tell economies from groups. Raises SourceError for an economy that no alias names."""
    economies: dict[str, dict[str, str | None]] = {}
    iso3_of: dict[str, str] = {}
    aggregates: set[str] = set()
    unknown: list[str] = []
    for row in rows:
        if row["region"]["id"] == _AGGREGATES:
            aggregates |= {row["id"], row["iso2Code"]}
            continue
        iso3 = aliases.get(row["id"])
        if iso3 is None:
            unknown.append(f"{row['id']} ({row['name']})")
            continue
        iso3_of |= {row["id"]: iso3, row["iso2Code"]: iso3}
        economies[iso3] = {
            "iso3": iso3,
            "name": row["name"].strip(),
            "region": row["region"]["value"].strip() or None,
            "income_group": _group(row["incomeLevel"]["value"]),
        }
    if unknown:
        raise SourceError(
            f"The World Bank lists economies that country_aliases.csv does not know: "
            f"{', '.join(unknown)}. Add a line `world_bank,<code>,<iso3>,,` for each."
        )
    return Economies(economies, iso3_of, frozenset(aggregates))


def _group(value: str) -> str | None:
    value = value.strip()
    return None if value in {"", "Not classified"} else value


def read_values(
    pages: Iterable[Path], code: str, economies: Economies
) -> Iterator[tuple[str, int, float]]:
    """The figures of one indicator, those of economies only, once each.

    Raises SourceError for a code that is neither economy nor group, and for two different figures
    of one economy and year.
    """
    seen: dict[tuple[str, int], float | None] = {}
    for page in pages:
        for row in json.loads(page.read_bytes())[1] or ():
            place = row.get("countryiso3code") or row["country"]["id"]
            if place in economies.aggregates:
                continue
            iso3 = economies.iso3_of.get(place)
            if iso3 is None:
                raise SourceError(
                    f"World Bank: {code} has a row of {place} ({row['country'].get('value')}), "
                    "which its own list of economies and groups does not hold. Nothing is used."
                )
            key = (iso3, int(row["date"]))
            value = None if row["value"] is None else float(row["value"])
            if seen.setdefault(key, value) != value:
                raise SourceError(
                    f"World Bank: {code} of {iso3} in {key[1]} is {seen[key]} and {value} in one "
                    "answer. Nothing is used; delete its downloads to ask again."
                )
    return ((iso3, year, value) for (iso3, year), value in seen.items() if value is not None)


@dataclass
class Fetched:
    """One whole fetch: the economies, the answers, and the figures by indicator."""

    economies: Economies
    years: Sequence[int]
    originals: list[tuple[Original, Path]]
    values: dict[str, dict[tuple[str, int], float]] = field(repr=False)
    series: list[dict[str, Any]] = field(repr=False)

    @property
    def sha256(self) -> str:
        """Of the answers' hashes, in the order of their names."""
        lines = sorted(f"{o.name} {o.sha256}" for o, _ in self.originals)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def fetch(source: WorldBank, years: Sequence[int]) -> Fetched:
    """All indicators of these years. An optional one that is withdrawn is empty, and said so."""
    economies, original = source.economies()
    done = Fetched(economies, years, [(original, source.folder / original.name)], {}, [])
    for database, codes in DATABASES.items():
        updated = source.last_updated(database)
        for code in codes:
            try:
                pages = source.pages(database, updated, code, years)
            except PermanentSourceError as error:
                if code not in OPTIONAL:
                    raise
                log.warning("World Bank: %s is left empty: %s", code, error)
                pages = []
            paths = [path for _, path in pages]
            figures = read_values(paths, code, economies)
            done.values[code] = {(iso3, year): value for iso3, year, value in figures}
            done.originals += pages
            done.series.append(
                {
                    "indicator": code,
                    "database": database,
                    "last_updated": updated,
                    "n_values": len(done.values[code]),
                }
            )
    if bare := [c for c in done.values if not done.values[c] and c not in OPTIONAL]:
        raise SourceError(
            f"World Bank: no figure at all of {', '.join(bare)} in {years[0]}-{years[-1]}. "
            "Nothing is used; the next refresh asks again."
        )
    if n_files := source.prune({one["database"]: one["last_updated"] for one in done.series}):
        log.info("World Bank: %d files of answers deleted that newer ones replaced", n_files)
    return done


def write_tables(fetched: Fetched, folder: Path) -> Mapping[str, Path]:
    """Indicators, one row an economy and year; the economies; the series with their dates."""
    rows = [
        {"iso3": iso3, "year": year}
        | {code: values.get((iso3, year)) for code, values in fetched.values.items()}
        for iso3 in sorted(fetched.economies.rows)
        for year in fetched.years
    ]
    economies = [fetched.economies.rows[iso3] for iso3 in sorted(fetched.economies.rows)]
    tables = {
        "country_indicators": pa.Table.from_pylist(rows, schema=INDICATORS_SCHEMA),
        "country_indicators__economies": pa.Table.from_pylist(economies, schema=ECONOMIES_SCHEMA),
        "country_indicators__series": pa.Table.from_pylist(fetched.series, schema=SERIES_SCHEMA),
    }
    written = {}
    for name, table in tables.items():
        written[name] = folder / f"{name}.parquet"
        pq.write_table(table, written[name], compression="zstd")
    return written


def source(settings: Settings, policy: RetryPolicy | None = None) -> WorldBank:
    """The client these settings describe."""
    return WorldBank(
        Client(settings.world_bank_url, "World Bank", policy or RetryPolicy()),
        settings.downloads_dir / "world_bank",
        seeds.aliases(settings.seeds_dir, "world_bank"),
    )


def years_to_fetch(settings: Settings) -> tuple[int, ...]:
    """The panel's years, and as many before them as make a decade."""
    first = min(settings.first_year, settings.last_year - LEAST_YEARS + 1)
    return tuple(range(first, settings.last_year + 1))


def indicators_provider(settings: Settings, policy: RetryPolicy | None = None) -> Provider:
    """One row an economy and year, one column an indicator under its World Bank code.

    `UN.IDEALPOINT`, which is not the World Bank's, is empty.
    """
    state: dict[str, Fetched] = {}

    def fingerprint() -> str:
        state["fetched"] = fetch(source(settings, policy), years_to_fetch(settings))
        return state["fetched"].sha256

    return Provider(
        dataset="country_indicators",
        layout="world-bank-api-1",
        source=WORLD_BANK,
        tables=TABLES,
        fingerprint=fingerprint,
        write_tables=lambda folder: write_tables(state["fetched"], folder),
        origin="World Bank API",
        originals=lambda: state["fetched"].originals,
    )
