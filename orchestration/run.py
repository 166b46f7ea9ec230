"""Running the refresh job from the command line, stage by stage, with progress.

The job is the one the daemon runs; here its steps run in this process, which saves the start of one
process a step. Words and tables for the reader are in `summary.py`.
"""

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from string import Template
from typing import TextIO
from uuid import uuid4

import dagster as dg
from dagster import DagsterEventType, EventLogEntry

from minerals.settings import Settings
from orchestration.recovery import own_process_tags

STAGES = {
    "ingest": "ingest raw snapshots",
    "staging": "load seeds, stage (dbt)",
    "conformed": "conform (dbt)",
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
    "replication_scorecard": "portfolio",
    "portfolio_concentration": "portfolio",
    "source_snapshots": "ingest",
    "release": "publication",
}
_DBT_ERRORS = "Errors parsed from dbt logs:"  # before it, dagster-dbt repeats the whole command
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
StepCallback = Callable[[str, str, str, float], None]


@dataclass
class RefreshResult:
    """What became of one run of the job."""

    run_id: str
    succeeded: bool
    seconds: float
    log_file: Path
    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)


def stage_of(step_key: str) -> str:
    """The stage, as a person would call it, that a step belongs to."""
    if step_key.startswith("raw_"):
        return "ingest"
    if step_key.startswith("gate_"):
        return "gate"
    return _STAGE_OF_STEP.get(step_key) or step_key.removeprefix("dbt_")


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The Dagster instance under the warehouse folder, created or brought up to date."""
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    template = Template(Path(__file__).with_name("dagster.yaml").read_text())
    config = template.substitute(DAGSTER_HOME=home)
    target = home / "dagster.yaml"
    if not target.exists() or target.read_text() != config:
        target.write_text(config)
    return dg.DagsterInstance.from_config(str(home))


def refresh(settings: Settings, on_step: StepCallback, log_level: str = "INFO") -> RefreshResult:
    """Run the refresh job to its end.

    `on_step(stage, step, event, seconds)` is called as each step is 'started', 'done' or 'failed'.
    Output of dbt and of Dagster goes to a log file; nothing is printed here. Raises WarehouseError
    when the dbt project does not parse.
    """
    from orchestration.definitions import build_definitions

    started = time.monotonic()
    settings.log_dir.mkdir(parents=True, exist_ok=True)
    run_id = str(uuid4())
    log_file = settings.log_dir / f"refresh-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{run_id[:8]}.log"
    watcher = _Watcher(on_step)
    with open_instance(settings) as instance, streams_into(log_file):
        job = build_definitions(settings).resolve_job_def("refresh")
        instance.add_event_listener(run_id, watcher)
        outcome = job.execute_in_process(
            instance=instance,
            run_id=run_id,
            raise_on_error=False,
            tags={**own_process_tags(), "importers": ",".join(settings.importers)},
            run_config={"loggers": {"console": {"config": {"log_level": log_level}}}},
        )
    return RefreshResult(
        run_id=run_id,
        succeeded=outcome.success,
        seconds=time.monotonic() - started,
        log_file=log_file,
        failures=watcher.failures,
        warnings=watcher.warnings,
        not_run=watcher.not_run,
    )


def _import_ahead() -> None:
    """Import what later steps need while this process only waits for dbt: seconds on a second core.

    A failure here is not one: the step that needs the package imports it and says what is wrong.
    """
    for package in ("great_expectations", "statsmodels.api"):
        with suppress(ImportError):
            import_module(package)


class _Watcher:
    """Turns Dagster's events into stages, failures and warnings."""

    def __init__(self, on_step: StepCallback) -> None:
        self.on_step = on_step
        self.failures: list[str] = []
        self.warnings: list[str] = []
        self.not_run: list[str] = []
        self._started: dict[str, float] = {}

    def __call__(self, entry: EventLogEntry) -> None:
        event = entry.dagster_event
        if event is None:
            return
        if event.event_type == DagsterEventType.ASSET_CHECK_EVALUATION:
            self._note_check(event)
        step = event.step_key
        if step is None:
            return
        stage = stage_of(step)
        if event.event_type == DagsterEventType.STEP_START:
            self._started[step] = time.monotonic()
            if step == "dbt_staging":
                threading.Thread(target=_import_ahead, daemon=True).start()
            self.on_step(stage, step, "started", 0.0)
        elif event.event_type == DagsterEventType.STEP_SUCCESS:
            self.on_step(stage, step, "done", self._elapsed(step))
        elif event.event_type == DagsterEventType.STEP_FAILURE:
            self.failures.append(f"{step}: {_cause(event)}")
            self.on_step(stage, step, "failed", self._elapsed(step))

    def _elapsed(self, step: str) -> float:
        return time.monotonic() - self._started.get(step, time.monotonic())

    def _note_check(self, event: dg.DagsterEvent) -> None:
        check = event.event_specific_data
        if check.passed:
            return
        name = f"{check.asset_key.to_user_string()}.{check.check_name}"
        if is_not_run(check):
            self.not_run.append(name)
            return
        words = f"{name}: {check.description or _failed_rows(check)}"
        if check.severity == dg.AssetCheckSeverity.ERROR:
            self.failures.append(words)
        else:
            self.warnings.append(words)


def is_not_run(check: dg.AssetCheckEvaluation) -> bool:
    """Whether a check could not be judged, which is neither a pass nor a failure."""
    status = check.metadata.get("status")
    return status is not None and status.value == "not_run"


def _failed_rows(check: dg.AssetCheckEvaluation) -> str:
    """What a dbt test leaves behind in place of words."""
    rows = check.metadata.get("dagster_dbt/failed_row_count")
    return f"{rows.value} rows" if rows else "did not hold"


def _cause(event: dg.DagsterEvent) -> str:
    """The innermost message of a step's failure: the sentence somebody wrote for the reader."""
    data = event.event_specific_data
    error = getattr(data, "error", None)
    if error is None:
        return event.message or "failed"
    while error.cause is not None:
        error = error.cause
    kind, _, message = error.message.partition(": ")
    words = message.strip() if kind.endswith("Error") else error.message.strip()
    return _ANSI.sub("", words.rpartition(_DBT_ERRORS)[2]).strip()


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
    """The terminal as it is now, still the terminal while the streams go into a log file."""
    return os.fdopen(os.dup(1), "w", buffering=1)
