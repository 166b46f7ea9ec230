"""World Bank: country indicators (WDI and governance), and the list of economies.

API: https://datahelpdesk.worldbank.org/knowledgebase/articles/898581, version 2, in JSON. An answer
is `[meta, rows]`; an error comes with status 200 as `[{"message": [...]}]`.

Each database says when it was last updated; answers are stored under that date, so that an
unchanged database costs one small request. The list of economies tells economies from regions and
income groups (`region` is Aggregates).
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from minerals.errors import PermanentSourceError, SourceError, TransientSourceError
from minerals.settings import Settings
from minerals.sources import seeds
from minerals.sources.downloads import Downloads, remove_superseded
from minerals.sources.http import Answer, Client, RetryPolicy
from minerals.sources.provider import Fetched, Provider
from minerals.sources.snapshots import Original
from minerals.sources.tables import sources

log = logging.getLogger(__name__)

SOURCE = "world_bank"
WDI, WGI = "2", "3"
DATABASES: Mapping[str, tuple[str, ...]] = {
    WDI: (
        "SP.POP.TOTL", "NY.GDP.MKTP.PP.KD", "BX.KLT.DINV.WD.GD.ZS", "EG.ELC.ACCS.ZS",
        "EG.ELC.FOSL.ZS", "EG.ELC.RNWX.ZS", "GC.DOD.TOTL.GD.ZS",
    ),
    WGI: ("CC.EST", "GE.EST", "PV.EST", "RL.EST", "RQ.EST", "VA.EST"),
}  # fmt: skip
# Medians of a region need a few years around the window; the API gives a decade in one page.
LEAST_YEARS = 10
PER_PAGE = 20_000
_AGGREGATES = "NA"
# "Service currently unavailable" and "unknown error" in the API's list of error codes.
_TRANSIENT_MESSAGES = frozenset({"105", "199"})
_FORMAT = {"format": "json"}


@dataclass(frozen=True)
class Economies:
    """The list of economies: {iso3: its row}; and the codes of regions and groups."""

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
        """The economies with region and income group; fetched again only when they changed."""
        downloads = Downloads(self.folder)
        original = downloads.fetch(
            self.client,
            "economies.json",
            "v2/country",
            _FORMAT | {"per_page": "500"},
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
            _FORMAT | {"per_page": "1", "source": database},
            check=partial(_check, page=1),
        )
        return str(answer.json()[0].get("lastupdated") or "unknown")

    def pages(
        self, database: str, updated: str, code: str, years: Sequence[int]
    ) -> list[tuple[Original, Path]]:
        """All pages of one indicator, stored or fetched.

        Raises TransientSourceError when they hold fewer rows than they say.
        """
        downloads = Downloads(self.folder / f"{database}-{updated}")
        pages: list[tuple[Original, Path]] = []
        n_rows, n_pages, total = 0, 1, 0
        while len(pages) < n_pages:
            page = len(pages) + 1
            name = f"{code}-{years[0]}-{years[-1]}-{page}.json"
            params = {"per_page": str(PER_PAGE), "date": f"{years[0]}:{years[-1]}"}
            params |= _FORMAT | {"source": database, "page": str(page)}
            original = downloads.find(name) or downloads.keep(
                name,
                self.client.get(
                    f"v2/country/all/indicator/{code}",
                    params,
                    check=partial(_check, page=page, code=code, updated=updated),
                ),
            )
            meta, rows = json.loads(downloads.read(original))
            n_pages, total = int(meta["pages"]), int(meta["total"])
            n_rows += len(rows or ())
            pages.append((original, downloads.path(name)))
        if n_rows != total:
            for original, _ in pages:
                downloads.remove(original.name)
            raise TransientSourceError(
                f"World Bank: {code} has {total} rows by its own count and {n_rows} in its pages. "
                "Nothing is used; the next refresh asks again."
            )
        return pages


def _check(answer: Answer, page: int, code: str | None = None, updated: str | None = None) -> None:
    """Refuse an error with status 200, and an answer of another page, update or indicator."""
    content = answer.json()
    where = f"World Bank: {answer.url}"
    if isinstance(content, list) and content and "message" in (content[0] or {}):
        messages = content[0]["message"]
        said = "; ".join(f"{m.get('key')}: {m.get('value')} (code {m.get('id')})" for m in messages)
        if {str(m.get("id")) for m in messages} & _TRANSIENT_MESSAGES:
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
        raise TransientSourceError(f"{where}: page {page} was requested, {meta.get('page')} came.")
    if updated and str(meta.get("lastupdated") or "unknown") != updated:
        raise TransientSourceError(
            f"{where}: the database was updated ({meta.get('lastupdated')}) while it was read."
        )
    if code and (strange := {row["indicator"]["id"] for row in rows or ()} - {code}):
        raise TransientSourceError(
            f"{where}: rows of {', '.join(sorted(strange))} came for {code}."
        )


def read_economies(rows: Iterable[Mapping[str, Any]], aliases: Mapping[str, str]) -> Economies:
    """Tell economies from groups. Raises SourceError for an economy that has no alias."""
    economies: dict[str, dict[str, str | None]] = {}
    iso3_of: dict[str, str] = {}
    aggregates: set[str] = set()
    unknown: list[str] = []
    for row in rows:
        if row["region"]["id"] == _AGGREGATES:
            aggregates |= {row["id"], row["iso2Code"]}
        elif (iso3 := aliases.get(row["id"])) is None:
            unknown.append(f"{row['id']} ({row['name']})")
        else:
            iso3_of |= {row["id"]: iso3, row["iso2Code"]: iso3}
            group = row["incomeLevel"]["value"].strip()
            economies[iso3] = {
                "region": row["region"]["value"].strip() or None,
                "income_group": None if group in {"", "Not classified"} else group,
            }
    if unknown:
        raise SourceError(
            f"The World Bank lists economies that country_aliases.csv does not know: "
            f"{', '.join(unknown)}. Add a row with code_system world_bank for each."
        )
    return Economies(economies, iso3_of, frozenset(aggregates))


def read_values(
    pages: Iterable[Path], code: str, economies: Economies
) -> dict[tuple[str, int], float]:
    """{(iso3, year): figure} of one indicator, economies only.

    Raises SourceError for a code that is neither economy nor group, and for two different figures
    of one economy and year.
    """
    found: dict[tuple[str, int], float | None] = {}
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
            if found.setdefault(key, value) != value:
                raise SourceError(
                    f"World Bank: {code} of {iso3} in {key[1]} is {found[key]} and {value} in one "
                    "answer. Nothing is used; delete its downloads to ask again."
                )
    return {key: value for key, value in found.items() if value is not None}


def fetch(source: WorldBank, years: Sequence[int]) -> Fetched:
    """All indicators of these years. Raises SourceError when one has no figure at all."""
    economies, listed = source.economies()
    originals = [(listed, source.folder / listed.name)]
    values: dict[str, dict[tuple[str, int], float]] = {}
    updates = {database: source.last_updated(database) for database in DATABASES}
    for database, codes in DATABASES.items():
        for code in codes:
            pages = source.pages(database, updates[database], code, years)
            values[code] = read_values([path for _, path in pages], code, economies)
            originals += pages
    if bare := [code for code, figures in values.items() if not figures]:
        raise SourceError(
            f"World Bank: no figure at all of {', '.join(bare)} in {years[0]}-{years[-1]}. "
            "Nothing is used; the next refresh asks again."
        )
    for database, updated in updates.items():
        kept = Downloads(source.folder / f"{database}-{updated}")
        if n_files := remove_superseded(source.folder, f"{database}-*", kept):
            log.info("World Bank: deleted %d files of answers that newer ones replaced", n_files)

    def read_tables() -> dict[str, pa.Table]:
        rows = (
            {"iso3": iso3, "year": year}
            | {code: figures.get((iso3, year)) for code, figures in values.items()}
            for iso3 in sorted(economies.rows)
            for year in years
        )
        table = sources()[SOURCE].tables["country_indicators"]
        return {"country_indicators": table.read(rows, "World Bank API")}

    return Fetched.from_files(originals, read_tables)


def source(settings: Settings, policy: RetryPolicy | None = None) -> WorldBank:
    """The client that these settings describe."""
    return WorldBank(
        Client(settings.world_bank_url, "World Bank", policy or RetryPolicy()),
        settings.downloads_dir / "world_bank",
        seeds.aliases(settings.seeds_dir, "world_bank"),
    )


def years_to_fetch(settings: Settings) -> tuple[int, ...]:
    """The panel's years, and enough years before them to make a decade."""
    first = min(settings.first_year, settings.last_year - LEAST_YEARS + 1)
    return tuple(range(first, settings.last_year + 1))


def indicators_provider(settings: Settings, policy: RetryPolicy | None = None) -> Provider:
    """One row per economy and year, one column per indicator under its World Bank code."""

    def fetched() -> Fetched:
        return fetch(source(settings, policy), years_to_fetch(settings))

    return Provider(sources()[SOURCE], fetched, "World Bank API")
