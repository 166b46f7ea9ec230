"""The bridge to Great Expectations: what passes, what fails, what breaks, and with which sample."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

import expectations
from expectations.data_docs import folder_of_run, write_pages
from expectations.rules import (
    Rule,
    Suite,
    build_suite,
    columns_are_present,
    columns_have_kind,
    every,
    every_group_counts,
    has_rows,
    in_range,
    in_set,
    is_iso3,
    is_observed,
    key_is_unique,
    median_in_band,
    near_previous,
    needs,
    not_null,
    total_in_band,
    where,
)
from expectations.validation import SAMPLE_ROWS, Outcome, validate
from minerals.settings import Settings
from orchestration.checks import GATES, NO_BASELINE, check_result
from tests.integration.expectations.judging import assert_names_and_reasons

KEY = ("country", "year")
LIVE = Settings(profile="live")  # it has a suite more


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "country": ["AUS", "AUS", "CHL", "CHL"],
            "other": ["IND", "IND", "IND", "IND"],
            "year": [2019, 2020, 2019, 2020],
            "kg": [1.0, 2.0, 3.0, 4.0],
            "usd": [10.0, 20.0, 30.0, 40.0],
            "is_small": [True, True, False, False],
            "size": ["small", "small", "large", "large"],
        }
    )


def rule(name: str, expectation: str, **arguments: object) -> Rule:
    return Rule(name, "block", "A reason.", expectation, arguments)


def outcomes(data: pd.DataFrame, *rules: Rule) -> dict[str, Outcome]:
    report = validate(data, Suite("test", KEY, rules))
    return {outcome.name: outcome for outcome in report.outcomes}


def only(data: pd.DataFrame, one: Rule) -> Outcome:
    return outcomes(data, one)[one.name]


def spoilt() -> pd.DataFrame:
    """The good frame, and beside its columns others, each with one thing wrong."""
    return frame().assign(
        year_twice=[2019, 2019, 2019, 2020],
        year_late=[2019, 2020, 2019, 2021],
        kg_null=[1, 2, np.nan, 4],
        kg_negative=[1, 2, -3.0, 4],
        kg_infinite=[1, 2, np.inf, 4],
        kg_in_grams=[1000.0, 2000.0, 3000.0, 4000.0],
        kg_one_in_grams=[1, 2, 3, 4000.0],
        kg_text=["1,0", "2,0", "3,0", "4,0"],
        usd_one_in_cents=[10, 20, 30, 40_000.0],
        is_small_all=[True] * 4,
        is_small_mostly=[True, True, True, False],
        size_null=["small", "small", None, "large"],
        size_wrong=["small", "small", "large", "small"],
        country_unknown=["AUS", "AUS", "CHL", "CHI"],
        country_name=["AUSTRALIA", "AUS", "CHL", "CHL"],
        country_moves=["AUS", "AUS", "CHL", "ARG"],
        country_self=["AUS", "AUS", "CHL", "IND"],
    )


LARGE = where("size", "==", "large")
AUS19, CHL19, CHL20 = ("AUS", 2019), ("CHL", 2019), ("CHL", 2020)


def rule_on(expectation: str, argument: str, **others: object) -> Callable[[str], Rule]:
    return lambda column: rule(expectation, f"expect_{expectation}", **{argument: column}, **others)


def is_number(column: str) -> Rule:
    return columns_have_kind({column: "number"})


# Each type of expectation in use: a rule on a column, a good column, a spoilt one, and the rows
# the sample must then hold (None: the rule is about the table as a whole).
IN_USE: list[tuple[Callable[[str], Rule], str, str, list[tuple[str, int]] | None]] = [
    (lambda c: key_is_unique(["country", c], "w"), "year", "year_twice", [AUS19, ("AUS", 2020)]),
    (lambda c: not_null(c, "w"), "kg", "kg_null", [CHL19]),
    (lambda c: not_null(c, "w"), "size", "size_null", [CHL19]),
    (lambda c: in_range(c, 0, 10, "w"), "kg", "kg_negative", [CHL19]),
    (lambda c: in_range(c, 0, 10, "w"), "kg", "kg_infinite", [CHL19]),
    (lambda c: median_in_band(c, 1, 5, "w"), "kg", "kg_in_grams", None),
    (lambda c: total_in_band(c, 1, 10, "w", name="all"), "kg", "kg_one_in_grams", None),
    (lambda c: total_in_band(c, 1, 10, "w", name="few", rows=LARGE), "kg", "kg_one_in_grams", None),
    (
        lambda c: in_set(c, ["AUS", "CHL"], "w", name="known"),
        "country",
        "country_unknown",
        [CHL20],
    ),
    (
        lambda c: in_set(c, ["large"], "w", name="large", rows=where("kg", ">", 2)),
        "size",
        "size_wrong",
        [CHL20],
    ),
    (is_iso3, "country", "country_name", [AUS19]),
    (lambda c: is_observed(c, "kg", 0.5, "w"), "is_small", "is_small_mostly", None),
    (
        rule_on("column_distinct_values_to_equal_set", "column", value_set=[2019, 2020]),
        "year",
        "year_late",
        None,
    ),
    (
        lambda c: every_group_counts([c], "year", 2, 2, "w", name="balance"),
        "country",
        "country_moves",
        [CHL19, CHL20],
    ),
    (is_number, "kg", "kg_text", None),
    (
        rule_on(
            "column_pair_ratio_to_be_between",
            "column_A",
            column_B="kg",
            min_value=5,
            max_value=50,
            row_condition=every(where("kg", ">", 0), where("usd", ">", 0)),
        ),
        "usd",
        "usd_one_in_cents",
        [CHL20],
    ),
    (
        rule_on(
            "column_pair_values_to_be_in_set",
            "column_B",
            column_A="is_small",
            value_pairs_set=[(True, "small"), (False, "large")],
        ),
        "size",
        "size_wrong",
        [CHL20],
    ),
    (
        lambda c: rule(
            "not_itself",
            "expect_select_column_values_to_be_unique_within_record",
            column_list=[c, "other"],
        ),
        "country",
        "country_self",
        [CHL20],
    ),
    (
        rule_on(
            "column_distinct_values_to_contain_set",
            "column",
            value_set=["CHL"],
            row_condition=LARGE,
        ),
        "country",
        "other",
        None,
    ),
    (
        rule_on("column_unique_value_count_to_be_between", "column", min_value=2, max_value=2),
        "country",
        "country_moves",
        None,
    ),
    (
        rule_on(
            "column_max_to_be_between", "column", min_value=1, max_value=10, row_condition=LARGE
        ),
        "kg",
        "kg_one_in_grams",
        None,
    ),
    (
        rule_on("column_mean_to_be_between", "column", min_value=0.3, max_value=0.7),
        "is_small",
        "is_small_all",
        None,
    ),
]
IN_USE += [
    (rule_on("column_values_to_be_unique", "column"), "kg", "size", None),
    (
        rule_on("column_values_to_not_be_in_set", "column", value_set=["ARG"]),
        "country",
        "country_moves",
        [CHL20],
    ),
    (
        rule_on("column_values_to_match_regex", "column", regex="^[a-z]+$"),
        "size",
        "country",
        None,
    ),
    (
        rule_on(
            "column_pair_values_a_to_be_greater_than_b",
            "column_A",
            column_B="kg",
            or_equal=True,
            ignore_row_if="either_value_is_missing",
        ),
        "usd",
        "kg_negative",
        [CHL19],
    ),
]
NUMBERS = range(len(IN_USE))


@pytest.fixture(scope="module")
def judged() -> dict[str, Outcome]:
    """Every case on its good and on its spoilt column, in one validation."""
    rules = []
    for number, (on, good, bad, _) in enumerate(IN_USE):
        rules += [
            replace(on(good), name=f"good_{number}"),
            replace(on(bad), name=f"bad_{number}"),
        ]
    return outcomes(spoilt(), *rules)


@pytest.mark.parametrize("number", NUMBERS, ids=[f"{i}-{IN_USE[i][2]}" for i in NUMBERS])
def test_each_type_of_expectation_passes_good_data_and_fails_bad(judged, number):
    good, bad, sample = judged[f"good_{number}"], judged[f"bad_{number}"], IN_USE[number][3]
    assert (good.status, bad.status) == ("passed", "failed"), (good, bad)
    assert good.sample == []
    if sample is not None:
        assert [(row["country"], row["year"]) for row in bad.sample] == sample
        assert bad.n_unexpected == len(sample)


def test_every_type_of_expectation_in_use_is_tested_here():
    suites = [s for gates in GATES.values() for g in gates for s in g.suites(LIVE, NO_BASELINE)]
    in_use = {rule.expectation for suite in suites for rule in suite.rules}
    tested = {on(good).expectation for on, good, *_ in IN_USE} | {
        has_rows().expectation,
        columns_are_present([]).expectation,
    }
    assert in_use == tested


def test_the_rules_of_a_table_have_names_of_their_own_and_reasons_in_sentences():
    for gate in (gate for gates in GATES.values() for gate in gates):
        rules = tuple(r for suite in gate.suites(LIVE, NO_BASELINE) for r in suite.rules)
        assert_names_and_reasons(Suite(gate.table, (), rules))


def test_a_rule_that_lacks_what_it_compares_with_is_neither_passed_nor_failed():
    compared = near_previous("kg", None, 0.1, 0.1, "it")
    alone = needs(None, [compared])[0]
    report = validate(frame(), Suite("test", KEY, (alone, has_rows())))
    assert [o.status for o in report.outcomes] == ["not_run", "passed"]
    assert "no previous release" in report.outcomes[0].message
    assert not any(o.is_error for o in report.outcomes)
    assert validate(frame(), Suite("test", KEY, (alone,))).result is None


@pytest.mark.parametrize(
    ("before", "status"), [(10, "passed"), (11, "passed"), (12, "failed"), (8, "failed")]
)
def test_a_figure_is_compared_with_the_previous_one(before, status):
    rule = near_previous("kg", {"kg": before}, 0.1, 0.2, "it")
    assert only(frame(), needs({}, [rule])[0]).status == status


def test_shares_are_of_all_rows_when_the_frame_holds_only_those_that_may_fail():
    report = validate(spoilt(), Suite("test", KEY, (not_null("kg_null", "w"),)), of_rows=1000)
    (outcome,) = report.outcomes
    assert (outcome.n_unexpected, outcome.unexpected_pct) == (1, 0.1)
    assert outcome.message == "1 of 1,000 rows break the rule."


def test_pages_are_written_and_need_no_network(tmp_path):
    bad = Suite("bad", KEY, (not_null("kg_null", "A <reason>."), median_in_band("kg", 1, 5, "w")))
    waiting = Suite("waiting", KEY, tuple(needs(None, [near_previous("kg", None, 0, 0, "it")])))
    folder = folder_of_run(tmp_path, "first")
    index = write_pages(folder, [validate(spoilt(), bad)])
    write_pages(folder, [validate(spoilt(), waiting)])
    page, text = (folder / "bad.html").read_text(), index.read_text()
    assert "kg_null_is_never_null" in page and "A &lt;reason&gt;." in page
    assert "values must never be null" in page  # Great Expectations' own words
    assert "CHL" in page and "could not run" in text and "bad.html" in text
    for content in (page, text):
        assert re.findall(r"""(?:src|href)=["'](?:https?:)?//""", content) == []
    assert (tmp_path / "latest" / "index.html").samefile(index)


def test_the_pages_of_the_last_runs_are_kept(tmp_path):
    for number in range(12):
        folder_of_run(tmp_path, f"run{number}")
    kept = [p.name for p in tmp_path.iterdir() if not p.is_symlink()]
    assert len(kept) == 10 and {"run11", "run10"} <= set(kept) and "run0" not in kept


def test_a_missing_column_breaks_its_rules_and_no_other():
    found = outcomes(
        frame().drop(columns="kg"),
        columns_are_present(["kg", "usd"]),
        in_range("kg", 0, 10, "w"),
        median_in_band("kg", 1, 5, "w"),
        total_in_band("usd", 1, 100, "w", name="kg_conditional", rows=where("kg", ">", 0)),
        in_range("usd", 0, 100, "w"),
    )
    assert {name: o.status for name, o in found.items()} == {
        "columns_are_present": "failed",
        "kg_in_range": "broken",
        "kg_median_in_band": "broken",
        "kg_conditional": "broken",
        "usd_in_range": "passed",
    }
    assert found["columns_are_present"].message == "Missing: kg."
    assert found["kg_in_range"].message.startswith("The check could not run: ")
    assert '"kg"' in found["kg_in_range"].message
    assert found["kg_in_range"].n_unexpected is None


def test_text_where_a_number_belongs_breaks_the_range_and_is_named():
    bad = frame().assign(kg=["1,5", "2,0", "3,5", "4,0"])
    found = outcomes(bad, columns_have_kind({"kg": "number"}), in_range("kg", 0, 10, "w"))
    assert found["columns_have_kind"].status == "failed"
    assert "kg is str, not number" in found["columns_have_kind"].message
    assert found["kg_in_range"].status == "broken"


def test_without_rows_nothing_passes_but_what_is_said_of_columns():
    rules = [replace(on(good), name=f"r{n}") for n, (on, good, *_) in enumerate(IN_USE)]
    kinds = columns_have_kind({"kg": "number"})
    found = outcomes(frame().iloc[:0], has_rows(), columns_are_present(["kg"]), kinds, *rules)
    passed = {name for name, outcome in found.items() if outcome.status == "passed"}
    of_columns = {f"r{n}" for n, (on, *_) in enumerate(IN_USE) if on is is_number}
    assert passed == {"columns_are_present", "columns_have_kind", *of_columns}
    assert {found[name].status for name in found.keys() - passed} == {"failed"}


def test_a_frame_of_nothing_is_neither_accepted_nor_an_error():
    found = outcomes(pd.DataFrame(), has_rows(), columns_are_present(["kg"]), not_null("kg", "w"))
    assert [o.status for o in found.values()] == ["failed", "failed", "broken"]


def test_the_sample_is_short_plain_and_from_the_right_rows_whatever_the_index():
    big = pd.concat([frame()] * 10)  # the labels 0 to 3, ten times
    big["kg"] = np.where(big["country"] == "CHL", np.inf, big["kg"])
    outcome = only(big, in_range("kg", 0, 10, "w"))
    assert outcome.n_unexpected == 20
    assert outcome.unexpected_pct == 50.0
    assert len(outcome.sample) == SAMPLE_ROWS
    assert outcome.sample[0] == {"country": "CHL", "year": 2019, "kg": "inf"}
    assert type(outcome.sample[0]["year"]) is int
    assert outcome.message == "20 of 40 rows break the rule."


def test_a_missing_value_is_none_in_the_sample():
    bad = frame()
    bad.loc[1, "kg"] = np.nan
    assert only(bad, not_null("kg", "w")).sample == [{"country": "AUS", "year": 2020, "kg": None}]


def test_outcomes_come_in_the_order_of_the_rules_with_their_meta():
    rules = [
        in_range("usd", 0, 1, "w"),
        has_rows(),
        in_range("kg", 0, 9, "w"),
        not_null("usd", "w"),
    ]
    found = validate(frame(), Suite("test", KEY, tuple(rules))).outcomes
    assert [outcome.name for outcome in found] == [one.name for one in rules]
    assert found[1].why == has_rows().why
    assert found[1].message == "Observed 4, asked for at least 1."


def test_warnings_do_not_block_and_broken_checks_do():
    found = outcomes(
        frame(),
        in_range("kg", 0, 1, "w", severity="warn"),
        in_range("usd", 0, 1, "w"),
        in_range("absent", 0, 1, "w"),
        has_rows(),
    )
    errors = ["usd_in_range", "absent_in_range"]
    assert [o.name for o in found.values() if o.is_error] == errors
    shown = [check_result("test", o, Path("page"), None) for o in found.values()]
    assert [c.check_name for c in shown if c.severity == dg.AssetCheckSeverity.ERROR] == errors


def test_a_refused_rule_is_an_error_not_a_gap():
    with pytest.raises(ValueError, match="refused misspelt"):
        build_suite("test", KEY, [has_rows(), rule("misspelt", "expect_the_unexpected")])


def test_two_rules_of_one_name_are_an_error():
    with pytest.raises(ValueError, match="more than one rule is called has_rows"):
        build_suite("test", KEY, [has_rows(), has_rows()])


def test_validation_writes_nothing_on_the_terminal(capfd):
    only(frame(), in_range("kg", 0, 1, "w"))
    only(frame(), in_range("absent", 0, 1, "w"))
    assert capfd.readouterr() == ("", "")


def test_rules_are_listed_without_importing_great_expectations():
    program = (
        "import sys\n"
        "from expectations import country_covariates, import_panel, raw_trade, data_docs\n"
        "import_panel.suite([2019], ['IND'], ['Copper']); country_covariates.suite([2019])\n"
        "raw_trade.rows_suite()\n"
        "assert not {'great_expectations', 'pandas'} & set(sys.modules)\n"
    )
    root = Path(expectations.__file__).parents[1]
    subprocess.run([sys.executable, "-c", program], check=True, cwd=root)


def test_expectations_imports_nothing_of_ours():
    allowed = {"expectations", "great_expectations", "jinja2", "pandas", *sys.stdlib_module_names}
    for module in sorted(Path(expectations.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            foreign = {name.partition(".")[0] for name in names} - allowed
            assert not foreign, f"{module.name} imports {foreign}"
