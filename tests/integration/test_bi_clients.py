"""The programs that people read the marts with: each asks the served release the same question."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pytest
import sqlalchemy as sa
import yaml

from minerals.marts import published
from minerals.releases import ReleaseStore
from minerals.releases.serving import locked_down
from minerals.settings import PROJECT_ROOT
from tests.integration.conftest import MAY_BE_EMPTY

PAGES = [(PROJECT_ROOT / "docs" / page).read_text("utf-8") for page in ("bi.md", "policy.md")]
QUESTIONS = re.findall(r"```sql\n(.+?)```", "".join(PAGES), flags=re.DOTALL)

QUESTION = (
    "select exporter_iso3, forward_rank from marts.ranking_forward where importer_iso3 = 'IND' "
    "and mineral = 'Copper' and category = 'ores' and coefficient_source = 'published' "
    "order by forward_rank limit 5"
)


@pytest.fixture(scope="module")
def answer(refreshed) -> list[tuple]:
    rows = refreshed.served(QUESTION)
    assert [rank for _, rank in rows] == [1, 2, 3, 4, 5]
    return rows


def _first_five(frame: pd.DataFrame) -> list[tuple]:
    chosen = frame.loc[
        (frame["importer_iso3"] == "IND")
        & (frame["mineral"] == "Copper")
        & (frame["category"] == "ores")
        & (frame["coefficient_source"] == "published")
    ].sort_values("forward_rank")
    columns = ["exporter_iso3", "forward_rank"]
    return [tuple(row) for row in chosen[columns].head(5).to_numpy()]


def test_sqlalchemy_lists_tables_and_columns_and_asks(refreshed, answer):
    """As Superset does, through duckdb-engine, read-only."""
    engine = sa.create_engine(
        f"duckdb:///{refreshed.settings.serving_database}", connect_args={"read_only": True}
    )
    with engine.connect() as connection:
        assert [tuple(row) for row in connection.execute(sa.text(QUESTION))] == answer
        inspector = sa.inspect(connection)
        assert set(inspector.get_view_names(schema="marts")) == set(published())
        columns = inspector.get_columns("ranking_forward", schema="marts")
        assert {"exporter_iso3", "forward_rank", "release_id"} <= {c["name"] for c in columns}
        with pytest.raises(sa.exc.SQLAlchemyError):
            connection.execute(sa.text("create table marts.mine as select 1"))
    engine.dispose()


DOORS = (
    "copy (select 1) to '{elsewhere}'",
    "select * from read_text('{elsewhere}/../secret')",
    "attach '{elsewhere}' as mine",
    "export database '{elsewhere}'",
    "install spatial",
    "set enable_external_access = true",
)


def test_sqlalchemy_locked_as_the_page_says_reads_the_marts_and_nothing_else(
    refreshed, answer, tmp_path
):
    """deploy/superset_config.py, on two connections that are open at once."""
    (tmp_path / "secret").write_text("not to be seen")
    releases = str(refreshed.settings.releases_dir)
    config = (PROJECT_ROOT / "deploy" / "superset_config.py").read_text(encoding="utf-8")
    made: dict = {}
    exec(config.replace("/srv/minerals/releases", releases), made)
    try:
        engine = sa.create_engine(
            f"duckdb:///{refreshed.settings.serving_database}", connect_args={"read_only": True}
        )
        with engine.connect() as first, engine.connect() as second:
            for connection in (first, second):
                assert [tuple(row) for row in connection.execute(sa.text(QUESTION))] == answer
                for sql in DOORS:
                    with pytest.raises(sa.exc.SQLAlchemyError):
                        connection.execute(sa.text(sql.format(elsewhere=tmp_path / "x")))
                    connection.rollback()
        engine.dispose()
    finally:
        sa.event.remove(sa.engine.Engine, "connect", made["lock_down"])
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def _superset(folder: str) -> dict[str, dict]:
    """The YAML files of one folder of the dashboard for Superset, by their uuid."""
    files = (PROJECT_ROOT / "deploy" / "superset" / folder).rglob("*.yaml")
    read = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in files]
    return {content["uuid"]: content for content in read}


def test_the_datasets_of_the_superset_dashboard_are_in_the_marts(refreshed):
    for dataset in _superset("datasets").values():
        asked = dataset.get("sql", f"from marts.{dataset['table_name']}")
        served = {name: kind for name, kind, *_ in refreshed.served(f"describe {asked}")}
        listed = {column["column_name"]: column["type"] for column in dataset["columns"]}
        assert listed.items() - served.items() == set(), dataset["table_name"]
        for metric in dataset.get("metrics", []):
            assert refreshed.served(f"select {metric['expression']} from ({asked})")


def test_the_superset_dashboard_names_what_its_datasets_have():
    """tests/superset opens it in Superset itself, where that is installed."""
    datasets, charts = _superset("datasets"), _superset("charts")
    names = {
        uuid: {column["column_name"] for column in dataset["columns"]}
        | {metric["metric_name"] for metric in dataset.get("metrics", [])}
        for uuid, dataset in datasets.items()
    }
    for chart in charts.values():
        params = chart["params"]
        lists = [params.get(key, []) for key in ("all_columns", "metrics", "groupby")]
        used = {name for names_of_one in lists for name in names_of_one}
        used |= {
            params[k] for k in ("x_axis", "x_axis_sort", "timeseries_limit_metric") if k in params
        }
        used |= {f["subject"] for f in params.get("adhoc_filters", []) if "subject" in f}
        assert used - names[chart["dataset_uuid"]] == set(), chart["slice_name"]
    (dashboard,) = _superset("dashboards").values()
    parts = [part for part in dashboard["position"].values() if isinstance(part, dict)]
    placed = {part["meta"]["uuid"] for part in parts if part["type"] == "CHART"}
    assert placed == set(charts)
    for chosen in dashboard["metadata"]["native_filter_configuration"]:
        (target,) = chosen["targets"]
        assert target["column"]["name"] in names[target["datasetUuid"]]


def test_the_superset_dashboard_is_packed_with_the_path_of_the_warehouse(tmp_path):
    def pack(path: str) -> subprocess.CompletedProcess[str]:
        script = PROJECT_ROOT / "deploy" / "superset" / "pack.py"
        command = [sys.executable, str(script), path]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert "full path" in pack("warehouse").stderr
    assert not any(tmp_path.iterdir())
    assert pack("/data/minerals/").returncode == 0
    with zipfile.ZipFile(tmp_path / "minerals_dashboard.zip") as bundle:
        database = yaml.safe_load(bundle.read("minerals/databases/minerals.yaml"))
    assert database["sqlalchemy_uri"] == "duckdb:////data/minerals/serving.duckdb"
    assert database["extra"]["engine_params"] == {"connect_args": {"read_only": True}}
    assert not database["allow_dml"]


def test_an_adbc_driver_asks_and_may_not_write(refreshed, answer):
    """As a program does that was built against a driver, not against DuckDB: by the library's
    path, with the settings of docs/bi.md."""
    dbapi = pytest.importorskip("adbc_driver_manager.dbapi", reason="needs adbc-driver-manager")
    import adbc_driver_duckdb

    settings = {"path": str(refreshed.settings.serving_database), "access_mode": "READ_ONLY"}
    with (
        dbapi.connect(
            driver=adbc_driver_duckdb.driver_path(),
            entrypoint="duckdb_adbc_init",
            db_kwargs=settings,
            autocommit=True,
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(QUESTION.replace("'IND'", "?"), ("IND",))
        assert cursor.fetchall() == answer
        cursor.execute(QUESTION)
        assert cursor.fetch_arrow_table().column_names == ["exporter_iso3", "forward_rank"]
        with pytest.raises(dbapi.Error, match="read-only"):
            cursor.execute("create table marts.mine as select 1")


def test_the_command_line_of_duckdb_asks_and_may_not_write(refreshed, answer):
    """Of another version of DuckDB than ours."""
    beside = Path(sys.executable).with_name("duckdb")
    program = str(beside) if beside.exists() else shutil.which("duckdb")
    if program is None:
        pytest.skip("needs the program duckdb (package duckdb-cli)")

    def ask(sql: str, *before: str) -> subprocess.CompletedProcess[str]:
        database = str(refreshed.settings.serving_database)
        first = [word for statement in before for word in ("-cmd", statement)]
        command = [program, "-no-init", "-readonly", "-csv", "-noheader", *first, database, sql]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert ask(QUESTION).stdout.split() == [f"{code},{rank}" for code, rank in answer]
    refused = ask("create table marts.mine as select 1")
    assert refused.returncode != 0
    assert "read-only" in refused.stderr
    releases = refreshed.settings.releases_dir
    lock = locked_down(releases).split("; ")
    assert ask(QUESTION, *lock).stdout.split() == [f"{code},{rank}" for code, rank in answer]
    assert "disabled by configuration" in ask("from read_text('/etc/hosts')", *lock).stderr


def test_another_user_reads_the_release_and_changes_nothing(refreshed, answer):
    """As deploy/ runs a BI tool, with DuckDB's own defaults: the files alone say no."""
    client = pytest.importorskip("duckdb_cli", reason="needs the package duckdb-cli")
    program = Path(client.__file__).with_name("duckdb")
    if os.geteuid() != 0:
        pytest.skip("only root may start a program as another user")
    with tempfile.TemporaryDirectory(prefix="bi-") as name:  # pytest's own folders are private
        Path(name).chmod(0o755)
        warehouse = Path(shutil.copytree(refreshed.settings.releases_dir, f"{name}/releases",
                                         symlinks=True)).parent  # fmt: skip
        database = shutil.copy(refreshed.settings.serving_database, warehouse)
        binary = shutil.copy(program, warehouse)

        def ask(sql: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [binary, "-no-init", "-readonly", "-csv", "-noheader", str(database), sql],
                user=65534, group=65534, extra_groups=[], cwd="/", env={},
                capture_output=True, text=True, check=False, timeout=60,
            )  # fmt: skip

        assert ask(QUESTION).stdout.split() == [f"{code},{rank}" for code, rank in answer]
        current = warehouse / "releases" / "current"
        for target in (current / "ppml_fit.parquet", current / "new.parquet",
                       current.resolve().parent / "current.csv"):  # fmt: skip
            assert "Permission denied" in ask(f"copy (select 1) to '{target}'").stderr
        store = ReleaseStore(warehouse / "releases", Path(database))
        assert store.verify(store.current().name) == []


def test_the_pages_have_their_questions():
    assert len(QUESTIONS) >= len(published())


@pytest.mark.parametrize("sql", QUESTIONS, ids=lambda sql: " ".join(sql.split())[:60])
def test_the_questions_of_the_page_are_answered(refreshed, sql):
    rows = refreshed.served(sql)
    assert rows or any(mart in sql for mart in MAY_BE_EMPTY)


def test_the_database_of_the_release_answers_too(refreshed, answer):
    file = refreshed.release() / "release.duckdb"
    with duckdb.connect(str(file), read_only=True) as connection:
        assert connection.execute(QUESTION).fetchall() == answer


def test_pandas_reads_the_parquet_file(refreshed, answer):
    file = refreshed.release() / "ranking_forward.parquet"
    assert _first_five(pd.read_parquet(file)) == answer


def test_polars_scans_the_parquet_file(refreshed, answer):
    file = refreshed.release() / "ranking_forward.parquet"
    chosen = (
        pl.scan_parquet(file)
        .filter(
            pl.col("importer_iso3") == "IND",
            pl.col("mineral") == "Copper",
            pl.col("category") == "ores",
            pl.col("coefficient_source") == "published",
        )
        .sort("forward_rank")
        .select("exporter_iso3", "forward_rank")
        .head(5)
        .collect()
    )
    assert chosen.rows() == answer


def test_who_attaches_the_database_from_elsewhere_reads_it_too(refreshed, answer, tmp_path):
    with duckdb.connect(str(tmp_path / "mine.duckdb")) as connection:
        connection.execute(f"attach '{refreshed.settings.serving_database}' as bi (read_only)")
        rows = connection.execute(QUESTION.replace("marts.", "bi.marts.")).fetchall()
    assert rows == answer


def test_people_without_bi_get_a_workbook(refreshed, answer, tmp_path):
    target = tmp_path / "copper.xlsx"
    done = refreshed.ask(
        "export", "--mart", "ranking_forward", "--format", "xlsx", "--mineral", "copper",
        "--category", "ores", "--importer", "ind", "--output", str(target),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert _first_five(pd.read_excel(target, engine="calamine")) == answer


def test_the_release_commands_answer(refreshed):
    listed = refreshed.ask("releases", "list")
    assert refreshed.release_id() in listed.stdout
    shown = refreshed.ask("releases", "show")
    assert "checks passed" in shown.stdout and "ranking_forward" in shown.stdout
    assert "sound" in refreshed.ask("releases", "verify").stdout
    kept = refreshed.ask("contract")
    assert kept.returncode == 0, kept.stdout
    assert "holds what is declared" in kept.stdout
