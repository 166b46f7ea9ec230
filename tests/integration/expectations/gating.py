"""Judging a copy of the refreshed tables, one of which may be damaged, in this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from expectations.gates import GATES
from expectations.previous import Previous
from expectations.report import Outcome, Report
from expectations.rules import Gate, Given
from expectations.validation import judge


def gate_of(table: str) -> Gate:
    (found,) = [gate for gate in GATES if gate.table == table]
    return found


def judged(
    table: str,
    given: Given,
    connection: duckdb.DuckDBPyConnection,
    previous: Previous,
    by_rule: str = "",
) -> list[Report]:
    """The reports on a table; `by_rule` chooses the suites that have such a rule."""
    gate = gate_of(table)
    return [
        judge(gate, suite, connection, previous)
        for suite in gate.suites(given)
        if any(by_rule in rule.name for rule in suite.rules)
    ]


def not_passed(reports: list[Report]) -> dict[str, Outcome]:
    """What failed or broke, by rule."""
    return {outcome.rule.name: outcome for report in reports for outcome in report.not_passed}


@contextmanager
def copy_of(database: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Every table of a warehouse as a view in memory, to be replaced."""
    with duckdb.connect() as connection:
        connection.execute(f"attach '{database}' as warehouse (read_only)")
        tables = connection.execute(
            "select schema_name, table_name from duckdb_tables() where database_name = 'warehouse' "
            "union select schema_name, view_name from duckdb_views() "
            "where database_name = 'warehouse' and not internal"
        ).fetchall()
        for schema in {schema for schema, _ in tables}:
            connection.execute(f"create schema if not exists {schema}")
        for schema, table in tables:
            if schema in ("raw", "conformed", "marts"):
                connection.execute(
                    f"create view {schema}.{table} as from warehouse.{schema}.{table}"
                )
        yield connection
