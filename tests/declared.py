"""Declarations of marts that a test makes, so that they can be published."""

from collections.abc import Mapping, Sequence

import duckdb

from minerals.marts import Column, Mart, unit_of


def declared(
    database: duckdb.DuckDBPyConnection, keys: Mapping[str, Sequence[str]]
) -> dict[str, Mart]:
    """The tables of schema `marts` in `database` as they are, with these keys."""
    rows = database.execute(
        "select table_name, column_name, data_type from duckdb_columns() "
        "where schema_name = 'marts' order by table_name, column_index"
    ).fetchall()
    return {
        name: Mart(
            name,
            "",
            tuple(key),
            tuple(Column(c, type_, unit_of(c), "") for table, c, type_ in rows if table == name),
        )
        for name, key in keys.items()
    }
