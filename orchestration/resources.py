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
from collections.abc import Iterator, Sequence
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
from pydantic import Field, create_model

from minerals.errors import WarehouseError
from minerals.marts import MartSchema
from minerals.releases import ReleaseStore
from minerals.releases.contract import agreed_contract
from minerals.settings import PROJECT_ROOT, Settings
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

    def save_marts(self, marts: dict[str, tuple[pd.DataFrame, MartSchema]]) -> None:
        """Replace marts made in Python, with their comments, all in one transaction."""
        with self.writer() as connection:
            connection.execute("create schema if not exists marts")
            for name, (frame, schema) in marts.items():
                _replace_table(connection, name, frame, schema)


def _is_held(error: duckdb.Error) -> bool:
    """Whether another process has the file open. (Damage is told of a "block at location".)"""
    return "set lock on file" in str(error)


def _replace_table(
    connection: duckdb.DuckDBPyConnection, name: str, frame: pd.DataFrame, schema: MartSchema
) -> None:
    described, made = set(schema.columns), set(frame.columns)
    if described != made:
        raise WarehouseError(
            f"Mart {name}: columns without a description: {sorted(made - described)}; described "
            f"but not made: {sorted(described - made)}. Edit minerals/marts/{name}.yml."
        )
    connection.register("_frame", frame)
    connection.execute(f"create or replace table marts.{name} as select * from _frame")
    connection.unregister("_frame")
    comment = schema.description.replace("'", "''")
    connection.execute(f"comment on table marts.{name} is '{comment}'")
    for column, description in schema.columns.items():
        comment = description.replace("'", "''")
        connection.execute(f"comment on column marts.{name}.\"{column}\" is '{comment}'")


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


class RefreshSettings(dg.ConfigurableResource):
    """The choices of a run. Those that the launchpad offers are fields, added with the values of
    the deployment as their defaults by `refresh_settings`; the others hold for a deployment, since
    dbt and the gates are built for them.
    """

    deployed: ClassVar[Settings]
    top_k: int
    forward_years: int | None
    concentrated_above: float
    capacity_fraction: float
    excluded_suppliers: list[str]
    change_limit: float
    concentration_penalty: float
    risk_penalty: float
    simulation_draws: int
    bootstrap_replications: int
    seed: int

    @property
    def profile(self) -> str:
        return self.deployed.profile

    @property
    def importers(self) -> list[str]:
        return list(self.deployed.importers)

    @property
    def first_year(self) -> int:
        return self.deployed.first_year

    @property
    def last_year(self) -> int:
        return self.deployed.last_year

    def choices(self) -> dict[str, Any]:
        """All of them, as recorded beside what was computed with them."""
        return {**deployed_choices(self.deployed), **self.model_dump(include=set(_OFFERED))}


_OFFERED = (
    "top_k",
    "forward_years",
    "concentrated_above",
    "capacity_fraction",
    "excluded_suppliers",
    "change_limit",
    "concentration_penalty",
    "risk_penalty",
    "simulation_draws",
    "bootstrap_replications",
    "seed",
)


def deployed_choices(settings: Settings) -> dict[str, Any]:
    """What cannot change from run to run."""
    return {
        "profile": settings.profile,
        "importers": list(settings.importers),
        "first_year": settings.first_year,
        "last_year": settings.last_year,
        "other_asia_is_taiwan": settings.other_asia_is_taiwan,
        "estimate_missing_quantities": settings.estimate_missing_quantities,
    }


def refresh_settings(settings: Settings) -> RefreshSettings:
    """The choices with the words, bounds and values of the settings."""
    fields: dict[str, Any] = {name: _offered(name, getattr(settings, name)) for name in _OFFERED}
    made = create_model("RefreshSettings", __base__=RefreshSettings, **fields)
    made.deployed = settings
    return made()


def _offered(name: str, value: Any) -> tuple[Any, Any]:
    """Type and field as the launchpad takes them: of the settings, a tuple as a list."""
    field = Settings.model_fields[name]
    bounds = {
        bound: getattr(rule, bound)
        for rule in field.metadata
        for bound in ("ge", "gt", "le")
        if hasattr(rule, bound)
    }
    kind, value = (
        (list[str], list(value)) if isinstance(value, tuple) else (field.annotation, value)
    )
    return kind, Field(value, description=field.description, **bounds)


def dbt_project(settings: Settings) -> DbtProject:
    """The project as dbt describes it under a profile: each has its own staging models of trade."""
    target = Path("target") if settings.profile == "bundled" else Path("target") / settings.profile
    return DbtProject(project_dir=DBT_PROJECT_DIR, profiles_dir=DBT_PROJECT_DIR, target_path=target)


def build_resources(settings: Settings) -> dict[str, object]:
    """All resources of the code location, from the settings."""
    return {
        "settings": refresh_settings(settings),
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
    content = _content_of_dbt_project()
    # Asked under the lock: who waited for another process to describe it need not do it again.
    with FileLock(DBT_PROJECT_DIR / ".parse.lock"):
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
            command, cwd=DBT_PROJECT_DIR, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise WarehouseError(
                f"The dbt project in {DBT_PROJECT_DIR} does not parse:\n{done.stdout}{done.stderr}"
            )
        described.write_text(content)


def _content_of_dbt_project() -> str:
    """A hash over the names and bytes of every file that dbt reads (times of files say little:
    copies keep old ones)."""
    patterns = ("*.yml", "models/**/*", "seeds/**/*", "macros/**/*", "tests/**/*")
    files = {file for pattern in patterns for file in DBT_PROJECT_DIR.glob(pattern)}
    content = hashlib.sha256()
    for file in sorted(file for file in files if file.is_file()):
        content.update(file.relative_to(DBT_PROJECT_DIR).as_posix().encode() + b"\0")
        content.update(hashlib.sha256(file.read_bytes()).digest())
    return content.hexdigest()


def dbt_variables(settings: Settings) -> dict[str, object]:
    """What every dbt command is told: the same each time, so that dbt need not parse anew."""
    return {**settings.dbt_vars, "warehouse_path": str(settings.database)}
