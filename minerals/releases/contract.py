"""The contract with BI: which tables, columns, types, units and keys a release promises.

What is agreed lies in `minerals/marts/contract.json`; each release carries what it holds. A column
more is no breach; one that is gone, renamed or of another type is.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

CONTRACT = "contract.json"

# The longest ending that fits tells the unit.
UNITS = {
    "_usd_per_kg": "current USD per kg",
    "_ppp_2021_usd": "international USD of 2021, PPP",
    "_kg": "kg",
    "_t": "t",
    "_usd": "current USD",
    "_thousand_usd": "thousand current USD",
    "_pct": "percent",
    "_pct_gdp": "percent of GDP",
    "_km": "km",
    "_deg": "degrees",
    "_share": "share, 0 to 1",
    "change_share": "share of the imports",
    "_share_trend": "share a year",
    "_probability": "probability, 0 to 1",
    "_rank": "rank, 1 is the first",
    "_iso3": "ISO 3166-1 alpha-3",
    "_ratio": "ratio",
    "_rho": "correlation, -1 to 1",
    "_p_value": "probability, 0 to 1",
    "_at": "time, UTC",
    "year": "calendar year",
    "_year": "calendar year",
    "_rows": "count",
}


@dataclass(frozen=True)
class Column:
    """A published column, as the warehouse describes it."""

    name: str
    type: str
    description: str


RELEASE_ID = Column(
    "release_id",
    "VARCHAR",
    "Release that the row is of. Two marts read in one query are of the same release when it is "
    "the same in both.",
)


@dataclass(frozen=True)
class PublishedMart:
    """One Parquet file of a release; `sha256` is of the file."""

    name: str
    description: str
    row_count: int
    sha256: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class ContractColumn:
    """A line of the contract. `is_key` tells whether the column is part of the table's key."""

    table: str
    column: str
    type: str
    unit: str
    description: str
    is_key: bool


def contract_of(
    columns: Mapping[str, Sequence[Column]], keys: Mapping[str, Sequence[str]]
) -> list[ContractColumn]:
    """The contract that these marts keep, in the order of marts and columns."""
    return [
        ContractColumn(
            table=mart,
            column=column.name,
            type=column.type,
            unit=unit_of(column.name),
            description=column.description,
            is_key=column.name in keys[mart],
        )
        for mart, own in columns.items()
        for column in own
    ]


def unit_of(column: str) -> str:
    """The unit that a column's name tells; empty for names, flags and pure numbers."""
    if column.startswith(("is_", "has_")):
        return ""
    if column.startswith("ln_"):
        return "natural logarithm"
    if column.startswith("n_"):
        return "count"
    if column.startswith("hhi_"):
        return "0 to 1"
    fitting = [ending for ending in UNITS if column.endswith(ending)]
    return UNITS[max(fitting, key=len)] if fitting else ""


def breaking_changes(agreed: Sequence[ContractColumn], made: Sequence[ContractColumn]) -> list[str]:
    """What a reader of the agreed contract would stumble over, a line each: `table.column: ...`."""
    now = {(line.table, line.column): line for line in made}
    tables = {line.table for line in made}
    gone = sorted({line.table for line in agreed} - tables)
    changes = [f"{table}: the table is gone" for table in gone]
    for line in agreed:
        name = f"{line.table}.{line.column}"
        found = now.get((line.table, line.column))
        if line.table in gone:
            continue
        if found is None:
            changes.append(f"{name}: the column is gone (it was {line.type})")
        elif found.type != line.type:
            changes.append(f"{name}: was {line.type}, is {found.type}")
        elif found.is_key != line.is_key:
            changes.append(f"{name}: {'no longer' if line.is_key else 'now'} part of the key")
    return changes


def additions(agreed: Sequence[ContractColumn], made: Sequence[ContractColumn]) -> list[str]:
    """Columns that are made and not agreed yet."""
    known = {(line.table, line.column) for line in agreed}
    return [f"{x.table}.{x.column}" for x in made if (x.table, x.column) not in known]


@cache
def agreed_contract() -> tuple[ContractColumn, ...]:
    """The contract that the project keeps."""
    text = files("minerals.marts").joinpath(CONTRACT).read_text(encoding="utf-8")
    return tuple(ContractColumn(**line) for line in json.loads(text))


def write_contract(file: Path, contract: Sequence[ContractColumn]) -> None:
    """Write a contract: one line a column, so that a change reads well in a diff."""
    lines = ",\n".join(json.dumps(asdict(line), ensure_ascii=False) for line in contract)
    file.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def read_contract(file: Path) -> list[ContractColumn]:
    """Read what `write_contract` wrote."""
    return [ContractColumn(**line) for line in json.loads(file.read_text(encoding="utf-8"))]


def as_markdown(contract: Sequence[ContractColumn]) -> str:
    """The contract as tables for people, one a mart."""
    lines: list[str] = []
    for table in dict.fromkeys(line.table for line in contract):
        lines += [f"#### `{table}`", "", "| column | type | unit | meaning |", "|---|---|---|---|"]
        for x in contract:
            if x.table == table:
                name = f"**`{x.column}`**" if x.is_key else f"`{x.column}`"
                words = x.description.replace("|", "\\|").replace("\n", " ")
                lines.append(f"| {name} | {x.type} | {x.unit} | {words} |")
        lines.append("")
    return "\n".join(lines)
