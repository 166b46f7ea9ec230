"""`serving.duckdb`: views over the current release, for any number of readers, never a lock.

The file holds no data. Its views find the Parquet files from where the database itself lies, so
that the folder may be moved or mounted elsewhere: DuckDB's temporary directory is, unless somebody
sets it, the database's own path with `.tmp` behind. Where that says nothing (the file attached from
another database) the path of publication is taken.
"""

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb

from minerals.releases.contract import PublishedMart
from minerals.sources.snapshots import fsync_path, sha256_of, write_atomically

_LAYOUT = "3"  # of the views; another one makes the database anew


def write_serving_database(file: Path, current: Path, marts: Sequence[PublishedMart]) -> None:
    """Make the database of views over `current` when the contract, or the file itself, is not what
    it was; replace it in one step.

    `current` is the link to the release being served, in a folder beside `file`.
    """
    described = json.dumps([_LAYOUT, str(current), [_described(m) for m in marts]], sort_keys=True)
    fingerprint = hashlib.sha256(described.encode()).hexdigest()
    marker = current.with_name(".serving-contract")
    if (
        file.exists()
        and marker.exists()
        and marker.read_text().split() == [fingerprint, sha256_of(file)]
    ):
        return
    temporary = file.with_name(f".serving-{uuid.uuid4().hex[:8]}.duckdb")
    try:
        with duckdb.connect() as database:
            # The oldest format that holds views with comments: drivers of DuckDB 1 open it too.
            database.execute(f"attach '{quoted(temporary)}' as serving (storage_version 'v1.0.0')")
            database.execute("use serving")
            database.begin()
            database.execute("create schema marts")
            for mart in marts:
                _create_view(database, mart, file, current)
            database.commit()
            database.execute("use memory")
            database.execute("detach serving")
        fsync_path(temporary)
        made = sha256_of(temporary)
        temporary.replace(file)
        fsync_path(file.parent)
    finally:
        temporary.unlink(missing_ok=True)
    write_atomically(marker, f"{fingerprint} {made}\n")


def quoted(text: object) -> str:
    """For a string literal of SQL."""
    return str(text).replace("'", "''")


def _described(mart: PublishedMart) -> dict[str, Any]:
    return {
        "name": mart.name,
        "description": mart.description,
        "columns": [asdict(column) for column in mart.columns],
    }


def _create_view(
    database: duckdb.DuckDBPyConnection, mart: PublishedMart, file: Path, current: Path
) -> None:
    columns = ", ".join(f'"{column.name}"' for column in mart.columns)
    parquet = current.relative_to(file.parent) / f"{mart.name}.parquet"
    database.execute(
        f"create view marts.{mart.name} as select {columns} "
        f"from read_parquet({_folder_of(file)} || '{quoted(parquet.as_posix())}')"
    )
    database.execute(f"comment on view marts.{mart.name} is '{quoted(mart.description)}'")
    for column in mart.columns:
        database.execute(
            f'comment on column marts.{mart.name}."{column.name}" '
            f"is '{quoted(column.description)}'"
        )


def _folder_of(file: Path) -> str:
    """SQL for the folder of the open database, with its last slash."""
    ending = f"{file.name}.tmp"
    setting = "current_setting('temp_directory')"
    return (
        f"case when ends_with({setting}, '{quoted(ending)}') "
        f"then left({setting}, length({setting}) - {len(ending)}) "
        f"else '{quoted(file.parent.as_posix())}/' end"
    )
