"""The command line's answers from a small release, and its words when there is none."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner, Result

from minerals.errors import ReleaseError, SnapshotDamagedError
from minerals.releases import ReleaseStore
from minerals.settings import PROJECT_ROOT, Settings
from orchestration.asked import known_importer, known_source
from orchestration.cli import app
from tests.declared import declared

SUPPLIER = ("importer_iso3", "category", "mineral", "exporter_iso3", "coefficient_source")
KEYS = {
    "ppml_fit": SUPPLIER[:2],
    "ranking_forward": SUPPLIER,
    "ranking_annual": (*SUPPLIER, "year"),
}
RANKS = """
create schema marts;
create table marts.ppml_fit as select 'IND' as importer_iso3, 'ores' as category;
create table marts.ranking_forward as
select 'IND' as importer_iso3, 'ores' as category, 'Lithium' as mineral, supplier as exporter_iso3,
    'estimated' as coefficient_source, rank as forward_rank, 1 as rank_low, 3 as rank_high,
    0.5 as top_k_probability, 0.25 as actual_share, 1234567.891 as predicted_qty_kg,
    true as is_headline, 'tests need it' as headline_reason, 2 as effective_k
from (values ('AUS', 1), ('CHL', 2), ('CHN', 3)) as v(supplier, rank);
create table marts.ranking_annual as
select importer_iso3, category, mineral, exporter_iso3, coefficient_source, 2020 as year,
    5.0 as actual_qty_kg
from marts.ranking_forward;
"""


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two releases; tests leave the newer one served."""
    folder = tmp_path_factory.mktemp("warehouse")
    store = store_in(folder)
    with duckdb.connect() as database:
        database.execute(RANKS)
        store.marts = declared(database, KEYS)
        store.publish(database, {})
        database.execute("update marts.ranking_forward set forward_rank = 4 - forward_rank")
        store.publish(database, {})
    return folder


def store_in(folder: Path) -> ReleaseStore:
    return ReleaseStore(folder / "releases", folder / "serving.duckdb")


def run(warehouse: Path, *arguments: str, columns: int = 80) -> Result:
    variables = {"MINERALS_WAREHOUSE_DIR": str(warehouse), "COLUMNS": str(columns)}
    return CliRunner().invoke(app, arguments, env=variables)


def refusal(done: Result) -> str:
    assert isinstance(done.exception, ReleaseError | SnapshotDamagedError), done.output
    return str(done.exception)


def test_what_is_piped_is_csv_with_all_rows_and_digits(warehouse):
    sql = "select i, i / 3 as third, '[b]' as \"[/x]\", i > 1, null from range(300) as t(i)"
    rows = list(csv.reader(io.StringIO(run(warehouse, "query", sql).stdout)))
    assert len(rows) == 301
    assert rows[0][2] == "[/x]"
    assert rows[3] == ["2", str(2 / 3), "[b]", "true", ""]


def test_json_is_json(warehouse):
    sql = "select 1.5::decimal(4, 2) as a, 'nan'::double as b, date '2024-01-02' as c"
    assert json.loads(run(warehouse, "query", sql, "--format", "json").stdout) == [
        {"a": 1.5, "b": None, "c": "2024-01-02"}
    ]
    nothing = run(warehouse, "query", "select 1 as a where false", "--format", "json")
    assert json.loads(nothing.stdout) == []
    twice = run(warehouse, "query", "select 1 as a, 2 as a", "--format", "json")
    assert "More than one column is called a" in refusal(twice)


def test_a_table_has_six_digits_and_the_data_as_they_are(warehouse):
    sql = "select 2 / 3 as share, 1234567.891::double as kg, '[red]x[/y]' as words"
    shown = run(warehouse, "query", sql, "--format", "table").stdout
    for words in ("│ 0.666667 │ 1234568 │ [red]x[/y] │",):
        assert words in shown
    many = run(warehouse, "query", "from range(201)", "--format", "table").stdout
    assert "only the first 200 rows" in many


def test_a_table_that_does_not_fit_has_a_line_a_column(warehouse):
    sql = "from marts.ranking_forward order by forward_rank limit 2"
    shown = run(warehouse, "query", sql, "--format", "table").stdout.splitlines()
    assert shown[0] == "row 1"
    assert "  exporter_iso3       CHN" in shown
    assert "row 2" in shown and "row 3" not in shown
    assert "│ CHN" in run(warehouse, "query", sql, "--format", "table", columns=400).stdout


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        (" ; ", "There is no SQL to run"),
        ("select 1; select 2", "2 statements: give one at a time"),
        ("selec 1", "syntax error"),
        ("delete from marts.ppml_fit", "DuckDB says"),
    ],
)
def test_what_is_no_question_gets_a_sentence(warehouse, sql, words):
    assert words in refusal(run(warehouse, "query", sql))


def test_names_are_found_in_any_case_and_wrong_ones_are_answered(warehouse):
    shown = run(warehouse, "rank", "--mineral", "lithium", "--category", "Ores",
                "--source", "Estimated")  # fmt: skip
    assert "Lithium ores for IND, estimated coefficients" in shown.stdout
    wrong = run(warehouse, "rank", "--mineral", "Lithum", "--category", "ores")
    assert refusal(wrong) == "'Lithum' is not in the release; it has: Lithium."
    assert run(warehouse, "rank", "--mineral", "Lithium", "--category", "ores",
               "--top", "0").exit_code == 2  # fmt: skip
    with pytest.raises(ReleaseError, match="choose estimated or published"):
        known_source("ours")
    assert "it has: Lithium" in refusal(
        run(warehouse, "export", "--mart", "ranking_forward", "--mineral", "Lithum")
    )


def test_a_diff_takes_the_names_that_a_ranking_takes(warehouse):
    assert "2 of 3 forward ranks differ" in run(
        warehouse, "releases", "diff", "--mineral", "lithium"
    ).stdout  # fmt: skip
    wrong = run(warehouse, "releases", "diff", "--mineral", "Lithum")
    assert refusal(wrong) == "'Lithum' is not in the release; it has: Lithium."


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("jpn", "JPN is not in the release. .* MINERALS_IMPORTERS=DEU,IND,JPN"),
        ("Japan", "'Japan' is not an ISO3 code of a country: write JPN. "),
        ("XXX", "XXX is no country that the project knows"),
        ("Nowhere land", "not an ISO3 code of a country, such as"),
        (None, "MINERALS_IMPORTERS=DEU,IND,JPN"),
    ],
)
def test_an_importer_that_is_not_there_is_answered_with_what_would_help(asked, words):
    settings = Settings(importers="JPN")
    with pytest.raises(ReleaseError, match=words) as caught:
        known_importer(asked, settings, {"IND", "DEU"})
    assert ("MINERALS_IMPORTERS" in str(caught.value)) == (asked in {"jpn", None})


def test_a_release_is_named_by_its_place_or_the_beginning_of_its_id(warehouse):
    store = store_in(warehouse)
    older, newer = store.list()
    assert "is the beginning of" in refusal(run(warehouse, "releases", "show", older[:2]))
    assert "There is no release nope" in refusal(run(warehouse, "releases", "verify", "nope"))
    unique = next(older[:n] for n in range(len(older)) if not newer.startswith(older[:n]))
    assert f"{older}: sound" in run(warehouse, "releases", "verify", unique).stdout
    for name, served in ((unique, older), ("current", older), (newer, newer), ("previous", older)):
        assert f"release {served} is served" in run(warehouse, "releases", "rollback", name).output
        assert store.current().name == served
    run(warehouse, "releases", "rollback", newer)


def test_a_damaged_serving_database_is_said_and_written_anew(warehouse):
    file = warehouse / "serving.duckdb"
    file.write_bytes(b"garbage" * 10_000)
    assert "rollback current" in refusal(run(warehouse, "query", "select 1"))
    file.unlink()
    assert "rollback current" in refusal(run(warehouse, "query", "select 1"))
    assert run(warehouse, "releases", "rollback", "current").exit_code == 0
    assert run(warehouse, "query", "select 1 as a").stdout == "a\n1\n"


def test_a_lost_pointer_is_put_right_by_a_rollback(warehouse):
    (pointer,) = warehouse.glob("releases/*/current.csv")
    pointer.unlink()
    assert "looks for the release" in refusal(run(warehouse, "query", "select 1"))
    assert run(warehouse, "releases", "rollback", "current").exit_code == 0
    assert run(warehouse, "query", "select 1 as a").exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("releases", "verify"), ("releases", "rollback"), ("releases", "rollback", "current"),
        ("releases", "show"), ("releases", "diff"), ("snapshots", "verify"), ("contract",),
        ("query", "select 1"), ("shock", "--lose", "CHN"), ("export", "--mart", "ppml_fit"),
    ],
)  # fmt: skip
def test_a_warehouse_folder_that_is_not_there_is_said_and_not_made(tmp_path, arguments):
    folder = tmp_path / "nowhere"
    assert f"{folder} does not exist: is MINERALS_WAREHOUSE_DIR right?" in refusal(
        run(folder, *arguments)
    )
    assert not folder.exists()
    folder.mkdir()
    assert f"{folder} holds none yet" in refusal(run(folder, *arguments))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("command", ["releases", "snapshots"])
def test_a_list_of_nothing_says_so(tmp_path, command):
    done = run(tmp_path / "nowhere", command, "list")
    assert done.exit_code == 0
    assert "nowhere does not exist" in done.stdout


def test_what_has_to_be_copied_is_not_cut_on_a_narrow_terminal(warehouse):
    listed = run(warehouse, "releases", "list").stdout
    assert all(name in listed for name in store_in(warehouse).list())
    shown = run(warehouse, "settings").stdout
    variables = [f"MINERALS_{name.upper()}" for name in Settings.model_fields]
    assert [name for name in variables if name not in shown] == ["MINERALS_COMTRADE_API_KEY"]
    assert "…" not in listed + shown


@pytest.mark.parametrize(
    "arguments",
    [
        ("rank", "--mineral", "Lithium", "--category", "ores"), ("query", "select 1"),
        ("settings",), ("releases", "list"), ("portfolio",), ("shock", "--lose", "CHN"),
        ("export", "--mart", "ppml_fit", "--output", "/dev/null", "--format", "csv"),
    ],
)  # fmt: skip
def test_a_question_loads_neither_dagster_nor_dbt(warehouse, arguments):
    """Each of them costs more than the answer."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "orchestration.cli", *arguments],
        env={**os.environ, "MINERALS_WAREHOUSE_DIR": str(warehouse)},
        cwd=PROJECT_ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    loaded = {
        line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()
    }
    assert "typer" in loaded
    assert loaded & {"dagster", "dagster_dbt", "dbt", "statsmodels", "great_expectations"} == set()
