"""Apache Spark as the engine, beside the shared warehouse that DuckDB made: `make test-spark`."""

import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.integration.conftest import TestWarehouse, bundle_wheel, refreshed, warehouse_in

__all__ = ["bundle_wheel", "refreshed"]

# Hundreds of queries on few rows: compiling them takes longer than running them.
FOR_FEW_ROWS = {
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m "
    "-XX:+UseSerialGC",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    """Skip with the reason where Spark cannot run."""
    missing = [
        what
        for what, is_there in (
            ("the packages of Spark are not installed (make setup-spark)", find_spec("pyspark")),
            ("there is no Java on the PATH", shutil.which("java")),
        )
        if not is_there
    ]
    for item in items:
        if missing and HERE in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="; ".join(missing)))


def children(pid: int, words: str) -> list[int]:
    """The processes that this one started, with these words in their command line."""
    command = ["ps", "-o", "pid=,args=", "--ppid", str(pid)]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if words in line]


@pytest.fixture(scope="session")
def spark(refreshed: TestWarehouse, tmp_path_factory) -> TestWarehouse:
    """An empty warehouse with the choices and downloads of the shared one, for Spark to fill."""
    folder = tmp_path_factory.mktemp("spark") / "warehouse"
    shutil.copytree(refreshed.settings.downloads_dir, folder / "downloads")
    chosen = {k: v for k, v in refreshed.environment.items() if k.startswith("MINERALS_")}
    as_of = refreshed.store().manifest()["as_of"]
    options = folder.parent / "spark-defaults.conf"
    options.write_text("".join(f"{name} {value}\n" for name, value in FOR_FEW_ROWS.items()))
    more = {
        "SPARK_CONF_DIR": str(options.parent),
        "MINERALS_WAREHOUSE_DIR": str(folder),
        "MINERALS_AS_OF": as_of,
    }
    return warehouse_in(folder, **{**chosen, **more, "MINERALS_ENGINE": "spark"})
