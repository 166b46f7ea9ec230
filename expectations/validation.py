"""Runs a suite on a pandas frame and reports each rule's outcome in plain values.

Here belong the bridge to Great Expectations (context, data source, result format) and the reading
of its results. Rules and thresholds belong in the module of their table; turning outcomes into
Dagster checks belongs to orchestration. Great Expectations is imported when a suite is run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from expectations.rules import Rule, Severity, Suite, build_suite

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations import ExpectationSuite
    from great_expectations.core import ExpectationSuiteValidationResult
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult

SAMPLE_ROWS = 10

# What these say about a table without rows is true; any other rule passes there for want of rows.
_HOLDS_WITHOUT_ROWS = frozenset(
    {"expect_table_columns_to_match_set", "expect_columns_to_be_of_kind"}
)


Status = Literal["passed", "failed", "broken", "not_run"]


@dataclass(frozen=True)
class Outcome:
    """What became of one rule.

    `status` is 'broken' when the rule could not be evaluated (a column is missing, a value has the
    wrong type): that says nothing about the data's content, and is never a pass. It is 'not_run'
    when what the rule compares with is not there yet.
    `n_unexpected` and `unexpected_pct` (0 to 100, of the rows the rule looks at) are None for rules
    about the table as a whole, such as a median. `sample` holds up to SAMPLE_ROWS failing rows: the
    key columns and the columns judged. `message` says what was found, `why` what the rule is for.
    """

    name: str
    severity: Severity
    status: Status
    n_unexpected: int | None
    unexpected_pct: float | None
    sample: list[dict[str, Any]]
    message: str
    why: str

    @property
    def is_error(self) -> bool:
        """Whether it is shown in red: broken, or failed and of severity 'block'. The first is a
        fault of ours whatever the rule's severity; only rules of severity 'block' stop a run."""
        return self.status == "broken" or (self.status == "failed" and self.severity == "block")


@dataclass(frozen=True)
class Report:
    """What became of a suite: an outcome a rule, in the suite's order, and Great Expectations'
    own result, for its Data Docs; None when no rule could be run."""

    suite: Suite
    outcomes: tuple[Outcome, ...]
    result: ExpectationSuiteValidationResult | None


def validate(frame: pd.DataFrame, suite: Suite, *, of_rows: int | None = None) -> Report:
    """Judge a frame by a suite.

    A frame without rows fails every rule except those about its columns. `of_rows` is how many rows
    the table has when the frame holds only those that may break a rule: shares are of these.
    """
    # Samples are found by row label, so each row needs its own.
    rows = frame.reset_index(drop=True)
    key_columns = [column for column in suite.key_columns if column in rows.columns]
    runnable = [rule for rule in suite.rules if rule.cannot_run is None]
    if not runnable:
        return Report(suite, tuple(_not_run(rule) for rule in suite.rules), None)
    result = run(rows, build_suite(suite.name, suite.key_columns, runnable))
    # Where failing rows lie costs a quarter more, so it is asked only of the rules that failed.
    failed = {_name(one) for one in result.results if not one.success}
    if failed:
        again = [rule for rule in runnable if rule.name in failed]
        found = run(rows, build_suite(suite.name, suite.key_columns, again), with_rows=True)
        others = [one for one in result.results if one.success]
        result.results = [*found.results, *others]
    judged = [_outcome(one, rows, key_columns, of_rows) for one in result.results]
    # Great Expectations returns the results in an order of its own.
    by_name = {outcome.name: outcome for outcome in judged}
    return Report(
        suite,
        tuple(_not_run(rule) if rule.cannot_run else by_name[rule.name] for rule in suite.rules),
        result,
    )


def _name(one: ExpectationValidationResult) -> str:
    assert one.expectation_config is not None  # typed as optional, always set in a suite
    return str((one.expectation_config.meta or {})["name"])


def _not_run(rule: Rule) -> Outcome:
    message = f"Could not run: {rule.cannot_run}."
    return Outcome(rule.name, rule.severity, "not_run", None, None, [], message, rule.why)


def run(
    frame: pd.DataFrame, suite: ExpectationSuite, *, with_rows: bool = False
) -> ExpectationSuiteValidationResult:
    """Great Expectations' own result for this frame; `with_rows` adds the labels of failing rows.

    It can look up the keys of failing rows itself (`unexpected_index_column_names`), but does so
    one cell at a time for every failing row: minutes where a large table fails.
    """
    batch = (
        _quiet_context()
        .data_sources.add_pandas("pandas")
        .add_dataframe_asset(suite.name)
        .add_batch_definition_whole_dataframe("whole_frame")
        .get_batch({"dataframe": frame})
    )
    return batch.validate(
        suite,
        result_format={
            "result_format": "SUMMARY" if with_rows else "BASIC",
            "partial_unexpected_count": SAMPLE_ROWS,
        },
    )


def _quiet_context() -> Any:
    """A context in memory: no files, no usage statistics, no progress bars."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    return gx.get_context(
        mode="ephemeral",
        project_config=DataContextConfig(
            store_backend_defaults=InMemoryStoreBackendDefaults(),
            analytics_enabled=False,
            progress_bars=ProgressBarsConfig(globally=False, metric_calculations=False),
        ),
    )


def _outcome(
    result: ExpectationValidationResult,
    rows: pd.DataFrame,
    key_columns: list[str],
    of_rows: int | None,
) -> Outcome:
    config, details = result.expectation_config, result.result or {}
    assert config is not None  # typed as optional, always set when a suite is validated
    meta = config.meta or {}
    status: Status
    if causes := _exceptions(result.exception_info):
        status, message = "broken", f"The check could not run: {' / '.join(causes)}"
    elif result.success and rows.empty and config.type not in _HOLDS_WITHOUT_ROWS:
        status, message = "failed", "The table has no rows, so nothing could be checked."
    else:
        status = "passed" if result.success else "failed"
        message = _finding(details, config.kwargs, of_rows)
    is_about_rows = "element_count" in details
    share_pct = details.get("unexpected_percent")
    if is_about_rows and of_rows:
        share_pct = 100 * details["unexpected_count"] / of_rows
    return Outcome(
        name=meta["name"],
        severity=meta["severity"],
        status=status,
        n_unexpected=details["unexpected_count"] if is_about_rows else None,
        unexpected_pct=share_pct if is_about_rows else None,
        sample=_sample(rows, details, [*key_columns, *_judged(config.kwargs)])
        if status == "failed"
        else [],
        message=message,
        why=meta["why"],
    )


def _judged(arguments: Mapping[str, Any]) -> list[str]:
    """The columns a rule looks at."""
    single = [arguments.get(name) for name in ("column", "column_A", "column_B")]
    return [*filter(None, single), *arguments.get("column_list", [])]


def _sample(
    rows: pd.DataFrame, details: Mapping[str, Any], columns: list[str]
) -> list[dict[str, Any]]:
    labels = details.get("partial_unexpected_index_list") or []
    failing = rows.loc[labels, list(dict.fromkeys(columns))]
    return [
        {str(column): _plain(value) for column, value in row.items()}
        for row in failing.to_dict("records")
    ]


def _exceptions(info: Mapping[str, Any] | None) -> list[str]:
    """First lines of what was raised. The information is flat, or one entry a metric."""
    if not info:
        return []
    entries = [info] if "raised_exception" in info else list(info.values())
    messages = [
        str(entry["exception_message"]).strip().partition("\n")[0]
        for entry in entries
        if entry["raised_exception"]
    ]
    return sorted(set(messages))


def _finding(details: Mapping[str, Any], arguments: Mapping[str, Any], of_rows: int | None) -> str:
    """What was seen, beside what was asked for: of rows, of a set of values, or of one figure."""
    if "element_count" in details:
        return _of_rows(details, arguments.get("mostly", 1), of_rows)
    if "missing_count" in details or "column_set" in arguments:
        return _of_set(details)
    return f"Observed {_figure(details.get('observed_value'))}{_asked(arguments)}."


def _of_rows(details: Mapping[str, Any], mostly: float, of_rows: int | None) -> str:
    n_rows = of_rows or details["element_count"] - (details.get("missing_count") or 0)
    seen = f"{details['unexpected_count']:,} of {n_rows:,} rows break the rule"
    return f"{seen}; at most {1 - mostly:.0%} may." if mostly < 1 else f"{seen}."


def _of_set(details: Mapping[str, Any]) -> str:
    mismatched = details.get("details", {}).get("mismatched", {})
    missing = details.get("partial_missing_list") or mismatched.get("missing", [])
    extra = details.get("partial_unexpected_list", [])
    found = [
        f"{word}: {', '.join(map(str, values))}."
        for word, values in (("Missing", missing), ("Not asked for", extra))
        if values
    ]
    return " ".join(found) or "Nothing is missing."


def _figure(value: Any) -> str:
    if value is None:
        return "nothing (no such rows)"
    return f"{value:,.6g}" if isinstance(value, int | float) else str(value)


def _asked(arguments: Mapping[str, Any]) -> str:
    low, high = arguments.get("min_value"), arguments.get("max_value")
    if low is not None and high is not None:
        return f", asked for {low:,.6g} to {high:,.6g}"
    if low is not None:
        return f", asked for at least {low:,.6g}"
    return f", asked for at most {high:,.6g}" if high is not None else ""


def _plain(value: Any) -> Any:
    """A value that JSON can hold: numpy scalars become Python's, a missing value becomes None."""
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value if isinstance(value, str | int | float | bool | None) else str(value)
