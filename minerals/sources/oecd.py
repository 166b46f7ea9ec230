"""OECD Inventory of Export Restrictions: measures on raw materials, by country and HS 2007 code.

The OECD's SDMX service needs no key. Its answer is SDMX-CSV, one row per measure and fact about it
(`POLICY_DESCRIPTION`); here a measure is one row. `registers/oecd_columns.csv` says which column,
fact and kind of measure is which: an operator changes it there when the OECD renames one. The
Inventory is made once a year for a year that has ended; the newest year is taken.

Its rows are candidates for the register of events and judge nothing. So a refresh goes on without
them: where they cannot be had, and in the bundled profile, there are none.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, partial

from minerals.errors import PermanentSourceError, SourceError, some
from minerals.settings import Settings
from minerals.sources import seeds
from minerals.sources.csv_files import csv_rows
from minerals.sources.downloads import Downloads
from minerals.sources.http import Client, RetryPolicy
from minerals.sources.provider import Fetched, Provider
from minerals.sources.tables import sources

SOURCE, DATASET = "oecd", "export_restrictions"
YEARS_BACK = 3  # the Inventory of a year comes in the second year after it
_NAME = "OECD Inventory of Export Restrictions"
_DAY = re.compile(r"(\d{2})/(\d{2})/(\d{4})")
_NOTHING = frozenset({"", "n", "na", "nd"})


@cache
def register(kind: str) -> Mapping[str, str]:
    """{our name: the OECD's} of `column`, `field`, `measure` or `none`."""
    return {r["ours"]: r["theirs"] for r in seeds.register("oecd_columns") if r["kind"] == kind}


def read_measures(content: bytes, where: str) -> list[dict[str, object]]:
    """The measures of the newest year, one row each.

    A commodity without a six-digit code keeps the OECD's own. Raises SourceError when a column is
    missing, a row is cut short, or a measure has no year.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"{where} is not UTF-8 text: {error}. Nothing of it is used.") from error
    columns, facts = register("column"), dict[tuple[str, ...], dict[str, str]]()
    adapt = (
        "If the OECD renamed one, correct minerals/sources/registers/oecd_columns.csv. Nothing of "
        "it is used."
    )
    for cells in csv_rows(text, where, columns.values(), adapt):
        row = {ours: cells[theirs].strip() for ours, theirs in columns.items()}
        if row["policy_type"] in register("none").values():
            continue
        names = ("year", "actor", "commodity", "policy_type", "variation", "policy_label")
        facts.setdefault(tuple(row[name] for name in names), {})[row["field"]] = row["fact"]
    newest = max((key[0] for key in facts), default="")
    return [_measure(key, said, where) for key, said in sorted(facts.items()) if key[0] == newest]


def _measure(key: Sequence[str], said: Mapping[str, str], where: str) -> dict[str, object]:
    year, actor, commodity, policy_type, variation, label = key
    code = re.search(r"\d{6}$", commodity)
    if not re.fullmatch(r"\d{4}", year):
        raise SourceError(
            f"{where}: a measure of {actor} on {commodity} has {year!r} where a year is expected. "
            "Nothing of it is used."
        )
    facts = {ours: _said(said.get(theirs, "")) for ours, theirs in register("field").items()}
    measures = {theirs: ours for ours, theirs in register("measure").items()}
    return {
        "actor_code": actor,
        "hs_code": code.group() if code else commodity,
        "policy_type": policy_type,
        "variation": variation,
        "year": int(year),
        "policy_label": label,
        "measure_type": measures.get(policy_type),
        **facts,
        "introduced": _day(facts["introduced"]),
        "ends": _day(facts["ends"]),
    }


def _said(text: str) -> str | None:
    text = text.strip().rstrip(";").strip()
    return None if text.lower() in _NOTHING else text


def _day(text: str | None) -> str | None:
    found = _DAY.fullmatch(text or "")
    return "-".join(reversed(found.groups())) if found else None


def unknown_codes(measures: Sequence[Mapping[str, object]], settings: Settings) -> list[str]:
    """A sentence on the countries that `countries.csv` does not know, and one on the commodities
    without an HS code, if there are any."""
    known = seeds.iso3_codes(settings.seeds_dir)
    actors = [str(m["actor_code"]) for m in measures if m["actor_code"] not in known]
    goods = [code for m in measures if not re.fullmatch(r"\d{6}", code := str(m["hs_code"]))]
    return [
        *_counted(actors, "codes that countries.csv does not know"),
        *_counted(goods, "commodities without a six-digit HS code"),
    ]


def _counted(rows: Sequence[str], what: str) -> list[str]:
    if not (names := sorted(set(rows))):
        return []
    return [f"{len(rows):,} measures are of {len(names)} {what}: {some(names)}."]


def restrictions_provider(settings: Settings, policy: RetryPolicy | None = None) -> Provider:
    """The measures of the newest year; none where MINERALS_OECD_DATAFLOW is empty."""
    if not settings.oecd_dataflow:
        return no_restrictions_provider()
    fetch = partial(_fetch, settings, policy or RetryPolicy(read_timeout=300.0))
    note = f"The {_NAME} could not be had, so there are no candidates of it."
    return Provider(sources()[SOURCE], fetch, _NAME, stand_in=partial(_nothing, [note]))


def no_restrictions_provider() -> Provider:
    """No measure: nobody is asked."""
    return Provider(sources()[SOURCE], _nothing, _NAME)


def _nothing(notes: Sequence[str] = ()) -> Fetched:
    table = sources()[SOURCE].tables[DATASET]
    return Fetched.from_files([], lambda: {DATASET: table.read([], _NAME)}, notes)


def _fetch(settings: Settings, policy: RetryPolicy) -> Fetched:
    downloads = Downloads(settings.downloads_dir / SOURCE)
    client = Client(settings.oecd_url, _NAME, policy)
    this_year = datetime.now(UTC).year
    for year in range(this_year - 1, this_year - 1 - YEARS_BACK, -1):
        name = f"{DATASET}-{year}.csv"
        params = {
            "startPeriod": str(year),
            "endPeriod": str(year),
            "dimensionAtObservation": "AllDimensions",
            "format": "csvfilewithlabels",
        }
        path = f"data/{settings.oecd_dataflow.replace('/', ',')}/all"
        try:
            answer = downloads.fetch(client, name, path, params, expected="csv")
        except PermanentSourceError:  # the service answers 404 where there is no record
            if year == this_year - YEARS_BACK:
                raise
            continue
        measures = read_measures(downloads.read(answer), name)
        if measures:
            break
    notes = unknown_codes(measures, settings)
    table = sources()[SOURCE].tables[DATASET]
    originals = [(answer, downloads.path(name))]
    return Fetched.from_files(originals, lambda: {DATASET: table.read(measures, name)}, notes)
