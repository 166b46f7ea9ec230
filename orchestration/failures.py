"""Why a run failed, in one plain sentence.

Dagster wraps an error in its own, and says of a run only which steps failed. Here the innermost
message is taken, and the sentence of each failed check, so that the first line names the cause in
the UI and on the terminal.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import dagster as dg
from dagster import DagsterEventType
from dagster_dbt.errors import DagsterDbtCliRuntimeError

from minerals.errors import MineralsError

_DBT_ERRORS = "Errors parsed from dbt logs:"  # before it, dagster-dbt repeats the whole command
_FAILURE = "dagster._core.definitions.events.Failure: "  # what `one_sentence` raises
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_DUCKDB_ADVICE = re.compile(r"Possible solutions:.*memory limit.*", re.DOTALL)


class RunFailedError(MineralsError):
    """The cause of a run's failure, as the UI shows it at the end of the run."""

    __module__ = "builtins"  # Python puts any other module's name before the sentence


@contextmanager
def one_sentence() -> Iterator[None]:
    """Let a step fail with the sentence first, not with the name of Dagster's wrapping error."""
    try:
        yield
    except (MineralsError, DagsterDbtCliRuntimeError) as error:
        raise dg.Failure(_plain(str(error))) from error


@dataclass
class Problems:
    """What went wrong in a run, in the order of its events. `first_step` is where it began."""

    failures: list[str] = field(default_factory=list)
    first_step: str | None = None
    warnings: list[str] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)

    def note(self, event: dg.DagsterEvent) -> None:
        if event.event_type == DagsterEventType.ASSET_CHECK_EVALUATION:
            self._note_check(event.asset_check_evaluation_data)
        elif event.event_type == DagsterEventType.STEP_FAILURE:
            self.failures.append(f"{event.step_key}: {cause_of(event)}")
        if self.failures and self.first_step is None:
            self.first_step = event.step_key

    def _note_check(self, check: dg.AssetCheckEvaluation) -> None:
        if is_not_compared(check):
            self.not_compared.append(name_of(check))
        if not check.passed:
            is_error = check.severity == dg.AssetCheckSeverity.ERROR
            found = self.failures if is_error else self.warnings
            found.append(f"{name_of(check)}: {sentence_of(check)}")

    def raise_first(self) -> None:
        """Raise RunFailedError with the first failure; the others mostly follow from it."""
        if self.failures:
            others = len(self.failures) - 1
            raise RunFailedError(self.failures[0] + (f" ({others} more below)" if others else ""))


def problems_of_run(instance: dg.DagsterInstance, run_id: str) -> Problems:
    """What went wrong in a recorded run. If no step failed, the message of the run's end."""
    end = DagsterEventType.RUN_FAILURE
    kinds = {DagsterEventType.ASSET_CHECK_EVALUATION, DagsterEventType.STEP_FAILURE, end}
    problems = Problems()
    events = [e.get_dagster_event() for e in instance.all_logs(run_id, of_type=kinds)]
    for event in events:
        problems.note(event)
    if not problems.failures:
        problems.failures += [cause_of(event) for event in events if event.event_type == end]
    return problems


def name_of(check: dg.AssetCheckEvaluation) -> str:
    return f"{check.asset_key.to_user_string()}.{check.check_name}"


def is_not_compared(check: dg.AssetCheckEvaluation) -> bool:
    """Whether a check passed because there is no release to compare with."""
    status = check.metadata.get("status")
    return status is not None and status.value == "not_compared"


def sentence_of(check: dg.AssetCheckEvaluation) -> str:
    """What a check found; of a dbt test, how many rows broke it."""
    rows = check.metadata.get("dagster_dbt/failed_row_count")
    return check.description or (f"{rows.value} rows" if rows else "did not pass")


def cause_of(event: dg.DagsterEvent) -> str:
    """The sentence written for the reader; of a bug, the innermost message."""
    error = getattr(event.event_specific_data, "error", None)
    if error is None:
        return event.message or "failed"
    while error.cause is not None and not error.message.startswith(_FAILURE):
        error = error.cause
    kind, _, message = error.message.partition(": ")
    words = message.strip() if kind.endswith(("Error", ".Failure")) else error.message.strip()
    return _plain(words)


def _plain(words: str) -> str:
    plain = _ANSI.sub("", words.rpartition(_DBT_ERRORS)[2]).strip()
    return _DUCKDB_ADVICE.sub("Give DuckDB more with MINERALS_DUCKDB_MEMORY.", plain)
