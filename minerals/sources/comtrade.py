"""UN Comtrade: imports of the mapped HS codes as the importing country reports them.

API: https://comtradedeveloper.un.org, `get` (with a key) and `preview` (without), and `getDa` for
what a reporter has published. How rows are read and reconciled is in `comtrade_rows.py`.

- Each mapped code of the HS revision that the reporter uses in that year is requested, from every
  partner, with `partner2Code=0, motCode=0, customsCode=C00`: without these rows multiply.
- The publisher cuts an answer at a cap without saying so: 500 rows without a key, 100,000 with one.
  An answer as long as the cap is never accepted; the request is halved by codes, then partners.
- An answer that says it has more rows than it holds was cut, and is halved as well.
- A code without a row is not taken for a code without trade: the World row of such codes is asked
  for beside codes that have trade. Where there is one, the code is asked for again; where there is
  none, the code counts as empty, and for good once a later day has said the same.
- A year in a revision that the seed does not map is left out and noted.
- A reporter whose answers do not hold together (a code without its rows, partners that do not add
  up to World) is left out and noted where the snapshot in use has rows of it, or all importers are
  asked for; unless most reporters are like that: then the service is, and nothing is used.
- Every accepted answer is stored before the next request (`downloads.py`), under the checksum that
  the publisher gives to that reporter and year. Answers under an older checksum are deleted once
  newer ones are whole. Those of other years and reporters stay, so that a backfill is used whenever
  somebody asks for its years.
"""

import hashlib
import json
import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import SecretStr

from minerals.errors import (
    PermanentSourceError,
    SnapshotDamagedError,
    SourceError,
    TransientSourceError,
    UnsoundAnswersError,
    some,
)
from minerals.files import write_atomically
from minerals.names import EVERY_IMPORTER
from minerals.settings import Settings
from minerals.sources import comtrade_rows, seeds, window, world_mining_data
from minerals.sources.comtrade_rows import Published
from minerals.sources.downloads import Downloads, remove_superseded
from minerals.sources.http import Allowance, Answer, Client, RetryPolicy
from minerals.sources.provider import Fetched, Provider
from minerals.sources.snapshots import Original, SnapshotStore
from minerals.sources.tables import sources

log = logging.getLogger(__name__)

KEY_HEADER = "Ocp-Apim-Subscription-Key"
_SPLIT = ".split"
_EMPTY = "empty.since"
TOTALS_PER_REQUEST = 90  # a total is one row, so that no cap is reached
CONTROLS = 10  # codes with trade whose totals are asked for beside those of codes without
# Words of errors that come with status 200 and may pass.
_PASSING = re.compile(
    r"time.?out|timed out|try again|too many|unavailable|busy|internal|temporar|went wrong", re.I
)
MOST_PERIODS = 12  # the service's limit per call
ONE_BY_ONE = 10  # reporters whose availability is asked for by themselves
MOST_NAMED = 10  # years of reporters in a note
# A sensor that only asks what is published has a minute for it, and asks again tomorrow.
IMPATIENT = RetryPolicy(attempts=2, connect_timeout=5.0, read_timeout=15.0, longest_retry_after=5.0)
# What every request fixes, so that there is one row per partner and code.
_FIXED = {"flowCode": "M", "partner2Code": "0", "motCode": "0", "customsCode": "C00"}


@dataclass(frozen=True)
class Plan:
    """What a key buys: where to ask, how many rows an answer holds at most, codes per request."""

    path: str
    availability_path: str
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
    partners: tuple[str, ...] = ()

    def params(self, cap: int) -> dict[str, str]:
        params = {
            "reporterCode": self.reporter,
            "period": str(self.year),
            "cmdCode": ",".join(self.codes),
            **_FIXED,
            "includeDesc": "true",
            "maxRecords": str(cap),
        }
        return params | ({"partnerCode": ",".join(self.partners)} if self.partners else {})

    def name(self, cap: int) -> str:
        """A file name that is the same for the same request, and readable."""
        content = hashlib.sha256(json.dumps(self.params(cap), sort_keys=True).encode())
        return f"{self.codes[0]}-{self.codes[-1]}-{content.hexdigest()[:12]}.json"

    def halves(self, all_partners: Sequence[str]) -> tuple["Request", "Request"]:
        """Two requests that together ask for the same rows: by codes, then by partners."""
        if half := len(self.codes) // 2:
            return replace(self, codes=self.codes[:half]), replace(self, codes=self.codes[half:])
        partners = self.partners or tuple(all_partners)
        if not (half := len(partners) // 2):
            raise PermanentSourceError(
                f"UN Comtrade: the answer for {self} is as long as the cap, although it can hold "
                "one row at most: one code from one partner. The service does not follow its own "
                "parameters; report it to comtrade@un.org."
            )
        return replace(self, partners=partners[:half]), replace(self, partners=partners[half:])

    def __str__(self) -> str:
        codes = self.codes[0] if len(self.codes) == 1 else f"{self.codes[0]}..{self.codes[-1]}"
        partners = f" from {len(self.partners)} partners" if self.partners else ""
        return f"reporter {self.reporter}, {self.year}, {self.revision} {codes}{partners}"


@dataclass
class Comtrade:
    """The client: what to request, of which service, and where the answers are kept."""

    client: Client
    plan: Plan
    folder: Path
    partners: Sequence[str]
    codes: Mapping[str, Sequence[str]]

    def availability(self, reporters: Sequence[str], years: Sequence[int]) -> list[Published]:
        """What each reporter has published of these years: one call per reporter and twelve years,
        or, of more than ten reporters, one for all of them.

        Of several classifications of one year the original one counts, else the newest revision.
        """
        rows: list[dict[str, Any]] = []
        asked: list[str | None] = [None]
        if len(reporters) <= ONE_BY_ONE:
            asked = [*reporters]
        for reporter in asked:
            of_whom = {"reportercode": reporter} if reporter else {}
            what = f"availability of reporter {reporter or 'codes, all'}"
            for start in range(0, len(years), MOST_PERIODS):
                periods = ",".join(map(str, years[start : start + MOST_PERIODS]))
                answer = self.client.get(
                    self.plan.availability_path,
                    of_whom | {"period": periods},
                    check=partial(_check_envelope, what=what),
                )
                rows += answer.json()["data"]
        rows.sort(key=lambda row: str(row.get("classificationCode")))
        rows.sort(key=lambda row: bool(row.get("isOriginalClassification")))
        best = {(str(row.get("reporterCode")), str(row.get("period"))): row for row in rows}
        return [
            _published(reporter, year, best[reporter, str(year)])
            for reporter in reporters
            for year in years
            if (reporter, str(year)) in best
        ]

    def answers(self, published: Published) -> list[tuple[Original, Path]]:
        """All answers that hold the mapped codes of one reporter and year, fetching only those
        that are not stored yet.

        Raises QuotaExhaustedError half-way, keeping what came, and UnsoundAnswersError when codes
        have a total and no partner.
        """
        wanted, downloads = self.mapped(published), self.downloads(published)
        pages = self._pages_of(published, wanted, downloads)
        if lost := self._lost(published, wanted, pages, downloads):
            log.warning("UN Comtrade: %s: no row came of %s; asked again", published, lost)
            for page in pages.values():
                if _codes_of(page) <= set(lost):
                    downloads.remove(page.name)
            pages = self._pages_of(published, wanted, downloads, again=lost)
            if lost := self._lost(published, wanted, pages, downloads):
                self.forget(published, lost)
                raise UnsoundAnswersError(
                    f"UN Comtrade: reporter {published.reporter} has imports of {', '.join(lost)} "
                    f"in {published.year} by its totals, and no row of them came, twice. The next "
                    "refresh asks again."
                )
        return [(page, downloads.path(name)) for name, page in sorted(pages.items())]

    def _pages_of(
        self,
        published: Published,
        wanted: Sequence[str],
        downloads: Downloads,
        again: Collection[str] = (),
    ) -> dict[str, Original]:
        """The stored answers that hold the codes, by name, after fetching those that are missing,
        and once more those to ask for `again`."""
        whole = [page for page in downloads.all() if "partnerCode" not in page.params]
        pages = [page for page in whole if set(wanted) & _codes_of(page)]
        covered = {code for page in pages for code in _codes_of(page)} - set(again)
        missing = [code for code in wanted if code not in covered]
        for codes in _chunks(missing, self.plan.codes_per_request):
            request = Request(published.reporter, published.year, published.revision, codes)
            pages += self._collect(request, downloads)
        return {page.name: page for page in pages}

    def _lost(
        self,
        published: Published,
        wanted: Sequence[str],
        pages: Mapping[str, Original],
        downloads: Downloads,
    ) -> list[str]:
        """The codes that have a World row although no answer has a row of them. Codes without one
        are confirmed to be empty, beside codes that are known to have trade.

        Raises UnsoundAnswersError when the World rows of these do not come either.
        """
        with_rows = {code for page in pages.values() for code in _codes_with_rows(downloads, page)}
        known = [code for code in wanted if code in with_rows][:CONTROLS]
        if not known:
            return []  # judged with the whole year
        answered = _days(pages.values())
        totals = [p for p in downloads.all() if p.params.get("partnerCode") == comtrade_rows.WORLD]
        confirmed, today = _days(totals), f"{datetime.now(UTC):%F}"
        # A day later than the empty answer, the confirmation is for good.
        to_confirm = [
            code
            for code in wanted
            if code not in with_rows
            and confirmed.get(code, "") != today
            and confirmed.get(code, "") <= answered[code]
        ]
        found: list[str] = []
        for codes in _chunks(to_confirm, TOTALS_PER_REQUEST):
            beside = tuple(sorted({*codes, *known}))
            place = (published.reporter, published.year, published.revision)
            request = Request(*place, beside, (comtrade_rows.WORLD,))
            answer = self.client.get(
                self.plan.path,
                request.params(self.plan.cap),
                check=partial(_check_page, request=request),
            )
            came = {str(row["cmdCode"]) for row in answer.json()["data"]}
            if not came & set(known):
                raise UnsoundAnswersError(
                    f"UN Comtrade: no total came for {request}, which holds codes with imports: "
                    "the service gives empty answers. The next refresh asks again."
                )
            found += sorted(came & set(codes))
            if not came & set(codes):
                downloads.keep(f"totals-{request.name(self.plan.cap)}", answer)
        return found

    def forget(self, published: Published, codes: Iterable[str]) -> None:
        """Delete the stored answers that hold these codes, so that they are requested again."""
        downloads, bad = self.downloads(published), set(codes)
        for page in downloads.all():
            if bad & _codes_of(page):
                downloads.remove(page.name)

    def is_empty_for_good(self, published: Published) -> bool:
        """Whether no row of a year was answered on two days; else its answers are deleted, so that
        the year is requested again."""
        downloads = self.downloads(published)
        since = downloads.path(_EMPTY)
        if not since.exists():
            write_atomically(since, f"{datetime.now(UTC):%F}\n")
        answered = _days(downloads.all())
        if answered and min(answered.values()) > since.read_text().strip():
            return True
        self.forget(published, self.codes[published.revision])
        return False

    def prune(self, published: Published) -> int:
        """Delete the answers that newer ones of this reporter and year replaced, and what a killed
        process left half-written; return how many files that were."""
        pattern = f"{published.reporter}-{published.year}-*"
        return remove_superseded(self.folder, pattern, self.downloads(published))

    def mapped(self, published: Published) -> tuple[str, ...]:
        """The codes to request. Raises SourceError when none of the year's revision is mapped."""
        codes = tuple(self.codes.get(published.revision, ()))
        if not codes:
            raise SourceError(
                f"Reporter {published.reporter} reports {published.year} in HS revision "
                f"{published.revision}, of which hs_mineral_map.csv maps no code (it maps "
                f"{', '.join(self.codes)}). Map that revision, or ask for years after it "
                "(MINERALS_FIRST_YEAR)."
            )
        return codes

    def downloads(self, published: Published) -> Downloads:
        """The stored answers of one reporter and year."""
        name = f"{published.reporter}-{published.year}-{published.revision}-{published.checksum}"
        return Downloads(self.folder / name)

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
            content = answer.json()
            n_rows, count = len(content["data"]), content.get("count")
            says_more = isinstance(count, int) and count > n_rows
            if n_rows < self.plan.cap and not says_more:
                log.info("UN Comtrade: %s: %d rows", request, n_rows)
                return [downloads.keep(name, answer)]
            why = f"{n_rows} rows of {count}" if says_more else f"the cap of {self.plan.cap} rows"
            log.info("UN Comtrade: %s: split, %s came", request, why)
            downloads.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(split, f"{why} came\n")
        first, second = request.halves(self.partners)
        return self._collect(first, downloads) + self._collect(second, downloads)


def _chunks(codes: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(codes), size):
        yield tuple(codes[start : start + size])


def _days(pages: Iterable[Original]) -> dict[str, str]:
    """The last day on which each code was answered."""
    days: dict[str, str] = {}
    for page in pages:
        for code in _codes_of(page):
            days[code] = max(days.get(code, ""), page.retrieved_at[:10])
    return days


def _codes_with_rows(downloads: Downloads, page: Original) -> set[str]:
    return {str(row["cmdCode"]) for row in json.loads(downloads.read(page))["data"]}


def _codes_of(page: Original) -> set[str]:
    return set(page.params["cmdCode"].split(","))


def _published(reporter: str, year: int, row: Mapping[str, Any]) -> Published:
    missing = [c for c in ("classificationCode", "datasetChecksum") if row.get(c) is None]
    if missing:
        raise PermanentSourceError(
            f"UN Comtrade: the availability of reporter {reporter} in {year} has no "
            f"{', '.join(missing)}; it has {', '.join(row)}. The service's layout changed: adapt "
            "minerals/sources/comtrade.py."
        )
    revision, checksum = str(row["classificationCode"]), str(row["datasetChecksum"])
    return Published(reporter, year, revision, checksum, int(row.get("totalRecords") or 0))


def _check_envelope(answer: Answer, what: str) -> list[dict[str, Any]]:
    """The rows of an answer. Raises PermanentSourceError when it has no list of rows or an error
    that stays, TransientSourceError when the error may pass or it has more rows than it says."""
    content = answer.json()
    if not isinstance(content, dict) or not isinstance(content.get("data"), list):
        has = ", ".join(content) if isinstance(content, dict) else type(content).__name__
        raise PermanentSourceError(
            f"UN Comtrade: the answer for {what} has no list `data`; it has: {has}. Either another "
            "service answers at MINERALS_COMTRADE_URL, or its layout changed."
        )
    if content.get("error"):
        refused = f"UN Comtrade: {content['error']} This is its answer for {what}."
        if _PASSING.search(str(content["error"])):
            raise TransientSourceError(refused)
        raise PermanentSourceError(refused)
    rows: list[dict[str, Any]] = content["data"]
    count = content.get("count")
    if isinstance(count, int) and 0 <= count < len(rows):
        raise TransientSourceError(
            f"UN Comtrade: the answer for {what} says {count} rows and holds {len(rows)}."
        )
    return rows


def _check_page(answer: Answer, request: Request) -> None:
    """Refuse a page before it is stored: missing columns, or rows of another request."""
    allowed: dict[str, Sequence[str]] = {
        "reporterCode": (request.reporter,),
        "period": (str(request.year),),
        "cmdCode": request.codes,
        **{column: (value,) for column, value in _FIXED.items()},
    }
    if request.partners:
        allowed["partnerCode"] = request.partners
    for row in _check_envelope(answer, str(request)):
        missing = [column for column in comtrade_rows.ESSENTIAL if column not in row]
        if not any(weight in row for weight in comtrade_rows.WEIGHTS):
            missing.append(" or ".join(comtrade_rows.WEIGHTS))
        if missing:
            raise PermanentSourceError(
                f"UN Comtrade: rows for {request} have no column {', '.join(missing)}; they have: "
                f"{', '.join(row)}. The service's layout changed: adapt "
                "minerals/sources/comtrade.py. Nothing of this answer is used."
            )
        if row["classificationCode"] != request.revision:
            raise UnsoundAnswersError(
                f"UN Comtrade: {request}: the rows are of HS revision {row['classificationCode']}, "
                "which is not what the service says of that year. Nothing of this answer is used; "
                "report it to comtrade@un.org, or leave the year out."
            )
        for column, values in allowed.items():
            if column in row and str(row[column]) not in values:
                raise TransientSourceError(
                    f"UN Comtrade: the answer for {request} holds rows of another request "
                    f"({column}={row[column]}): probably an answer of the service's cache."
                )


@dataclass
class FetchedTrade:
    """One whole fetch: the rows (World included), what was published, and the answers."""

    rows: pa.Table
    published: list[Published]
    answers: list[tuple[Original, Path]]
    notes: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """Of the rows, not of the answers, which also say how long they took."""
        digest = hashlib.sha256()
        for batch in self.rows.to_batches(max_chunksize=1000):
            digest.update(json.dumps(batch.to_pylist(), sort_keys=True).encode())
        return digest.hexdigest()


def fetch(
    source: Comtrade,
    reporters: Sequence[str],
    years: Sequence[int],
    window_of: Callable[[Mapping[str, Collection[int]]], Collection[int]] | None = None,
    held: Mapping[str, Collection[int]] | None = None,
) -> FetchedTrade:
    """Everything of these reporters and years that is published, reconciled with World; with
    `window_of`, of the years that it chooses from those that each reporter has published.

    A reporter whose answers do not hold together, such as World and partners that differ, is left
    out with a note if the snapshot in use has one of these years of it (`held`: the years of each;
    None for whoever reports). Raises UnsoundAnswersError for any other, or when most are like that.
    The stored answers are deleted, so that the next refresh asks for them again. Raises SourceError
    when nothing is published.
    """
    published = _available(source, reporters, years)
    if window_of:
        years = sorted(window_of(_years_of(p for p in published if p.revision in source.codes)))
        published = [p for p in published if p.year in years]
    notes = []
    came = _years_of(published)
    missing = {f"{r} in {y}" for r in came for y in years if y not in came[r]}
    for names in (missing, set(reporters) - set(came) if held is not None else ()):
        if names:
            words = some(sorted(names), MOST_NAMED)
            notes.append(f"UN Comtrade: nothing is published of reporter {words}.")
            log.warning("%s", notes[-1])
    dispensable = came if held is None else {r for r in held if set(held[r]) & set(years)}
    trade = _fetch_published(source, published, dispensable)
    return replace(trade, notes=(*notes, *left_out(source, published), *trade.notes))


def left_out(source: Comtrade, published: Iterable[Published]) -> list[str]:
    """A sentence about the years that are in a revision of which no code is mapped, if any."""
    unmapped = [p for p in published if not source.codes.get(p.revision)]
    if not unmapped:
        return []
    named = some([f"{p.reporter} in {p.year} ({p.revision})" for p in unmapped], MOST_NAMED)
    return [
        f"UN Comtrade: {len(unmapped)} year{'' if len(unmapped) == 1 else 's'} of reporters left "
        f"out, because hs_mineral_map.csv maps no code of the HS revision: {named}."
    ]


def _fetch_published(
    source: Comtrade, every: Sequence[Published], dispensable: Collection[str] = ()
) -> FetchedTrade:
    mapped = [p for p in every if source.codes.get(p.revision)]
    if not mapped:
        source.mapped(every[0])  # says what to do
    tables: dict[str, pa.Table] = {}
    answers: list[tuple[Original, Path]] = []
    unsound: dict[str, UnsoundAnswersError] = {}
    for reporter, its_years in groupby(mapped, attrgetter("reporter")):
        try:
            tables[reporter], came = _of_reporter(source, list(its_years))
            answers += came
        except UnsoundAnswersError as error:
            unsound[reporter] = error
            if reporter not in dispensable or 2 * len(unsound) > len({p.reporter for p in mapped}):
                raise
            log.warning("Reporter %s is left out. %s", reporter, error)
    rows = pa.concat_tables(tables[reporter] for reporter in sorted(tables, key=int))
    rows = rows.sort_by("period")  # a stable sort
    published = [p for p in every if p.reporter not in unsound]
    return FetchedTrade(rows, published, answers, _left_out_unsound(unsound))


def _left_out_unsound(unsound: Mapping[str, UnsoundAnswersError]) -> tuple[str, ...]:
    if not unsound:
        return ()
    named, first = some(list(unsound), MOST_NAMED), next(iter(unsound.values()))
    if len(unsound) == 1:
        return (f"UN Comtrade: reporter {named} is left out of what was fetched. {first}",)
    return (
        f"UN Comtrade: {len(unsound)} reporters are left out of what was fetched: {named}. The "
        f"first because: {first}",
    )


def _of_reporter(
    source: Comtrade, published: Sequence[Published]
) -> tuple[pa.Table, list[tuple[Original, Path]]]:
    """The rows of one reporter's years, and the answers that hold them.

    Raises UnsoundAnswersError when they do not hold together.
    """
    answers = [answer for each in published for answer in source.answers(each)]
    wanted = {(p.reporter, p.year): frozenset(source.codes[p.revision]) for p in published}
    try:
        rows = comtrade_rows.read_pages([path for _, path in answers], wanted)
        comtrade_rows.check(rows)
    except SourceError as error:
        for each in published:
            source.forget(each, wanted[each.reporter, each.year])
        raise UnsoundAnswersError(f"{error} The next refresh asks again.") from error
    with_rows = set(rows["period"].to_pylist())
    without = [p for p in published if p.total_records and p.year not in with_rows]
    if empty := [p for p in without if not source.is_empty_for_good(p)]:
        which = ", ".join(str(p.year) for p in empty)
        raise UnsoundAnswersError(
            f"UN Comtrade says it has data of reporter {empty[0].reporter} in {which}, and gave no "
            "row of any mapped code. The next refresh asks again, and believes it on a later day."
        )
    if wrong := comtrade_rows.gaps(rows, comtrade_rows.known_gaps()):
        for each in published:
            source.forget(each, {w["cmdCode"] for w in wrong if w["period"] == each.year})
        raise UnsoundAnswersError(comtrade_rows.gap_message(wrong))
    if n_files := sum(map(source.prune, published)):
        log.info("UN Comtrade: deleted %d files of answers that newer ones replaced", n_files)
    return rows, answers


def _available(source: Comtrade, reporters: Sequence[str], years: Sequence[int]) -> list[Published]:
    published = source.availability(reporters, years)
    if not published:
        raise SourceError(
            f"UN Comtrade has published none of {years[0]}-{years[-1]} for reporter "
            f"{', '.join(reporters)}. Set MINERALS_FIRST_YEAR and MINERALS_LAST_YEAR to years that "
            "are published, or try another importer."
        )
    return published


def _years_of(published: Iterable[Published]) -> dict[str, set[int]]:
    years: dict[str, set[int]] = {}
    for each in published:
        years.setdefault(each.reporter, set()).add(each.year)
    return years


def candidate_years(production: Collection[int] | None) -> tuple[int, ...]:
    """The years to ask about where the sources decide about the window: the latest dozen that the
    production has or, when it is not known, that have ended."""
    ended = range(datetime.now(UTC).year - MOST_PERIODS, datetime.now(UTC).year)
    return tuple(sorted(production or ended)[-MOST_PERIODS:])


def newly_published(
    settings: Settings, held: Path, policy: RetryPolicy = IMPATIENT
) -> list[Published]:
    """The years of the panel that are published and that a snapshot (`held`: its availability
    table) holds not at all or with another checksum: one call per importer, and no rows. Where the
    sources decide about the panel, its years are those that a fetch would bring now.

    Raises SourceError.
    """
    reporters = reporters_of(settings)
    client = source(settings, policy)
    if window.is_open(settings):
        production = window.production_years(SnapshotStore(settings.raw_dir))
        published = client.availability(reporters, candidate_years(production))
        mapped = (p for p in published if p.revision in client.codes)
        years = window.latest(_years_of(mapped), production)
        published = [p for p in published if p.year in years]
    else:
        published = client.availability(reporters, settings.years)
    columns = ("reporterCode", "period", "datasetChecksum")
    known = {tuple(row[c] for c in columns) for row in pq.read_table(held).to_pylist()}
    return [p for p in published if (p.reporter, p.year, p.checksum) not in known]


def reporters_of(settings: Settings) -> list[str]:
    """The numbers under which the importers of the settings report; of `all`, every country's."""
    if settings.importers == (EVERY_IMPORTER,):
        return seeds.reporter_codes(settings.seeds_dir)
    return [seeds.reporter_code(settings.seeds_dir, iso3) for iso3 in settings.importers]


def is_fetching(settings: Settings) -> bool:
    """Whether answers are stored, of a fetch that has perhaps not come to its end."""
    return any((settings.downloads_dir / "comtrade").glob("*/*"))


def backfill(
    settings: Settings, importer: str, years: Sequence[int], policy: RetryPolicy | None = None
) -> Iterator[str]:
    """Fetch years of one importer into the stored answers, and say of each year what came; a
    refresh of these years then finds them there. What is stored already is not requested again.

    Raises QuotaExhaustedError half-way, keeping what came, and SourceError as `fetch` does.
    """
    client = source(settings, policy)
    reporter = seeds.reporter_code(settings.seeds_dir, importer)
    published = {p.year: p for p in _available(client, [reporter], years)}
    for year in years:
        if year not in published:
            yield f"{year}: not published"
            continue
        if not client.codes.get(revision := published[year].revision):
            yield f"{year}: left out, hs_mineral_map.csv maps no code of HS revision {revision}"
            continue
        before = client.downloads(published[year]).names()
        fetched = _fetch_published(client, [published[year]])
        names = {page.name for page, _ in fetched.answers}
        yield (
            f"{year}, {published[year].revision}: {fetched.rows.num_rows:,} rows in {len(names)} "
            f"answers, {len(names - before)} of them fetched now"
        )


def _mark(key: SecretStr | None) -> str:
    """What tells the calls of one key from those of another, and does not give the key away."""
    return hashlib.sha256(key.get_secret_value().encode()).hexdigest()[:8] if key else "keyless"


def source(settings: Settings, policy: RetryPolicy | None = None) -> Comtrade:
    """The client that these settings describe: with a key if there is one."""
    key = settings.comtrade_api_key
    return Comtrade(
        client=Client(
            base_url=settings.comtrade_url,
            name="UN Comtrade",
            policy=policy or RetryPolicy(),
            secrets={KEY_HEADER: key} if key else {},
            allowance=Allowance(
                settings.state_dir / f"comtrade-{_mark(key)}.json",
                settings.comtrade_calls_per_day,
                settings.comtrade_seconds_between_calls,
            ),
        ),
        plan=KEYED if key else KEYLESS,
        folder=settings.downloads_dir / "comtrade",
        partners=seeds.partner_codes(settings.seeds_dir),
        codes=seeds.hs_codes(settings.seeds_dir),
    )


def _production_years(settings: Settings, policy: RetryPolicy | None) -> set[int] | None:
    """The years that the production has or would have now; None when its source does not answer
    and there is no snapshot of it."""
    try:
        return world_mining_data.years_held(settings, policy)
    except SourceError as error:
        log.warning("The years of World Mining Data are not known. %s", error)
        return window.production_years(SnapshotStore(settings.raw_dir))


def _held(settings: Settings) -> Mapping[str, Collection[int]] | None:
    """The years of each reporter in the snapshot in use; None where all are asked for."""
    if settings.importers == (EVERY_IMPORTER,):
        return None
    try:
        return window.trade_years(SnapshotStore(settings.raw_dir).current("bilateral_trade"))
    except SnapshotDamagedError:
        return {}


def trade_provider(settings: Settings, policy: RetryPolicy | None = None) -> Provider:
    """Imports of the settings' importers over their years."""

    def fetched() -> Fetched:
        reporters, window_of = reporters_of(settings), None
        years: Sequence[int] = settings.years
        client = source(settings, policy)
        if window.is_open(settings):
            production = _production_years(settings, policy)
            window_of = partial(window.latest, production=production)
            years = candidate_years(production)
        trade = fetch(client, reporters, years, window_of, _held(settings))
        # Names that say reporter and year too: codes repeat.
        originals = [
            (replace(o, name=f"{o.params['reporterCode']}-{o.params['period']}-{o.name}"), path)
            for o, path in trade.answers
        ]
        tables = partial(comtrade_rows.tables, trade.rows, trade.published)
        return Fetched(trade.sha256, tables, originals, trade.notes)

    return Provider(sources()["comtrade"], fetched, "UN Comtrade")
