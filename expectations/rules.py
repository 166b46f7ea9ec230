"""The vocabulary of the suites: a rule is one expectation with a name, a severity and a reason.

Here belong the `Rule`, the `Suite` of one table, and short constructors for the rules that several
tables share. Thresholds and reasons that concern one table belong in that table's module. Nothing
here imports Great Expectations, except `build_suite` when it is called.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

Severity = Literal["block", "warn"]
ColumnKind = Literal["text", "integer", "number", "boolean"]

# Sources publish shares such as 100.00001, from their own rounding.
FULL_SHARE_PCT = 100.01

# Great Expectations has its own scale, which its Data Docs show.
_GX_SEVERITY: Mapping[Severity, str] = {"block": "critical", "warn": "warning"}


@dataclass(frozen=True)
class Rule:
    """One expectation on one table.

    `name` is unique in its suite and a valid Dagster check name (letters, digits, underscores).
    `severity` 'block' stops estimation and publication; 'warn' is shown and lets them pass.
    `why` is a sentence for the person who reads the failure.
    `expectation` and `arguments` are Great Expectations' type and keyword arguments.
    `cannot_run` says what is missing for the rule to be judged now; None when nothing is. Such a
    rule is reported as not run, never as passed.
    """

    name: str
    severity: Severity
    why: str
    expectation: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    cannot_run: str | None = None

    def configuration(self) -> dict[str, Any]:
        """This rule as Great Expectations' configuration dictionary."""
        return {
            "type": self.expectation,
            "kwargs": dict(self.arguments),
            "meta": {"name": self.name, "severity": self.severity, "why": self.why},
            "notes": self.why,
            "severity": _GX_SEVERITY[self.severity],
        }


@dataclass(frozen=True)
class Suite:
    """The rules of one frame of one table.

    `name` is the table's, with a suffix where a table is judged in more than one shape.
    `key_columns` identify the rows of the samples.
    """

    name: str
    key_columns: tuple[str, ...]
    rules: tuple[Rule, ...]


Figures = Mapping[str, float]
NO_RELEASE: Final = "there is no previous release to compare with"


def needs(previous: object | None, rules: Iterable[Rule], why: str = NO_RELEASE) -> list[Rule]:
    """The rules, marked as not to be run when what they compare with is not there."""
    return [replace(rule, cannot_run=None if previous is not None else why) for rule in rules]


def waiting(suite: Suite, why: str) -> Suite:
    """The suite, with every rule marked as not to be run for this reason."""
    return replace(suite, rules=tuple(needs(None, suite.rules, why)))


def build_suite(name: str, key_columns: Sequence[str], rules: Sequence[Rule]) -> ExpectationSuite:
    """Great Expectations' suite of these rules; `key_columns` identify the rows of its samples.

    Raises ValueError when two rules share a name, or when Great Expectations refuses a rule: it
    logs such a rule and leaves it out, and a gate that lost a rule in silence is worse than none.
    """
    import great_expectations as gx

    from expectations import custom  # noqa: F401  (registers our expectation types)

    names = [rule.name for rule in rules]
    if repeated := sorted({n for n in names if names.count(n) > 1}):
        raise ValueError(f"suite {name}: more than one rule is called {', '.join(repeated)}")
    suite = gx.ExpectationSuite(
        name=name,
        expectations=[rule.configuration() for rule in rules],
        meta={"key_columns": list(key_columns)},
    )
    kept = {(expectation.meta or {}).get("name") for expectation in suite.expectations}
    if refused := [n for n in names if n not in kept]:
        raise ValueError(
            f"suite {name}: Great Expectations refused {', '.join(refused)}; "
            "its log says which argument it does not take"
        )
    return suite


def where(column: str, operator: str, value: object) -> dict[str, Any]:
    """The condition `column operator value`, as a rule's `row_condition`."""
    return {
        "type": "comparison",
        "column": {"name": column},
        "operator": operator,
        "parameter": value,
    }


def every(*conditions: dict[str, Any]) -> dict[str, Any]:
    """The rows for which all conditions hold."""
    return {"type": "and", "conditions": list(conditions)}


def has_rows() -> Rule:
    return Rule(
        name="has_rows",
        severity="block",
        why="An empty table means that a step before this one lost everything.",
        expectation="expect_table_row_count_to_be_between",
        arguments={"min_value": 1},
    )


def columns_are_present(columns: Iterable[str]) -> Rule:
    return Rule(
        name="columns_are_present",
        severity="block",
        why="The steps after the gate read these columns by name.",
        expectation="expect_table_columns_to_match_set",
        arguments={"column_set": list(columns), "exact_match": False},
    )


def columns_have_kind(kinds: Mapping[str, ColumnKind]) -> Rule:
    return Rule(
        name="columns_have_kind",
        severity="block",
        why="A number that arrives as text (a decimal comma, a stray word) is not a number.",
        expectation="expect_columns_to_be_of_kind",
        arguments={"kinds": dict(kinds)},
    )


def key_is_unique(key_columns: Sequence[str], why: str) -> Rule:
    single = len(key_columns) == 1
    return Rule(
        name="key_is_unique",
        severity="block",
        why=why,
        expectation="expect_column_values_to_be_unique"
        if single
        else "expect_compound_columns_to_be_unique",
        arguments={"column": key_columns[0]} if single else {"column_list": list(key_columns)},
    )


def not_null(
    column: str,
    why: str,
    *,
    name: str | None = None,
    rows: dict[str, Any] | None = None,
    severity: Severity = "block",
) -> Rule:
    """No value of `column` in `rows` (all, when None) is missing."""
    return Rule(
        name=name or f"{column}_is_never_null",
        severity=severity,
        why=why,
        expectation="expect_column_values_to_not_be_null",
        arguments={"column": column, "row_condition": rows} if rows else {"column": column},
    )


def in_range(
    column: str,
    low: float | None,
    high: float | None,
    why: str,
    *,
    name: str | None = None,
    rows: dict[str, Any] | None = None,
    mostly: float = 1.0,
    severity: Severity = "block",
) -> Rule:
    """Of the values of `column` in `rows` at least the share `mostly` lies in [low, high].

    Nulls are another rule's business.
    """
    arguments = {"column": column, "min_value": low, "max_value": high, "row_condition": rows}
    return Rule(
        name=name or f"{column}_in_range",
        severity=severity,
        why=why,
        expectation="expect_column_values_to_be_between",
        arguments=arguments if mostly == 1 else {**arguments, "mostly": mostly},
    )


def in_order(low: str, high: str, why: str, *, name: str) -> Rule:
    """`low` is not above `high` where both are known."""
    return Rule(
        name=name,
        severity="block",
        why=why,
        expectation="expect_column_pair_values_a_to_be_greater_than_b",
        arguments={
            "column_A": high,
            "column_B": low,
            "or_equal": True,
            "ignore_row_if": "either_value_is_missing",
        },
    )


def near_previous(
    figure: str,
    previous: Figures | None,
    fall: float,
    rise: float,
    subject: str,
    *,
    severity: Severity = "block",
) -> Rule:
    """The column `figure`, of one row, is near `previous[figure]`: by these shares it may move.

    To be wrapped in `needs`: without a previous figure the rule has no bounds.
    """
    before = (previous or {}).get(figure, 0.0)
    return total_in_band(
        figure,
        before * (1 - fall),
        before * (1 + rise),
        f"Against the release served, {subject} may fall by {fall:.0%} and rise by {rise:.0%}; "
        "more is a source cut short, or counted twice.",
        name=f"{figure}_near_previous",
        severity=severity,
    )


def median_in_band(
    column: str,
    low: float,
    high: float,
    why: str,
    *,
    name: str | None = None,
    rows: dict[str, Any] | None = None,
    severity: Severity = "block",
) -> Rule:
    """The median of `column` lies in [low, high]: what a slip of unit for all rows moves."""
    return Rule(
        name=name or f"{column}_median_in_band",
        severity=severity,
        why=why,
        expectation="expect_column_median_to_be_between",
        arguments={"column": column, "min_value": low, "max_value": high, "row_condition": rows},
    )


def total_in_band(
    column: str,
    low: float,
    high: float | None,
    why: str,
    *,
    name: str,
    severity: Severity = "block",
    rows: dict[str, Any] | None = None,
) -> Rule:
    """The sum of `column` over `rows` (all, when None) lies in [low, high]; nulls count as zero."""
    return Rule(
        name=name,
        severity=severity,
        why=why,
        expectation="expect_column_sum_to_be_between",
        arguments={"column": column, "min_value": low, "max_value": high, "row_condition": rows},
    )


def in_set(
    column: str,
    values: Iterable[object],
    why: str,
    *,
    name: str,
    severity: Severity = "block",
    rows: dict[str, Any] | None = None,
) -> Rule:
    """Every value of `column` in `rows` is one of `values`; nulls are another rule's business."""
    return Rule(
        name=name,
        severity=severity,
        why=why,
        expectation="expect_column_values_to_be_in_set",
        arguments={"column": column, "value_set": list(values), "row_condition": rows},
    )


def has_all(
    column: str,
    values: Iterable[object],
    why: str,
    *,
    name: str,
    severity: Severity = "block",
    rows: dict[str, Any] | None = None,
) -> Rule:
    """Each of `values` occurs in `column` of `rows`; others may, too."""
    return Rule(
        name=name,
        severity=severity,
        why=why,
        expectation="expect_column_distinct_values_to_contain_set",
        arguments={"column": column, "value_set": list(values), "row_condition": rows},
    )


def years_are(years: Sequence[int]) -> Rule:
    return Rule(
        name="years_are_the_window",
        severity="block",
        why="The table covers the years of the window, all of them and no other.",
        expectation="expect_column_distinct_values_to_equal_set",
        arguments={"column": "year", "value_set": list(years)},
    )


def is_iso3(column: str) -> Rule:
    return Rule(
        name=f"{column}_is_iso3",
        severity="block",
        why="Countries are joined and ranked by three capital letters of ISO 3166.",
        expectation="expect_column_values_to_match_regex",
        arguments={"column": column, "regex": "^[A-Z]{3}$"},
    )


def is_observed(flag_column: str, subject: str, floor_share: float, why: str) -> Rule:
    """At least `floor_share` (0 to 1) of the rows carry a measured value, not an imputed one."""
    return Rule(
        name=f"{subject}_is_observed",
        severity="block",
        why=why,
        expectation="expect_column_values_to_be_in_set",
        arguments={"column": flag_column, "value_set": [False], "mostly": floor_share},
    )


def every_group_counts(
    group_by: Sequence[str],
    counted: str,
    low: int,
    high: int | None,
    why: str,
    *,
    name: str,
    severity: Severity = "block",
) -> Rule:
    """Each group of rows has between `low` and `high` distinct values of `counted`."""
    return Rule(
        name=name,
        severity=severity,
        why=why,
        expectation="expect_distinct_values_within_groups_to_be_between",
        arguments={"column_list": [*group_by, counted], "min_value": low, "max_value": high},
    )
