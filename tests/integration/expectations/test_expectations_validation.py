"""The bridge to Great Expectations: what passes, fails and breaks, with which words and rows."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dagster as dg
import duckdb
import numpy as np
import pandas as pd
import pytest

import expectations
from expectations import raw_bilateral_trade
from expectations.gates import GATES
from expectations.previous import NotComparable, Previous, Tolerance, totals
from expectations.report import Outcome, Report, add_to_page, folder_of_run
from expectations.rules import (
    Gate,
    Given,
    Rule,
    Shape,
    Suite,
    at_least,
    breaks,
    figure_in_band,
    has_all,
    in_range,
    is_always,
    is_known,
    query,
    where,
    within,
)
from expectations.validation import SAMPLE_ROWS, judge, validate
from orchestration.checks import check_result

GIVEN = Given([2019, 2020], ["IND"], {"Copper": "Copper"}, top_k=10)


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "country": ["AUS", "AUS", "CHL", "CHL"],
            "year": [2019, 2020, 2019, 2020],
            "kg": [1.0, 2.0, 3.0, 4.0],
            "low": [0.0, 1.0, np.nan, 4.0],
            "high": [2.0, np.nan, np.nan, 4.0],
            "is_small": [True, True, False, False],
            "size": ["small", "small", "large", "large"],
        }
    )


def spoilt() -> pd.DataFrame:
    """The good frame, and beside its columns others, each with one thing wrong."""
    return frame().assign(
        kg_null=[1, 2, np.nan, 4],
        kg_negative=[1, 2, -3.0, 4],
        kg_infinite=[1, 2, np.inf, 4],
        kg_in_grams=[1000.0, 2000.0, 3000.0, 4000.0],
        kg_below=[1.0, 0.5, 3.0, 4.0],
        kg_missing=[1.0, np.nan, 3.0, 4.0],
        size_null=["small", "small", None, "large"],
        is_small_once=[False, False, True, False],
        country_unknown=["AUS", "AUS", "AUS", "AUS"],
    )


def suite_of(*rules: Rule, row: str = "A row.") -> Suite:
    return Suite("test", row, ("country", "year"), rules, lambda *_: Shape(spoilt()))


def outcomes(data: pd.DataFrame, *rules: Rule) -> dict[str, Outcome]:
    return {one.rule.name: one for one in validate(Shape(data), suite_of(*rules))}


def only(data: pd.DataFrame, rule: Rule) -> Outcome:
    return outcomes(data, rule)[rule.name]


LARGE = where("size", "==", "large")
AUS20, CHL19 = ("AUS", 2020), ("CHL", 2019)
Rows = list[tuple[str, int]] | None

# A rule on a column, a good column, a spoilt one, and the rows that the sample must then hold
# (None: the rule is about the table as a whole).
IN_USE: list[tuple[Callable[[str], Rule], str, str, Rows]] = [
    (lambda c: is_known(c, "w", name="known"), "kg", "kg_null", [CHL19]),
    (lambda c: is_known(c, "w", name="known"), "size", "size_null", [CHL19]),
    (lambda c: is_known(c, "w", name="known", mostly=0.9), "kg", "kg_null", [CHL19]),
    (lambda c: in_range(c, 0, 10, "w"), "kg", "kg_negative", [CHL19]),
    (lambda c: in_range(c, 0, 10, "w"), "kg", "kg_infinite", [CHL19]),
    (lambda c: in_range(c, 0, None, "w", rows=LARGE), "kg", "kg_negative", [CHL19]),
    (lambda c: is_always(c, False, "w", name="never", rows=LARGE), "is_small", "is_small_once",
     [CHL19]),
    (lambda c: within(c, "low", "high", "w", name="within"), "kg", "kg_below", [AUS20]),
    (lambda c: within(c, "low", "high", "w", name="within"), "kg", "kg_missing", [AUS20]),
    (lambda c: at_least("kg", c, "w", name="at_least"), "kg_below", "kg_in_grams", None),
    (lambda c: has_all(c, ["AUS", "CHL"], "w", name="all"), "country", "country_unknown", None),
    (lambda c: figure_in_band("median", c, 1, 5, "w", name="m"), "kg", "kg_in_grams", None),
    (lambda c: figure_in_band("mean", c, 1, 5, "w", name="m"), "kg", "kg_in_grams", None),
    (lambda c: figure_in_band("sum", c, 1, 10, "w", name="m"), "kg", "kg_in_grams", None),
    (lambda c: figure_in_band("unique_value_count", c, 2, 2, "w", name="m"), "country",
     "country_unknown", None),
]  # fmt: skip
NUMBERS = range(len(IN_USE))


@pytest.fixture(scope="module")
def judged() -> dict[str, Outcome]:
    """Every case on its good and on its spoilt column, in one validation."""
    rules = []
    for number, (on, good, bad, _) in enumerate(IN_USE):
        rules += [replace(on(good), name=f"good_{number}"), replace(on(bad), name=f"bad_{number}")]
    return outcomes(spoilt(), *rules)


@pytest.mark.parametrize("number", NUMBERS, ids=[f"{i}-{IN_USE[i][2]}" for i in NUMBERS])
def test_each_kind_of_rule_passes_good_data_and_fails_bad(judged, number):
    good, bad, sample = judged[f"good_{number}"], judged[f"bad_{number}"], IN_USE[number][3]
    assert (good.status, bad.status) == ("passed", "failed"), (good, bad)
    assert good.sample == ()
    if sample is not None:
        assert [(row["country"], row["year"]) for row in bad.sample] == sample


def test_every_kind_of_rule_in_use_is_tested_here():
    in_use = {r.expectation for g in GATES for s in g.suites(GIVEN) for r in s.rules}
    assert in_use == {on(good).expectation for on, good, *_ in IN_USE}


def test_rules_and_suites_have_names_of_their_own_and_reasons_in_sentences():
    for gate in GATES:
        suites = gate.suites(GIVEN)
        assert len({suite.name for suite in suites}) == len(suites)
        for suite in suites:
            assert suite.name.isidentifier() and suite.row.startswith("One row per ")
            assert len({rule.name for rule in suite.rules}) == len(suite.rules)
            for rule in suite.rules:
                assert rule.why[0].isupper() and rule.why.endswith("."), rule


@pytest.mark.parametrize(("of_few", "n_blocking"), [(False, 11), (True, 4)])
def test_trade_of_few_importers_may_be_unsteady(of_few, n_blocking):
    given = replace(GIVEN, of_few_importers=of_few)
    (years,) = [s for g in GATES[:1] for s in g.suites(given) if s.name == "years"]
    assert sum(rule.severity == "block" for rule in years.rules) == n_blocking


def test_shares_are_of_all_rows_when_the_frame_is_a_part_of_the_table():
    shape = Shape(spoilt(), of_rows=1000)
    (outcome,) = validate(shape, suite_of(is_known("kg_null", "w", name="known")))
    assert outcome.message == "1 of 1,000 rows break it."


def test_an_empty_part_of_a_table_passes_and_an_empty_table_fails():
    suite = suite_of(in_range("kg", 0, 1, "w"), has_all("year", [2019], "w", name="all"))
    assert {o.status for o in validate(Shape(frame()[:0]), suite)} == {"failed"}
    (in_part, _) = validate(Shape(frame()[:0], of_rows=9), suite)
    assert in_part.status == "passed"


def test_a_missing_column_breaks_its_rules_and_no_other():
    found = outcomes(
        frame().drop(columns="kg"),
        in_range("kg", 0, 10, "w"),
        figure_in_band("median", "kg", 1, 5, "w", name="median"),
        in_range("year", 1, 3000, "w", name="conditional", rows=where("kg", ">", 0)),
        in_range("year", 1, 3000, "w"),
    )
    assert {name: one.status for name, one in found.items()} == {
        "kg_in_range": "broken",
        "median": "broken",
        "conditional": "broken",
        "year_in_range": "passed",
    }
    assert found["kg_in_range"].message.startswith("The check could not run: ")
    assert '"kg"' in found["kg_in_range"].message


def test_text_where_a_number_belongs_breaks_the_range():
    bad = frame().assign(kg=["1,5", "2,0", "3,5", "4,0"])
    assert only(bad, in_range("kg", 0, 10, "w")).status == "broken"


def test_the_sample_is_short_plain_and_from_the_right_rows_whatever_the_index():
    big = pd.concat([frame()] * 10)  # the labels 0 to 3, ten times
    big["kg"] = np.where(big["country"] == "CHL", np.inf, big["kg"])
    outcome = only(big, in_range("kg", 0, 10, "w", unit="kg"))
    assert len(outcome.sample) == SAMPLE_ROWS
    assert outcome.sample[0] == {"country": "CHL", "year": 2019, "kg": np.inf}
    assert outcome.message == "20 of 40 rows break it (allowed: 0 to 10 kg)."


def test_a_failure_reads_as_a_sentence_with_the_row():
    bad = frame().assign(population=[1412.0, 2e7, 2e7, 2e7])
    rule = in_range("population", 1e5, 2e9, "A slip of unit.", unit="persons")
    assert only(bad, rule).sentence() == (
        "population_in_range: 1 of 4 rows break it (allowed: 100,000 to 2,000,000,000 persons). "
        "For example country AUS, year 2019, population 1,412. A slip of unit."
    )
    missing = only(spoilt(), is_known("kg_null", "No gap.", name="known"))
    assert "country CHL, year 2019, kg_null missing." in missing.sentence()
    absent = only(frame(), has_all("year", [2019, 2021], "Every year.", name="years"))
    assert absent.sentence() == "years: Missing: 2021. Every year."
    assert only(frame(), has_all("year", [2019], "w", name="y")).message == "None is missing."
    median = only(frame(), figure_in_band("median", "kg", 3, 5, "Near.", name="m", unit="kg"))
    assert median.sentence() == "m: Found 2.5 (allowed: 3 to 5 kg). Near."


def test_two_rules_of_one_name_or_an_unknown_one_are_an_error_not_a_gap():
    rule = in_range("kg", 0, 1, "w")
    with pytest.raises(ValueError, match="several rules are called kg_in_range"):
        validate(Shape(frame()), suite_of(rule, rule))
    misspelt = replace(rule, expectation="expect_the_unexpected")
    with pytest.raises(ValueError, match="refused kg_in_range"):
        validate(Shape(frame()), suite_of(misspelt))


def test_the_rows_that_break_a_rule_are_found_in_sql_too():
    rules = (
        in_range("kg_infinite", 0, 3.5, "w"),
        in_range("kg_nan", 0, 3.5, "w"),
        is_always("is_small_once", False, "w", name="never"),
    )
    data = spoilt().assign(row=range(4))
    with duckdb.connect() as connection:
        connection.register("data", data)
        found = connection.sql(
            "select row from (select *, if(row = 1, 'nan'::double, kg) as kg_nan from data) "
            f"where {breaks(rules)} order by row"
        ).fetchall()
    assert found == [(1,), (2,), (3,)]


def report_of(*rules: Rule, data: pd.DataFrame | None = None) -> Report:
    suite = suite_of(*rules)
    data = frame() if data is None else data
    return Report("a_table", suite, validate(Shape(data), suite), data)


WARNED = in_range("kg", 0, 1, "w", severity="warn")
FAILED = in_range("year", 0, 1, "w")
BROKEN = in_range("absent", 0, 1, "w", severity="warn")
PASSED = in_range("low", 0, 9, "w")


@pytest.mark.parametrize(
    ("rules", "status", "severity", "first", "counts"),
    [
        ((PASSED,), "passed", "WARN", "1 rule passed.", (0, 0)),
        ((WARNED, PASSED), "failed", "WARN", "kg_in_range: ", (0, 1)),
        ((WARNED, FAILED), "failed", "ERROR", "year_in_range: ", (1, 1)),
        ((WARNED, BROKEN), "broken", "ERROR", "absent_in_range: ", (1, 1)),
    ],
)
def test_a_check_is_an_error_when_a_blocking_rule_fails_or_any_breaks(
    rules, status, severity, first, counts
):
    shown = check_result(report_of(*rules), Path("page"), Previous())
    assert shown.passed == (status == "passed")
    assert shown.severity == dg.AssetCheckSeverity[severity]
    assert shown.description.startswith(first)
    assert shown.metadata["status"].value == status
    assert (shown.metadata["n_failed"].value, shown.metadata["n_warned"].value) == counts
    for rule in rules:
        assert f"| {rule.name} |" in shown.metadata["rules"].value
    assert "| AUS | 2019 | 1 |" in shown.metadata["judged"].value


def test_the_page_of_a_run_holds_every_suite_and_needs_no_network(tmp_path):
    folder = folder_of_run(tmp_path, "first")
    rule = is_known("kg_null", "A <reason>.", name="known")
    page = add_to_page(folder, report_of(rule, data=spoilt()))
    add_to_page(
        folder, Report("other", suite_of(PASSED), (Outcome(PASSED, "not_run", "no release"),))
    )
    text = page.read_text()
    assert "A &lt;reason&gt;." in text and "country CHL, year 2019, kg_null missing" in text
    assert "other, test: not compared: no release" in text
    assert "http" not in text and "<script" not in text
    assert (tmp_path / "latest" / "index.html").samefile(page)
    for number in range(12):
        folder_of_run(tmp_path, f"run{number}")
    kept = [path.name for path in tmp_path.iterdir() if not path.is_symlink()]
    assert len(kept) == 10 and "run11" in kept and "first" not in kept


@pytest.fixture
def connection():
    with duckdb.connect() as opened:
        yield opened


@pytest.mark.parametrize(
    ("now", "status"), [(100, "passed"), (90, "passed"), (89, "failed"), (121, "failed")]
)
def test_figures_are_compared_with_the_previous_release(connection, tmp_path, now, status):
    duckdb.sql(f"copy (select 100 as n, 5.0 as x) to '{tmp_path / 'mart.parquet'}'")
    tolerances = [Tolerance("n", 0.1, 0.2, "rows"), Tolerance("x", 1, 1, "kg", is_absolute=True)]
    suite = totals(tolerances, "mart", "from {file}", f"select {now} as n, 5.5 as x")
    gate = Gate("a_table", "raw", lambda _: (suite,))
    report = judge(gate, suite, connection, Previous(tmp_path, {}, ""))
    assert report.status == status
    if status == "failed":
        assert f"figure n, unit rows, previous 100, now {now}, low 90, high 120" in (
            report.sentence()
        )


def test_what_cannot_be_compared_passes_and_says_why(connection, tmp_path):
    suite = totals([Tolerance("n", 0, 0, "rows")], "mart", "from {file}", "select 1 as n")
    gate = Gate("a_table", "raw", lambda _: (suite,))
    for previous, why in (
        (Previous(), "there is no previous release"),
        (Previous(tmp_path, {}, ""), "cannot be read: it has no mart mart"),
    ):
        report = judge(gate, suite, connection, previous)
        assert report.status == "not_compared" and why in report.sentence()
        shown = check_result(report, Path("page"), previous)
        assert shown.passed and shown.description.startswith("not compared: ")
    duckdb.sql(f"copy (select null::int as n) to '{tmp_path / 'mart.parquet'}'")
    with pytest.raises(NotComparable, match="lacks the figures"):
        suite.shape(connection, Previous(tmp_path, {}, ""))


def test_a_table_that_cannot_be_read_breaks_its_suite(connection):
    suite = replace(suite_of(PASSED), shape=query("from absent_table"))
    report = judge(Gate("a_table", "raw", lambda _: (suite,)), suite, connection, Previous())
    assert report.status == "broken"
    assert "absent_table" in report.sentence()


def test_only_a_release_of_the_same_settings_is_compared_with():
    now = {"profile": "bundled", "importers": ["IND"], "first_year": 2019, "last_year": 2023}
    assert Previous.in_folder(Path("r"), now, now).why_not == ""
    other = Previous.in_folder(Path("r"), {**now, "last_year": 2022}, now)
    assert other.why_not == "the previous release has another last_year (2022, not 2023)"


def test_validation_writes_nothing_on_the_terminal(capfd):
    only(frame(), in_range("kg", 0, 1, "w"))
    only(frame(), in_range("absent", 0, 1, "w"))
    assert capfd.readouterr() == ("", "")


def test_rules_are_listed_without_importing_great_expectations():
    program = (
        "import sys\n"
        "from expectations.gates import GATES\n"
        "from expectations.rules import Given\n"
        "assert [g.suites(Given([2019], ['IND'], {}, 10)) for g in GATES]\n"
        "assert 'great_expectations' not in sys.modules\n"
    )
    root = Path(expectations.__file__).parents[1]
    subprocess.run([sys.executable, "-c", program], check=True, cwd=root)


def test_what_breaks_a_rule_comes_before_the_most_rows_that_are_held():
    """A trade table of more rows in its last year than the gate holds, the broken one last."""
    with duckdb.connect() as connection:
        connection.execute(
            f"""
            create temp table trade as
            select 2023 as year, (1000 + n)::varchar as exporter_code, '699' as importer_code,
                '260300' as hs_code, 1.0 as value_thousand_usd, 1.0 as quantity_t
            from range({raw_bilateral_trade.MOST_ROWS + 10}) as numbers (n)
            union all select 1999, '999999', '699', '811292', -5.0, null
            """
        )
        shape = raw_bilateral_trade.ROWS.shape(connection, Previous())
    assert (len(shape.frame), shape.of_rows) == (1_000_000, 1_000_011)
    first, second = shape.frame["value_thousand_usd"].head(2)
    assert (first, second) == (-5.0, 1.0)
