"""From which columns of other tables each column of a dbt model is made.

Read from the SQL that dbt compiled and the columns that the warehouse has, after dbt has ended.
dagster-dbt's own way asks the warehouse through a dbt adapter in this process, which keeps a
connection that the next writer waits for. Tables that a model reads as a whole (`count(*)`) give
no line.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from sqlglot import MappingSchema, exp, parse_one
from sqlglot.errors import SqlglotError
from sqlglot.lineage import lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope

_LOG = logging.getLogger(__name__)


def column_lineage(
    target: Path, types: Mapping[str, Mapping[str, Mapping[str, str]]], dialect: str
) -> dict[str, dg.TableColumnLineage]:
    """The lineage of every model that the dbt command with this target folder built, by name.

    `types` is what the warehouse has: schema, table, column, type. `dialect` is that of the SQL.
    """
    manifest = json.loads((target / "manifest.json").read_text())
    nodes, sources = manifest["nodes"], manifest["sources"].values()
    assets = {(n["schema"], n.get("alias")): n["name"] for n in nodes.values()}
    assets |= {
        (s["schema"], s["identifier"]): s["meta"]["dagster"]["asset_key"][-1] for s in sources
    }
    known = MappingSchema({**types}, dialect="duckdb")
    found = {}
    for result in json.loads((target / "run_results.json").read_text())["results"]:
        node = nodes.get(result["unique_id"], {})
        if node.get("resource_type") == "model" and result["status"] == "success":
            try:
                found[node["name"]] = _of_model(result["compiled_code"], known, assets, dialect)
            except (SqlglotError, TypeError) as error:  # a `*` of a view that `types` lacks
                _LOG.info("no column lineage of %s: %s", node["name"], error)
    return found


def _of_model(
    sql: str, known: MappingSchema, assets: Mapping[tuple[str, str], str], dialect: str
) -> dg.TableColumnLineage:
    tree: Any = parse_one(sql, dialect=dialect)
    for table in tree.find_all(exp.Table):
        table.set("catalog", None)  # there is one database, and `known` does not name it
    tree = qualify(tree, schema=known, dialect=dialect, validate_qualify_columns=False)
    nodes = lineage(
        None, tree, known, dialect=dialect, scope=build_scope(tree), trim_selects=False, copy=False
    )
    made_of: dict[str, list[dg.TableColumnDep]] = {}
    for column, node in nodes.items():
        parents = set()
        for leaf in node.walk():
            table = leaf.expression.find(exp.Table)
            asset = assets.get((table.db, table.name)) if table is not None else None
            if asset and not leaf.downstream:
                parents.add((asset, exp.to_column(leaf.name).name))
        made_of[column] = [dg.TableColumnDep(*parent) for parent in sorted(parents)]
    return dg.TableColumnLineage(made_of)
