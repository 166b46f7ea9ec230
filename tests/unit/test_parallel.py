"""Groups of importers in processes side by side; one that fails is named, the others have rows."""

from __future__ import annotations

import operator

import pandas as pd
import pytest

from minerals.parallel import groups, one_by_one_on_failure, side_by_side


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


class Ranked:
    """Rows that are cut to some importers by a method of their own."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self.rows = rows

    def of(self, importers: list[str]) -> Ranked:
        return Ranked(self.rows[self.rows["importer_iso3"].isin(importers)])


def totals(panel: pd.DataFrame, ranked: Ranked, world: pd.DataFrame) -> dict[str, pd.DataFrame]:
    if (panel["value_usd"] < 0).any():
        raise ValueError("a value is negative")
    total = panel.groupby("importer_iso3", as_index=False)["value_usd"].sum()
    return {"totals": total.assign(n_ranked=len(ranked.rows), n_world=len(world))}


def arguments(value_of_japan: float) -> list[object]:
    panel = pd.DataFrame(
        {"importer_iso3": ["IND", "IND", "JPN", "DEU"], "value_usd": [1.0, 2.0, value_of_japan, 4]}
    )
    return [panel, Ranked(panel), pd.DataFrame({"country_iso3": ["CHN", "AUS"]})]


GROUP = ["IND", "JPN", "DEU"]


def test_a_group_that_can_be_computed_is_computed_together():
    tables, failures = one_by_one_on_failure(totals, GROUP, arguments(3.0))
    assert failures == {}
    assert tables["totals"]["value_usd"].tolist() == [4.0, 3.0, 3.0]
    assert tables["totals"]["n_ranked"].tolist() == [4, 4, 4]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_importer_that_fails_is_named_and_the_others_have_their_rows(n_jobs):
    jobs = [(totals, GROUP, arguments(-3.0)), (totals, ["JPN"], arguments(-3.0))]
    (tables, failures), alone = side_by_side(one_by_one_on_failure, jobs, n_jobs)
    assert list(failures) == ["JPN"]
    sentence, _, traceback = failures["JPN"].partition("\n")
    assert sentence == "ValueError: a value is negative" and "in totals" in traceback
    assert tables["totals"].to_dict("list") == {
        "importer_iso3": ["IND", "DEU"], "value_usd": [3.0, 4.0],
        "n_ranked": [2, 1], "n_world": [2, 2],
    }  # fmt: skip
    assert alone[0] == {} and list(alone[1]) == ["JPN"]
