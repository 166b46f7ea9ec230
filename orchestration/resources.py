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
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import dagster as dg
import duckdb
import pandas as pd
from dagster_dbt import DbtCliResource, DbtProject
from filelock import FileLock
from packaging.version import Version
from pydantic import Field

from minerals import marts
from minerals.errors import WarehouseError
from minerals.files import size_of
from minerals.parallel import groups, side_by_side
from minerals.settings import Choices, Settings
from minerals.sources.snapshots import Snapshot
from minerals.sources.window import settled
from orchestration import dbt_server, spark
from orchestration.dbt_server import DBT

DESCRIBED = "described.sha256"  # of the files of the dbt project, beside what dbt made of them


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
        for table in snapshot.tables:
            self.load_file(table.name, snapshot.parquet(table.name), snapshot.snapshot_id)

    def load_file(self, name: str, file: Path, snapshot_id: str) -> None:
        """Make a Parquet file visible as the view `raw.<name>`."""
        quoted = str(file).replace("'", "''")
        with self.writer() as connection:
            connection.execute("create schema if not exists raw")
            connection.execute(
                f"create or replace view raw.{name} as select *, '{snapshot_id}' as _snapshot_id "
                f"from read_parquet('{quoted}')"
            )
            connection.execute(f"comment on view raw.{name} is '{snapshot_id}'")

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
        with self.writer() as connection:
            connection.execute("create schema if not exists marts")
            _save_parts(connection, parts)

    def watching(self, process: subprocess.Popen[bytes]) -> AbstractContextManager[None]:
        """What looks after dbt while it runs; with DuckDB nothing need."""
        return nullcontext()

    def sample(self, sql: str, n_rows: int) -> list[dict[str, Any]]:
        """The first rows of a query that dbt compiled."""
        with self.reader() as connection:
            return connection.sql(sql).limit(n_rows).to_arrow_table().to_pylist()

    def side_by_side(
        self, compute: Callable[..., Any], jobs: Iterable[tuple[Any, ...]], n_jobs: int
    ) -> Iterator[Any]:
        """`compute(*job)` of each job, in their order: see `minerals.parallel.side_by_side`."""
        return side_by_side(compute, jobs, n_jobs)

    def groups(self, importers: Sequence[str]) -> list[list[str]]:
        """The importers whose tables `side_by_side` computes together."""
        return groups(importers)


class SparkWarehouse(Warehouse):
    """The tables that Spark makes, each a folder of Parquet files, and a DuckDB file with a view
    over each, which those read who only look: the gates, the UI, the release."""

    tables: str
    manifest: str  # of the dbt project, which has the words about tables

    @contextmanager
    def writing(self) -> Iterator[None]:
        try:
            with super().writing():
                yield
        finally:
            self._show(path for path in Path(self.tables).glob("*.db/*") if path.is_dir())

    def load_file(self, name: str, file: Path, snapshot_id: str) -> None:
        super().load_file(name, file, snapshot_id)
        self._view(name, f"*, '{snapshot_id}' as _snapshot_id from parquet.`{file}`")

    def load_nothing(self, name: str, columns: Sequence[str]) -> None:
        super().load_nothing(name, columns)
        absent = (f"cast(null as string) as `{column}`" for column in (*columns, "_snapshot_id"))
        self._view(name, f"{', '.join(absent)} where false")

    def _view(self, name: str, query: str) -> None:
        spark.session().sql("create schema if not exists raw")
        spark.session().sql(f"create or replace view raw.{name} as select {query}")

    def watching(self, process: subprocess.Popen[bytes]) -> AbstractContextManager[None]:
        return spark.watching(process)

    def sample(self, sql: str, n_rows: int) -> list[dict[str, Any]]:
        from pyspark.errors import PySparkException

        try:
            return [row.asDict() for row in spark.session().sql(sql).limit(n_rows).collect()]
        except PySparkException:  # Spark is gone, which is told elsewhere
            return []

    def growth(self) -> int:
        return size_of(Path(self.tables))

    def save_marts(self, parts: Iterable[Mapping[str, pd.DataFrame]]) -> None:
        """Replace marts made in Python by the rows of all parts. When this fails halfway, old and
        new marts stand side by side; such a run publishes nothing."""
        with duckdb.connect() as typed:
            typed.execute("create schema marts")
            begun = _save_parts(typed, parts)
            with self._alone(), spark.handed_over(Path(self.tables)) as folder:
                spark.session().sql("create schema if not exists marts")
                for name in begun:
                    file = str(folder / f"{name}.parquet")
                    typed.table(f"marts.{name}").write_parquet(file)
                    rows = spark.session().read.parquet(file)
                    rows.write.saveAsTable(f"marts.{name}", "parquet", "overwrite")
        self._show(Path(self.tables, "marts.db", name) for name in begun)

    def side_by_side(
        self, compute: Callable[..., Any], jobs: Iterable[tuple[Any, ...]], n_jobs: int
    ) -> Iterator[Any]:
        return spark.grouped_map(compute, jobs, n_jobs, Path(self.tables))

    def groups(self, importers: Sequence[str]) -> list[list[str]]:
        return groups(importers, 1)

    def _show(self, folders: Iterable[Path]) -> None:
        """Make tables of Spark visible as views, with the words about them."""
        nodes = json.loads(Path(self.manifest).read_text())["nodes"].values()
        of_dbt = {(node["schema"], node["name"]): node for node in nodes}
        with self.writer() as connection:
            for folder in folders:
                if not any(folder.glob("*.parquet")):
                    continue  # a killed command left it
                schema, table = folder.parent.stem, folder.name
                view, files = f'"{schema}"."{table}"', str(folder / "*.parquet").replace("'", "''")
                connection.execute(f'create schema if not exists "{schema}"')
                connection.execute(
                    f"create or replace view {view} as select * from read_parquet('{files}')"
                )
                if node := of_dbt.get((schema, table)):
                    words = {c: d["description"] for c, d in node["columns"].items()}
                    _describe(connection, "view", view, node["description"], words)
                elif schema == "marts":
                    mart = marts.python_marts()[table]
                    words = {column.name: column.description for column in mart.columns}
                    _describe(connection, "view", view, mart.description, words)


def warehouse_of(settings: Settings) -> Warehouse:
    """The warehouse that the engine of these settings fills."""
    if settings.engine == "duckdb":
        return Warehouse(database=str(settings.database))
    return SparkWarehouse(
        database=str(settings.database),
        tables=str(settings.spark_tables_dir),
        manifest=str(dbt_project(settings).manifest_path),
    )


def _is_held(error: duckdb.Error) -> bool:
    """Whether another process has the file open. (Damage is told of a "block at location".)"""
    return "set lock on file" in str(error)


def _holder(error: duckdb.Error) -> str:
    """Which process has the file open, as DuckDB says: '/usr/bin/python3 (PID 4711)'."""
    found = re.search(r"held in (.+? \(PID \d+\))", str(error))
    return found[1] if found else "another process"


def _save_parts(
    connection: duckdb.DuckDBPyConnection, parts: Iterable[Mapping[str, pd.DataFrame]]
) -> list[str]:
    """Replace marts by the rows of all parts; returns their names."""
    begun: list[str] = []
    for part in parts:
        for name, frame in part.items():
            _save_rows(connection, marts.python_marts()[name], frame, name in begun)
            if name not in begun:
                begun.append(name)
    return begun


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
    words = {column.name: column.description for column in mart.columns}
    _describe(connection, "table", f"marts.{mart.name}", mart.description, words)


def _describe(
    connection: duckdb.DuckDBPyConnection,
    kind: str,
    name: str,
    description: str,
    columns: Mapping[str, str],
) -> None:
    """Comment on a table or view and its columns."""
    described = [(f"{kind} {name}", description)]
    described += [(f'column {name}."{column}"', words) for column, words in columns.items()]
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
    """The project as dbt describes it under a profile and for an engine: each profile has its own
    staging models of trade, each engine its own SQL."""
    target = Path("target") if settings.profile == "bundled" else Path("target") / settings.profile
    target = target if settings.engine == "duckdb" else target / settings.engine
    folder = settings.dbt_project_dir
    return DbtProject(project_dir=folder, profiles_dir=folder, target_path=target)


def dbt_variables(settings: Settings) -> dict[str, object]:
    """The variables of every dbt command: with others, dbt would parse the project again."""
    return {
        **settled(settings).dbt_vars,
        "warehouse_path": str(settings.database),
        "duckdb_memory": settings.duckdb_memory,
    }


def build_resources(settings: Settings) -> dict[str, object]:
    """All resources of the code location, from the settings."""
    ask = ["-SP", dbt_server.__file__, "ask", str(_dbt_dir(settings))]
    # Formatting thousands of debug lines a command is a fifth of dbt's time.
    ask += ["--log-format", "json", "--log-level-file", "none"]
    return {
        "settings": run_settings(settings),
        "warehouse": warehouse_of(settings),
        "dbt": Dbt(
            project_dir=dbt_project(settings),
            target=settings.engine,
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
    _forget_other_files(folder, _hash_of(Path(project.project_dir)))
    command = [sys.executable, "-uP", "-W", "ignore", dbt_server.__file__, "serve", str(folder)]
    command += ["--quiet", "--no-write-json", "--log-level-file", "none"]
    command += [*_parse(settings), "--target-path", str(folder)]
    with subprocess.Popen(command, cwd=project.project_dir, stdin=subprocess.PIPE):
        yield


def _forget_other_files(folder: Path, content: str) -> None:
    """Let dbt read all files of the project when one changed since it last did so in this folder:
    of a model that did not change it misses that a macro now names another table."""
    described = folder / DESCRIBED
    if not described.exists() or described.read_text() != content:
        for parsed in folder.rglob("partial_parse.msgpack"):
            parsed.unlink()
        described.write_text(content)


def _parse(settings: Settings) -> list[str]:
    variables = json.dumps(dbt_variables(settings))
    return ["parse", "--profiles-dir", ".", "--target", settings.engine, "--vars", variables]


def ensure_manifest(settings: Settings) -> None:
    """Let dbt describe its project (target/manifest.json) when a file of it changed since.

    Raises WarehouseError with dbt's own words when the project does not parse.
    """
    project = dbt_project(settings)
    folder, manifest = Path(project.project_dir), project.manifest_path
    described = manifest.with_name(DESCRIBED)
    content = _hash_of(folder)
    # Compared under the lock: who waited for another process to parse need not parse again.
    with FileLock(folder / ".parse.lock"):
        if manifest.exists() and described.exists() and described.read_text() == content:
            return
        command = [DBT, "--quiet", *_parse(settings), "--no-partial-parse"]
        command += ["--target-path", str(manifest.parent)]
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
