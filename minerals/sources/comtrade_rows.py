"""Rows of UN Comtrade: the columns of an answer, how they are read, and whether they add up.

Belongs here: what can be said of rows that have arrived. Asking for them belongs to `comtrade.py`,
what a code means to dbt.

The publisher's World row (partner 0) doubles every total, so it is kept in a table of its own. The
partners' sum must meet it within 0.1% per reporter, year and code.
"""

import csv
import json
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from minerals.errors import SourceError
from minerals.sources.provider import RawTable

log = logging.getLogger(__name__)

WORLD = "0"
WORLD_TOLERANCE = 0.001
# A difference of a dollar is rounding, however small the total.
WORLD_ROUNDING_USD = 1.0
_SAMPLE = 5
_TEXT, _REAL, _FLAG = pa.string(), pa.float64(), pa.bool_()
SCHEMA = pa.schema(
    [
        ("typeCode", _TEXT), ("freqCode", _TEXT), ("refPeriodId", _TEXT), ("refYear", pa.int32()),
        ("refMonth", pa.int32()), ("period", pa.int32()), ("reporterCode", _TEXT),
        ("reporterISO", _TEXT), ("reporterDesc", _TEXT), ("flowCode", _TEXT), ("flowDesc", _TEXT),
        ("partnerCode", _TEXT), ("partnerISO", _TEXT), ("partnerDesc", _TEXT),
        ("partner2Code", _TEXT), ("partner2ISO", _TEXT), ("partner2Desc", _TEXT),
        ("classificationCode", _TEXT), ("classificationSearchCode", _TEXT),
        ("isOriginalClassification", _FLAG), ("cmdCode", _TEXT), ("cmdDesc", _TEXT),
        ("aggrLevel", pa.int32()), ("isLeaf", _FLAG), ("customsCode", _TEXT),
        ("customsDesc", _TEXT), ("mosCode", _TEXT), ("motCode", _TEXT), ("motDesc", _TEXT),
        ("qtyUnitCode", _TEXT), ("qtyUnitAbbr", _TEXT), ("qty", _REAL), ("isQtyEstimated", _FLAG),
        ("altQtyUnitCode", _TEXT), ("altQtyUnitAbbr", _TEXT), ("altQty", _REAL),
        ("isAltQtyEstimated", _FLAG), ("netWgt", _REAL), ("isNetWgtEstimated", _FLAG),
        ("grossWgt", _REAL), ("isGrossWgtEstimated", _FLAG), ("cifvalue", _REAL),
        ("fobvalue", _REAL), ("primaryValue", _REAL), ("legacyEstimationFlag", pa.int32()),
        ("isReported", _FLAG), ("isAggregate", _FLAG),
    ]
)  # fmt: skip
KEY = ("period", "reporterCode", "cmdCode", "partnerCode")
ESSENTIAL = (*KEY, "flowCode", "classificationCode", "primaryValue")
# The net weight in kg: `netWgt` in newer answers, `netWeight` in older ones.
WEIGHTS = ("netWgt", "netWeight")
AVAILABILITY = "bilateral_trade__availability"
AVAILABILITY_SCHEMA = pa.schema(
    [
        ("reporterCode", _TEXT), ("period", pa.int32()), ("is_published", _FLAG),
        ("classificationCode", _TEXT), ("datasetChecksum", _TEXT), ("totalRecords", pa.int64()),
        ("firstReleased", _TEXT), ("lastReleased", _TEXT),
    ]
)  # fmt: skip
RECONCILIATION_SCHEMA = pa.schema(
    [
        ("reporterCode", _TEXT), ("period", pa.int32()), ("cmdCode", _TEXT),
        ("world_value_usd", _REAL), ("partners_value_usd", _REAL), ("relative_difference", _REAL),
        ("known_case", _TEXT),
    ]
)  # fmt: skip
TABLES = (
    RawTable(
        name="bilateral_trade",
        columns=tuple(SCHEMA.names),
        key=KEY,
        required=ESSENTIAL,
        numeric=("period", "primaryValue", "netWgt"),
    ),
    RawTable(
        name="bilateral_trade__world",
        columns=tuple(SCHEMA.names),
        key=KEY,
        required=ESSENTIAL,
    ),
    RawTable(
        name=AVAILABILITY,
        columns=tuple(AVAILABILITY_SCHEMA.names),
        key=("reporterCode", "period"),
        required=("reporterCode", "period", "is_published"),
    ),
    RawTable(
        name="bilateral_trade__reconciliation",
        columns=tuple(RECONCILIATION_SCHEMA.names),
        key=("reporterCode", "period", "cmdCode"),
        required=("reporterCode", "period", "cmdCode", "partners_value_usd"),
    ),
)


@dataclass(frozen=True)
class Published:
    """What `getDa` says of one reporter and year."""

    reporter: str
    year: int
    revision: str
    checksum: str
    total_records: int
    first_released: str | None
    last_released: str | None


def read_pages(
    pages: Iterable[Path], wanted: Mapping[tuple[str, int], Collection[str]]
) -> pa.Table:
    """The rows of stored answers, in `SCHEMA`, sorted by key, once each.

    A row that comes twice, the same, counts once (pages may overlap). `wanted` gives the codes to
    keep of each (reporter, year). Raises SourceError when rows of one key differ.
    """
    rows: dict[tuple[object, ...], tuple[object, ...]] = {}
    n_repeated, extra = 0, set()
    for page in pages:
        for row in json.loads(page.read_bytes())["data"]:
            extra |= row.keys() - _KNOWN
            values = _typed(row, page.name)
            key = tuple(values[i] for i in _KEY_POSITIONS)
            if key[2] not in wanted[str(key[1]), int(str(key[0]))]:
                continue
            if rows.setdefault(key, values) != values:
                raise SourceError(
                    f"UN Comtrade: two different rows for {dict(zip(KEY, key, strict=True))}, one "
                    f"of them in {page.name}. Nothing is used; delete {page.parent} to ask again."
                )
            n_repeated += rows[key] is not values
    if n_repeated:
        log.warning("UN Comtrade: %d rows came more than once, and count once", n_repeated)
    if extra:
        log.warning("UN Comtrade: columns that are new and not read: %s", ", ".join(sorted(extra)))
    ordered = [rows[key] for key in sorted(rows, key=_order)]
    columns = list(zip(*ordered, strict=True)) or [() for _ in SCHEMA]
    arrays = [pa.array(values, f.type) for f, values in zip(SCHEMA, columns, strict=True)]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


_KNOWN = frozenset(SCHEMA.names) | frozenset(WEIGHTS)
_KEY_POSITIONS = tuple(SCHEMA.get_field_index(column) for column in KEY)


def _order(key: tuple[object, ...]) -> tuple[object, ...]:
    period, reporter, code, partner = key
    return period, int(str(reporter)), code, int(str(partner))


def _typed(row: Mapping[str, Any], page: str) -> tuple[object, ...]:
    weights = {row[name] for name in WEIGHTS if row.get(name) is not None}
    if len(weights) > 1:
        raise SourceError(
            f"UN Comtrade, {page}: a row has two different net weights, {weights}, for "
            f"{ {column: row[column] for column in KEY} }. Nothing is used."
        )
    merged = {**row, "netWgt": next(iter(weights), None)}
    try:
        return tuple(_READERS[f.type](merged.get(f.name)) for f in SCHEMA)
    except (ValueError, TypeError) as error:
        raise SourceError(
            f"UN Comtrade, {page}: a value of the row "
            f"{ {column: row[column] for column in KEY} } is not of the expected type: {error}. "
            "The service's layout changed: adapt minerals/sources/comtrade.py."
        ) from error


def _reader(kind: type) -> Callable[[Any], Any]:
    return lambda value: None if value is None else kind(value)


_READERS: Mapping[pa.DataType, Callable[[Any], Any]] = {
    _TEXT: _reader(str),
    _REAL: _reader(float),
    _FLAG: _reader(bool),
    pa.int32(): _reader(int),
}


@dataclass(frozen=True)
class KnownGap:
    """A code whose World row is known not to meet its partners, and why."""

    reporter: str
    year: int
    code: str
    reason: str


def known_gaps() -> list[KnownGap]:
    """The register of known differences between World rows and partners."""
    text = files("minerals.sources").joinpath("registers/comtrade_world_gaps.csv")
    with text.open(encoding="utf-8") as lines:
        return [
            KnownGap(row["reporter_code"], int(row["year"]), row["hs_code"], row["reason"])
            for row in csv.DictReader(lines)
        ]


def reconcile(rows: pa.Table, known: Sequence[KnownGap]) -> pa.Table:
    """World's value beside the sum of its partners, per reporter, year and code."""
    is_world = pc.equal(rows["partnerCode"], WORLD)
    keys = ["reporterCode", "period", "cmdCode"]

    def total(part: pa.Table) -> dict[tuple[str, int, str], float]:
        sums = part.group_by(keys).aggregate([("primaryValue", "sum")]).to_pylist()
        return {tuple(r[k] for k in keys): r["primaryValue_sum"] for r in sums}

    world, partners = total(rows.filter(is_world)), total(rows.filter(pc.invert(is_world)))
    reasons = {(gap.reporter, gap.year, gap.code): gap.reason for gap in known}
    lines = []
    for key in sorted(world.keys() | partners.keys()):
        stated, added = world.get(key), partners.get(key, 0.0)
        apart = None if stated is None else added - stated
        lines.append(
            dict(zip(keys, key, strict=True))
            | {
                "world_value_usd": stated,
                "partners_value_usd": added,
                "relative_difference": _relative(apart, stated),
                "known_case": reasons.get(key),
            }
        )
    return pa.Table.from_pylist(lines, schema=RECONCILIATION_SCHEMA)


def _relative(apart: float | None, stated: float | None) -> float | None:
    if apart is None or stated is None:
        return None
    if abs(apart) <= WORLD_ROUNDING_USD:
        return 0.0
    return apart / stated if stated else float("inf")


def gaps(reconciliation: pa.Table) -> list[dict[str, Any]]:
    """The lines in which World and its partners do not meet and nobody has said why."""
    return [
        line
        for line in reconciliation.to_pylist()
        if line["known_case"] is None
        and (
            line["relative_difference"] is None
            or abs(line["relative_difference"]) > WORLD_TOLERANCE
        )
    ]


def gap_message(wrong: Sequence[Mapping[str, Any]]) -> str:
    """What to tell of lines that `gaps` found."""
    sample = "\n".join(
        f"  reporter {w['reporterCode']}, {w['period']}, code {w['cmdCode']}: World "
        f"{'is missing' if w['world_value_usd'] is None else format(w['world_value_usd'], ',.0f')}"
        f", partners {w['partners_value_usd']:,.0f} USD"
        for w in wrong[:_SAMPLE]
    )
    return (
        f"UN Comtrade: in {len(wrong)} case{'' if len(wrong) == 1 else 's'} the partners do not "
        f"add up to the World row within {WORLD_TOLERANCE:.1%}, for example\n{sample}\nNothing of "
        "this fetch is used, and the next refresh asks for these codes again. If the publisher's "
        "own figures differ, add a line with the reason to "
        "minerals/sources/registers/comtrade_world_gaps.csv."
    )
