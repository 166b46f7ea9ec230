"""What an asset tells the UI about itself: columns, tags, counts, totals, durations.

Before a run, from the schema files; after it, from the warehouse. All of it is read from what is
there, so that a new mart needs no line here. What a figure means is said beside the mart.
"""

import re
import time
from collections.abc import Callable, Collection, Iterator
from functools import wraps
from inspect import isgeneratorfunction
from typing import Any

import dagster as dg
import duckdb

from minerals.marts import python_marts
from minerals.names import CATEGORIES
from minerals.settings import Settings
from orchestration.causes import told_in_words
from orchestration.resources import Warehouse
from orchestration.schedules import DAILY

COLUMNS = "dagster/column_schema"
CHOICES = "choices"  # what a table was computed with; a release holds no two
EVERY_IMPORTER = ("seeds", "staging", "conformed")  # groups of tables not cut to those asked for
_TOTALLED = re.compile(r"(^|_)(value_usd|qty_kg|production_kg)$")
Facts = dict[str, Any]


def described(spec: dg.AssetSpec, settings: Settings) -> dg.AssetSpec:
    """The spec with its columns, tagged with the importers and categories it tells apart; the
    release with the age it may reach."""
    name = spec.key.to_user_string()
    if name == "release" and settings.profile == "bundled":
        spec = spec.replace_attributes(freshness_policy=DAILY.freshness)
        spec = spec.merge_attributes(metadata={"schedule": DAILY.cron, "freshness": DAILY.reason})
    if COLUMNS not in spec.metadata and name in python_marts():
        spec = spec.merge_attributes(metadata={COLUMNS: _described_columns(name)})
    columns = spec.metadata.get(COLUMNS)
    names = {column.name for column in columns.columns} if columns else set()
    tags = {}
    if "importer_iso3" in names and spec.group_name not in EVERY_IMPORTER:
        tags = {f"importer/{code}": "" for code in settings.importers}
    for category in CATEGORIES:
        if "category" in names or f"{category}_qty_kg" in names:
            tags[f"category/{category}"] = ""
    return spec.merge_attributes(tags=tags)


def _described_columns(mart: str) -> dg.TableSchema:
    """The declared columns of a mart made in Python."""
    columns = python_marts()[mart].columns
    return dg.TableSchema(
        [dg.TableColumn(c.name, c.type, description=c.description) for c in columns]
    )


def table_facts(warehouse: Warehouse, names: Collection[str]) -> dict[str, Facts]:
    """Of these tables and views: rows, columns as they are, totals of value and quantity.

    No totals where the rows of one flow are repeated for each source of coefficients.
    """
    facts: dict[str, Facts] = {}
    with warehouse.reader() as connection:
        rows = connection.execute(
            "select schema_name, table_name, list((column_name, data_type, comment) "
            "order by column_index) from duckdb_columns() where schema_name in "
            "('seeds', 'staging', 'conformed', 'marts') group by all"
        ).fetchall()
        for schema_name, table, columns in rows:
            if table in names:
                made = [dg.TableColumn(n, type_, description=words) for n, type_, words in columns]
                counted = _counted(connection, f'"{schema_name}"."{table}"', [c.name for c in made])
                facts[table] = {COLUMNS: dg.TableSchema(made), **counted}
    return facts


def column_types(warehouse: Warehouse) -> dict[str, dict[str, dict[str, str]]]:
    """Schema, table, column, type: of all that the warehouse has."""
    types: dict[str, dict[str, dict[str, str]]] = {}
    with warehouse.reader() as connection:
        rows = connection.execute(
            "select schema_name, table_name, column_name, data_type from duckdb_columns() "
            "where not internal order by all"
        ).fetchall()
    for schema_name, table, column, type_ in rows:
        types.setdefault(schema_name, {}).setdefault(table, {})[column] = type_
    return types


def _counted(
    connection: duckdb.DuckDBPyConnection, relation: str, columns: list[str]
) -> dict[str, int | float]:
    totalled = [c for c in columns if _TOTALLED.search(c) and "coefficient_source" not in columns]
    sums = "".join(f', sum(try_cast("{column}" as double))' for column in totalled)
    rows, *totals = connection.execute(f"select count(*){sums} from {relation}").fetchall()[0]
    return {"dagster/row_count": rows} | {
        f"total_{column}": total for column, total in zip(totalled, totals, strict=True) if total
    }


def watched(compute: Callable[..., Any]) -> Callable[..., Any]:
    """Add to what an asset reports: how long it took and, of a mart, its facts and choices; and let
    it fail with a sentence.

    Stands under `@dg.asset` or `@dg.multi_asset` of a function that takes `warehouse`, and
    `settings` where choices matter.
    """

    def completed(result: Any, started: float, **resources: Any) -> Any:
        if not isinstance(result, dg.MaterializeResult):
            return result
        key = result.asset_key or dg.AssetExecutionContext.get().asset_key
        name = dg.AssetKey.from_coercible(key).to_user_string()
        facts = table_facts(resources["warehouse"], {name})[name] if name in python_marts() else {}
        if facts and "settings" in resources:
            facts[CHOICES] = dg.MetadataValue.json(resources["settings"].chosen.recorded)
        seconds = round(time.monotonic() - started, 3)
        return result._replace(metadata={**facts, **(result.metadata or {}), "seconds": seconds})

    @wraps(compute)
    def one(*arguments: Any, **resources: Any) -> Any:
        started = time.monotonic()
        with told_in_words():
            return completed(compute(*arguments, **resources), started, **resources)

    @wraps(compute)
    def several(*arguments: Any, **resources: Any) -> Iterator[Any]:
        started = time.monotonic()
        with told_in_words():
            for result in compute(*arguments, **resources):
                yield completed(result, started, **resources)

    return several if isgeneratorfunction(compute) else one
