"""UN Comtrade: imports of the mapped HS codes as the importing country reports them.

API: https://comtradedeveloper.un.org, `get` (with a key) and `preview` (without), and `getDa` for
what a reporter has published. How rows are read and reconciled is in `comtrade_rows.py`; what the
codes mean is for dbt to say.

- Asked for is each mapped code of the HS revision that the reporter uses in that year, from every
  partner, with `partner2Code=0, motCode=0, customsCode=C00`: without these rows multiply.
- The publisher cuts an answer at a cap without a word: 500 rows without a key, 100,000 with one.
  An answer as long as the cap is never accepted; the request is halved by codes, then partners.
- Every accepted answer is stored before the next is asked for, under the checksum that the
  publisher gives to that reporter and year. A fetch that was killed, or stopped by the quota, goes
  on there.
- A fetch in which World and its partners do not meet is refused, and the answers of those codes are
  dropped, so that the next refresh asks for them again.
- Answers under an older checksum of a reporter and year are deleted once newer ones are whole: no
  fetch would look for them again, and a snapshot has its own copies. Those of other years and
  reporters stay, so that a backfill is used whenever somebody asks for its years.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from minerals.errors import PermanentSourceError, SourceError, TransientSourceError
from minerals.settings import Settings
from minerals.sources import seeds
from minerals.sources.comtrade_rows import (
    AVAILABILITY,
    AVAILABILITY_SCHEMA,
    ESSENTIAL,
    TABLES,
    WEIGHTS,
    WORLD,
    Published,
    gap_message,
    gaps,
    known_gaps,
    read_pages,
    reconcile,
)
from minerals.sources.downloads import Downloads, remove_folder
from minerals.sources.http import Allowance, Answer, Client, RetryPolicy
from minerals.sources.provider import Provider
from minerals.sources.snapshots import Original, SourceDescription, write_atomically

log = logging.getLogger(__name__)

COMTRADE = SourceDescription(
    provider="UN Comtrade",
    citation="United Nations, UN Comtrade Database, annual imports by commodity (HS) and partner",
    licence="UN Comtrade licence: internal use, no re-dissemination of the data without permission",
    url="https://comtradeplus.un.org",
)
KEY_HEADER = "Ocp-Apim-Subscription-Key"
_SPLIT = ".split"
# Who only asks what there is has a minute for it, and asks again tomorrow.
IMPATIENT = RetryPolicy(attempts=2, connect_timeout=5.0, read_timeout=15.0, longest_retry_after=5.0)
# What a request must hold still; one row a partner and code follows from it.
_FIXED = {"flowCode": "M", "partner2Code": "0", "motCode": "0", "customsCode": "C00"}


@dataclass(frozen=True)
class Plan:
    """What a key buys: where to ask, how many rows an answer holds at most, codes a request."""

    path: Literal["data/v1/get/C/A/HS", "public/v1/preview/C/A/HS"]
    availability_path: Literal["data/v1/getDa/C/A/HS", "public/v1/getDa/C/A/HS"]
    cap: int
    codes_per_request: int


# 100 codes are some 900 characters of an address that may have 2,000.
KEYED = Plan("data/v1/get/C/A/HS", "data/v1/getDa/C/A/HS", 100_000, 100)
# A dozen codes of a large importer have some 300 rows: few answers reach the cap.
KEYLESS = Plan("public/v1/preview/C/A/HS", "public/v1/getDa/C/A/HS", 500, 12)


@dataclass(frozen=True)
class Request:
    """One request for rows: some codes of one reporter and year, from all or from some partners."""

    reporter: str
    year: int
    revision: str
    codes: tuple[str, ...]
    partners: tuple[str, ...] | None = None

    def params(self, cap: int) -> dict[str, str]:
        asked = {
            "reporterCode": self.reporter,
            "period": str(self.year),
            "cmdCode": ",".join(self.codes),
            **_FIXED,
            "includeDesc": "true",
            "maxRecords": str(cap),
        }
        return asked | ({"partnerCode": ",".join(self.partners)} if self.partners else {})

    def name(self, cap: int) -> str:
        """A file name that is the same for the same request, and readable."""
        content = hashlib.sha256(json.dumps(self.params(cap), sort_keys=True).encode())
        return f"{self.codes[0]}-{self.codes[-1]}-{content.hexdigest()[:12]}.json"

    def halves(self, all_partners: Sequence[str]) -> tuple["Request", "Request"]:
        """Two requests that together ask for the same rows: by codes, then by partners."""
        if len(self.codes) > 1:
            middle = len(self.codes) // 2
            parts = self.codes[:middle], self.codes[middle:]
            return tuple(self._with(codes=part) for part in parts)  # type: ignore[return-value]
        partners = self.partners or tuple(all_partners)
        if len(partners) < 2:
            raise PermanentSourceError(
                f"UN Comtrade: the answer for {self} is as long as the cap although it asks for "
                "one code from one partner, of which there can be one row. The service does not "
                "hold to its own parameters; report it to comtrade@un.org."
            )
        middle = len(partners) // 2
        cut = partners[:middle], partners[middle:]
        return tuple(self._with(partners=part) for part in cut)  # type: ignore[return-value]

    def _with(self, **changes: tuple[str, ...]) -> "Request":
        fields = {"codes": self.codes, "partners": self.partners} | changes
        return Request(self.reporter, self.year, self.revision, **fields)  # type: ignore[arg-type]

    def __str__(self) -> str:
        codes = self.codes[0] if len(self.codes) == 1 else f"{self.codes[0]}..{self.codes[-1]}"
        partners = f" from {len(self.partners)} partners" if self.partners else ""
        return f"reporter {self.reporter}, {self.year}, {self.revision} {codes}{partners}"


@dataclass
class Comtrade:
    """The client: what to ask, of whom, and where the answers are kept."""

    client: Client
    plan: Plan
    folder: Path
    partners: Sequence[str]
    codes: Mapping[str, Sequence[str]]

    def availability(self, reporters: Sequence[str], years: Sequence[int]) -> list[Published]:
        """What each reporter has published of these years; one call a reporter.

        Of several classifications of one year the original one counts, else the newest revision.
        """
        found = []
        for reporter in reporters:
            period = ",".join(map(str, years))
            answer = self.client.get(
                self.plan.availability_path,
                {"reportercode": reporter, "period": period},
                check=partial(_check_envelope, what=f"availability of reporter {reporter}"),
            )
            rows = [
                row for row in answer.json()["data"] if str(row.get("reporterCode")) == reporter
            ]
            for year in years:
                of_year = [row for row in rows if str(row.get("period")) == str(year)]
                if of_year:
                    found.append(_published(reporter, year, max(of_year, key=_original_first)))
        return found

    def fetch(self, published: Published) -> list[tuple[Original, Path]]:
        """All answers that hold the mapped codes of one reporter and year, asking for those only
        that are not stored yet. Raises QuotaExhaustedError half-way, having kept what came."""
        wanted = self.mapped(published)
        downloads = self._downloads(published)
        pages = self._stored(downloads, wanted)
        covered = {code for page in pages for code in page.params["cmdCode"].split(",")}
        missing = [code for code in wanted if code not in covered]
        size = self.plan.codes_per_request
        for start in range(0, len(missing), size):
            batch = tuple(missing[start : start + size])
            request = Request(published.reporter, published.year, published.revision, batch)
            pages += self._collect(request, downloads)
        unique = {page.name: page for page in pages}
        return [(page, downloads.path(name)) for name, page in sorted(unique.items())]

    def forget(self, published: Published, codes: Iterable[str]) -> None:
        """Drop the stored answers that hold these codes, so that they are asked for again."""
        downloads, bad = self._downloads(published), set(codes)
        for note in downloads.folder.glob("*.note.json"):
            original = downloads.find(note.name.removesuffix(".note.json"))
            if original and bad & set(original.params["cmdCode"].split(",")):
                note.unlink()
                downloads.path(original.name).unlink()

    def stored_answers(self, published: Published) -> set[str]:
        """The names of the answers that are stored of one reporter and year."""
        return self._downloads(published).names()

    def prune(self, published: Iterable[Published]) -> int:
        """Delete the answers that newer ones of the same reporter and year replaced, and what a
        killed process left half-written; return how many files that were."""
        n_files = 0
        for each in published:
            kept = self._downloads(each)
            older = set(self.folder.glob(f"{each.reporter}-{each.year}-*")) - {kept.folder}
            n_files += sum(remove_folder(folder) for folder in older)
            n_files += kept.remove_leftovers()
        return n_files

    def mapped(self, published: Published) -> tuple[str, ...]:
        """The codes to ask for. Raises SourceError when none of the year's revision is mapped."""
        codes = tuple(self.codes.get(published.revision, ()))
        if not codes:
            raise SourceError(
                f"Reporter {published.reporter} reports {published.year} in HS revision "
                f"{published.revision}, of which hs_mineral_map.csv maps no code (it maps "
                f"{', '.join(self.codes)}). Map that revision, or ask for years after it "
                "(MINERALS_FIRST_YEAR)."
            )
        return codes

    def _downloads(self, published: Published) -> Downloads:
        name = f"{published.reporter}-{published.year}-{published.revision}-{published.checksum}"
        return Downloads(self.folder / name)

    def _stored(self, downloads: Downloads, wanted: Sequence[str]) -> list[Original]:
        """Whole stored answers for all partners of at least one wanted code."""
        notes = sorted(downloads.folder.glob("*.note.json"))
        found = [downloads.find(note.name.removesuffix(".note.json")) for note in notes]
        return [
            page
            for page in found
            if page
            and "partnerCode" not in page.params
            and set(wanted) & set(page.params["cmdCode"].split(","))
        ]

    def _collect(self, request: Request, downloads: Downloads) -> list[Original]:
        """The answers to a request, or to its halves where it reached the cap."""
        name = request.name(self.plan.cap)
        if stored := downloads.find(name):
            return [stored]
        split = downloads.path(name + _SPLIT)
        if not split.exists():
            answer = self.client.get(
                self.plan.path,
                request.params(self.plan.cap),
                check=partial(_check_page, request=request),
            )
            n_rows = len(answer.json()["data"])
            if n_rows < self.plan.cap:
                log.info("UN Comtrade: %s: %d rows", request, n_rows)
                return [downloads.keep(name, answer)]
            log.info("UN Comtrade: %s: reaches the cap of %d rows, split", request, self.plan.cap)
            downloads.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(split, f"{n_rows} rows reach the cap of {self.plan.cap}\n")
        first, second = request.halves(self.partners)
        return self._collect(first, downloads) + self._collect(second, downloads)


def _published(reporter: str, year: int, row: Mapping[str, Any]) -> Published:
    missing = [c for c in ("classificationCode", "datasetChecksum") if row.get(c) is None]
    if missing:
        raise PermanentSourceError(
            f"UN Comtrade: the availability of reporter {reporter} in {year} has no "
            f"{', '.join(missing)}; it has {', '.join(row)}. The service's layout changed: adapt "
            "minerals/sources/comtrade.py."
        )
    return Published(
        reporter,
        year,
        str(row["classificationCode"]),
        str(row["datasetChecksum"]),
        int(row.get("totalRecords") or 0),
        row.get("firstReleased"),
        row.get("lastReleased"),
    )


def _original_first(row: Mapping[str, Any]) -> tuple[bool, str]:
    return bool(row.get("isOriginalClassification")), str(row.get("classificationCode"))


def _check_envelope(answer: Answer, what: str) -> list[dict[str, Any]]:
    """The rows of an answer. Raises PermanentSourceError when it has no rows to speak of,
    TransientSourceError when it has not as many as it says."""
    content = answer.json()
    if not isinstance(content, dict) or not isinstance(content.get("data"), list):
        has = ", ".join(content) if isinstance(content, dict) else type(content).__name__
        raise PermanentSourceError(
            f"UN Comtrade: the answer for {what} has no list `data`; it has: {has}. Either another "
            "service answers at MINERALS_COMTRADE_URL, or its layout changed."
        )
    if content.get("error"):
        raise PermanentSourceError(f"UN Comtrade refused {what}: {content['error']}")
    rows: list[dict[str, Any]] = content["data"]
    count = content.get("count")
    if isinstance(count, int) and count >= 0 and count != len(rows):
        raise TransientSourceError(
            f"UN Comtrade: the answer for {what} says {count} rows and holds {len(rows)}."
        )
    return rows


def _check_page(answer: Answer, request: Request) -> None:
    """Refuse a page before it is stored: columns that are missing, rows that were not asked for."""
    rows = _check_envelope(answer, str(request))
    for row in rows:
        missing = [column for column in ESSENTIAL if column not in row]
        if not any(weight in row for weight in WEIGHTS):
            missing.append(" or ".join(WEIGHTS))
        if missing:
            raise PermanentSourceError(
                f"UN Comtrade: rows for {request} have no column {', '.join(missing)}; they have: "
                f"{', '.join(row)}. The service's layout changed: adapt "
                "minerals/sources/comtrade.py. Nothing of this answer is used."
            )
        if row["classificationCode"] != request.revision:
            raise PermanentSourceError(
                f"UN Comtrade: {request}: the rows are of HS revision {row['classificationCode']}, "
                "which is not what the service says of that year. Nothing of this answer is used; "
                "report it to comtrade@un.org, or leave the year out."
            )
        if strange := _not_asked_for(row, request):
            raise TransientSourceError(
                f"UN Comtrade: the answer for {request} holds rows of another request ({strange}): "
                "an answer of the service's cache."
            )


def _not_asked_for(row: Mapping[str, Any], request: Request) -> str | None:
    asked = {
        "reporterCode": (request.reporter,),
        "period": (str(request.year),),
        "cmdCode": request.codes,
        **{column: (value,) for column, value in _FIXED.items() if column in row},
    }
    if request.partners:
        asked["partnerCode"] = request.partners
    for column, values in asked.items():
        if str(row[column]) not in values:
            return f"{column}={row[column]}"
    return None


@dataclass
class Fetched:
    """One whole fetch: the rows, what was published, and the answers they came in."""

    rows: pa.Table
    published: list[Published]
    not_published: list[tuple[str, int]]
    pages: list[tuple[Original, Path]]
    reconciliation: pa.Table = field(repr=False)

    @property
    def sha256(self) -> str:
        """Of the rows, not of the answers: those say how long they took."""
        digest = hashlib.sha256()
        for batch in self.rows.to_batches(max_chunksize=1000):
            digest.update(json.dumps(batch.to_pylist(), sort_keys=True).encode())
        return digest.hexdigest()


def fetch(source: Comtrade, reporters: Sequence[str], years: Sequence[int]) -> Fetched:
    """Everything of these reporters and years that is published, reconciled with World.

    Raises SourceError when nothing is published, or World and partners do not meet: then the stored
    answers of those codes are dropped, so that the next refresh asks for them again.
    """
    published = _available(source, reporters, years)
    held = {(p.reporter, p.year) for p in published}
    missing = [(r, y) for r in reporters for y in years if (r, y) not in held]
    return _fetch_published(source, published, missing)


def _fetch_published(
    source: Comtrade, published: list[Published], missing: Sequence[tuple[str, int]] = ()
) -> Fetched:
    pages = [page for each in published for page in source.fetch(each)]
    wanted = {(p.reporter, p.year): frozenset(source.codes[p.revision]) for p in published}
    rows = read_pages([path for _, path in pages], wanted)
    empty = [p for p in published if not _has_rows(rows, p) and p.total_records > 0]
    if empty:
        which = ", ".join(f"{p.reporter} in {p.year}" for p in empty)
        for each in empty:
            source.forget(each, source.codes[each.revision])
        raise SourceError(
            f"UN Comtrade says it has data of reporter {which}, and gave no row of any mapped "
            "code. Nothing is used; the next refresh asks again."
        )
    reconciliation = reconcile(rows, known_gaps())
    if wrong := gaps(reconciliation):
        for each in published:
            bad = {w["cmdCode"] for w in wrong if _is_of(w, each)}
            source.forget(each, bad)
        raise SourceError(gap_message(wrong))
    if n_files := source.prune(published):
        log.info("UN Comtrade: %d files of answers deleted that newer ones replaced", n_files)
    return Fetched(rows, published, list(missing), pages, reconciliation)


def _available(source: Comtrade, reporters: Sequence[str], years: Sequence[int]) -> list[Published]:
    published = source.availability(reporters, years)
    if not published:
        raise SourceError(
            f"UN Comtrade has published none of {years[0]}-{years[-1]} for reporter "
            f"{', '.join(reporters)}. Set MINERALS_FIRST_YEAR and MINERALS_LAST_YEAR to years that "
            "are there, or try another importer."
        )
    return published


def _has_rows(rows: pa.Table, published: Published) -> bool:
    same_year = pc.equal(rows["period"], published.year)
    same_reporter = pc.equal(rows["reporterCode"], published.reporter)
    return bool(pc.any(pc.and_(same_year, same_reporter)).as_py())


def _is_of(line: Mapping[str, Any], published: Published) -> bool:
    return (line["reporterCode"], line["period"]) == (published.reporter, published.year)


def write_tables(fetched: Fetched, folder: Path) -> Mapping[str, Path]:
    """The rows by partner, the World rows apart, what was published, and the reconciliation."""
    is_world = pc.equal(fetched.rows["partnerCode"], WORLD)
    availability = [
        {
            "reporterCode": p.reporter, "period": p.year, "is_published": True,
            "classificationCode": p.revision, "datasetChecksum": p.checksum,
            "totalRecords": p.total_records, "firstReleased": p.first_released,
            "lastReleased": p.last_released,
        }
        for p in fetched.published
    ]  # fmt: skip
    availability += [
        {"reporterCode": reporter, "period": year, "is_published": False}
        for reporter, year in fetched.not_published
    ]
    tables = {
        "bilateral_trade": fetched.rows.filter(pc.invert(is_world)),
        "bilateral_trade__world": fetched.rows.filter(is_world),
        AVAILABILITY: pa.Table.from_pylist(availability, schema=AVAILABILITY_SCHEMA),
        "bilateral_trade__reconciliation": fetched.reconciliation,
    }
    written = {}
    for name, table in tables.items():
        written[name] = folder / f"{name}.parquet"
        pq.write_table(table, written[name], compression="zstd")
    return written


def changed(held: Path, published: Iterable[Published]) -> Iterator[Published]:
    """What is published that the snapshot (`held`: its availability table) has not, or not so."""
    columns = ("reporterCode", "period", "datasetChecksum")
    table = pq.read_table(held, columns=list(columns)).to_pylist()
    known = {tuple(row[c] for c in columns) for row in table}
    return (p for p in published if (p.reporter, p.year, p.checksum) not in known)


def news(settings: Settings, held: Path, policy: RetryPolicy = IMPATIENT) -> list[Published]:
    """What the settings ask for and is published, that a snapshot (`held`: its availability table)
    has not: one call an importer, and no rows. Raises SourceError."""
    reporters = [seeds.reporter_code(settings.seeds_dir, i) for i in settings.importers]
    return list(changed(held, source(settings, policy).availability(reporters, settings.years)))


@dataclass(frozen=True)
class Backfilled:
    """One year of a backfill: the answers that hold it, and how many of them came just now."""

    year: int
    revision: str | None
    n_answers: int = 0
    n_new: int = 0
    n_rows: int = 0

    def __str__(self) -> str:
        if self.revision is None:
            return f"{self.year}: not published"
        return (
            f"{self.year}, {self.revision}: {self.n_rows:,} rows in {self.n_answers} answers, "
            f"{self.n_new} of them fetched now"
        )


def backfill(
    settings: Settings, importer: str, years: Sequence[int], policy: RetryPolicy | None = None
) -> Iterator[Backfilled]:
    """Fetch years of one importer into the stored answers, year by year; a refresh that asks for
    these years then finds them there. What is stored already is not asked for again.

    Raises QuotaExhaustedError half-way, having kept what came, and SourceError as `fetch` does,
    or before the first year when the codes of one are not mapped.
    """
    client = source(settings, policy)
    reporter = seeds.reporter_code(settings.seeds_dir, importer)
    published = {p.year: p for p in _available(client, [reporter], years)}
    for each in published.values():
        client.mapped(each)
    for year in years:
        if year not in published:
            yield Backfilled(year, None)
            continue
        before = client.stored_answers(published[year])
        fetched = _fetch_published(client, [published[year]])
        names = {page.name for page, _ in fetched.pages}
        yield Backfilled(
            year, published[year].revision, len(names), len(names - before), fetched.rows.num_rows
        )


def source(settings: Settings, policy: RetryPolicy | None = None) -> Comtrade:
    """The client these settings describe: with a key if there is one."""
    key = settings.comtrade_api_key
    return Comtrade(
        client=Client(
            base_url=settings.comtrade_url,
            name="UN Comtrade",
            policy=policy or RetryPolicy(),
            secrets={KEY_HEADER: key} if key else {},
            allowance=Allowance(
                settings.state_dir / "comtrade.json",
                settings.comtrade_calls_per_day,
                settings.comtrade_seconds_between_calls,
            ),
        ),
        plan=KEYED if key else KEYLESS,
        folder=settings.downloads_dir / "comtrade",
        partners=seeds.partner_codes(settings.seeds_dir),
        codes=seeds.hs_codes(settings.seeds_dir),
    )


def trade_provider(settings: Settings, policy: RetryPolicy | None = None) -> Provider:
    """Imports of the settings' importers over their years; `fingerprint()` fetches what is new."""
    state: dict[str, Fetched] = {}

    def fingerprint() -> str:
        reporters = [seeds.reporter_code(settings.seeds_dir, i) for i in settings.importers]
        state["fetched"] = fetch(source(settings, policy), reporters, settings.years)
        return state["fetched"].sha256

    return Provider(
        dataset="bilateral_trade",
        layout="comtrade-1",
        source=COMTRADE,
        tables=TABLES,
        fingerprint=fingerprint,
        write_tables=lambda folder: write_tables(state["fetched"], folder),
        origin="UN Comtrade",
        originals=lambda: _named(state["fetched"].pages),
    )


def _named(pages: Iterable[tuple[Original, Path]]) -> Iterator[tuple[Original, Path]]:
    """The answers under names that say reporter and year too."""
    for original, path in pages:
        name = f"{original.params['reporterCode']}-{original.params['period']}-{original.name}"
        yield Original(**{**vars(original), "name": name}), path
