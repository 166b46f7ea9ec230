"""The stages a person is shown while the job runs."""

import pytest

from orchestration import run


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
