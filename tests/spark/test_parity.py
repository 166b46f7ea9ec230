"""Spark makes the release that DuckDB makes: the same marts, columns, types, rows and texts, and
numbers within 1e-9 of each other, but for what is named here. The first run of Spark is broken off,
so that the second one recovers."""

import os
import signal
import time

import duckdb
import pytest

from minerals.releases.contract import CONTRACT, RELEASE_ID, read_contract
from orchestration.spark import SERVER
from tests.integration.conftest import TestWarehouse
from tests.spark.conftest import children

APART = 1e-9  # of the larger of two numbers
NOTHING = 1e-10  # what two shares, or a coefficient and its error, leave where they nearly cancel
# Iterations stop at 1e-8, and the inputs differ in the last digit, as sums in another order do.
ITERATED = 1e-7
OF_ITERATIONS = {"world_variants", "ranking_forward", "ranking_headline", "portfolio_partners",
                 "portfolio_sensitivity", "supplier_overview"}  # fmt: skip
# Estimated quantities that lie between two grams may be rounded to either.
GRAM = "abs(a.qty_kg - b.qty_kg) < 0.0011"
# When and in which run something was made, which no two releases share.
OF_A_RUN = {"dim_release": {"made_at"}, "source_snapshots": {"retrieved_at"}}


@pytest.fixture(scope="session")
def recovered(spark: TestWarehouse) -> TestWarehouse:
    """Filled by a run after one whose Spark was killed while dbt built the tables."""
    process = spark.start("refresh", "--quiet")
    said = []
    for line in process.stdout:
        said.append(line)
        if "dbt_conformed started" in line:
            time.sleep(15)
            (server,) = children(process.pid, SERVER)
            os.kill(server, signal.SIGKILL)
    assert process.wait() == 1, "".join(said)
    assert "Traceback" not in "".join(said)
    assert "Nothing was published" in "".join(said)
    assert spark.store().current() is None
    again = spark.command("refresh", "--quiet")
    assert again.returncode == 0, again.stdout + again.stderr
    return spark


def test_both_engines_make_the_same_release(refreshed, recovered):
    ours, theirs = refreshed.release(), recovered.release()
    contracts = [read_contract(folder / CONTRACT) for folder in (ours, theirs)]
    assert [(m.name, m.key, m.columns) for m in contracts[0]] == [
        (m.name, m.key, m.columns) for m in contracts[1]
    ]
    problems = []
    with duckdb.connect() as connection:
        for mart in contracts[0]:
            a, b = (f"read_parquet('{folder / mart.name}.parquet')" for folder in (ours, theirs))
            rows = [
                connection.sql(f"select count(*) from {side}").fetchall()[0][0] for side in (a, b)
            ]
            of_a_run = OF_A_RUN.get(mart.name, set())
            key = [f'a."{c}" is not distinct from b."{c}"' for c in mart.key if c not in of_a_run]
            same_key = " and ".join(key) or "true"
            compared = [c for c in mart.columns if c != RELEASE_ID and c.name not in of_a_run]
            differ = ", ".join(f"count(*) filter ({_differs(mart.name, c)})" for c in compared)
            n_paired, *counts = connection.sql(
                f"select count(*), {differ} from {a} as a inner join {b} as b on {same_key}"
            ).fetchall()[0]
            if not rows[0] == rows[1] == n_paired:
                problems.append(f"{mart.name}: {rows[0]} and {rows[1]} rows, {n_paired} in both")
            problems += [
                f"{mart.name}.{column.name}: {count} of {rows[0]} rows"
                for column, count in zip(compared, counts, strict=True)
                if count
            ]
    assert problems == []


def _differs(mart, column) -> str:
    a, b = f'a."{column.name}"', f'b."{column.name}"'
    exactly = f"{a} is distinct from {b}"
    if column.type != "DOUBLE":
        return exactly
    apart = ITERATED if mart in OF_ITERATIONS else APART
    near = f"abs({a} - {b}) <= greatest({apart} * greatest(abs({a}), abs({b})), {NOTHING})"
    if mart == "trade_flows":
        near = f"({near} or {GRAM})"
    return f"{exactly} and not coalesce({near}, false)"


def test_a_table_of_the_warehouse_says_what_it_is(refreshed, recovered):
    words = (
        "select column_name, comment from duckdb_columns() "
        "where schema_name = 'marts' and table_name = 'import_panel' order by all"
    )
    assert recovered.query(words) == refreshed.query(words)
