"""Dagster's run history in SQLite: set aside when damaged, and no wait for the disk at each event.

SQLAlchemy holds what this module holds until the process ends, so it does not import Dagster.

Dagster opens and closes a database for each of the 600 events of a refresh. The last connection to
close makes SQLite copy its write-ahead log and sync: on a busy disk that takes longer than all the
rest. Here a connection is held open while a run lasts, and SQLite syncs when it copies the log, the
usual setting beside write-ahead logging: a killed process loses nothing, a power cut at most the
last events of the history; never a mart or a release.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
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


_LOST = {
    "runs.db": "earlier runs are no longer listed",
    "index.db": "what earlier runs built is no longer shown",
    "schedules.db": "switch schedules and sensors on again",
}


def set_aside_damaged(dagster_home: Path) -> list[str]:
    """Move the databases of the history that SQLite cannot read away, so that Dagster begins new
    ones; return a sentence about each. No mart or release is in there.
    """
    ending, said = f".damaged-{datetime.now(UTC):%Y%m%dT%H%M%SZ}", []
    for file in sorted(dagster_home.glob("*/**/*.db")):
        if damage := _damage(file):
            for part in (file, *(file.with_name(file.name + end) for end in ("-wal", "-shm"))):
                if part.exists():
                    part.rename(part.with_name(part.name + ending))
            lost = _LOST.get(file.name, "the events of that run are no longer shown")
            said.append(
                f"{file} was damaged ({damage}) and is set aside as {ending}: {lost}; no mart or "
                "release is in it"
            )
    return said


def _damage(file: Path) -> str | None:
    """What SQLite says of a damaged database; None of a sound one, or one it cannot open now."""
    # Of the events of a single run only the beginning is read: there are hundreds of such files.
    check = "quick_check" if file.name in _LOST else "schema_version"
    try:
        with closing(sqlite3.connect(file)) as database:
            found = database.execute(f"pragma {check}").fetchone()[0]
            is_sound = check != "quick_check" or found == "ok"
            return None if is_sound else " ".join(str(found).split())[:80]
    except sqlite3.OperationalError:  # locked, or may not be opened
        return None
    except sqlite3.DatabaseError as error:
        return str(error)
