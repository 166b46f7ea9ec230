"""Dagster's run history in SQLite, without waiting for the disk at each event.

Dagster opens and closes a database for each of the 600 events of a refresh. The last connection to
close makes SQLite copy its write-ahead log and sync: on a busy disk that takes longer than all the
rest. Here a connection is held open while a run lasts, and SQLite syncs when it copies the log, the
usual setting beside write-ahead logging: a killed process loses nothing, a power cut at most the
last events of the history; never a mart or a release.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa


@sa.event.listens_for(sa.Engine, "connect")
def _sync_at_checkpoints(connection: Any, _record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("pragma synchronous = normal")


@contextmanager
def history_open(dagster_home: Path, run_id: str) -> Iterator[None]:
    """Hold the databases of a run open. Does nothing where the history is in another database."""
    folder = dagster_home / "history" / "runs"
    with ExitStack() as stack:
        if (folder / "index.db").exists():
            for name in ("index", run_id):
                held = stack.enter_context(closing(sqlite3.connect(folder / f"{name}.db")))
                held.execute("pragma journal_mode = wal")
                held.execute("select * from sqlite_master").fetchall()  # joins the log
        yield
