"""World Bank: country indicators (WDI and governance), and the list of economies.

API: https://datahelpdesk.worldbank.org/knowledgebase/articles/898581, version 2, in JSON. An answer
is `[meta, rows]`; an error comes with status 200 as `[{"message": [...]}]`.

Each database says when it was last updated; answers are stored under that date, so that an
unchanged database costs one small request. The list of economies tells economies from regions and
income groups (`region` is Aggregates).

The service renames indicators: those of governance became `GOV_WGI_CC.EST` and so on in July 2026.
Each is asked under its present name, then under its older one. An indicator that the service lacks,
other than those of `REQUIRED`, is taken from the figures of this package, and an economy that the
seed of names lacks is left out; the snapshot notes both.
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

from minerals.errors import PermanentSourceError, SourceError, TransientSourceError
from minerals.settings import Settings
from minerals.sources import seeds, window
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
# How a database's indicators are asked for, in turn: a score of 0 to 100 ends in .SC, the estimate
# of -2.5 to 2.5 that we read in .EST.
PREFIXES: Mapping[str, tuple[str, ...]] = {WDI: ("",), WGI: ("GOV_WGI_", "")}
REQUIRED = ("SP.POP.TOTL", "NY.GDP.MKTP.PP.KD")
# One economy more than the seed of names knows is left out; with many, the list itself is another.
MOST_UNKNOWN = 10
# Medians of a region need a few years around the window; the API gives a decade in one page.
LEAST_YEARS = 10
PER_PAGE = 20_000
_AGGREGATES = "NA"
# "Service currently unavailable" and "unknown error" in the API's list of error codes.
_TRANSIENT_MESSAGES = frozenset({"105", "199"})
_FORMAT = {"format": "json"}


@dataclass(frozen=True)
class Economies:
    """The list of economies: {iso3: its row}; the codes of regions and groups; and, by code, the
    name of each economy that is `unknown` here."""

    rows: Mapping[str, Mapping[str, str | None]]
    iso3_of: Mapping[str, str]
    aggregates: frozenset[str]
    unknown: Mapping[str, str] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence when economies are left out."""
        if not self.unknown:
            return ()
        left_out = ", ".join(f"{code} ({name})" for code, name in sorted(self.unknown.items()))
        return (
            f"Left out, because country_aliases.csv does not know them: {left_out}. Add a row with "
            "code_system world_bank for each.",
        )


@dataclass
class WorldBank:
    """The client: the service, where answers are kept, and the names of economies."""

    client: Client
    folder: Path
    aliases: Mapping[str, str]
    own_figures: Path

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

    def last_updated(self, database: str) -> tuple[str, tuple[str, ...]]:
        """The day of the database's last update, and the prefixes of its indicators' names, the one
        that the service knew first: one small request. ("unknown" when it knew none.)"""
        prefixes = PREFIXES[database]
        for code in DATABASES[database]:
            for prefix in prefixes:
                try:
                    answer = self.client.get(
                        f"v2/country/all/indicator/{prefix}{code}",
                        _FORMAT | {"per_page": "1", "source": database},
                        check=partial(_check, page=1),
                    )
                except PermanentSourceError as error:
                    log.info("%s", error)
                    continue
                updated = str(answer.json()[0].get("lastupdated") or "unknown")
                return updated, (prefix, *(other for other in prefixes if other != prefix))
        return "unknown", prefixes

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

    def figures(
        self,
        database: str,
        updated: str,
        code: str,
        prefixes: Sequence[str],
        years: Sequence[int],
        economies: Economies,
    ) -> tuple[dict[tuple[str, int], float], list[tuple[Original, Path]], list[str]]:
        """The figures of one indicator under the first name that has any, the pages that hold them,
        and what is to be noted.

        Raises SourceError when a required indicator has none.
        """
        said = []
        for prefix in prefixes:
            try:
                pages = self.pages(database, updated, prefix + code, years)
            except PermanentSourceError as error:
                said.append(str(error))
                continue
            if found := read_values([path for _, path in pages], prefix + code, economies):
                if prefix != PREFIXES[database][0]:
                    log.warning("World Bank: %s is known under its older name only", code)
                return found, pages, []
            said.append(f"no figure at all of {prefix}{code} in {years[0]}-{years[-1]}")
        reasons = "; ".join(said)
        if code in REQUIRED:
            raise SourceError(
                f"World Bank: {reasons}. Nothing is used; the next refresh asks again."
            )
        return (
            own_figures(self.own_figures, code, years),
            [],
            [
                f"{code} is from the figures of this package (World Bank, 2024), because the "
                f"service has none: {reasons}"
            ],
        )


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
    """Tell economies from groups. Raises SourceError when more than a few have no alias."""
    economies: dict[str, dict[str, str | None]] = {}
    iso3_of: dict[str, str] = {}
    aggregates: set[str] = set()
    unknown: dict[str, str] = {}
    for row in rows:
        if row["region"]["id"] == _AGGREGATES:
            aggregates |= {row["id"], row["iso2Code"]}
        elif (iso3 := aliases.get(row["id"])) is None:
            unknown[row["id"]] = row["name"]
        else:
            iso3_of |= {row["id"]: iso3, row["iso2Code"]: iso3}
            group = row["incomeLevel"]["value"].strip()
            economies[iso3] = {
                "region": row["region"]["value"].strip() or None,
                "income_group": None if group in {"", "Not classified"} else group,
            }
    if len(unknown) > MOST_UNKNOWN:
        some = ", ".join(f"{code} ({name})" for code, name in unknown.items())
        raise SourceError(
            f"The World Bank lists {len(unknown)} economies that country_aliases.csv does not "
            f"know: {some}. Add a row with code_system world_bank for each."
        )
    return Economies(economies, iso3_of, frozenset(aggregates), unknown)


def read_values(
    pages: Iterable[Path], code: str, economies: Economies
) -> dict[tuple[str, int], float]:
    """{(iso3, year): figure} of one indicator, economies only.

    A place that is not in the list of economies is left out, and named in the log. Raises
    SourceError for two different figures of one economy and year.
    """
    found: dict[tuple[str, int], float | None] = {}
    strange: set[str] = set()
    for page in pages:
        for row in json.loads(page.read_bytes())[1] or ():
            place = row.get("countryiso3code") or row["country"]["id"]
            if place in economies.aggregates:
                continue
            iso3 = economies.iso3_of.get(place)
            if iso3 is None:
                strange |= {place} - economies.unknown.keys()
                continue
            key = (iso3, int(row["date"]))
            value = None if row["value"] is None else float(row["value"])
            if found.setdefault(key, value) != value:
                raise SourceError(
                    f"World Bank: {code} of {iso3} in {key[1]} is {found[key]} and {value} in one "
                    "answer. Nothing is used; delete its downloads to ask again."
                )
    if strange:
        places = ", ".join(sorted(strange))
        log.warning("World Bank: %s has places that its own list lacks: %s", code, places)
    return {key: value for key, value in found.items() if value is not None}


def own_figures(file: Path, code: str, years: Sequence[int]) -> dict[tuple[str, int], float]:
    """{(iso3, year): figure} of one indicator, from the figures of this package."""
    return {
        (row["iso3"], row["year"]): row[code]
        for row in pacsv.read_csv(file).to_pylist()
        if row[code] is not None and row["year"] in years
    }


def fetch(source: WorldBank, years: Sequence[int]) -> Fetched:
    """All indicators of these years. Raises SourceError when a required one has no figure."""
    economies, listed = source.economies()
    originals = [(listed, source.folder / listed.name)]
    values: dict[str, dict[tuple[str, int], float]] = {}
    updates, notes = {}, [*economies.notes]
    for database, codes in DATABASES.items():
        updates[database], prefixes = source.last_updated(database)
        for code in codes:
            values[code], pages, note = source.figures(
                database, updates[database], code, prefixes, years, economies
            )
            originals += pages
            notes += note
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

    return Fetched.from_files(originals, read_tables, notes)


def source(settings: Settings, policy: RetryPolicy | None = None) -> WorldBank:
    """The client that these settings describe."""
    return WorldBank(
        Client(settings.world_bank_url, "World Bank", policy or RetryPolicy()),
        settings.downloads_dir / "world_bank",
        seeds.aliases(settings.seeds_dir, "world_bank"),
        settings.figures_dir / "country_indicators.csv",
    )


def years_to_fetch(settings: Settings) -> tuple[int, ...]:
    """The panel's years, and enough years before them to make a decade; where the sources decide
    about the panel's years, all that those may be."""
    if window.is_open(settings):
        last = datetime.now(UTC).year - 1
        return tuple(range(last - LEAST_YEARS - window.LENGTH + 1, last + 1))
    first = min(settings.first_year, settings.last_year - LEAST_YEARS + 1)
    return tuple(range(first, settings.last_year + 1))


def indicators_provider(settings: Settings, policy: RetryPolicy | None = None) -> Provider:
    """One row per economy and year, one column per indicator under its World Bank code."""

    def fetched() -> Fetched:
        return fetch(source(settings, policy), years_to_fetch(settings))

    return Provider(sources()[SOURCE], fetched, "World Bank API")
