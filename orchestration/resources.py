"""What the assets share: the settings, the snapshots, the warehouse with one writer, dbt.

The only place that opens the warehouse for writing. DuckDB takes one writing process a file, so a
file lock is held for as long as the file is open for writing, by us or by dbt; the operating system
frees it when its holder dies, also by kill -9.
"""

import hashlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

import dagster as dg
import duckdb
import pandas as pd
from dagster_dbt import DbtCliResource, DbtProject
from filelock import FileLock
from packaging.version import Version
from pydantic import Field

from minerals import marts
from minerals.errors import WarehouseError
from minerals.releases import ReleaseStore
from minerals.settings import Choices, Settings
from minerals.sources.snapshots import Snapshot, SnapshotStore
from minerals.sources.window import settled
from orchestration import dbt_server
from orchestration.dbt_server import DBT


class Warehouse(dg.ConfigurableResource):
    """The DuckDB file and the folders around it."""

    database: str
    lock_timeout_seconds: float = 600.0

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only writer, without opening the file: what dbt runs under."""
        with self._alone():
            self._opened().close()
            yield

    @contextmanager
    def _alone(self) -> Iterator[None]:
        Path(self.database).parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.database}.lock", timeout=self.lock_timeout_seconds):
            yield

    def wait_for_holder(self, tell: Callable[[str, float], object]) -> None:
        """Wait until no other process has the file open; `tell(holder, seconds_left)` is called at
        once and then every second. Raises WarehouseError when somebody keeps it open. A damaged
        file is held by nobody: `set_aside_if_damaged` sees to it."""
        if Path(self.database).exists():
            with self._alone():
                try:
                    self._opened(tell=tell).close()
                except duckdb.Error:
                    return
                except WarehouseError as error:
                    if isinstance(error.__cause__, duckdb.Error) and _is_held(error.__cause__):
                        raise

    def _opened(
        self, read_only: bool = False, tell: Callable[[str, float], object] | None = None
    ) -> duckdb.DuckDBPyConnection:
        """Open the file, once nobody else holds it: a killed refresh may have left a dbt process
        behind, which ends by itself within seconds. Raises WarehouseError when somebody keeps it
        open.
        """
        deadline = time.monotonic() + self.lock_timeout_seconds
        while True:
            try:
                return duckdb.connect(self.database, read_only=read_only)
            except duckdb.IOException as error:
                left = deadline - time.monotonic()
                if not _is_held(error) or left < 0:
                    raise WarehouseError(
                        f"The warehouse cannot be opened: {error} If another program "
                        "reads it, let that program open serving.duckdb instead."
                    ) from error
                if tell:
                    tell(_holder(error), left)
            time.sleep(1.0 if tell else 0.2)

    def set_aside_if_damaged(self) -> str | None:
        """Read the whole file, and move it away if it is damaged; return a sentence about it, None
        when it is sound or absent. A refresh builds it again from the raw snapshots.
        """
        file = Path(self.database)
        if not file.exists():
            return None
        with self._alone():
            try:
                with duckdb.connect(self.database, read_only=True) as connection:
                    tables = "select schema_name, table_name from duckdb_tables()"
                    for schema, table in connection.execute(tables).fetchall():
                        every_byte = f'select bit_xor(hash(t)) from "{schema}"."{table}" t'
                        connection.execute(every_byte).fetchall()
                return None
            except duckdb.Error as error:
                if _is_held(error):
                    return None
                damage = error
            moment = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
            for part in (file, file.with_name(f"{file.name}.wal")):
                if part.exists():
                    part.rename(part.with_name(f"{part.name}.damaged-{moment}"))
        return (
            f"{file} was damaged ({damage}) and is set aside as .damaged-{moment}; a refresh "
            "builds it again from the raw snapshots"
        )

    def growth(self) -> int:
        """Bytes by which the file grows when a run writes every table again: the rows of before
        give their place back only afterwards."""
        with self.reader() as connection:
            blocks = "select (used_blocks - free_blocks) * block_size from pragma_database_size()"
            return max(0, connection.execute(blocks).fetchall()[0][0])

    @contextmanager
    def writer(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open for writing, one transaction: all of it, or on an exception none of it."""
        with self._alone(), self._opened() as connection:
            connection.begin()
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextmanager
    def reader(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open for reading. Waits for a writer: DuckDB refuses readers beside one."""
        with self._alone(), self._opened(read_only=True) as connection:
            yield connection

    def load_snapshot(self, snapshot: Snapshot) -> None:
        """Make the tables of a snapshot visible as views in schema `raw`."""
        with self.writer() as connection:
            connection.execute("create schema if not exists raw")
            for table in snapshot.tables:
                file = str(snapshot.parquet(table.name)).replace("'", "''")
                connection.execute(
                    f"create or replace view raw.{table.name} as "
                    f"select *, '{snapshot.snapshot_id}' as _snapshot_id "
                    f"from read_parquet('{file}')"
                )
                connection.execute(f"comment on view raw.{table.name} is '{snapshot.snapshot_id}'")

    def snapshot_id(self, table: str) -> str | None:
        """The snapshot, rows or not, that `raw.<table>` shows; None when it shows none."""
        sql = "select comment from duckdb_views() where schema_name = 'raw' and view_name = ?"
        with self.reader() as connection:
            rows = connection.execute(sql, [table]).fetchall()
        return str(rows[0][0]) if rows and rows[0][0] else None

    def load_nothing(self, name: str, columns: Sequence[str]) -> None:
        """Let an optional raw table be there, without rows."""
        absent = ", ".join(f'null::varchar as "{column}"' for column in (*columns, "_snapshot_id"))
        with self.writer() as connection:
            connection.execute("create schema if not exists raw")
            connection.execute(f"create or replace view raw.{name} as select {absent} where false")

    def frame(
        self, table: str, columns: Sequence[str] = ("*",), where: str = "true"
    ) -> pd.DataFrame:
        """A table as a frame, or some columns and rows of it, ordered by all for a stable
        result."""
        with self.reader() as connection:
            sql = f"select {', '.join(columns)} from {table} where {where} order by all"
            return connection.sql(sql).df()

    def save_marts(self, parts: Iterable[Mapping[str, pd.DataFrame]]) -> None:
        """Replace marts made in Python by the rows of all parts, with comments, in one
        transaction. The warehouse cannot be read while the parts are made."""
        begun: set[str] = set()
        with self.writer() as connection:
            connection.execute("create schema if not exists marts")
            for part in parts:
                for name, frame in part.items():
                    _save_rows(connection, marts.python_marts()[name], frame, name in begun)
                    begun.add(name)


def _is_held(error: duckdb.Error) -> bool:
    """Whether another process has the file open. (Damage is told of a "block at location".)"""
    return "set lock on file" in str(error)


def _holder(error: duckdb.Error) -> str:
    """Which process has the file open, as DuckDB says: '/usr/bin/python3 (PID 4711)'."""
    found = re.search(r"held in (.+? \(PID \d+\))", str(error))
    return found[1] if found else "another process"


def _save_rows(
    connection: duckdb.DuckDBPyConnection, mart: marts.Mart, frame: pd.DataFrame, is_begun: bool
) -> None:
    if [column.name for column in mart.columns] != list(frame.columns):
        raise WarehouseError(
            f"Mart {mart.name} was made with the columns {', '.join(frame.columns)}, which are not "
            f"those of minerals/marts/{mart.name}.yml: use minerals.marts.conform."
        )
    target = (
        f"insert into marts.{mart.name}"
        if is_begun
        else (f"create or replace table marts.{mart.name} as")
    )
    connection.register("_frame", frame)
    typed = ", ".join(f'"{c.name}"::{c.type} as "{c.name}"' for c in mart.columns)
    connection.execute(f"{target} select {typed} from _frame")
    connection.unregister("_frame")
    if is_begun:
        return
    described = [(f"table marts.{mart.name}", mart.description)]
    described += [(f'column marts.{mart.name}."{c.name}"', c.description) for c in mart.columns]
    for subject, words in described:
        quoted = words.replace("'", "''")
        connection.execute(f"comment on {subject} is '{quoted}'")


class Dbt(DbtCliResource):
    """dbt as dagster-dbt runs it, without two things that it does in this process before each
    command: asking `dbt --version` in a process of its own, and building a dbt adapter, which keeps
    a connection to the warehouse that our writer then waits for.
    """

    @property
    def _cli_version(self) -> Version:
        return Version(version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> None:
        return None


class Snapshots(dg.ConfigurableResource):
    """The raw snapshots on disk."""

    root: str

    def store(self) -> SnapshotStore:
        return SnapshotStore(Path(self.root))


class Releases(dg.ConfigurableResource):
    """The published releases and the serving database."""

    root: str
    serving_database: str
    keep: int
    data_docs: str

    def store(self) -> ReleaseStore:
        return ReleaseStore(Path(self.root), Path(self.serving_database), self.keep)


class RunSettings(Choices, dg.ConfigurableResource):
    """The settings of a run: those of the deployment, with the launchpad's choices."""

    deployed: ClassVar[Settings]
    excluded_suppliers: list[str]  # Dagster's configuration has no tuples

    @property
    def chosen(self) -> Settings:
        """With the years that the snapshots in use give. Raises ValueError when a choice is out of
        its bounds."""
        choices = Choices(**self.model_dump(include=set(Choices.model_fields)))
        return settled(self.deployed).model_copy(update=choices.model_dump())


def run_settings(settings: Settings) -> RunSettings:
    """The resource, with the choices of the deployment as defaults."""

    class Deployed(RunSettings):
        deployed = settings
        excluded_suppliers: list[str] = Field(
            list(settings.excluded_suppliers),
            description=Choices.model_fields["excluded_suppliers"].description,
        )

    return Deployed(**settings.choices.model_dump(exclude={"excluded_suppliers"}))


def dbt_project(settings: Settings) -> DbtProject:
    """The project as dbt describes it under a profile: each has its own staging models of trade."""
    target = Path("target") if settings.profile == "bundled" else Path("target") / settings.profile
    folder = settings.dbt_project_dir
    return DbtProject(project_dir=folder, profiles_dir=folder, target_path=target)


def dbt_variables(settings: Settings) -> dict[str, object]:
    """The variables of every dbt command: with others, dbt would parse the project again."""
    return {**settled(settings).dbt_vars, "warehouse_path": str(settings.database)}


def build_resources(settings: Settings) -> dict[str, object]:
    """All resources of the code location, from the settings."""
    ask = ["-SP", dbt_server.__file__, "ask", str(_dbt_dir(settings))]
    # Formatting thousands of debug lines a command is a fifth of dbt's time.
    ask += ["--log-format", "json", "--log-level-file", "none"]
    return {
        "settings": run_settings(settings),
        "snapshots": Snapshots(root=str(settings.raw_dir)),
        "warehouse": Warehouse(database=str(settings.database)),
        "releases": Releases(
            root=str(settings.releases_dir),
            serving_database=str(settings.serving_database),
            keep=settings.releases_to_keep,
            data_docs=str(settings.data_docs_dir),
        ),
        "dbt": Dbt(
            project_dir=dbt_project(settings),
            dbt_executable=sys.executable,
            global_config_flags=ask,
        ),
    }


def _dbt_dir(settings: Settings) -> Path:
    """Where dbt writes what it compiled and ran."""
    return settings.warehouse_dir / "dbt"


@contextmanager
def dbt_loaded(settings: Settings) -> Iterator[None]:
    """Keep a dbt process at hand that has read the project (see `dbt_server.py`).

    Raises WarehouseError when the project does not parse.
    """
    ensure_manifest(settings)
    folder, project = _dbt_dir(settings), dbt_project(settings)
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-uP", "-W", "ignore", dbt_server.__file__, "serve", str(folder)]
    command += ["--quiet", "--no-write-json", "--log-level-file", "none"]
    command += [*_parse(settings), "--target-path", str(folder)]
    with subprocess.Popen(command, cwd=project.project_dir, stdin=subprocess.PIPE):
        yield


def _parse(settings: Settings) -> list[str]:
    variables = json.dumps(dbt_variables(settings))
    return ["parse", "--profiles-dir", ".", "--vars", variables]


def ensure_manifest(settings: Settings) -> None:
    """Let dbt describe its project (target/manifest.json) when a file of it changed since.

    Raises WarehouseError with dbt's own words when the project does not parse.
    """
    project = dbt_project(settings)
    folder, manifest = Path(project.project_dir), project.manifest_path
    described = manifest.with_name("described.sha256")
    content = _hash_of(folder)
    # Compared under the lock: who waited for another process to parse need not parse again.
    with FileLock(folder / ".parse.lock"):
        if manifest.exists() and described.exists() and described.read_text() == content:
            return
        command = [DBT, "--quiet", *_parse(settings), "--target-path", str(manifest.parent)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise WarehouseError(
                f"The dbt project in {folder} does not parse:\n{done.stdout}{done.stderr}"
            )
        described.write_text(content)


def _hash_of(project: Path) -> str:
    """A hash over the names and bytes of every file that dbt reads. Times of files say little:
    copies keep old ones."""
    patterns = ("*.yml", "models/**/*", "seeds/**/*", "macros/**/*", "tests/**/*")
    content = hashlib.sha256()
    for file in sorted({file for pattern in patterns for file in project.glob(pattern)}):
        if file.is_file():
            content.update(f"\0{file.relative_to(project).as_posix()}\0".encode())
            content.update(file.read_bytes())
    return content.hexdigest()
