"""What the assets share: the settings, the snapshots, the warehouse with one writer, dbt.

The only place that opens the warehouse for writing. DuckDB takes one writing process a file, so a
file lock is held for as long as the file is open for writing, by us or by dbt; the operating system
frees it when its holder dies, also by kill -9.
"""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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
from minerals.releases import ReleaseStore
from minerals.releases.contract import agreed_contract
from minerals.settings import PROJECT_ROOT, Choices, Settings
from minerals.sources.snapshots import Snapshot, SnapshotStore

DBT_PROJECT_DIR = PROJECT_ROOT / "dbt_project"
DBT = str(Path(sys.executable).with_name("dbt"))


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

    def _opened(self, read_only: bool = False) -> duckdb.DuckDBPyConnection:
        """Open the file, once nobody else holds it: a killed refresh may have left a dbt process
        behind, which ends by itself within seconds. Raises WarehouseError when somebody keeps it
        open.
        """
        deadline = time.monotonic() + self.lock_timeout_seconds
        while True:
            try:
                return duckdb.connect(self.database, read_only=read_only)
            except duckdb.IOException as error:
                if not _is_held(error) or time.monotonic() > deadline:
                    raise WarehouseError(
                        f"The warehouse cannot be opened: {error} If another program "
                        "reads it, let that program open serving.duckdb instead."
                    ) from error
            time.sleep(0.2)

    def damage(self) -> str | None:
        """What is wrong with the file, by reading all of it; None when it is sound or absent."""
        if not Path(self.database).exists():
            return None
        with FileLock(f"{self.database}.lock", timeout=self.lock_timeout_seconds):
            try:
                with duckdb.connect(self.database, read_only=True) as connection:
                    tables = connection.execute(
                        "select schema_name, table_name from duckdb_tables()"
                    ).fetchall()
                    for schema, table in tables:
                        connection.execute(
                            f'select bit_xor(hash(t)) from "{schema}"."{table}" t'
                        ).fetchall()
            except duckdb.Error as error:
                return None if _is_held(error) else str(error)
        return None

    def set_aside_if_damaged(self) -> str | None:
        """Move a damaged file away, for people to look at; a sentence on it, None when all is well.

        What was in it is derived: a refresh builds it anew from the raw snapshots.
        """
        damage = self.damage()
        if damage is None:
            return None
        moment = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        for file in (Path(self.database), Path(f"{self.database}.wal")):
            if file.exists():
                file.rename(file.with_name(f"{file.name}.damaged-{moment}"))
        return (
            f"{self.database} was damaged ({damage}) and is set aside as .damaged-{moment}; "
            "a refresh builds it anew from the raw snapshots"
        )

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

    def loaded_snapshot_id(self, dataset: str) -> str:
        """The snapshot that `raw.<dataset>` shows. Raises WarehouseError when it shows none."""
        with self.reader() as connection:
            row = connection.execute(
                f"select any_value(_snapshot_id) from raw.{dataset}"
            ).fetchone()
        if row is None or row[0] is None:
            raise WarehouseError(f"raw.{dataset} shows no snapshot: run `minerals refresh`.")
        return str(row[0])

    def load_nothing(self, name: str, columns: Sequence[str]) -> None:
        """Let an optional raw table be there, without rows."""
        absent = ", ".join(f'null::varchar as "{column}"' for column in (*columns, "_snapshot_id"))
        with self.writer() as connection:
            connection.execute("create schema if not exists raw")
            connection.execute(f"create or replace view raw.{name} as select {absent} where false")

    def frame(self, table: str) -> pd.DataFrame:
        """A whole table as a frame, in the order of its columns for a stable result."""
        with self.reader() as connection:
            return connection.sql(f"select * from {table} order by all").df()

    def save_marts(self, tables: Mapping[str, pd.DataFrame]) -> None:
        """Replace marts made in Python, with their comments, all in one transaction."""
        with self.writer() as connection:
            connection.execute("create schema if not exists marts")
            for name, frame in tables.items():
                _replace_table(connection, marts.python_marts()[name], frame)


def _is_held(error: duckdb.Error) -> bool:
    """Whether another process has the file open. (Damage is told of a "block at location".)"""
    return "set lock on file" in str(error)


def _replace_table(
    connection: duckdb.DuckDBPyConnection, mart: marts.Mart, frame: pd.DataFrame
) -> None:
    if [column.name for column in mart.columns] != list(frame.columns):
        raise WarehouseError(
            f"Mart {mart.name} was made with the columns {', '.join(frame.columns)}, which are not "
            f"those of minerals/marts/{mart.name}.yml: use minerals.marts.conform."
        )
    connection.register("_frame", frame)
    connection.execute(f"create or replace table marts.{mart.name} as select * from _frame")
    connection.unregister("_frame")
    described = [(f"table marts.{mart.name}", mart.description)]
    described += [(f'column marts.{mart.name}."{c.name}"', c.description) for c in mart.columns]
    for subject, words in described:
        quoted = words.replace("'", "''")
        connection.execute(f"comment on {subject} is '{quoted}'")


class Dbt(DbtCliResource):
    """dbt as dagster-dbt runs it, without two things it does in this process before each command.

    It would ask `dbt --version` in a process of its own (seconds, three times a refresh), and build
    a dbt adapter here, which keeps a connection to the warehouse that our writer then stumbles
    over. The version is the installed package's, and row counts are read by
    `assets/transformation.py`.
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
        return ReleaseStore(
            Path(self.root), Path(self.serving_database), self.keep, agreed=agreed_contract()
        )


class RunSettings(Choices, dg.ConfigurableResource):
    """The settings of a run: those of the deployment, with the launchpad's choices."""

    deployed: ClassVar[Settings]
    excluded_suppliers: list[str]  # Dagster's configuration has no tuples

    @property
    def chosen(self) -> Settings:
        """Raises ValueError when a choice is out of its bounds."""
        choices = Choices(**self.model_dump(include=set(Choices.model_fields)))
        return self.deployed.model_copy(update=choices.model_dump())


def run_settings(settings: Settings) -> RunSettings:
    """The resource, with the choices of the deployment as defaults."""

    class Deployed(RunSettings):
        deployed = settings
        excluded_suppliers: list[str] = Field(
            list(settings.excluded_suppliers),
            description=Choices.model_fields["excluded_suppliers"].description,
        )

    return Deployed(**settings.choices.model_dump(exclude={"excluded_suppliers"}))


def deployed_choices(settings: Settings) -> dict[str, Any]:
    """What cannot change from run to run."""
    return {n: v for n, v in settings.recorded.items() if n not in Choices.model_fields}


def dbt_project(settings: Settings) -> DbtProject:
    """The project as dbt describes it under a profile: each has its own staging models of trade."""
    target = Path("target") if settings.profile == "bundled" else Path("target") / settings.profile
    folder = settings.dbt_project_dir
    return DbtProject(project_dir=folder, profiles_dir=folder, target_path=target)


def build_resources(settings: Settings) -> dict[str, object]:
    """All resources of the code location, from the settings."""
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
            dbt_executable=DBT,
            # Formatting thousands of debug lines a command is a fifth of its time.
            global_config_flags=["--log-level-file", "none"],
        ),
    }


def ensure_manifest(settings: Settings) -> None:
    """Let dbt describe its project (target/manifest.json) when a file of it changed since.

    Raises WarehouseError with dbt's own words when the project does not parse.
    """
    project = dbt_project(settings)
    described = project.manifest_path.with_name("described.sha256")
    content = _content_of_dbt_project(settings.dbt_project_dir)
    # Asked under the lock: who waited for another process to describe it need not do it again.
    with FileLock(settings.dbt_project_dir / ".parse.lock"):
        if (
            project.manifest_path.exists()
            and described.exists()
            and described.read_text() == content
        ):
            return
        command = [DBT, "--quiet", "parse"]
        command += ["--profiles-dir", ".", "--vars", json.dumps(dbt_variables(settings))]
        command += ["--target-path", str(project.manifest_path.parent)]
        done = subprocess.run(
            command, cwd=settings.dbt_project_dir, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise WarehouseError(
                f"The dbt project in {settings.dbt_project_dir} does not parse:\n"
                f"{done.stdout}{done.stderr}"
            )
        described.write_text(content)


def _content_of_dbt_project(folder: Path) -> str:
    """A hash over the names and bytes of every file that dbt reads (times of files say little:
    copies keep old ones)."""
    patterns = ("*.yml", "models/**/*", "seeds/**/*", "macros/**/*", "tests/**/*")
    files = {file for pattern in patterns for file in folder.glob(pattern)}
    content = hashlib.sha256()
    for file in sorted(file for file in files if file.is_file()):
        content.update(file.relative_to(folder).as_posix().encode() + b"\0")
        content.update(hashlib.sha256(file.read_bytes()).digest())
    return content.hexdigest()


def dbt_variables(settings: Settings) -> dict[str, object]:
    """What every dbt command is told: the same each time, so that dbt need not parse anew."""
    return {**settings.dbt_vars, "warehouse_path": str(settings.database)}
