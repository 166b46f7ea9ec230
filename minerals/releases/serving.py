"""The databases of views that BI opens: any number of readers, no lock, never half a release.

`serving.duckdb` beside the releases shows the newest release, query by query; `release.duckdb`
within a release shows that release. Neither holds data.

A view of `serving.duckdb` reads one file of one contract's folder: of the files that match
`<contract>/*/<mart>.parquet` the one whose release comes first in `<contract>/current.csv`. The
file lists the release being served and, behind it, those served before. Three things matter:

- Files are listed (`glob`) before the pointer is read. A query that listed them before the newest
  release was there, and reads the pointer when it is, takes the release served before instead of
  no rows. Both lists of files are made from left to right, so what the first has, the second has.
- The join on `filename` lets DuckDB skip the other files without opening them. The first file is
  opened for its columns; the store never prunes the oldest release of a contract for that reason.
- `union_by_name` is not set: it opens every file, and the files of one contract have the same
  columns.

The views find their files from where the database itself lies, so that the folder may be moved or
mounted elsewhere: DuckDB's temporary directory is, unless somebody sets it, the path of the
database with `.tmp` behind. Where that says nothing (the file attached from another database), the
path of publication is used.
"""

import hashlib
import json
import re
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import duckdb

from minerals.errors import ReleaseError
from minerals.files import fsync_path, sha256_of, write_atomically
from minerals.marts import Mart

PINNED = "release.duckdb"
POINTER = "current.csv"
MADE = "serving.sha256"
"""In a contract's folder: two hashes of each serving database made for it, of what it says and of
the file, the newest last."""

_LAYOUT = "6"  # of the views; another one makes the database anew
_POINTER_COLUMNS = "{'position': 'INTEGER', 'release_id': 'VARCHAR'}"
_LOCKING = threading.Lock()


def open_serving(file: Path, releases: Path) -> duckdb.DuckDBPyConnection:
    """Open the serving database for somebody else's SQL: read-only, no file outside `releases` and
    no network can be reached, and no setting can be changed.

    Files in `releases` can still be written with COPY: run what `only_select` returns. Raises
    duckdb.Error when the file cannot be read.
    """
    connection = duckdb.connect(str(file), read_only=True)
    try:
        with _LOCKING:  # connections of one process to one file share their settings
            locked = connection.execute("select current_setting('lock_configuration')").fetchone()
            if locked != (True,):
                connection.execute(locked_down(releases))
    except BaseException:
        connection.close()
        raise
    return connection


def locked_down(releases: Path) -> str:
    """SQL that limits a connection to the files under `releases`, for good."""
    # The views write a bracket or an asterisk in a path as a pattern does: `[[]`.
    folders = dict.fromkeys((releases.as_posix(), re.sub(r"([*[])", r"[\1]", releases.as_posix())))
    listed = ", ".join(f"'{quoted(folder)}'" for folder in folders)
    return (
        f"set allowed_directories = [{listed}]; "
        "set enable_external_access = false; set lock_configuration = true"
    )


def only_select(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    """The one statement of `sql`, when DuckDB counts it as a select (also `from`, `describe`,
    `show`, `summarize`). Raises ReleaseError for any other, for none and for more than one, and
    duckdb.Error when the SQL cannot be parsed.
    """
    statements = connection.extract_statements(sql)
    if not statements:
        raise ReleaseError(
            'There is no SQL to run: write for example "from marts.ranking_forward limit 5".'
        )
    if len(statements) > 1:
        raise ReleaseError(f"These are {len(statements)} statements: give one at a time.")
    kind = statements[0].type
    if kind == duckdb.StatementType.MULTI:  # creates a type before it selects
        raise ReleaseError("PIVOT needs its values here: pivot ... on <column> in ('a', 'b').")
    if kind != duckdb.StatementType.SELECT:
        raise ReleaseError(
            f"This is a statement of kind {kind.name}. The published marts are read-only: use "
            "select (or from, describe, show, summarize). `minerals export` writes files."
        )
    return statements[0]


def write_pointer(contract: Path, releases: Sequence[str]) -> None:
    """Make the first of these releases the one that is served of this contract."""
    there = [name for name in dict.fromkeys(releases) if (contract / name).is_dir()]
    lines = [f"{position},{name}" for position, name in enumerate(there, start=1)]
    write_atomically(contract / POINTER, "\n".join(["position,release_id", *lines]) + "\n")


def read_pointer(contract: Path) -> list[str]:
    """The releases of this contract that were served, the one being served first."""
    file = contract / POINTER
    lines = file.read_text(errors="replace").splitlines()[1:] if file.exists() else []
    names = [line.partition(",")[2] for line in lines]
    return [name for name in names if re.fullmatch(r"[0-9A-Za-z-]{1,64}", name)]


def contract_served(serving_database: Path, contracts: Sequence[Path]) -> Path | None:
    """The folder that the serving database reads; None when it is missing or damaged."""
    if not serving_database.is_file():
        return None
    found = sha256_of(serving_database)
    made = [folder for folder in contracts if found in _made(folder)]
    return made[0] if made else None


def write_serving_database(file: Path, contract: Path, marts: Sequence[Mart]) -> None:
    """Make the database of views over the folder `contract` when what it says, or the file itself,
    is not what it was; replace it in one step."""
    content = json.dumps([_LAYOUT, str(contract), [asdict(mart) for mart in marts]])
    content_hash = hashlib.sha256(content.encode()).hexdigest()
    if file.is_file() and _made(contract)[-2:] == [content_hash, sha256_of(file)]:
        return
    temporary = file.with_name(f".serving-{uuid.uuid4().hex[:8]}.duckdb")
    folder, within = _folder_of(file), contract.relative_to(file.parent).as_posix()
    escaped = f"regexp_replace({folder}, '([*[])', '[\\1]', 'g')"

    def newest(mart: str) -> str:
        files = f"{escaped} || '{within}/*/{mart}.parquet'"
        return (
            "(select arg_min(file, position) as filename "
            f"from read_csv({folder} || '{within}/{POINTER}', columns = {_POINTER_COLUMNS}, "
            "header = true, delim = ',', auto_detect = false) "
            f"inner join glob({files}) on release_id = split_part(file, '/', -2)) as served "
            f"inner join read_parquet({files}, filename = true) as mart using (filename)"
        )

    try:
        _write_views(temporary, marts, newest)
        lines = [*_made(contract), content_hash, sha256_of(temporary)]
        write_atomically(contract / MADE, "\n".join(lines) + "\n")
        fsync_path(temporary)
        temporary.replace(file)
        fsync_path(file.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_release_database(folder: Path, target: Path, marts: Sequence[Mart]) -> None:
    """Make the database of the release in `folder`, which will be renamed to `target`."""
    # Opened through the link `current`, it stays with this release when the link changes.
    own = f"{target.parent.name}/{target.name}/"
    place = f"regexp_replace({_folder_of(target / PINNED)}, '(^|/)current/$', '\\1{own}')"
    _write_views(
        folder / PINNED,
        marts,
        lambda mart: f"read_parquet({place} || '{mart}.parquet') as mart",
        opened_in=folder,
    )


def quoted(text: object) -> str:
    """For a string literal of SQL."""
    return str(text).replace("'", "''")


def _made(contract: Path) -> list[str]:
    file = contract / MADE
    return file.read_text().split() if file.exists() else []


def _write_views(
    temporary: Path,
    marts: Sequence[Mart],
    source: Callable[[str], str],
    opened_in: Path | None = None,
) -> None:
    """Write a database with a view of each mart over `source` (SQL), and the words as comments.

    DuckDB reads the files when a view is made: from where a reader in `opened_in` would.
    """
    with duckdb.connect() as database:
        if opened_in is not None:
            database.execute(f"set temp_directory = '{quoted(opened_in / temporary.name)}.tmp'")
        # The oldest format that holds views with comments: drivers of DuckDB 1 open it too.
        database.execute(f"attach '{quoted(temporary)}' as serving (storage_version 'v1.0.0')")
        database.execute("use serving")
        database.begin()
        database.execute("create schema marts")
        for mart in marts:
            view = f"marts.{mart.name}"
            columns = ", ".join(f'mart."{column.name}"' for column in mart.columns)
            database.execute(f"create view {view} as select {columns} from {source(mart.name)}")
            described = f"{mart.description} Key: {', '.join(mart.key)}."
            comments = [f"comment on view {view} is '{quoted(described)}'"]
            comments += [
                f"comment on column {view}.\"{column.name}\" is '{quoted(column.description)}'"
                for column in mart.columns
            ]
            database.execute("; ".join(comments))
        database.commit()
        database.execute("use memory")
        database.execute("detach serving")


def _folder_of(file: Path) -> str:
    """SQL for the folder of the open database, with its last slash."""
    ending = f"{file.name}.tmp"
    setting = "current_setting('temp_directory')"
    return (
        f"case when ends_with({setting}, '{quoted(ending)}') "
        f"then left({setting}, length({setting}) - {len(ending)}) "
        f"else '{quoted(file.parent.as_posix())}/' end"
    )
