"""The vocabulary of the gates: a rule, the suite of one shape of a table, the gate of a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import duckdb

if TYPE_CHECKING:
    import pandas as pd

    from expectations.previous import Previous

Connection = duckdb.DuckDBPyConnection
Severity = Literal["block", "warn"]
Stage = Literal["raw", "conformed", "panel", "estimates", "rankings"]

# Sources publish shares such as 100.00001, from their own rounding.
FULL_SHARE_PCT: Final = 100.01


@dataclass(frozen=True)
class Rule:
    """One expectation on one shape of a table.

    `name` is unique in its suite. `severity` 'block' stops estimation and publication; 'warn' is
    shown and lets them pass. `why` is a sentence for the person who reads the failure, `unit` that
    of the bounds. `expectation` and `arguments` are Great Expectations' type and keyword arguments.
    """

    name: str
    why: str
    expectation: str
    arguments: Mapping[str, Any]
    severity: Severity = "block"
    unit: str = ""


@dataclass(frozen=True)
class Shape:
    """A frame to be judged. When it is a part of a table, `of_rows` counts the table's rows."""

    frame: pd.DataFrame
    of_rows: int | None = None


ShapeOf = Callable[[Connection, "Previous"], Shape]


@dataclass(frozen=True)
class Suite:
    """The rules of one shape of a table: one asset check.

    `name` is the shape's (`rows`, `years`, `totals`). `row` says what one row is. `key` names the
    columns that identify a row in a report. `shape` reads the frame from the warehouse; it raises
    `NotComparable` when it needs a previous release and there is none.
    """

    name: str
    row: str
    key: tuple[str, ...]
    rules: tuple[Rule, ...]
    shape: ShapeOf

    @property
    def is_blocking(self) -> bool:
        return any(rule.severity == "block" for rule in self.rules)


@dataclass(frozen=True)
class Given:
    """What the gates are told: the window, the importers, the production sheet of each mineral that
    has one, and how many suppliers lead.

    `of_few_importers` says that the trade data hold the imports of a few countries only (the live
    profile): what one importer buys changes from year to year as the world's trade does not.
    """

    years: Sequence[int]
    importers: Sequence[str]  # none stands for every one
    sheets: Mapping[str, str]
    top_k: int
    of_few_importers: bool = False


@dataclass(frozen=True)
class Gate:
    """How one table is judged, and in which stage of the pipeline.

    `thresholds` are tables that the SQL of its suites reads, by name; their rows are named tuples.
    `prepare` makes a temporary table that several suites read, if it is not there yet.
    """

    table: str
    stage: Stage
    suites: Callable[[Given], tuple[Suite, ...]]
    thresholds: Mapping[str, Sequence[tuple[Any, ...]]] = field(default_factory=dict)
    prepare: Callable[[Connection], object] | None = None


def in_range(column: str, low: float | None, high: float | None, why: str, **more: Any) -> Rule:
    """The known values of `column` are in [low, high]. `more` is as for `_rule`."""
    bounds = {"min_value": low, "max_value": high}
    more = {"name": f"{column}_in_range", **more}
    return _rule("expect_column_values_to_be_between", {"column": column, **bounds}, why, **more)


def is_always(column: str, value: object, why: str, **more: Any) -> Rule:
    """Every known value of `column` is `value`."""
    arguments = {"column": column, "value_set": [value]}
    return _rule("expect_column_values_to_be_in_set", arguments, why, **more)


def is_known(column: str, why: str, **more: Any) -> Rule:
    """No value of `column` is missing."""
    return _rule("expect_column_values_to_not_be_null", {"column": column}, why, **more)


def has_all(column: str, values: Iterable[object], why: str, **more: Any) -> Rule:
    """Each of `values` occurs in `column`; others may, too."""
    arguments = {"column": column, "value_set": list(values)}
    return _rule("expect_column_distinct_values_to_contain_set", arguments, why, **more)


def figure_in_band(
    figure: Literal["mean", "median", "sum", "unique_value_count"],
    column: str,
    low: float,
    high: float,
    why: str,
    **more: Any,
) -> Rule:
    """The mean (or other figure) of `column` is in [low, high]: a slip of unit moves it."""
    arguments = {"column": column, "min_value": low, "max_value": high}
    return _rule(f"expect_column_{figure}_to_be_between", arguments, why, **more)


def within(column: str, low: str, high: str, why: str, **more: Any) -> Rule:
    """The value of `column` lies between those of the columns `low` and `high` of its row.

    A missing bound is no bound; a missing value beside a bound breaks the rule.
    """
    arguments = {"column_list": [column, low, high]}
    return _rule("expect_value_within_bounds_of_its_row", arguments, why, **more)


def at_least(column: str, floor: str, why: str, **more: Any) -> Rule:
    """The value of `column` is not below that of the column `floor` of its row."""
    arguments = {"column_A": column, "column_B": floor, "or_equal": True}
    return _rule("expect_column_pair_values_a_to_be_greater_than_b", arguments, why, **more)


def _rule(
    expectation: str,
    arguments: dict[str, Any],
    why: str,
    *,
    name: str,
    severity: Severity = "block",
    unit: str = "",
    rows: Mapping[str, Any] | None = None,
    mostly: float = 1.0,
) -> Rule:
    """`rows` is the condition of the judged rows (see `where`), None for all; at least the share
    `mostly` of them keeps the rule."""
    if rows is not None:
        arguments["row_condition"] = rows
    if mostly < 1:
        arguments["mostly"] = mostly
    return Rule(name, why, expectation, arguments, severity, unit)


def where(column: str, operator: str, value: object) -> dict[str, Any]:
    """The condition `column operator value` on the rows of a rule."""
    return {
        "type": "comparison",
        "column": {"name": column},
        "operator": operator,
        "parameter": value,
    }


def query(sql: str, *, of_rows: str | None = None, **parameters: object) -> ShapeOf:
    """The shape that a query makes; `of_rows` counts the rows of the table when it reads a part."""

    def shape(connection: Connection, _: Previous) -> Shape:
        total = connection.sql(of_rows).fetchall()[0][0] if of_rows else None
        return Shape(connection.execute(sql, parameters or None).df(), total)

    return shape


def breaks(rules: Iterable[Rule]) -> str:
    """SQL: whether a row breaks one of these rules, each `in_range` or `is_always` on all rows.

    A large table is judged on one year of it and the rows that this finds.
    """
    conditions = []
    for rule in rules:
        found = rule.arguments
        column = found["column"]
        conditions.append(
            f"{column} <> {found['value_set'][0]}"
            if "value_set" in found
            else f"{column} not between {found['min_value']} and {found['max_value']}"
        )
    return " or ".join(conditions)


def broken_letters(*columns: str) -> str:
    """SQL: how many signs of a file read in the wrong encoding the texts of a row hold."""
    text = f"concat_ws(' ', {', '.join(columns)})"
    return f"length({text}) - length(regexp_replace({text}, '[\ufffdÃÂ]', '', 'g'))"
