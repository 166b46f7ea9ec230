"""The gate: each Great Expectations rule is one Dagster asset check, run before estimation.

A rule of severity `block` that fails, or that could not run, stops everything after its table in
the run, so the previous release stays served. `warn` is shown and lets the run pass. The rules live
in `expectations/`; the checks that dbt makes of its tests come with the dbt assets.
"""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg

import expectations.country_covariates
import expectations.import_panel
from expectations.rules import Rule
from expectations.validation import Outcome, validate
from minerals.settings import Settings
from orchestration.resources import DBT_PROJECT_DIR, Warehouse

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite


def gate(
    table: str, schema: str, rules: Sequence[Rule], suite: Callable[[], "ExpectationSuite"]
) -> dg.AssetChecksDefinition:
    """One op that validates `schema.table` and reports one check a rule."""

    @dg.multi_asset_check(
        name=f"gate_{table}",
        description=f"Great Expectations on {schema}.{table}, before anything is estimated.",
        specs=[
            dg.AssetCheckSpec(
                name=rule.name,
                asset=dg.AssetKey(table),
                description=rule.why,
                blocking=rule.severity == "block",
                metadata={"severity": rule.severity, "expectation": rule.expectation},
            )
            for rule in rules
        ],
    )
    def run(warehouse: Warehouse) -> Iterator[dg.AssetCheckResult]:
        frame = warehouse.frame(f"{schema}.{table}")
        for outcome in validate(frame, suite()):
            yield check_result(table, outcome)

    return run


def check_result(table: str, outcome: Outcome) -> dg.AssetCheckResult:
    """The outcome as Dagster shows it: a broken rule is an error that says it could not run."""
    blocks = outcome.severity == "block" or outcome.status == "broken"
    metadata: dict[str, Any] = {"status": outcome.status, "why": outcome.why}
    if outcome.n_unexpected is not None:
        metadata["unexpected_rows"] = outcome.n_unexpected
    if outcome.unexpected_pct is not None:
        metadata["unexpected_pct"] = float(outcome.unexpected_pct)
    if outcome.sample:
        metadata["sample"] = dg.MetadataValue.md(
            "```json\n" + "\n".join(json.dumps(row) for row in outcome.sample) + "\n```"
        )
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(table),
        check_name=outcome.name,
        passed=outcome.status == "passed",
        severity=dg.AssetCheckSeverity.ERROR if blocks else dg.AssetCheckSeverity.WARN,
        description=outcome.message,
        metadata=metadata,
    )


def mineral_names() -> list[str]:
    """The minerals as the seed spells them: what may occur in the panel."""
    with (DBT_PROJECT_DIR / "seeds" / "minerals.csv").open(encoding="utf-8") as file:
        return [row["mineral"] for row in csv.DictReader(file)]


def build_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """The gates of the panel and of the covariates."""
    panel = (settings.years, settings.importers, mineral_names())
    return [
        gate(
            "fct_country_covariates",
            "conformed",
            expectations.country_covariates.rules(settings.years),
            partial(expectations.country_covariates.suite, settings.years),
        ),
        gate(
            "import_panel",
            "marts",
            expectations.import_panel.rules(*panel),
            partial(expectations.import_panel.suite, *panel),
        ),
    ]
