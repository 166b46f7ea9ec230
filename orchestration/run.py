"""Running a job from the command line, stage by stage, with progress.

The jobs are those that the daemon runs; here the steps run in this process, which saves the start
of one process per step.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from string import Template
from typing import TextIO
from uuid import uuid4

import dagster as dg
from dagster import DagsterEventType, EventLogEntry
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from minerals.settings import Settings
from orchestration.failures import Problems
from orchestration.history import history_open, set_aside_damaged
from orchestration.recovery import recover, run_tags

STAGES = {
    "ingest": "ingest raw snapshots",
    "conformed": "load seeds, stage, conform (dbt)",
    "marts": "build the panel (dbt)",
    "gate": "check quality (Great Expectations)",
    "estimation": "estimate PPML models",
    "ranking": "rank suppliers",
    "portfolio": "measure the portfolio",
    "publication": "publish the release",
}
_STAGE_OF_STEP = {
    "ppml": "estimation",
    "rankings": "ranking",
    "overview": "portfolio",
    "policy": "portfolio",
    "replication": "portfolio",
    "source_snapshots": "publication",
    "release": "publication",
}
_OUTCOMES = {DagsterEventType.STEP_SUCCESS: "done", DagsterEventType.STEP_FAILURE: "failed"}
# The UI shows under Overview and Jobs only runs that name the code which it has loaded.
_CODE = LoadableTargetOrigin(module_name="orchestration.definitions")
_ORIGIN = RemoteRepositoryOrigin(
    ManagedGrpcPythonEnvCodeLocationOrigin(_CODE, _CODE.module_name), "__repository__"
)
LATER_PACKAGES = (
    "statsmodels.genmod.generalized_linear_model",
    "matplotlib.projections",
    "matplotlib.backends.backend_agg",
)
StepCallback = Callable[[str, str, str, float], None]


@dataclass
class RefreshResult:
    """How one run of a job ended."""

    run_id: str
    succeeded: bool
    seconds: float
    log_file: Path
    problems: Problems


def stage_of(step_key: str) -> str:
    """The stage that a step belongs to; a key of STAGES."""
    if step_key.startswith("raw_"):
        return "ingest"
    if step_key.startswith("gate_"):
        return "gate"
    return _STAGE_OF_STEP.get(step_key) or step_key.removeprefix("dbt_")


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The Dagster instance under the warehouse folder, created or brought up to date."""
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    config = Template(settings.dagster_config.read_text()).substitute(DAGSTER_HOME=home)
    target = home / "dagster.yaml"
    if not target.exists() or target.read_text() != config:
        target.write_text(config)
    return dg.DagsterInstance.from_config(str(home))


def recovered(settings: Settings) -> list[str]:
    """Make the run history ready for a run: set aside what is damaged, end the runs whose process
    died. Returns a sentence about each."""
    said = set_aside_damaged(settings.dagster_home)
    with open_instance(settings) as instance:
        for run_id in recover(instance):
            said.append(f"run {run_id[:8]} was interrupted; recovered, nothing to clean up")
    return said


def refresh(settings: Settings, on_step: StepCallback, job: str = "refresh") -> RefreshResult:
    """Run the refresh job, or another one, to its end.

    `on_step(stage, step, event, seconds)` is called when a step is 'started', 'done' or 'failed'.
    The output of dbt and of Dagster goes to a log file; nothing is printed here. Raises
    WarehouseError when the dbt project does not parse, or Spark is the engine and is not there.
    """
    from orchestration.assets.ranking import learn_ahead
    from orchestration.definitions import build_definitions
    from orchestration.jobs import engines_for

    started = time.monotonic()
    settings.log_dir.mkdir(parents=True, exist_ok=True)
    run_id = str(uuid4())
    log_file = settings.log_dir / f"{job}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{run_id[:8]}.log"
    watcher = _Watcher(on_step, partial(learn_ahead, settings))
    with (
        open_instance(settings) as instance,
        streams_into(log_file),
        history_open(settings.dagster_home, run_id),
        engines_for(settings, job),
    ):
        definition = build_definitions(settings).resolve_job_def(job)
        instance.add_event_listener(run_id, watcher)
        with_origin = partial(
            instance.create_run_for_job, remote_job_origin=_ORIGIN.get_job_origin(job)
        )
        instance.create_run_for_job = with_origin  # execute_in_process has no parameter for it
        outcome = definition.execute_in_process(
            instance=instance,
            run_id=run_id,
            raise_on_error=False,
            tags={**run_tags(settings, run_id), "importers": ",".join(settings.importers)},
            run_config={"loggers": {"console": {"config": {"log_level": "INFO"}}}},
        )
        if watcher.problems.failures:
            # The page of a run opens at its last event; Dagster's own names no cause.
            cause = f"Cause: {watcher.problems.failures[0]}"
            instance.report_engine_event(cause, outcome.dagster_run)
    return RefreshResult(
        run_id=run_id,
        succeeded=outcome.success,
        seconds=time.monotonic() - started,
        log_file=log_file,
        problems=watcher.problems,
    )


def _import_ahead() -> None:
    """Import what later steps need while this process only waits for dbt: seconds on a second core.

    An import that fails here fails again in the step that needs it, with a message.
    """
    for package in LATER_PACKAGES:
        with suppress(ImportError):
            import_module(package)


class _Watcher:
    """Turns Dagster's events into stages, failures and warnings."""

    def __init__(self, on_step: StepCallback, learn_ahead: Callable[[], None]) -> None:
        self.on_step = on_step
        self.learn_ahead = learn_ahead
        self.problems = Problems()
        self._started: dict[str, float] = {}

    def __call__(self, entry: EventLogEntry) -> None:
        event = entry.dagster_event
        if event is None:
            return
        self.problems.note(event)
        if (step := event.step_key) is None:
            return
        if event.event_type == DagsterEventType.STEP_START:
            self._started[step] = time.monotonic()
            if step == "dbt_conformed":
                # Before the thread: half imported, it breaks the queries of Dagster's storage.
                import_module("sqlalchemy.orm")
                threading.Thread(target=_import_ahead, daemon=True).start()
            if step == "dbt_marts":
                with suppress(Exception):  # met again, and told, by the step itself
                    self.learn_ahead()
            self.on_step(stage_of(step), step, "started", 0.0)
        elif outcome := _OUTCOMES.get(event.event_type):
            now = time.monotonic()
            self.on_step(stage_of(step), step, outcome, now - self._started.get(step, now))


@contextmanager
def streams_into(log_file: Path) -> Iterator[None]:
    """Send everything this process and its children print to a file, at the descriptor level."""
    with log_file.open("a") as log:
        saved = [os.dup(1), os.dup(2)]
        try:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            yield
        finally:
            os.dup2(saved[0], 1)
            os.dup2(saved[1], 2)
            for descriptor in saved:
                os.close(descriptor)


def terminal() -> TextIO:
    """The terminal as it is now; it stays the terminal while the streams go into a log file."""
    return os.fdopen(os.dup(1), "w", buffering=1)
