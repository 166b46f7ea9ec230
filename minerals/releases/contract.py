"""The contract with BI: which marts, columns, types, units and keys a release holds.

It is what is declared with each mart (`minerals.marts`), with the words of the warehouse, and lies
in each release. Releases of the same columns and types lie in one folder, named by `fingerprint`.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import duckdb

from minerals.marts import Column, Mart

CONTRACT = "contract.json"
RELEASE_ID = Column(
    "release_id",
    "VARCHAR",
    "",
    "Release that the row belongs to. Two marts read in one query come from the same release when "
    "it is the same in both.",
)


def declared_contract(marts: Iterable[Mart]) -> list[Mart]:
    """The contract that these declarations promise."""
    return [replace(mart, columns=(*mart.columns, RELEASE_ID)) for mart in marts]


def made_contract(
    warehouse: duckdb.DuckDBPyConnection, marts: Iterable[Mart]
) -> tuple[list[Mart], list[str]]:
    """The contract that the warehouse keeps, with its words where a declaration has none, and
    where its marts are not as declared: one line per mart or column."""
    tables = warehouse.execute(
        "select t.table_name, any_value(t.comment), "
        "map_from_entries(list((column_name, (data_type, c.comment)) order by column_index)) "
        "from (select table_oid, schema_name, table_name, comment from duckdb_tables() "
        "union all select view_oid, schema_name, view_name, comment from duckdb_views()) as t "
        "inner join duckdb_columns() as c using (table_oid) "
        "where t.schema_name = 'marts' group by all"
    ).fetchall()
    made = {name: (comment, columns) for name, comment, columns in tables}
    contract, problems = [], []
    for mart in marts:
        if mart.name not in made:
            problems.append(f"{mart.name}: the mart is not in the warehouse")
            continue
        comment, columns = made[mart.name]
        types = {column.name: column.type for column in mart.columns}
        for name in dict.fromkeys([*types, *columns]):
            here, there = types.get(name), columns.get(name, (None, ""))[0]
            if here != there:
                declared = f"declared {here}" if here else "not declared"
                made_as = f"made {there}" if there else "not made"
                problems.append(f"{mart.name}.{name}: {declared}, {made_as}")
        described = tuple(
            replace(c, description=c.description or columns.get(c.name, ("", ""))[1] or "")
            for c in mart.columns
        )
        description = mart.description or comment or ""
        contract.append(replace(mart, description=description, columns=described))
    return declared_contract(contract), problems


def fingerprint(contract: Iterable[Mart]) -> str:
    """A short hash of the names of marts and columns and their types, in order."""
    content = [(mart.name, [(c.name, c.type) for c in mart.columns]) for mart in contract]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]


def contract_changes(before: Iterable[Mart], after: Iterable[Mart]) -> list[str]:
    """What is different for a reader of the contract before, one line per mart or column."""
    old, new = ({mart.name: mart for mart in contract} for contract in (before, after))
    changes = [f"{name}: the mart is gone" for name in old if name not in new]
    changes += [f"{name}: the mart is new" for name in new if name not in old]
    for name in [name for name in old if name in new]:
        was, now = ({c.name: c.type for c in side[name].columns} for side in (old, new))
        for column in dict.fromkeys([*was, *now]):
            if column not in now or column not in was:
                state = "new" if column in now else "gone"
                changes.append(f"{name}.{column}: the column is {state}")
            elif was[column] != now[column]:
                changes.append(f"{name}.{column}: was {was[column]}, is {now[column]}")
        if old[name].key != new[name].key:
            keys = (", ".join(side[name].key) for side in (old, new))
            changes.append(f"{name}: the key was ({next(keys)}), is ({next(keys)})")
    return changes


def write_contract(file: Path, contract: Sequence[Mart]) -> None:
    """Write a contract as JSON."""
    text = json.dumps([asdict(mart) for mart in contract], indent=1, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")


def read_contract(file: Path) -> list[Mart]:
    """Read what `write_contract` wrote."""
    return [
        Mart(
            mart["name"],
            mart["description"],
            tuple(mart["key"]),
            tuple(Column(**column) for column in mart["columns"]),
        )
        for mart in json.loads(file.read_text(encoding="utf-8"))
    ]


def as_markdown(contract: Iterable[Mart]) -> str:
    """The contract as a page for people, one table per mart; key columns are bold."""
    lines = [
        "# Every column of a release",
        "",
        "Key columns are bold. `minerals contract --write` writes this page from the served "
        "release. Programs find the same in `contract.json` of each release, and "
        "[bi.md](bi.md) has a question for each mart.",
        "",
    ]
    for mart in contract:
        description = mart.description.replace("\n", " ")
        lines += [f"## `{mart.name}`", "", description, ""]
        lines += ["| column | type | unit | meaning |", "|---|---|---|---|"]
        for column in mart.columns:
            name = f"**`{column.name}`**" if column.name in mart.key else f"`{column.name}`"
            words = column.description.replace("|", "\\|").replace("\n", " ")
            lines.append(f"| {name} | {column.type} | {column.unit} | {words} |")
        lines.append("")
    return "\n".join(lines)
