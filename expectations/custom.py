"""The three expectations Great Expectations lacks, written once, for pandas.

Here belong general expectations that take columns and bounds. A threshold, a column name or a
reason belongs to the table's own module. Importing this module imports Great Expectations (seconds)
and registers the expectation types; `rules.build_suite` does it.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pandas as pd
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import (
    BatchExpectation,
    ColumnPairMapExpectation,
    MulticolumnMapExpectation,
)
from great_expectations.expectations.metrics.map_metric_provider import (
    ColumnPairMapMetricProvider,
    MulticolumnMapMetricProvider,
    column_pair_condition_partial,
    multicolumn_condition_partial,
)


class DistinctValuesWithinGroups(MulticolumnMapMetricProvider):
    """Row-wise: is the number of distinct values in this row's group within the bounds?"""

    condition_metric_name = "multicolumn_values.distinct_within_groups"
    condition_value_keys = ("min_value", "max_value")

    @multicolumn_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column_list: pd.DataFrame, **bounds: Any) -> pd.Series:  # noqa: N805
        *group_by, counted = column_list.columns
        groups = column_list.groupby(group_by, dropna=False, sort=False)
        return _is_between(groups[counted].transform("nunique"), **bounds)


class ExpectDistinctValuesWithinGroupsToBeBetween(MulticolumnMapExpectation):
    """The last column of `column_list` has a bounded number of distinct values in each group.

    The columns before it form the groups. All rows of a group outside the bounds are unexpected.
    """

    min_value: int | None = None
    max_value: int | None = None

    map_metric = "multicolumn_values.distinct_within_groups"
    success_keys: ClassVar[tuple[str, ...]] = ("min_value", "max_value", "mostly")
    args_keys: ClassVar[tuple[str, ...]] = ("column_list", "min_value", "max_value")


class PairRatio(ColumnPairMapMetricProvider):
    """Row-wise: is column_A / column_B within the bounds?"""

    condition_metric_name = "column_pair_values.ratio"
    condition_value_keys = ("min_value", "max_value")

    @column_pair_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column_A: pd.Series, column_B: pd.Series, **bounds: Any) -> pd.Series:  # noqa: N805
        return _is_between(column_A / column_B, **bounds)


class ExpectColumnPairRatioToBeBetween(ColumnPairMapExpectation):
    """column_A / column_B lies within the bounds; rows in which one of them is null are left out.

    A ratio of two columns with units (USD per person, USD per kg) shows a slip of unit in single
    rows, which the range of either column would let pass.
    """

    min_value: float | None = None
    max_value: float | None = None
    ignore_row_if: str = "either_value_is_missing"

    map_metric = "column_pair_values.ratio"
    domain_keys = (*ColumnPairMapExpectation.domain_keys, "ignore_row_if")  # type: ignore[assignment]
    success_keys: ClassVar[tuple[str, ...]] = ("min_value", "max_value", "mostly")
    args_keys: ClassVar[tuple[str, ...]] = ("column_A", "column_B", "min_value", "max_value")


class ExpectColumnsToBeOfKind(BatchExpectation):
    """Each column that is there has its kind: text, integer, number or boolean.

    Great Expectations' own type expectations compare with dtype names and cannot name the string
    type of pandas 3. Columns that are absent are another expectation's business.
    """

    kinds: dict[str, str]

    metric_dependencies: ClassVar[tuple[str, ...]] = ("table.column_types",)
    success_keys: ClassVar[tuple[str, ...]] = ("kinds",)
    args_keys: ClassVar[tuple[str, ...]] = ("kinds",)

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,
        execution_engine: Any = None,
    ) -> dict[str, Any]:
        dtypes = {column["name"]: column["type"] for column in metrics["table.column_types"]}
        wrong = [
            f"{column} is {dtypes[column]}, not {kind}"
            for column, kind in self.kinds.items()
            if column in dtypes and not _IS_KIND[kind](dtypes[column])
        ]
        observed = "; ".join(wrong) or "every column has its kind"
        return {"success": not wrong, "result": {"observed_value": observed}}


def _is_number(dtype: Any) -> bool:
    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)


_IS_KIND = {
    "text": lambda dtype: pd.api.types.is_string_dtype(dtype),
    "integer": lambda dtype: pd.api.types.is_integer_dtype(dtype),
    "number": _is_number,
    "boolean": lambda dtype: pd.api.types.is_bool_dtype(dtype),
}


def _is_between(
    values: pd.Series, min_value: float | None = None, max_value: float | None = None, **_: Any
) -> pd.Series:
    low = float("-inf") if min_value is None else min_value
    high = float("inf") if max_value is None else max_value
    return values.between(low, high)
