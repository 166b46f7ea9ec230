"""One real refresh of the real bundle, shared by the tests that read what it left.

The warehouse of these tests lies in a temporary folder; only the fetched bundle is taken from the
project's own, so that nothing is downloaded twice.
"""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from minerals.settings import PROJECT_ROOT, Settings
from minerals.sources import bundle

IMPORTERS = "IND,JPN"
# Real rows of UN Comtrade, which may not be passed on with the project.
COMTRADE_FILE = PROJECT_ROOT.parent / "shared/data/comtrade/india_imports_2019_2021.csv"
MINERALS = str(Path(sys.executable).with_name("minerals"))


@dataclass
class TestWarehouse:
    """A warehouse in a temporary folder and the command line that works on it."""

    __test__ = False
    settings: Settings
    environment: dict[str, str]

    def command(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
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

    def release_id(self) -> str:
        return (self.settings.releases_dir / "current").resolve().name


def kill_group(process: subprocess.Popen[str]) -> None:
    """kill -9 a command and everything it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=30)


@pytest.fixture(scope="session")
def bundle_wheel() -> Path:
    """The real bundle; `make test` has fetched it."""
    settings = Settings()
    bundle.fetch(settings)
    return bundle.wheel_path(settings)


@pytest.fixture(scope="session")
def refreshed(bundle_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> TestWarehouse:
    """A warehouse after one refresh for two importers."""
    folder = tmp_path_factory.mktemp("warehouse")
    (folder / "downloads").mkdir()
    shutil.copy(bundle_wheel, folder / "downloads")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MINERALS_", "DBT_"))}
    environment = {
        **inherited,
        "MINERALS_WAREHOUSE_DIR": str(folder),
        "MINERALS_IMPORTERS": IMPORTERS,
        "MINERALS_BOOTSTRAP_REPLICATIONS": "100",  # enough to see that it is used
        "COLUMNS": "160",
    }
    if COMTRADE_FILE.exists():
        environment["MINERALS_COMTRADE_FILE"] = str(COMTRADE_FILE)
    warehouse = TestWarehouse(Settings(warehouse_dir=folder, importers=IMPORTERS), environment)
    done = warehouse.command("refresh", "--quiet")
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "refresh.out").write_text(done.stdout)
    return warehouse
