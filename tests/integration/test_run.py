"""The stages a person is shown while the job runs."""

import dagster as dg
import pytest

from minerals.errors import ReleaseError
from minerals.settings import Settings
from orchestration import run
from orchestration.causes import Causes, RunFailedError
from orchestration.metadata import watched


@pytest.mark.parametrize(
    ("step", "stage"),
    [
        ("raw_production", "ingest"), ("dbt_staging", "staging"), ("dbt_marts", "marts"),
        ("gate_import_panel", "gate"), ("ppml", "estimation"), ("rankings", "ranking"),
        ("replication", "portfolio"), ("release", "publication"),
    ],
)  # fmt: skip
def test_each_step_belongs_to_a_stage_with_words(step, stage):
    assert run.stage_of(step) == stage
    assert run.STAGES[stage]


@dg.asset
@watched
def broken() -> dg.MaterializeResult:
    try:
        raise OSError(28, "No space left on device")
    except OSError as error:
        raise ReleaseError("There is no room left.") from error


def test_a_failure_tells_its_cause_before_anything_else():
    result = dg.materialize([broken], raise_on_error=False)
    (failure,) = (event for event in result.all_events if event.is_step_failure)
    assert failure.step_failure_data.error.message.strip().endswith(
        "Failure: There is no room left."
    )
    causes = Causes()
    causes.note(failure)
    assert causes.failures == ["broken: There is no room left."]
    with pytest.raises(RunFailedError, match=r"^broken: There is no room left\.$"):
        causes.raise_first()


def test_the_instance_is_the_one_that_the_settings_name(tmp_path):
    """A service keeps its history elsewhere; `minerals` must not write the default over it."""
    config = tmp_path / "mine.yaml"
    config.write_text("telemetry:\n  enabled: false\n")
    settings = Settings(warehouse_dir=tmp_path, dagster_config=config)
    with run.open_instance(settings) as instance:
        assert instance.event_log_storage.__class__.__name__ == "SqliteEventLogStorage"
    assert (settings.dagster_home / "dagster.yaml").read_text() == config.read_text()
