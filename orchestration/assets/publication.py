"""Stage 6: what the sources were, and the release BI reads.

Publication runs last and only when every blocking check passed; until then the previous release is
served.
"""

from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import duckdb
import pandas as pd

from minerals.errors import ReleaseError
from minerals.marts import PUBLISHED_MARTS, python_marts
from minerals.releases import PublishedMart
from minerals.sources import DATASETS
from orchestration.assets import OWNERS, WRITER_POOL
from orchestration.causes import is_not_run
from orchestration.metadata import watched
from orchestration.readiness import not_judged, why_not_ready
from orchestration.resources import Releases, RunSettings, Snapshots, Warehouse

RAW = [dg.AssetKey(f"raw_{dataset}") for dataset in DATASETS]


@dg.asset(
    group_name="publication",
    description="The snapshots this warehouse was built from: provider, licence, citation, hash.",
    kinds={"python", "duckdb"},
    owners=OWNERS,
    pool=WRITER_POOL,
    deps=[*RAW, dg.AssetKey("import_panel")],  # after what was made of them
)
@watched
def source_snapshots(snapshots: Snapshots, warehouse: Warehouse) -> dg.MaterializeResult:
    store = snapshots.store()
    columns = [column.name for column in python_marts()["source_snapshots"].columns]
    # Those that were read, not those in use: an operator may choose others meanwhile.
    read = [store.read(d, warehouse.loaded_snapshot_id(d)) for d in DATASETS]
    rows = [{column: getattr(snapshot, column) for column in columns} for snapshot in read]
    frame = pd.DataFrame(rows, columns=columns)
    warehouse.save_marts({"source_snapshots": frame})
    return dg.MaterializeResult(metadata={"dagster/row_count": len(frame)})


@dg.asset(
    group_name="publication",
    description="All marts as Parquet, made current in one step, with the serving database.",
    kinds={"parquet", "duckdb"},
    owners=OWNERS,
    pool=WRITER_POOL,
    deps=[dg.AssetKey(mart) for mart in PUBLISHED_MARTS],
)
@watched
def release(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    releases: Releases,
    settings: RunSettings,
) -> dg.MaterializeResult:
    problems = why_not_ready(context.instance, PUBLISHED_MARTS, context.run_id)
    problems = problems or not_judged(context.instance, _made_from(warehouse))
    if problems:
        raise ReleaseError(
            "What is in the warehouse does not belong together, so nothing is published and the "
            f"previous release stays served: {_listed(problems)}. Run the job `rebuild_marts` and "
            "then `estimate_and_rank`, or `refresh`."
        )
    with warehouse.reader() as connection:
        facts = {
            "run_id": context.run_id,
            "settings": settings.chosen.recorded,
            "snapshots": _records(connection.sql("select * from marts.source_snapshots").df()),
            "reported_trade_snapshot_id": _reported_trade(connection),
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
            **_pages(published.path, Path(releases.data_docs) / context.run_id),
            "contents": dg.MetadataValue.md(_contents(published.marts)),
        }
    )


def _made_from(warehouse: Warehouse) -> dict[str, str]:
    """The snapshot of each dataset that the marts were made from."""
    with warehouse.reader() as connection:
        return dict(
            connection.execute("select dataset, snapshot_id from marts.source_snapshots").fetchall()
        )


def _reported_trade(connection: duckdb.DuckDBPyConnection) -> str | None:
    """The snapshot of the optional file that the trade data are reconciled with; None without."""
    found = connection.execute("select any_value(_snapshot_id) from raw.reported_trade").fetchall()
    return found[0][0]


def _pages(release: Path, gates: Path) -> dict[str, dg.MetadataValue]:
    """Where to read on: the manifest, the contract, and the pages of this run's gates where there
    are."""
    pages = {"manifest": release / "manifest.json", "readme": release / "README.md"}
    if (gates / "index.html").is_file():
        pages["data_docs"] = gates / "index.html"
    return {name: dg.MetadataValue.path(str(page)) for name, page in pages.items()}


def _listed(problems: Sequence[str]) -> str:
    more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
    return "; ".join(problems[:3]) + more


def _checks(context: dg.AssetExecutionContext) -> dict[str, object]:
    """How the checks of this run ended: each one, and in words those that did not pass, and those
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
        "outcomes": {
            _name(o): "passed"
            if o.passed
            else "not run"
            if is_not_run(o)
            else f"not passed ({o.severity.value.lower()})"
            for o in sorted(outcomes, key=lambda o: (o.asset_key, o.check_name))
        },
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
