"""Runs Great Expectations on a suite and reports the outcome of each rule in plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd

from expectations.previous import NotComparable, Previous
from expectations.report import Outcome, Report, figure
from expectations.rules import Connection, Gate, Rule, Shape, Suite

if TYPE_CHECKING:
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult

SAMPLE_ROWS = 5


def judge(gate: Gate, suite: Suite, connection: Connection, previous: Previous) -> Report:
    """Read the frame of a suite of this gate and judge it.

    A suite without a release to compare with is not compared; one whose frame cannot be read (a
    column is missing) breaks.
    """
    try:
        for name, rows in gate.thresholds.items():
            connection.register(name, pd.DataFrame(list(rows)))
        if gate.prepare is not None:
            gate.prepare(connection)
        shape = suite.shape(connection, previous)
    except NotComparable as reason:
        return Report(gate.table, suite, _all(suite, "not_run", str(reason)))
    except duckdb.Error as error:
        message = f"The table could not be read: {str(error).partition(chr(10))[0]}"
        return Report(gate.table, suite, _all(suite, "broken", message))
    return Report(gate.table, suite, validate(shape, suite), shape.frame)


def validate(shape: Shape, suite: Suite) -> tuple[Outcome, ...]:
    """The outcome of each rule on this frame. Without rows every rule fails.

    Raises ValueError when two rules share a name, or when Great Expectations refuses a rule.
    """
    if shape.frame.empty and not shape.of_rows:
        return _all(suite, "failed", "The table has no rows, so nothing could be checked.")
    # Failing rows are found by row label, so each row needs its own.
    rows = shape.frame.reset_index(drop=True)
    results = _run(rows, suite, suite.rules, "BASIC")
    # Where failing rows lie costs a quarter more, so only the rules that failed are run again.
    failed = [rule for rule in suite.rules if not results[rule.name].success]
    results |= _run(rows, suite, failed, "SUMMARY")
    return tuple(_outcome(rule, results[rule.name], rows, suite, shape) for rule in suite.rules)


def _run(
    frame: pd.DataFrame, suite: Suite, rules: Sequence[Rule], detail: str
) -> dict[str, ExpectationValidationResult]:
    """Great Expectations' own results by rule; 'SUMMARY' adds the labels of failing rows.

    It can look up the keys of failing rows itself (`unexpected_index_column_names`), but does so
    one cell at a time for every failing row: minutes where a large table fails.
    """
    import great_expectations as gx

    from expectations import custom  # noqa: F401  (registers our expectation)

    if not rules:
        return {}
    names = [rule.name for rule in rules]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"suite {suite.name}: several rules are called {', '.join(repeated)}")
    configured = gx.ExpectationSuite(
        name=suite.name,
        expectations=[
            {"type": r.expectation, "kwargs": dict(r.arguments), "meta": {"name": r.name}}
            for r in rules
        ],
    )
    batch = _batch_definition().get_batch({"dataframe": frame})
    result_format = {"result_format": detail, "partial_unexpected_count": SAMPLE_ROWS}
    results = batch.validate(configured, result_format=result_format).results
    found = {one.expectation_config.meta["name"]: one for one in results}
    # It logs a rule that it refuses and leaves it out, which would be a hole in the gate.
    if refused := [name for name in names if name not in found]:
        raise ValueError(
            f"suite {suite.name}: Great Expectations refused {', '.join(refused)}; "
            "its log says which argument it does not take"
        )
    return found


@cache
def _batch_definition() -> Any:
    """Takes any frame, in a context in memory: no files, no statistics, no progress bars."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    context = gx.get_context(
        mode="ephemeral",
        project_config=DataContextConfig(
            store_backend_defaults=InMemoryStoreBackendDefaults(),
            analytics_enabled=False,
            progress_bars=ProgressBarsConfig(globally=False, metric_calculations=False),
        ),
    )
    asset = context.data_sources.add_pandas("pandas").add_dataframe_asset("frame")
    return asset.add_batch_definition_whole_dataframe("whole")


def _all(suite: Suite, status: str, message: str) -> tuple[Outcome, ...]:
    return tuple(Outcome(rule, status, message) for rule in suite.rules)


def _outcome(
    rule: Rule,
    result: ExpectationValidationResult,
    rows: pd.DataFrame,
    suite: Suite,
    shape: Shape,
) -> Outcome:
    # The information is flat, or one entry per metric.
    info = result.exception_info or {}
    entries = [info] if "raised_exception" in info else list(info.values())
    raised = {str(e["exception_message"]).strip() for e in entries if e["raised_exception"]}
    if causes := sorted({message.partition("\n")[0] for message in raised}):
        return Outcome(rule, "broken", f"The check could not run: {' / '.join(causes)}")
    details = result.result or {}
    message = _finding(rule, details, shape.of_rows)
    if result.success:
        return Outcome(rule, "passed", message)
    labels = details.get("partial_unexpected_index_list") or []
    judged = [rule.arguments.get(name) for name in ("column", "column_A", "column_B")]
    columns = [*suite.key, *judged, *rule.arguments.get("column_list", [])]
    failing = rows.loc[labels, [c for c in dict.fromkeys(columns) if c in rows.columns]]
    sample = tuple(failing.astype(object).where(failing.notna(), None).to_dict("records"))
    return Outcome(rule, "failed", message, sample)


def _finding(rule: Rule, details: Mapping[str, Any], of_rows: int | None) -> str:
    """What was found, beside what is allowed: of rows, of a set of values, or of one figure."""
    low, high = (rule.arguments.get(bound) for bound in ("min_value", "max_value"))
    allowed = ""
    if low is not None or high is not None:
        bounds = f"at least {figure(low)}" if high is None else f"{figure(low)} to {figure(high)}"
        bounds = f"at most {figure(high)}" if low is None else bounds
        bounds = figure(low) if low == high else bounds
        allowed = f" (allowed: {f'{bounds} {rule.unit}'.strip()})"
    if "element_count" in details:
        mostly = rule.arguments.get("mostly", 1)
        n_rows = of_rows or details["element_count"] - (details.get("missing_count") or 0)
        at_most = f"; at most {1 - mostly:.0%} may" if mostly < 1 else ""
        return f"{details['unexpected_count']:,} of {n_rows:,} rows break it{allowed}{at_most}."
    if "value_set" in rule.arguments:
        missing = details.get("partial_missing_list") or []
        more = f" and {n} more" if (n := (details.get("missing_count") or 0) - len(missing)) else ""
        return f"Missing: {', '.join(map(str, missing))}{more}." if missing else "None is missing."
    found = details.get("observed_value")
    return f"Found {'no such rows' if found is None else figure(found)}{allowed}."
