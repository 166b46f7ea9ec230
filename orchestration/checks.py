"""The gates: each Great Expectations rule is one Dagster asset check, run before what builds on it.

One op a stage (raw, conformed, panel, estimates, rankings), so that the start of a process and the
import of Great Expectations are paid five times, not once a table. A rule of severity `block` that
fails, or that broke, stops everything after its table in the run, so the previous release stays
served. `warn` is shown and lets the run pass. A rule that could not run, for want of a previous
release, is yellow and says so. The rules live in `expectations/`, the shapes in which a table is
judged in `minerals/inspection/`; the checks that dbt makes of its tests come with the dbt assets.
"""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd

from expectations import (
    country_covariates,
    country_geography,
    country_indicators,
    import_panel,
    ppml_coefficients,
    rankings,
    raw_production,
    raw_trade,
    trade_flow,
)
from expectations.data_docs import folder_of_run, write_pages
from expectations.rules import Suite, waiting
from expectations.validation import Outcome, Report, validate
from minerals.inspection import tables
from minerals.inspection.baseline import (
    Baseline,
    panel_totals,
    read_baseline,
    with_candidates,
)
from minerals.inspection.tables import Shape
from minerals.names import ESTIMATED
from minerals.ppml import MIN_NONZERO_OBSERVATIONS
from minerals.settings import Settings
from orchestration.resources import (
    DBT_PROJECT_DIR,
    Releases,
    RunSettings,
    Warehouse,
)

NO_BASELINE = Baseline(None, None, "there is no previous release to compare with")
Judged = list[tuple[Suite, Shape]]


@dataclass(frozen=True)
class Gate:
    """How one table is judged: `suites` says by what, `shapes` reads what is judged.

    A shape has the name after `__` in the name of its suite.
    """

    table: str
    suites: Callable[[Settings, Baseline], Sequence[Suite]]
    shapes: Callable[[Settings, Baseline, duckdb.DuckDBPyConnection], Mapping[str, Shape]]

    def judged(
        self, settings: Settings, baseline: Baseline, connection: duckdb.DuckDBPyConnection
    ) -> Judged:
        shapes = self.shapes(settings, baseline, connection)
        pairs = [(s, shapes[s.name.rpartition("__")[2]]) for s in self.suites(settings, baseline)]
        return [(waiting(suite, s.why_not) if s.why_not else suite, s) for suite, s in pairs]


def _raw_trade_suites(settings: Settings, baseline: Baseline) -> list[Suite]:
    suites = [
        raw_trade.rows_suite(),
        raw_trade.years_suite(settings.years, of_few_importers=settings.profile == "live"),
        raw_trade.codes_suite(),
        raw_trade.totals_suite(*baseline.raw_trade()),
    ]
    return suites + ([raw_trade.world_suite()] if settings.profile == "live" else [])


def _panel_shapes(
    settings: Settings, baseline: Baseline, connection: duckdb.DuckDBPyConnection
) -> dict[str, Shape]:
    panel = _frame(connection, "marts.import_panel")
    return {
        "import_panel": Shape(panel),
        "totals": Shape(panel_totals(panel)),
        "suppliers": baseline.suppliers(panel),
    }


def _estimates_shapes(
    settings: Settings, baseline: Baseline, connection: duckdb.DuckDBPyConnection
) -> dict[str, Shape]:
    terms = connection.sql(
        f"select c.*, coefficient_source = '{ESTIMATED}' and coalesce(is_publishable, false) "
        "as is_publishable from marts.ppml_coefficients as c "
        "left join marts.ppml_fit using (importer_iso3, category) order by all"
    ).df()
    models = connection.sql(
        "select *, n_bootstrap_failed / n_bootstrap_replications as bootstrap_failed_share "
        "from marts.ppml_fit order by all"
    ).df()
    return {
        "terms": Shape(terms),
        "models": Shape(models),
        "previous": baseline.coefficients(terms),
    }


def _annual_shapes(
    settings: Settings, baseline: Baseline, connection: duckdb.DuckDBPyConnection
) -> dict[str, Shape]:
    annual = _frame(connection, "marts.ranking_annual")
    return {"ranking_annual": Shape(with_candidates(annual, [*rankings.LIST_COLUMNS, "year"]))}


def _forward_shapes(
    settings: Settings, baseline: Baseline, connection: duckdb.DuckDBPyConnection
) -> dict[str, Shape]:
    forward = _frame(connection, "marts.ranking_forward")
    return {
        "ranking_forward": Shape(with_candidates(forward, list(rankings.LIST_COLUMNS))),
        "churn": baseline.churn(forward, settings.top_k),
    }


GATES: Mapping[str, tuple[Gate, ...]] = {
    "raw": (
        Gate(
            "raw_bilateral_trade",
            _raw_trade_suites,
            lambda s, b, c: tables.raw_trade(c, s.years, with_world=s.profile == "live"),
        ),
        Gate(
            "raw_production",
            lambda s, b: [
                raw_production.rows_suite(),
                raw_production.years_suite(s.years, sheets()),
                raw_production.sheets_suite(sheets()),
                raw_production.totals_suite(*b.rows_of("production")),
            ],
            lambda s, b, c: tables.raw_production(c, sheets()),
        ),
        Gate(
            "raw_country_indicators",
            lambda s, b: [
                country_indicators.rows_suite(),
                country_indicators.years_suite(s.years),
                country_indicators.totals_suite(*b.rows_of("country_indicators")),
            ],
            lambda s, b, c: tables.raw_indicators(c, s.years, [*country_indicators.INDICATORS]),
        ),
        Gate(
            "raw_country_geography",
            lambda s, b: [
                country_geography.rows_suite(),
                country_geography.totals_suite(*b.rows_of("country_geography")),
            ],
            lambda s, b, c: tables.raw_geography(c),
        ),
    ),
    "conformed": (
        Gate(
            "fct_trade_flow",
            lambda s, b: [
                trade_flow.rows_suite(),
                trade_flow.codes_suite(s.years, minerals(), of_few_importers=s.profile == "live"),
                trade_flow.totals_suite(*b.trade_flow()),
            ],
            lambda s, b, c: tables.trade_flow(c, s.years),
        ),
        Gate(
            "fct_country_covariates",
            lambda s, b: [country_covariates.suite(s.years)],
            lambda s, b, c: {
                "fct_country_covariates": Shape(_frame(c, "conformed.fct_country_covariates"))
            },
        ),
    ),
    "panel": (
        Gate(
            "import_panel",
            lambda s, b: [
                import_panel.suite(s.years, s.importers, minerals(), mined=mined()),
                import_panel.totals_suite(*b.panel()),
                import_panel.suppliers_suite(),
            ],
            _panel_shapes,
        ),
    ),
    "estimates": (
        Gate(
            "ppml_coefficients",
            lambda s, b: [
                ppml_coefficients.terms_suite(s.importers),
                ppml_coefficients.models_suite(s.importers, MIN_NONZERO_OBSERVATIONS),
                ppml_coefficients.previous_suite(),
            ],
            _estimates_shapes,
        ),
    ),
    "rankings": (
        Gate(
            "ranking_annual",
            lambda s, b: [rankings.annual_suite(s.years, s.importers, minerals())],
            _annual_shapes,
        ),
        Gate(
            "ranking_forward",
            lambda s, b: [
                rankings.forward_suite(s.importers, minerals()),
                rankings.churn_suite(),
            ],
            _forward_shapes,
        ),
    ),
}


def build_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """The gates, one op a stage."""
    return [gate(stage, gates, settings) for stage, gates in GATES.items()]


def gate(stage: str, gates: Sequence[Gate], deployed: Settings) -> dg.AssetChecksDefinition:
    """One op that judges the tables of a stage and reports one check a rule."""

    @dg.multi_asset_check(
        name=f"gate_{stage}",
        description=f"Great Expectations on {', '.join(g.table for g in gates)}.",
        specs=[
            dg.AssetCheckSpec(
                name=rule.name,
                asset=dg.AssetKey(gate.table),
                description=rule.why,
                blocking=rule.severity == "block",
                metadata={"severity": rule.severity, "expectation": rule.expectation},
            )
            for gate in gates
            for suite in gate.suites(deployed, NO_BASELINE)
            for rule in suite.rules
        ],
        can_subset=True,
    )
    def run(
        context: dg.AssetCheckExecutionContext,
        warehouse: Warehouse,
        releases: Releases,
        settings: RunSettings,
    ) -> Iterator[dg.AssetCheckResult]:
        asked = context.selected_asset_check_keys
        chosen = settings.chosen
        baseline = read_baseline(releases.store(), chosen.model_dump())
        for one in gates:
            if not any(key.asset_key == dg.AssetKey(one.table) for key in asked):
                continue
            with warehouse.reader() as connection:
                judged = one.judged(chosen, baseline, connection)
            reports = [validate(s.frame, suite, of_rows=s.of_rows) for suite, s in judged]
            page = _publish_pages(chosen, context.run.run_id, reports)
            for outcome in (o for report in reports for o in report.outcomes):
                if dg.AssetCheckKey(dg.AssetKey(one.table), outcome.name) in asked:
                    yield check_result(one.table, outcome, page, baseline.release_id)
        context.log.info(f"Data Docs of this run: {page}")

    return run


def _publish_pages(settings: Settings, run_id: str, reports: Sequence[Report]) -> Path:
    return write_pages(folder_of_run(settings.data_docs_dir, run_id), reports)


def check_result(
    table: str, outcome: Outcome, page: Path, compared_with: str | None
) -> dg.AssetCheckResult:
    """The outcome as Dagster shows it: a broken rule is an error that says so, and one that could
    not run is a warning that says why, never a pass."""
    metadata: dict[str, Any] = {
        "status": outcome.status,
        "why": outcome.why,
        "data_docs": dg.MetadataValue.path(str(page)),
    }
    if compared_with is not None:
        metadata["release_served"] = compared_with
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
        severity=dg.AssetCheckSeverity.ERROR if outcome.is_error else dg.AssetCheckSeverity.WARN,
        description=outcome.message,
        metadata=metadata,
    )


def minerals() -> list[str]:
    """The minerals as the seed spells them."""
    return [row["mineral"] for row in _seed()]


def mined() -> list[str]:
    """The minerals with a sheet in the production statistics."""
    return [row["mineral"] for row in _seed() if row["production_sheet"]]


def sheets() -> list[str]:
    """The sheets of the production statistics that count our minerals."""
    return [row["production_sheet"] for row in _seed() if row["production_sheet"]]


def _seed() -> list[dict[str, str]]:
    with (DBT_PROJECT_DIR / "seeds" / "minerals.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _frame(connection: duckdb.DuckDBPyConnection, table: str) -> pd.DataFrame:
    return connection.sql(f"select * from {table} order by all").df()
