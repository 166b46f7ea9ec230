"""Stage 6: what the sources were, and the release BI reads.

Publication runs last and only when every blocking check passed; until then the previous release is
served.
"""

from collections.abc import Sequence

import dagster as dg
import pandas as pd

from minerals.marts import PUBLISHED_MARTS, schema
from minerals.releases import PublishedMart
from minerals.sources import DATASETS
from orchestration.assets import OWNERS, WRITER_POOL
from orchestration.resources import RefreshSettings, Releases, Snapshots, Warehouse
from orchestration.run import is_not_run

RAW = [dg.AssetKey(f"raw_{dataset}") for dataset in DATASETS]


@dg.asset(
    group_name="publication",
    description="The snapshots this warehouse was built from: provider, licence, citation, hash.",
    kinds={"python", "duckdb"},
    owners=OWNERS,
    pool=WRITER_POOL,
    deps=RAW,
)
def source_snapshots(snapshots: Snapshots, warehouse: Warehouse) -> dg.MaterializeResult:
    store = snapshots.store()
    columns = list(schema("source_snapshots").columns)
    rows = [
        {column: getattr(store.current(dataset), column) for column in columns}
        for dataset in DATASETS
    ]
    frame = pd.DataFrame(rows, columns=columns)
    warehouse.save_marts({"source_snapshots": (frame, schema("source_snapshots"))})
    return dg.MaterializeResult(metadata={"dagster/row_count": len(frame)})


@dg.asset(
    group_name="publication",
    description="All marts as Parquet, made current in one step, with the serving database.",
    kinds={"parquet", "duckdb"},
    owners=OWNERS,
    pool=WRITER_POOL,
    deps=[dg.AssetKey(mart) for mart in PUBLISHED_MARTS],
)
def release(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    releases: Releases,
    settings: RefreshSettings,
) -> dg.MaterializeResult:
    with warehouse.reader() as connection:
        facts = {
            "run_id": context.run_id,
            "settings": settings.model_dump(),
            "snapshots": _records(connection.sql("select * from marts.source_snapshots").df()),
            "fits": _records(connection.sql("select * from marts.ppml_fit").df()),
            "checks": _checks(context),
        }
        published = releases.store().publish(connection, facts)
    return dg.MaterializeResult(
        metadata={
            "release_id": published.release_id,
            "path": dg.MetadataValue.path(str(published.path)),
            "serving_database": dg.MetadataValue.path(releases.serving_database),
            "marts": len(published.marts),
            "dagster/row_count": sum(mart.row_count for mart in published.marts),
            "contents": dg.MetadataValue.md(_contents(published.marts)),
        }
    )


def _checks(context: dg.AssetExecutionContext) -> dict[str, object]:
    """How the checks of this run ended: how many passed, each that did not, in words, and those
    that could not be judged."""
    entries = context.instance.all_logs(
        context.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
    )
    outcomes = [entry.get_dagster_event().asset_check_evaluation_data for entry in entries]
    return {
        "n_passed": sum(outcome.passed for outcome in outcomes),
        "not_passed": {
            _name(o): o.description or o.severity.value
            for o in outcomes
            if not o.passed and not is_not_run(o)
        },
        "not_run": {_name(o): o.description for o in outcomes if is_not_run(o)},
    }


def _name(check: dg.AssetCheckEvaluation) -> str:
    return f"{check.asset_key.to_user_string()}.{check.check_name}"


def _records(frame: pd.DataFrame) -> list[dict[str, object]]:
    plain = frame.astype(object).where(frame.notna(), None)
    return [{str(k): v for k, v in row.items()} for row in plain.to_dict("records")]


def _contents(marts: Sequence[PublishedMart]) -> str:
    lines = ["| mart | rows |", "|---|---:|"]
    lines += [f"| {m.name} | {m.row_count:,} |" for m in marts]
    return "\n".join(lines)
