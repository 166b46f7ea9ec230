"""Stage 2: the dbt project, in two commands with a gate between them.

dbt runs as a process of its own, and nothing else may open the warehouse meanwhile; so rows and
columns are read after it has ended. The SQL itself lives in `dbt_project/`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import dagster_dbt

from minerals.settings import Settings
from minerals.sources.window import settled
from orchestration.assets import OWNERS, WRITER_POOL
from orchestration.failures import one_sentence
from orchestration.lineage import column_lineage
from orchestration.metadata import CHOICES, Metadata, table_metadata
from orchestration.resources import Dbt, Warehouse, dbt_project, dbt_variables

SAMPLE_ROWS = 5  # of a failed test, shown beside its check
LAYERS = {
    "conformed": "resource_type:seed path:models/staging path:models/conformed",
    "marts": "path:models/marts",
}


class Translator(dagster_dbt.DagsterDbtTranslator):
    """dbt names are the asset names; the group is the layer, of marts their subject: the folder."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        if dbt_resource_props["resource_type"] == "source":
            return super().get_asset_key(dbt_resource_props)
        return dg.AssetKey(dbt_resource_props["name"])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        if dbt_resource_props["resource_type"] == "seed":
            return "seeds"
        layer, subject = dbt_resource_props["fqn"][1:3]
        return str(subject if layer == "marts" else layer)

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        return OWNERS

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return str(dbt_resource_props.get("description") or "")


def layer_assets(
    layer: str, select: str, project: dagster_dbt.DbtProject, settings: Settings
) -> dg.AssetsDefinition:
    """The dbt nodes that one command builds as assets, their tests as asset checks."""

    @dagster_dbt.dbt_assets(
        manifest=project.manifest_path,
        select=select,
        project=project,
        name=f"dbt_{layer}",
        dagster_dbt_translator=Translator(
            dagster_dbt.DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True)
        ),
        pool=WRITER_POOL,
    )
    def build(context: dg.AssetExecutionContext, dbt: Dbt, warehouse: Warehouse) -> Iterator[Any]:
        target = settings.warehouse_dir / "dbt" / layer
        results = target / "run_results.json"
        results.unlink(missing_ok=True)  # of the run before; dbt writes its own at its end
        arguments = ["build", "--exclude-resource-type", "unit_test"]
        # The tests between the two run in the last one, where all that they compare is built.
        selection = "eager" if layer == "marts" else "buildable"
        arguments += ["--indirect-selection", selection, "--target-path", str(target)]
        # Read now: the ingestion before it may have moved the window.
        arguments += ["--vars", json.dumps(dbt_variables(settings))]
        events: list[Any] = []
        try:
            with one_sentence(), warehouse.writing():
                invocation = dbt.cli(arguments, context=context, target_path=target)
                try:
                    with warehouse.watching(invocation.process):
                        events.extend(invocation.stream())
                finally:  # never leave a dbt process behind: it would hold the warehouse
                    if invocation.process.poll() is None:
                        invocation.process.terminate()
                    invocation.process.wait()
        finally:
            # Also when a model or test failed: what was built before it is reported.
            metadata = _metadata(warehouse, settings, target, events)
            samples = failing_rows(warehouse, target)
            for event in events:
                yield _with_sample(_with_metadata(event, metadata), samples)

    return build


def _metadata(
    warehouse: Warehouse, settings: Settings, target: Path, events: Iterable[Any]
) -> dict[str, Metadata]:
    """What the UI shows of each table that dbt built: rows, totals, columns and their lineage."""
    names = {name for event in events if (name := _table_built(event))}
    found, types = table_metadata(warehouse, names)
    is_ended = (target / "run_results.json").exists()  # not where dbt was killed
    lineages = column_lineage(target, types, settings.engine) if is_ended else {}
    for name, own in found.items():
        own[CHOICES] = dg.MetadataValue.json(settled(settings).dbt_vars)
        if name in lineages:
            own["dagster/column_lineage"] = lineages[name]
    return found


def _table_built(event: Any) -> str | None:
    """The name of the table whose materialization this is; None for other events."""
    if not isinstance(event, dg.Output | dg.AssetMaterialization):
        return None
    unique_id = event.metadata.get("unique_id")
    return str(unique_id.value).rsplit(".", 1)[-1] if unique_id else None


def _with_metadata(event: Any, metadata: Mapping[str, Metadata]) -> Any:
    name = _table_built(event)
    if name not in metadata:
        return event
    duration = event.metadata.get("Execution Duration")
    seconds = {"seconds": float(duration.value)} if duration else {}
    return event.with_metadata({**event.metadata, **metadata[name], **seconds})


def failing_rows(warehouse: Warehouse, target: Path) -> dict[str, list[dict[str, Any]]]:
    """A sample of the rows that each failed dbt test returned, by the test's unique id."""
    run_results = target / "run_results.json"
    if not run_results.exists():
        return {}
    failed = {
        result["unique_id"]: result["compiled_code"]
        for result in json.loads(run_results.read_text())["results"]
        if result["status"] in ("fail", "warn") and result.get("compiled_code")
    }
    if not failed:
        return {}
    return {name: warehouse.sample(sql, SAMPLE_ROWS) for name, sql in failed.items()}


def _with_sample(event: Any, samples: Mapping[str, list[dict[str, Any]]]) -> Any:
    if not isinstance(event, dg.AssetCheckResult) or event.passed:
        return event
    unique_id = event.metadata.get("unique_id")
    if not (sample := samples.get(str(unique_id.value)) if unique_id else None):
        return event
    shown = "\n".join(json.dumps(row, default=str) for row in sample)
    rows = event.metadata.get("dagster_dbt/failed_row_count")
    words = ", ".join(
        str(value) if name == "problem" else f"{name} {value}"
        for name, value in sample[0].items()
        if value is not None
    )
    count = rows.value if rows else "some"
    return event._replace(
        description=words if count == 1 else f"{count} rows, for example {words}",
        metadata={**event.metadata, "sample": dg.MetadataValue.md(f"```json\n{shown}\n```")},
    )


def transformation_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """The dbt project."""
    project = dbt_project(settings)
    return [layer_assets(layer, select, project, settings) for layer, select in LAYERS.items()]
