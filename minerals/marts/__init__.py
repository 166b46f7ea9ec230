"""The marts of a release: each one declared once, with its key, columns, types, units and words.

A mart made in Python is declared in `<mart>.yml` beside this file; a column without an entry of its
own is the one of that name in the mart that `like` names, or in `_shared.yml`. A mart made by dbt
is declared beside its SQL in `dbt_project/models/marts/`, or in `models/conformed/` with
`schema: marts`; its key is `config.meta.key` there. From these declarations come the types and
order of the frames (`conform`), the comments in the database, the check of what a release holds,
and the page `docs/columns.md`. How a mart is computed belongs to `ppml/` and `sourcing/`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minerals.files import read_yaml

if TYPE_CHECKING:
    import pandas as pd

_DBT_MODELS = Path(__file__).parents[2] / "dbt_project" / "models"
INTERNAL = ("ppml_bootstrap",)
"""Marts that stay in the warehouse: the rankings read them, a release does not hold them."""

# A column's unit is the longest of these endings that its name has.
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
    "premium_share": "part of the world's unit value",
    "change_on_year": "part of the year before",
    "_share_trend": "share a year",
    "_probability": "probability, 0 to 1",
    "_rank": "rank, 1 is the first",
    "_iso3": "ISO 3166-1 alpha-3",
    "_ratio": "ratio",
    "_rho": "correlation, -1 to 1",
    "_p_value": "probability, 0 to 1",
    "_at": "time, UTC",
    "_date": "date",
    "year": "calendar year",
    "_year": "calendar year",
    "_rows": "count",
}
_PANDAS = {
    "VARCHAR": "str",
    "BIGINT": "int64",
    "DOUBLE": "float64",
    "BOOLEAN": "bool",
    "DATE": "datetime64[us]",
    "TIMESTAMP": "datetime64[us]",
}
_PANDAS_NULLABLE = {"BIGINT": "Int64", "BOOLEAN": "boolean"}


@dataclass(frozen=True)
class Column:
    """A column as published. `type` is DuckDB's. `description` is empty for a mart made by dbt: dbt
    writes its words into the database."""

    name: str
    type: str
    unit: str
    description: str
    is_nullable: bool = False

    @property
    def pandas_type(self) -> str:
        nullable = _PANDAS_NULLABLE if self.is_nullable else {}
        return nullable.get(self.type, _PANDAS[self.type])


@dataclass(frozen=True)
class Mart:
    """A table of a release. `key` identifies a row and gives the order of the rows."""

    name: str
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]


@cache
def python_marts() -> dict[str, Mart]:
    """The marts made in Python, by name, those that stay in the warehouse included."""
    folder = files(__package__)
    shared = read_yaml(folder.joinpath("_shared.yml"))["columns"]
    marts, contents = {}, {}
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        name, _, ending = file.name.partition(".")
        if ending == "yml" and not name.startswith("_"):
            contents[name] = read_yaml(file)
    for name, content in contents.items():
        known = {**shared, **contents.get(content.get("like"), {"columns": {}})["columns"]}
        columns = tuple(
            _column(column, own or known[column] or shared[column])
            for column, own in content["columns"].items()
        )
        marts[name] = Mart(name, content["description"], tuple(content["key"]), columns)
    return marts


@cache
def dbt_marts() -> dict[str, Mart]:
    """The marts made by dbt, by name."""
    files = [f for layer in ("conformed", "marts") for f in (_DBT_MODELS / layer).rglob("*.yml")]
    return {mart.name: mart for file in sorted(files) for mart in _read_dbt(file)}


def names() -> list[str]:
    """The names of the marts of a release, from the files that declare them: no YAML is read."""
    of_dbt = [*(_DBT_MODELS / "marts").rglob("*.yml")]
    of_dbt += [
        f for f in (_DBT_MODELS / "conformed").glob("*.yml") if "schema: marts" in f.read_text()
    ]
    found = {file.stem for file in (*of_dbt, *Path(__file__).parent.glob("*.yml"))}
    return sorted(name for name in found - set(INTERNAL) if not name.startswith("_"))


def published() -> dict[str, Mart]:
    """The marts of a release, by name."""
    made = {**dbt_marts(), **python_marts()}
    return {name: mart for name, mart in sorted(made.items()) if name not in INTERNAL}


def conform(frame: "pd.DataFrame", name: str) -> "pd.DataFrame":
    """The declared columns of `frame`, typed, sorted by the key, with a fresh index.

    Raises ValueError when a column is missing or a key is null or occurs twice, with three rows.
    """
    mart = python_marts()[name]
    missing = [column.name for column in mart.columns if column.name not in frame.columns]
    if missing:
        raise ValueError(f"{name} lacks the columns {', '.join(missing)}")
    types = {column.name: column.pandas_type for column in mart.columns}
    key = list(mart.key)
    kept = frame[list(types)].astype(types).sort_values(key, kind="stable", ignore_index=True)
    if kept[key].isna().any(axis=None):
        sample = kept.loc[kept[key].isna().any(axis=1), key].head(3).to_dict("records")
        raise ValueError(f"{name} has nulls in its key, e.g. {sample}")
    repeated = kept.duplicated(key)
    if repeated.any():
        sample = kept.loc[repeated, key].head(3).to_dict("records")
        raise ValueError(f"{name} has {int(repeated.sum())} repeated keys, e.g. {sample}")
    return kept


def empty(name: str) -> "pd.DataFrame":
    """The mart without rows."""
    import pandas as pd

    columns = python_marts()[name].columns
    return pd.DataFrame({c.name: pd.Series(dtype=c.pandas_type) for c in columns})


def unit_of(column: str) -> str:
    """The unit that a column's name tells; empty for names, flags and pure numbers."""
    if column.startswith(("is_", "has_")) or "_is_" in column or column.endswith("_id"):
        return ""
    if column.startswith("ln_"):
        return "natural logarithm"
    if column.startswith(("n_", "hhi_")) and not column.endswith("_year"):
        return "count" if column.startswith("n_") else "0 to 1"
    fitting = [ending for ending in UNITS if column.endswith(ending)]
    return UNITS[max(fitting, key=len)] if fitting else ""


def _column(name: str, entry: Mapping[str, Any]) -> Column:
    return Column(
        name,
        entry["type"].upper(),
        entry.get("unit", unit_of(name)),
        entry["words"],
        entry.get("nullable", False),
    )


def _read_dbt(file: Path) -> Iterator[Mart]:
    for model in read_yaml(file)["models"]:
        if (
            "marts" not in file.relative_to(_DBT_MODELS).parts
            and model.get("config", {}).get("schema") != "marts"
        ):
            continue
        columns = tuple(
            Column(column["name"], _duckdb_type(column["data_type"]), unit_of(column["name"]), "")
            for column in model["columns"]
        )
        yield Mart(model["name"], "", tuple(model["config"]["meta"]["key"]), columns)


def _duckdb_type(declared: str) -> str:
    """The type as DuckDB spells it: `decimal(18, 2)` is DECIMAL(18,2)."""
    return declared.upper().replace(" ", "")
