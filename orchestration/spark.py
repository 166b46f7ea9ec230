"""Apache Spark as the engine: its server for a run, a session with it, and the same computation for
many importers as a grouped map.

A run has one Spark: the Connect server that MINERALS_SPARK_REMOTE names, or one started here that
ends with the run. dbt and every step are its clients. Its tables are Parquet files in a folder
that the server and this machine share.
"""

import pickle
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from ctypes import CDLL
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from signal import SIGTERM
from typing import Any
from uuid import uuid4

import pandas as pd

from minerals.errors import WarehouseError
from minerals.files import remove
from minerals.settings import Settings, environment, spark_address, spark_server_environment
from orchestration.dbt_server import give_up_soon

START_SECONDS = 180.0
SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"
LEAST_JAVA = 17
AT_ONCE = 16  # groups that are sent to Spark together
# Of each session, as dbt's are by dbt_project/profiles.yml.
OPTIONS = {"spark.sql.session.timeZone": "UTC", "spark.sql.timestampType": "TIMESTAMP_NTZ"}


@contextmanager
def spark_running(settings: Settings) -> Iterator[None]:
    """Keep Spark at hand for a run, where it is the engine.

    Raises WarehouseError, with what to do, when it is not installed, has no Java, does not start or
    cannot be reached.
    """
    if settings.engine != "spark":
        yield
        return
    if find_spec("pyspark") is None:
        raise WarehouseError(
            "MINERALS_ENGINE=spark: Spark is not installed. Run `make setup-spark`."
        )
    if settings.spark_remote is None:
        with _server(settings) as (address, token):
            variables = {"SPARK_REMOTE": address, "SPARK_CONNECT_AUTHENTICATE_TOKEN": token}
            with environment(variables):
                yield
    else:
        _require_answer(settings.spark_remote)
        with environment({"SPARK_REMOTE": settings.spark_remote}):
            yield


@contextmanager
def _server(settings: Settings) -> Iterator[tuple[str, str]]:
    """Start a Connect server; gives its address and the token that it asks for."""
    import pyspark

    home, token = Path(pyspark.__file__).parent, str(uuid4())
    variables = spark_server_environment(home, token)
    _require_java(variables)
    settings.spark_dir.mkdir(parents=True, exist_ok=True)
    settings.log_dir.mkdir(parents=True, exist_ok=True)
    log = settings.log_dir / "spark.log"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    metastore = f"jdbc:derby:;databaseName={settings.spark_dir / 'metastore'};create=true"
    options = {
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": port,
        "spark.ui.enabled": "false",
        "spark.log.level": "WARN",
        "spark.sql.catalogImplementation": "hive",
        "spark.sql.warehouse.dir": settings.spark_tables_dir,
        "spark.hadoop.javax.jdo.option.ConnectionURL": metastore,
        **(
            {"spark.sql.shuffle.partitions": 4} if settings.spark_master.startswith("local") else {}
        ),
    }
    command = [str(home / "bin" / "spark-submit"), "--class", SERVER]
    command += ["--master", settings.spark_master]
    command += [part for name, value in options.items() for part in ("--conf", f"{name}={value}")]
    with (
        log.open("w") as output,
        subprocess.Popen(
            command,
            cwd=settings.spark_dir,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=_end_with_parent,
        ) as server,
    ):
        try:
            _wait_for_server(server, port, log)
            yield f"sc://localhost:{port}", token  # another name would ask for TLS
        finally:
            _end_session()
            server.terminate()
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()


def _end_with_parent() -> None:
    """Let the server end when this process is killed (Linux)."""
    if sys.platform == "linux":
        CDLL(None).prctl(1, SIGTERM)  # PR_SET_PDEATHSIG


def _require_java(variables: Mapping[str, str]) -> None:
    at_home = Path(variables.get("JAVA_HOME", ""), "bin", "java")
    java = str(at_home) if at_home.is_file() else shutil.which("java")
    cure = f"Install one (Debian: apt-get install openjdk-{LEAST_JAVA}-jre-headless)."
    if java is None:
        raise WarehouseError(
            f"MINERALS_ENGINE=spark: there is no Java {LEAST_JAVA} on the PATH. {cure}"
        )
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', said)
    if version and int(version[1]) < LEAST_JAVA:
        raise WarehouseError(
            f"MINERALS_ENGINE=spark: {java} is Java {version[1]}, and Spark needs {LEAST_JAVA}. "
            f"{cure}"
        )


def _wait_for_server(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise WarehouseError(
                f"Spark ended while it started: {_cause(log.read_text(errors='replace'))}. "
                f"Its log: {log}"
            )
        with socket.socket() as client:
            client.settimeout(0.5)
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise WarehouseError(f"Spark did not start within {START_SECONDS:.0f} s. Its log: {log}")


def _cause(log: str) -> str:
    """The line of a log of Java that says why it failed."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    causes = [line for line in lines if re.match(r"(Caused by:|Exception in thread)", line)]
    causes += [line for line in lines if re.search(r"(Error|Exception|ERROR)", line)]
    return re.sub(r"^.*?(Error|Exception): ", "", (causes or lines[-1:] or ["no word why"])[0])


def _require_answer(address: str) -> None:
    """Raise WarehouseError when no Connect server answers at this address."""
    with environment({"SPARK_REMOTE": address}):
        host, port = spark_address()
    try:
        socket.create_connection((host, port), timeout=10).close()
    except OSError as error:
        raise WarehouseError(
            f"MINERALS_SPARK_REMOTE=sc://{host}:{port}: no Spark Connect server answers there "
            f"({error}). Start it, or unset the variable to start one on this machine."
        ) from error


@contextmanager
def watching(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End a process that works with Spark as soon as Spark is gone: it would ask again for each of
    its queries. Raises WarehouseError then."""
    address, is_over, is_lost = spark_address(), threading.Event(), threading.Event()

    def watch() -> None:
        refusals = 0
        while refusals < 3 and not is_over.wait(1):
            try:
                socket.create_connection(address, timeout=10).close()
                refusals = 0
            except OSError:
                refusals += 1
        if refusals == 3:
            is_lost.set()
            process.terminate()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()
        if is_lost.is_set():
            raise WarehouseError(
                f"Spark at {address[0]}:{address[1]} ended while dbt worked with it: its own log "
                "says why (logs/spark.log). Run it again."
            )


def session() -> Any:
    """The session of this process with the Spark of the run."""
    from pyspark.sql import SparkSession

    give_up_soon()
    found = SparkSession.builder.getOrCreate()
    for name, value in OPTIONS.items():
        found.conf.set(name, value)
    return found


def _end_session() -> None:
    """Close the session of this process, if it has one, while its server still answers."""
    if "pyspark.sql.connect.session" in sys.modules:
        from pyspark.sql import SparkSession

        if found := SparkSession.getActiveSession():
            found.stop()


@contextmanager
def handed_over(tables: Path) -> Iterator[Path]:
    """A folder beside the tables, for files that Spark reads next, gone at the end. What a killed
    run left of it goes first. Rows that a client sends instead stay in the server's heap."""
    folder = tables / ".handed_over"
    remove(folder)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        remove(folder)


def grouped_map(
    compute: Callable[..., Any],
    jobs: Iterable[tuple[Any, ...]],
    n_jobs: int,
    tables: Path,
    at_once: int = AT_ONCE,
) -> Iterator[Any]:
    """`compute(*job)` of each job, in their order, as `minerals.parallel.side_by_side` gives it:
    here each job is a group that a worker of Spark computes. One job alone is computed here.

    The workers need this project installed. `compute` is a function of a module. Jobs are made
    `at_once` together, so that few are in memory, and travel in files. Raises WarehouseError when
    Spark fails.
    """
    from pyspark.errors import PySparkException

    remaining = iter(jobs)
    if n_jobs < 2:
        yield from (compute(*job) for job in remaining)
        return

    def computed(rows: pd.DataFrame) -> pd.DataFrame:
        made = _packed(compute(*_unpacked(rows["packed"].iloc[0])))
        return pd.DataFrame({"number": rows["number"], "packed": [made]})

    schema = "number long, packed binary"
    while batch := [_packed(job) for job in islice(remaining, at_once)]:
        try:
            with handed_over(tables) as folder:
                file = str(folder / "jobs.parquet")
                table = pd.DataFrame(enumerate(batch), columns=["number", "packed"])
                table.to_parquet(file, index=False)
                groups = session().read.parquet(file).repartition(len(batch), "number")
                # Sorted here: to sort them Spark would compute each group twice.
                answers = groups.groupBy("number").applyInPandas(computed, schema)
                made = sorted(map(tuple, answers.toLocalIterator()))
        except PySparkException as error:
            raise WarehouseError(
                f"Spark failed in the computation of importers: {_first_line(error)}. Its own log "
                "says why (logs/spark.log). Where it lacked memory, give it more "
                "(spark.driver.memory in spark-defaults.conf), and run it again."
            ) from error
        for _, packed in made:
            yield _unpacked(packed)


def _first_line(error: Exception) -> str:
    """Of Spark's text, without a client's name around what it says."""
    said = re.search(r'details = "(.+?)"', str(error))
    return (said[1] if said else str(error).partition("\n")[0])[:300]


def _packed(value: Any) -> bytes:
    return zlib.compress(pickle.dumps(value), 1)  # frames become eight times smaller


def _unpacked(packed: bytes) -> Any:
    return pickle.loads(zlib.decompress(packed))
