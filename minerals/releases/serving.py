"""The databases of views that BI opens: any number of readers, never a lock, never half a release.

`serving.duckdb` beside the releases is the newest release, query by query; `release.duckdb` within
a release is that release for as long as it is open. Neither holds data. Both find the Parquet files
from where the database itself lies, so that the folder may be moved or mounted elsewhere: DuckDB's
temporary directory is, unless somebody sets it, the database's own path with `.tmp` behind. Where
that says nothing (the file attached from another database) the path of publication is taken.

A query reads each mart whole, of one release, also when the release changes in the middle of it:
`succession.py` says how. Two marts of one query are planned one after the other, and may be of two
releases when it changes between them; `release_id` tells, and `release.duckdb` rules it out.
"""

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb

from minerals.files import fsync_path, sha256_of, write_atomically
from minerals.releases.contract import PublishedMart
from minerals.releases.succession import SERVED

PINNED = "release.duckdb"
_LAYOUT = "4"  # of the views; another one makes the database anew


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
    served = current.relative_to(file.parent) / SERVED
    try:
        made = _write_views(temporary, marts, _folder_of(file), served, database_folder=None)
        fsync_path(temporary)
        temporary.replace(file)
        fsync_path(file.parent)
    finally:
        temporary.unlink(missing_ok=True)
    write_atomically(marker, f"{fingerprint} {made}\n")


def write_release_database(folder: Path, target: Path, marts: Sequence[PublishedMart]) -> None:
    """Make the database of one release in `folder`, which will be renamed to `target` and has the
    same name already."""
    # From the folder of the database to itself by its name: also who opened it through the link
    # `current` stays with the release that it was then.
    _write_views(
        folder / PINNED,
        marts,
        _folder_of(target / PINNED),
        Path("..") / target.name,
        database_folder=folder,
    )


def quoted(text: object) -> str:
    """For a string literal of SQL."""
    return str(text).replace("'", "''")


def _described(mart: PublishedMart) -> dict[str, Any]:
    return {
        "name": mart.name,
        "description": mart.description,
        "columns": [asdict(column) for column in mart.columns],
    }


def _write_views(
    temporary: Path,
    marts: Sequence[PublishedMart],
    folder: str,
    within: Path,
    database_folder: Path | None,
) -> str:
    """Write a database of views over `folder` (SQL) and the path `within` it; return its hash.

    While it is made, the folder is `database_folder`, or without one what `folder` falls back to.
    """
    with duckdb.connect() as database:
        if database_folder is not None:
            database.execute(
                f"set temp_directory = '{quoted(database_folder / temporary.name)}.tmp'"
            )
        # The oldest format that holds views with comments: drivers of DuckDB 1 open it too.
        database.execute(f"attach '{quoted(temporary)}' as serving (storage_version 'v1.0.0')")
        database.execute("use serving")
        database.begin()
        database.execute("create schema marts")
        for mart in marts:
            _create_view(database, mart, folder, within)
        database.commit()
        database.execute("use memory")
        database.execute("detach serving")
    return sha256_of(temporary)


def _create_view(
    database: duckdb.DuckDBPyConnection, mart: PublishedMart, folder: str, within: Path
) -> None:
    columns = ", ".join(f'"{column.name}"' for column in mart.columns)
    parquet = (within / f"{mart.name}.parquet").as_posix()
    database.execute(
        f"create view marts.{mart.name} as select {columns} "
        f"from read_parquet({folder} || '{quoted(parquet)}')"
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
