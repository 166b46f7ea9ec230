"""The one expectation that Great Expectations lacks: a value between two other columns of its row.

Importing this module imports Great Expectations (seconds) and registers the expectation;
`validation` does it.
"""

from typing import Any, ClassVar

import pandas as pd
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import MulticolumnMapExpectation
from great_expectations.expectations.metrics.map_metric_provider import (
    MulticolumnMapMetricProvider,
    multicolumn_condition_partial,
)


class ValueWithinBoundsOfItsRow(MulticolumnMapMetricProvider):
    """Row-wise: is the first column between the second and the third?"""

    condition_metric_name = "multicolumn_values.within_bounds_of_row"

    @multicolumn_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column_list: pd.DataFrame, **_: Any) -> pd.Series:  # noqa: N805
        value, low, high = (column_list.iloc[:, place] for place in range(3))
        return (low.isna() | (value >= low)) & (high.isna() | (value <= high))


class ExpectValueWithinBoundsOfItsRow(MulticolumnMapExpectation):
    """The first column of `column_list` lies between the second and the third, bounds included.

    A missing bound is no bound; a missing value beside a bound breaks the expectation.
    """

    ignore_row_if: str = "never"

    map_metric = "multicolumn_values.within_bounds_of_row"
    args_keys: ClassVar[tuple[str, ...]] = ("column_list",)
