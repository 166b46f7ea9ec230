"""The generic test `structure`, run by dbt over a seed that breaks each of its rules."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from minerals.settings import PROJECT_ROOT

PROJECT = """
name: small
profile: small
flags: {send_anonymous_usage_stats: false}
"""
PROFILE = """
small:
  target: here
  outputs:
    here: {type: duckdb, path: small.duckdb}
"""
SEEDS = """
seeds:
  - name: metals
    config: {meta: {key: [metal]}}
  - name: sales
    config:
      meta: {key: [metal, year]}
      column_types: {metal: varchar, year: integer, kind: varchar, kg: double, ticket: varchar}
    data_tests:
      - structure:
          name: sales_structure
          arguments:
            nullable: [year]
            unique: [[ticket]]
            never_null: [kind]
            accepted: {kind: [ore, scrap]}
            between: {kg: [0, 100]}
            references: {metal: [ref('metals'), metal]}
            rules: {"Scrap has a ticket": kind <> 'scrap' or ticket is not null}
            min_rows: 20
"""
SOUND = """metal,year,kind,kg,ticket
Tin,2019,ore,1,a
Zinc,2019,scrap,0,b
Tin,,ore,100,
Zinc,,ore,,
"""
BROKEN = """Tin,2020,ore,-1,c
Tin,2021,slag,nan,c
Tin,2022,,101,d
Tin,2022,scrap,5,
Gold,2023,ore,5,e
,2024,ore,5,f
Zinc,,ore,5,g
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "dbt_project.yml").write_text(PROJECT)
    (tmp_path / "profiles.yml").write_text(PROFILE)
    (tmp_path / "macros").mkdir()
    shutil.copy(PROJECT_ROOT / "dbt_project/macros/generic_tests.sql", tmp_path / "macros")
    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds/seeds.yml").write_text(SEEDS)
    (tmp_path / "seeds/metals.csv").write_text("metal\nTin\nZinc\n")
    return tmp_path


def failing_rows(project: Path, sales: str) -> list[dict[str, object]]:
    """The rows that the test returns, as the Dagster check and `dbt show` select them."""
    (project / "seeds/sales.csv").write_text(sales)
    subprocess.run(
        [str(Path(sys.executable).with_name("dbt")), "build"], cwd=project,
        env={**os.environ, "DBT_PROFILES_DIR": "."}, capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    results = json.loads((project / "target/run_results.json").read_text())["results"]
    (test,) = [result for result in results if result["unique_id"].startswith("test.")]
    with duckdb.connect(str(project / "small.duckdb"), read_only=True) as connection:
        rows = connection.execute(test["compiled_code"])
        names = [column[0] for column in rows.description]
        found = [dict(zip(names, row, strict=True)) for row in rows.fetchall()]
    assert test["failures"] == len(found)
    return found


def test_each_broken_rule_is_named_with_its_row_and_value(project: Path) -> None:
    found = failing_rows(project, SOUND + BROKEN)
    assert {(row["problem"], row["metal"], row["year"], row["value"]) for row in found} == {
        ("Key columns must not be null: metal", None, 2024, None),
        ("Key must be unique: metal, year", "Tin", 2022, "2 rows"),
        ("Key must be unique: metal, year", "Zinc", None, "2 rows"),
        ("kind must not be null", "Tin", 2022, None),
        ("kind must be one of ore, scrap", "Tin", 2021, "slag"),
        ("kg must be a number, at least 0, at most 100", "Tin", 2020, "-1.0"),
        ("kg must be a number, at least 0, at most 100", "Tin", 2021, "nan"),
        ("kg must be a number, at least 0, at most 100", "Tin", 2022, "101.0"),
        ("metal must be in metals.metal", "Gold", 2023, "Gold"),
        ("ticket must be unique", "Tin", 2020, "c"),
        ("ticket must be unique", "Tin", 2021, "c"),
        ("Scrap has a ticket", "Tin", 2022, None),
        ("The table must have at least 20 rows", None, None, "11 rows"),
    }
    n_problems = len({row["problem"] for row in found})
    assert len({row["problem"] for row in found[:n_problems]}) == n_problems  # one of each first


def test_a_table_that_keeps_the_rules_returns_no_row(project: Path) -> None:
    more = "".join(f"Tin,{year},ore,1,t{year}\n" for year in range(2000, 2016))
    assert failing_rows(project, SOUND + more) == []
