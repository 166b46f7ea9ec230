"""Rows of UN Comtrade: the columns of an answer, how they are read, and whether they add up.

The publisher's World row (partner 0) doubles every total, so it is used for the reconciliation
only: the sum of the partners must equal it within 0.1% per reporter, year and code.
"""

import json
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from minerals.errors import SourceError, UnsoundAnswersError
from minerals.sources.tables import sources

log = logging.getLogger(__name__)

WORLD = "0"
WORLD_TOLERANCE = 0.001
# A difference of a dollar is rounding, however small the total.
WORLD_ROUNDING_USD = 1.0
_SAMPLE = 5
KEY = ("period", "reporterCode", "cmdCode", "partnerCode")
ESSENTIAL = (*KEY, "flowCode", "classificationCode", "primaryValue")
# The net weight in kg: `netWgt` in newer answers, `netWeight` in older ones.
WEIGHTS = ("netWgt", "netWeight")
TABLES = sources()["comtrade"].tables
TRADE, AVAILABILITY = TABLES
_KNOWN = {*TABLES[TRADE].columns, *TABLES[TRADE].ignored}
_CASTS = {"text": str, "integer": int, "number": float}
_GAPS = f"""
    select reporterCode, period, cmdCode,
        sum(primaryValue) filter (partnerCode = '{WORLD}') as world,
        coalesce(sum(primaryValue) filter (partnerCode <> '{WORLD}'), 0) as partners
    from trade
    anti join known
        on reporterCode = reporter_code and period = year and cmdCode = hs_code
    group by all
    having world is null
        or abs(partners - world) > greatest({WORLD_ROUNDING_USD}, {WORLD_TOLERANCE} * world)
    order by all
"""


@dataclass(frozen=True)
class Published:
    """What `getDa` says of one reporter and year."""

    reporter: str
    year: int
    revision: str
    checksum: str
    total_records: int


def read_pages(
    pages: Iterable[Path], wanted: Mapping[tuple[str, int], Collection[str]]
) -> pa.Table:
    """The rows of stored answers as the table `TRADE`, World included, sorted by key.

    Equal rows count once, since pages may overlap. `wanted` gives the codes to keep of each
    (reporter, year). Raises UnsoundAnswersError when rows of one key differ.
    """
    rows: dict[tuple[str, ...], tuple[object, ...]] = {}
    n_repeated, unknown = 0, set()
    for page in pages:
        for row in json.loads(page.read_bytes())["data"]:
            unknown |= row.keys() - _KNOWN
            values = _typed(row, page.name)
            key = tuple(str(row[column]) for column in KEY)
            if key[2] not in wanted[key[1], int(key[0])]:
                continue
            if rows.setdefault(key, values) != values:
                raise UnsoundAnswersError(
                    f"UN Comtrade: two different rows for {dict(zip(KEY, key, strict=True))}, one "
                    f"of them in {page.name}."
                )
            n_repeated += rows[key] is not values
    if n_repeated:
        log.warning("UN Comtrade: %d rows came more than once, and count once", n_repeated)
    if unknown:
        log.warning(
            "UN Comtrade: columns that are new and not read: %s", ", ".join(sorted(unknown))
        )
    in_order = sorted(rows, key=lambda k: (int(k[0]), int(k[1]), k[2], int(k[3])))
    return TABLES[TRADE].read((rows[key] for key in in_order), "UN Comtrade")


def _typed(row: Mapping[str, Any], page: str) -> tuple[object, ...]:
    weights = {row[name] for name in WEIGHTS if row.get(name) is not None}
    if len(weights) > 1:
        raise UnsoundAnswersError(
            f"UN Comtrade, {page}: two different net weights, {weights}, in {_place(row)}."
        )
    merged = {**row, "netWgt": next(iter(weights), None)}
    try:
        return tuple(
            None if merged.get(column) is None else _CASTS[kind](merged[column])
            for column, kind in TABLES[TRADE].columns.items()
        )
    except (ValueError, TypeError) as error:
        raise SourceError(
            f"UN Comtrade, {page}: a value in {_place(row)} is not of the expected type: {error}. "
            "The service's layout changed: adapt minerals/sources/comtrade.py."
        ) from error


def _place(row: Mapping[str, Any]) -> str:
    return f"the row { ({column: row[column] for column in KEY}) }"


def tables(rows: pa.Table, published: Iterable[Published]) -> dict[str, pa.Table]:
    """The raw tables: the rows without World, and what was published."""
    known = ((p.reporter, p.year, p.checksum) for p in published)
    return {
        TRADE: rows.filter(pc.not_equal(rows["partnerCode"], WORLD)),
        AVAILABILITY: TABLES[AVAILABILITY].read(known, "UN Comtrade"),
    }


def check(rows: pa.Table) -> None:
    """Raise SourceError when rows, World's aside, do not keep the layout of the table `TRADE`."""
    partners = rows.filter(pc.not_equal(rows["partnerCode"], WORLD))
    if partners.num_rows:
        TABLES[TRADE].checked(partners, "UN Comtrade")


def known_gaps() -> pa.Table:
    """The register of known differences between World rows and partners, with the reason."""
    register = files("minerals.sources").joinpath("registers/comtrade_world_gaps.csv")
    text = pa.string()
    types = {"reporter_code": text, "year": pa.int32(), "hs_code": text, "reason": text}
    with register.open("rb") as file:
        return pacsv.read_csv(file, convert_options=pacsv.ConvertOptions(column_types=types))


def gaps(trade: pa.Table, known: pa.Table) -> list[dict[str, Any]]:
    """Reporter, year and code of which World and the sum of its partners differ (USD), but for the
    `known` cases."""
    with duckdb.connect() as connection:
        connection.register("trade", trade)
        connection.register("known", known)
        return connection.sql(_GAPS).to_arrow_table().to_pylist()


def gap_message(wrong: Sequence[Mapping[str, Any]]) -> str:
    """The message about the lines that `gaps` found."""
    sample = "\n".join(
        f"  reporter {w['reporterCode']}, {w['period']}, code {w['cmdCode']}: World "
        f"{'is missing' if w['world'] is None else format(w['world'], ',.0f')}"
        f", partners {w['partners']:,.0f} USD"
        for w in wrong[:_SAMPLE]
    )
    return (
        f"UN Comtrade: in {len(wrong)} case{'' if len(wrong) == 1 else 's'} the partners do not "
        f"add up to the World row within {WORLD_TOLERANCE:.1%}, for example\n{sample}\nThe next "
        "refresh asks for these codes again. If the publisher's own figures differ, add a line "
        "with the reason to "
        "minerals/sources/registers/comtrade_world_gaps.csv."
    )
