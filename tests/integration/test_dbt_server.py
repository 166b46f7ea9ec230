"""dbt loaded once and forked for each command: on a small project, with real dbt processes."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from minerals.settings import Settings
from orchestration import dbt_server
from orchestration.resources import dbt_loaded, ensure_manifest

PROGRAM = [sys.executable, "-P", dbt_server.__file__]
MODELS = {
    "one": "select 1 as a",
    "broken": "select no_such_column from {{ ref('one') }}",
    "slow": "select count(*) as n from range(200000) as a, range(1000000) as b",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "models").mkdir()
    (folder / "dbt_project.yml").write_text("name: small\nprofile: small\n")
    (folder / "profiles.yml").write_text(
        "small:\n  target: here\n  outputs:\n    here: {type: duckdb, path: small.duckdb}\n"
    )
    for name, sql in MODELS.items():
        (folder / "models" / f"{name}.sql").write_text(sql)
    return folder


@pytest.fixture(scope="module")
def server(project: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The server of the project, for commands that come through the project's folder."""
    command = [*PROGRAM, "serve", str(project), "--quiet", "--no-write-json", "parse"]
    with subprocess.Popen(command, cwd=project, stdin=subprocess.PIPE) as process:
        wait_until((project / dbt_server.SOCKET).exists)
        yield process
    assert not (project / dbt_server.SOCKET).exists()


def wait_until(happened, seconds: float = 30) -> None:
    began = time.monotonic()
    while not happened():
        assert time.monotonic() - began < seconds
        time.sleep(0.05)


def ask(project: Path, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PROGRAM, "ask", str(folder), *arguments],
        cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def a(project: Path) -> list[tuple]:
    with duckdb.connect(str(project / "small.duckdb"), read_only=True) as connection:
        return connection.execute("select a from one").fetchall()


def test_a_command_runs_in_a_fork_and_leaves_the_database_closed(project, server):
    for _ in range(2):
        command = ask(project, project, "run", "--select", "one")
        said, _ = command.communicate(timeout=120)
        assert command.returncode == 0
        assert "Completed successfully" in said
        assert not (project / "small.duckdb.wal").exists()
        assert a(project) == [(1,)]
    assert server.poll() is None


def test_a_failing_command_says_why_and_fails(project, server):
    command = ask(project, project, "run", "--select", "one", "broken")
    said, _ = command.communicate(timeout=120)
    assert command.returncode == 1
    assert "no_such_column" in said


def test_a_command_that_is_ended_gives_the_database_back(project, server):
    command = ask(project, project, "run", "--select", "slow")
    wait_until(lambda: is_held(project))
    command.send_signal(signal.SIGTERM)
    command.wait(timeout=30)
    wait_until(lambda: not is_held(project))
    assert a(project) == [(1,)]


def is_held(project: Path) -> bool:
    """By the kernel's list: a connection to find out would itself keep dbt from the database."""
    inode = (project / "small.duckdb").stat().st_ino
    return f":{inode} " in Path("/proc/locks").read_text()


def test_without_a_server_it_is_dbt_itself(project, tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        command = ask(project, folder, "ls", "--select", "one")
        said, _ = command.communicate(timeout=120)
        assert command.returncode == 0
        assert "small.one" in said


def test_the_server_ends_with_the_process_that_started_it(project, tmp_path):
    """Also after kill -9, and what is left behind of it stops nobody."""
    starts = (
        "import subprocess, sys, time; "
        "p = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE); print(p.pid, flush=True); "
        "time.sleep(600)"
    )
    serve = [*PROGRAM, "serve", str(tmp_path), "--quiet", "parse"]
    parent = subprocess.Popen(
        [sys.executable, "-c", starts, *serve], cwd=project, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    wait_until((tmp_path / dbt_server.SOCKET).exists)
    parent.kill()
    parent.wait()
    wait_until(lambda: not is_running(pid))
    assert not (tmp_path / dbt_server.SOCKET).exists()


def is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_a_changed_macro_is_seen_in_models_that_did_not_change(tmp_path):
    """dbt's own partial parsing misses that it names another table, and then fails in the run."""
    source = Settings().dbt_project_dir
    copy = Path(
        shutil.copytree(source, tmp_path / "dbt", ignore=shutil.ignore_patterns("target", "logs"))
    )
    settings = Settings(warehouse_dir=tmp_path / "warehouse", dbt_project_dir=copy)

    def made_from() -> list[str]:
        ensure_manifest(settings)
        manifest = json.loads((copy / "target" / "manifest.json").read_text())
        return manifest["nodes"]["model.minerals.partner_agreements"]["depends_on"]["nodes"]

    def is_kept() -> bool:
        with dbt_loaded(settings):
            kept = parsed.exists()
            parsed.touch()
            return kept

    parsed = settings.warehouse_dir / "dbt" / "marts" / "partial_parse.msgpack"
    parsed.parent.mkdir(parents=True)
    assert "model.minerals.fct_trade_flow" in made_from()
    assert [is_kept(), is_kept()] == [False, True]
    macro = copy / "macros" / "window.sql"
    macro.write_text(macro.read_text().replace("ref('fct_trade_flow')", "ref('dim_country')"))
    assert "model.minerals.dim_country" in made_from()
    assert is_kept() is False
