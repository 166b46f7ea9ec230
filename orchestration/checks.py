"""The gates: one Dagster asset check per suite of a table, run before what builds on it.

One op per stage (raw, conformed, panel, estimates, rankings), so that a process starts and imports
Great Expectations five times, not once per table. A check fails with severity ERROR when a rule of
severity `block` failed or any rule broke, and stops everything after its table, so the previous
release stays served; with WARN it is shown and the run goes on. A suite with nothing to compare
with passes and says so. Rules and frames live in `expectations/`; nothing here writes a table.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import dagster as dg

from expectations.gates import GATES
from expectations.previous import Previous, unreadable
from expectations.report import HEADS, Report, add_to_page, folder_of_run, markdown
from expectations.rules import Given, Stage
from expectations.validation import judge
from minerals.errors import ReleaseError
from minerals.mapping.seeds import MINERALS, read_seed
from minerals.names import EVERY_IMPORTER
from minerals.releases import ReleaseStore
from minerals.settings import Settings
from orchestration.resources import RunSettings, Warehouse


def build_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """The gates, one op per stage."""
    return [gate_of_stage(stage, settings) for stage in get_args(Stage)]


def gate_of_stage(stage: Stage, deployed: Settings) -> dg.AssetChecksDefinition:
    """One op that judges the tables of a stage and reports one check per suite."""
    gates = [gate for gate in GATES if gate.stage == stage]

    @dg.multi_asset_check(
        name=f"gate_{stage}",
        description=f"Great Expectations on {', '.join(gate.table for gate in gates)}.",
        specs=[
            dg.AssetCheckSpec(
                name=suite.name,
                asset=dg.AssetKey(gate.table),
                description=suite.row,
                blocking=suite.is_blocking,
                metadata={"n_rules": len(suite.rules)},
            )
            for gate in gates
            for suite in gate.suites(given(deployed))
        ],
        can_subset=True,
    )
    def run(
        context: dg.AssetCheckExecutionContext, warehouse: Warehouse, settings: RunSettings
    ) -> Iterator[dg.AssetCheckResult]:
        chosen, selected = settings.chosen, context.selected_asset_check_keys
        served = ReleaseStore(chosen.releases_dir, chosen.serving_database)
        previous = previous_release(served, chosen)
        folder = folder_of_run(chosen.data_docs_dir, context.run.run_id)
        for gate in gates:
            with warehouse.reader() as connection:
                reports = [
                    judge(gate, suite, connection, previous)
                    for suite in gate.suites(given(chosen))
                    if dg.AssetCheckKey(dg.AssetKey(gate.table), suite.name) in selected
                ]
            for report in reports:
                yield check_result(report, add_to_page(folder, report), previous)

    return run


def check_result(report: Report, page: Path, previous: Previous) -> dg.AssetCheckResult:
    """The report as Dagster shows it."""
    failed = report.not_passed
    metadata: dict[str, Any] = {
        "status": report.status,
        "n_failed": sum(outcome.is_error for outcome in failed),
        "n_warned": sum(not outcome.is_error for outcome in failed),
        "rules": dg.MetadataValue.md(markdown(HEADS, report.cells())),
        "data_docs": dg.MetadataValue.path(str(page)),
    }
    if frame := report.frame_in_markdown():
        metadata["judged"] = dg.MetadataValue.md(frame)
    if previous.folder is not None:
        metadata["previous_release"] = previous.folder.name
    is_error = any(outcome.is_error for outcome in failed)
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(report.table),
        check_name=report.suite.name,
        passed=not failed,
        severity=dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
        description=report.sentence(),
        metadata=metadata,
    )


def previous_release(store: ReleaseStore, settings: Settings) -> Previous:
    """The release served, to be compared with a run of these settings."""
    folder = store.current()
    if folder is None:
        return Previous()
    try:
        manifest = store.manifest() or {}
    except ReleaseError as error:
        return Previous(folder, why_not=unreadable(f"manifest.json: {error.__cause__}"))
    return Previous.in_folder(folder, manifest.get("settings", {}), settings.recorded)


def given(settings: Settings) -> Given:
    """What the gates are told about a run."""
    minerals = read_seed(settings.seeds_dir / MINERALS).rows
    return Given(
        years=list(settings.years),
        importers=[] if settings.importers == (EVERY_IMPORTER,) else list(settings.importers),
        sheets={row["mineral"]: sheet for row in minerals if (sheet := row["production_sheet"])},
        top_k=settings.top_k,
        of_few_importers=settings.profile == "live",
    )
