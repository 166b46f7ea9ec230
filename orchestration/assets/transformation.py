"""Stage 2: the dbt project, split by layer so that one failing test stops what is downstream of it.

dbt runs as a process of its own under the writer's lock. Rows and columns are read after it ended,
because DuckDB lets nobody in beside a writer. The SQL itself lives in `dbt_project/`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtCliInvocation,
    DbtProject,
    dbt_assets,
)

from minerals.settings import Settings
from orchestration.assets import OWNERS, WRITER_POOL
from orchestration.causes import told_in_words
from orchestration.lineage import column_lineage
from orchestration.metadata import CHOICES, Facts, column_types, table_facts
from orchestration.resources import (
    Dbt,
    Warehouse,
    dbt_project,
    dbt_variables,
    deployed_choices,
)

SAMPLE_ROWS = 5  # of a failed test, shown beside its check
LAYERS = {
    "staging": "resource_type:seed path:models/staging",
    "conformed": "path:models/conformed",
    "marts": "path:models/marts",
}


class Translator(DagsterDbtTranslator):
    """dbt names are the asset names; the group is the layer."""

    def __init__(self) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True))

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        if dbt_resource_props["resource_type"] == "source":
            return super().get_asset_key(dbt_resource_props)
        return dg.AssetKey(dbt_resource_props["name"])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        if dbt_resource_props["resource_type"] == "seed":
            return "seeds"
        return str(dbt_resource_props["fqn"][1])

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        return OWNERS

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return str(dbt_resource_props.get("description") or "")


def layer_assets(
    layer: str, select: str, project: DbtProject, settings: Settings
) -> dg.AssetsDefinition:
    """The dbt nodes of one layer as assets, their tests as asset checks."""
    variables = json.dumps(dbt_variables(settings))

    @dbt_assets(
        manifest=project.manifest_path,
        select=select,
        project=project,
        name=f"dbt_{layer}",
        dagster_dbt_translator=Translator(),
        pool=WRITER_POOL,
    )
    def build(context: dg.AssetExecutionContext, dbt: Dbt, warehouse: Warehouse) -> Iterator[Any]:
        arguments = ["build", "--exclude-resource-type", "unit_test"]
        arguments += ["--indirect-selection", "buildable", "--vars", variables]
        target = settings.warehouse_dir / "dbt" / layer
        events: list[Any] = []
        try:
            with told_in_words(), warehouse.writing():
                invocation = dbt.cli(arguments, context=context, target_path=target)
                with _ended(invocation):
                    events.extend(invocation.stream())
        finally:
            # Also when a model or test failed: what was built before it is reported.
            facts = _facts(warehouse, settings, target, events)
            failing = failing_rows(warehouse, target)
            for event in events:
                yield _with_failing_rows(_with_facts(event, facts), failing)

    return build


@contextmanager
def _ended(invocation: DbtCliInvocation) -> Iterator[None]:
    """Never leave a dbt process behind: it would hold the warehouse."""
    try:
        yield
    finally:
        if invocation.process.poll() is None:
            invocation.process.terminate()
        invocation.process.wait()


def _facts(
    warehouse: Warehouse, settings: Settings, target: Path, events: Iterable[Any]
) -> dict[str, Facts]:
    """What the UI shows of each table that dbt built: rows, totals, columns and whence they are."""
    names = {name for event in events if (name := _table_built(event))}
    facts = table_facts(warehouse, names)
    lineages = column_lineage(target, column_types(warehouse)) if names else {}
    for name, own in facts.items():
        own[CHOICES] = dg.MetadataValue.json(deployed_choices(settings))
        if name in lineages:
            own["dagster/column_lineage"] = lineages[name]
    return facts


def _table_built(event: Any) -> str | None:
    """The name of the table whose materialization this is; None of other events."""
    if not isinstance(event, dg.Output | dg.AssetMaterialization):
        return None
    unique_id = event.metadata.get("unique_id")
    return str(unique_id.value).rsplit(".", 1)[-1] if unique_id else None


def _with_facts(event: Any, facts: Mapping[str, Facts]) -> Any:
    name = _table_built(event)
    if name not in facts:
        return event
    seconds = event.metadata.get("Execution Duration")
    took = {"seconds": float(seconds.value)} if seconds else {}
    return event.with_metadata({**event.metadata, **facts[name], **took})


def failing_rows(warehouse: Warehouse, target: Path) -> dict[str, list[dict[str, Any]]]:
    """A sample of the rows that each failed dbt test returned, by the test's unique id."""
    run_results = target / "run_results.json"
    if not run_results.exists():
        return {}
    results = json.loads(run_results.read_text())["results"]
    failed = {
        result["unique_id"]: result["compiled_code"]
        for result in results
        if result["status"] in ("fail", "warn") and result.get("compiled_code")
    }
    if not failed:
        return {}
    with warehouse.reader() as connection:
        return {name: _sample(connection, sql) for name, sql in failed.items()}


def _sample(connection: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    rows = connection.execute(f"select * from (\n{sql}\n) limit {SAMPLE_ROWS}")
    columns = [column[0] for column in rows.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in rows.fetchall()]


def _with_failing_rows(event: Any, failing: Mapping[str, list[dict[str, Any]]]) -> Any:
    if not isinstance(event, dg.AssetCheckResult) or event.passed:
        return event
    unique_id = event.metadata.get("unique_id")
    sample = failing.get(str(unique_id.value)) if unique_id else None
    if not sample:
        return event
    shown = "\n".join(json.dumps(row, default=str) for row in sample)
    rows = event.metadata.get("dagster_dbt/failed_row_count")
    words = ", ".join(f"{name} {value}" for name, value in sample[0].items() if value is not None)
    return dg.AssetCheckResult(
        asset_key=event.asset_key,
        check_name=event.check_name,
        passed=False,
        severity=event.severity,
        description=f"{rows.value if rows else 'some'} rows, for example {words}",
        metadata={**event.metadata, "sample": dg.MetadataValue.md(f"```json\n{shown}\n```")},
    )


def transformation_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """The three layers of the dbt project."""
    project = dbt_project(settings)
    return [layer_assets(layer, select, project, settings) for layer, select in LAYERS.items()]
