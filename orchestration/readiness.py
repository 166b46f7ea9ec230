"""May what is in the warehouse be released? Asked before each release, since jobs run in parts.

A release holds tables that belong together: each made from its inputs as they are now, all with
the same choices, none by a step that broke off, none with an open or failed check that blocks.
Dagster's records tell: every materialization carries the versions of its inputs.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg
from dagster import DagsterEventType, DagsterRunStatus, EventLogEntry
from dagster._core.definitions.data_version import (
    extract_data_provenance_from_entry,
    extract_data_version_from_entry,
)
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecordStatus as CheckStatus,
)

from orchestration.causes import words_of
from orchestration.metadata import CHOICES

BROKEN_OFF = [DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]


def why_not_ready(
    instance: dg.DagsterInstance, marts: Collection[str], run_id: str | None = None
) -> list[str]:
    """What speaks against a release of these marts, a sentence each; empty when nothing does.

    `run_id` is the run that asks: its own checks that block have passed, or it would not ask.
    """
    latest = upstream(instance, marts)
    missing = [mart for mart in marts if dg.AssetKey(mart) not in latest]
    return [
        *(f"{mart} was never built" for mart in missing),
        *stale_tables(latest),
        *different_choices(latest),
        *_broken_off(instance, latest),
        *_blocking(checks_not_passed(instance, latest, run_id)),
    ]


def not_judged(instance: dg.DagsterInstance, made_from: Mapping[str, str]) -> list[str]:
    """The sources {dataset: snapshot} whose raw table was last recorded, and judged, with another
    snapshot than the marts were made from, a sentence each."""
    keys = {dataset: dg.AssetKey(f"raw_{dataset}") for dataset in made_from}
    latest = instance.get_latest_materialization_events(list(keys.values()))
    found = []
    for dataset, snapshot_id in made_from.items():
        entry = latest.get(keys[dataset])
        judged = extract_data_version_from_entry(entry) if entry else None
        if judged is None or judged.value != snapshot_id:
            found.append(
                f"the marts were made from snapshot {snapshot_id} of {dataset}, and the checks "
                f"judged {judged.value if judged else 'none'}"
            )
    return found


def upstream(
    instance: dg.DagsterInstance, marts: Collection[str]
) -> dict[dg.AssetKey, EventLogEntry]:
    """The last materialization of each of these and of all they were made from."""
    latest: dict[dg.AssetKey, EventLogEntry] = {}
    wanted = {dg.AssetKey(mart) for mart in marts}
    while wanted:
        records = instance.get_latest_materialization_events(list(wanted))
        found = {key: entry for key, entry in records.items() if entry is not None}
        latest |= found
        wanted = {i for entry in found.values() for i in _inputs(entry)} - latest.keys() - wanted
    return latest


def _inputs(entry: EventLogEntry) -> dict[dg.AssetKey, dg.DataVersion]:
    provenance = extract_data_provenance_from_entry(entry)
    return dict(provenance.input_data_versions) if provenance else {}


def stale_tables(latest: Mapping[dg.AssetKey, EventLogEntry]) -> list[str]:
    now = {key: extract_data_version_from_entry(entry) for key, entry in latest.items()}
    found = []
    for key, entry in sorted(latest.items()):
        changed = [
            i.to_user_string() for i, version in _inputs(entry).items() if now.get(i) != version
        ]
        if changed:
            name = key.to_user_string()
            found.append(f"{name} was made before {', '.join(sorted(changed))} changed")
    return found


def different_choices(latest: Mapping[dg.AssetKey, EventLogEntry]) -> Iterator[str]:
    """A table made with top_k 5 beside one made with 10, or for another importer."""
    made_with: dict[str, dict[str, list[str]]] = {}
    for key, entry in sorted(latest.items()):
        metadata = entry.asset_materialization.metadata if entry.asset_materialization else {}
        values = metadata[CHOICES].value if CHOICES in metadata else {}
        assert isinstance(values, Mapping)
        for name, value in values.items():
            made_with.setdefault(name, {}).setdefault(str(value), []).append(key.to_user_string())
    for name, tables in made_with.items():
        if len(tables) > 1:
            yield f"tables differ in {name}: " + "; ".join(
                f"{', '.join(names[:3])}{' and others' if len(names) > 3 else ''} have {value}"
                for value, names in tables.items()
            )


def _broken_off(
    instance: dg.DagsterInstance, latest: Mapping[dg.AssetKey, EventLogEntry]
) -> Iterator[str]:
    """Tables that a step began to build and did not report: nobody knows what is in them."""
    if not latest:
        return
    oldest = min(entry.timestamp for entry in latest.values())
    since = dg.RunsFilter(statuses=BROKEN_OFF, updated_after=_moment(oldest))
    for run in instance.get_runs(since):
        kinds = {DagsterEventType.STEP_START, DagsterEventType.ASSET_MATERIALIZATION_PLANNED}
        entries = instance.all_logs(run.run_id, of_type=kinds)
        started = {
            e.step_key: e.timestamp
            for e in entries
            if e.get_dagster_event().event_type == DagsterEventType.STEP_START
        }
        for entry in entries:
            event = entry.get_dagster_event()
            if event.event_type == DagsterEventType.ASSET_MATERIALIZATION_PLANNED:
                key, begun = event.asset_key, started.get(entry.step_key)
                if key in latest and begun and latest[key].timestamp < begun:
                    name = key.to_user_string()
                    yield f"{name} was being built when run {run.run_id[:8]} broke off"


@dataclass(frozen=True)
class NotPassed:
    """A check that did not pass when it was last made; without severity, one never made."""

    check: str
    severity: dg.AssetCheckSeverity | None
    words: str


def checks_not_passed(
    instance: dg.DagsterInstance,
    latest: Mapping[dg.AssetKey, EventLogEntry],
    run_id: str | None = None,
) -> list[NotPassed]:
    """The checks, planned by the runs that built these tables, that did not pass last time.

    A check that the run `run_id` has yet to make does not count.
    """
    planned = {
        event.asset_check_planned_data.asset_check_key
        for builder in sorted({entry.run_id for entry in latest.values()})
        for entry in instance.all_logs(
            builder, of_type=DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED
        )
        if (event := entry.get_dagster_event())
    }
    asked = sorted(key for key in planned if key.asset_key in latest)
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key(asked)
    found = []
    for key in asked:
        record = records.get(key)
        if record is not None and record.status == CheckStatus.PLANNED and record.run_id != run_id:
            # A source that brought nothing new leaves its checks planned: those of the run that
            # made the table hold.
            record = _made_by(instance, key, latest[key.asset_key].run_id) or record
        name = f"{key.asset_key.to_user_string()}.{key.name}"
        if record is None or record.status == CheckStatus.PLANNED:
            if record is None or record.run_id != run_id:
                found.append(NotPassed(name, None, "was never made"))
        elif record.status == CheckStatus.FAILED and record.event is not None:
            check = record.event.get_dagster_event().asset_check_evaluation_data
            found.append(NotPassed(name, check.severity, words_of(check)))
    return found


def _made_by(
    instance: dg.DagsterInstance, key: dg.AssetCheckKey, run_id: str
) -> AssetCheckExecutionRecord | None:
    """The outcome of a check in one run; None when it had none there."""
    history = instance.event_log_storage.get_asset_check_execution_history(key, limit=50)
    made = (CheckStatus.SUCCEEDED, CheckStatus.FAILED)
    return next((r for r in history if r.run_id == run_id and r.status in made), None)


def _blocking(checks: Collection[NotPassed]) -> Iterator[str]:
    for check in checks:
        if check.severity is None:
            yield f"check {check.check} {check.words}"
        elif check.severity == dg.AssetCheckSeverity.ERROR:
            yield f"check {check.check} failed: {check.words}"


def _moment(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, tz=UTC)
