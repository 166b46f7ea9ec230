"""Groups of importers in processes side by side."""

from __future__ import annotations

import operator

import pytest

from minerals.parallel import groups, side_by_side


def test_groups_keep_the_order_and_lose_nobody() -> None:
    assert groups(["C", "A", "B"], 2) == [["C", "A"], ["B"]]
    names = [str(number) for number in range(20)]
    assert [name for group in groups(names) for name in group] == names


@pytest.mark.parametrize("n_jobs", [1, 5])
def test_results_come_in_the_order_of_jobs(n_jobs: int) -> None:
    jobs = ((number, 10) for number in range(5))
    assert list(side_by_side(operator.mul, jobs, n_jobs)) == [0, 10, 20, 30, 40]


def test_the_error_of_a_job_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        list(side_by_side(operator.truediv, [(1, 1), (1, 0)], 2))
