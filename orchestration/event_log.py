"""Dagster's event log in SQLite, with a connection kept open.

A refresh writes some 1,500 events (every check is planned, evaluated and put out). Dagster opens,
compiles, commits and closes a database for each of them, which takes half of a refresh. Here the
engine of a database is kept, and SQLite is asked to sync the log when it is checkpointed, which is
the usual setting beside write-ahead logging: a killed process loses nothing, a power cut at most
the last events of the history; never a mart or a release.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Self

import sqlalchemy as sa
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData

OPEN_DATABASES = 8  # one a run, and the index; the UI reads more runs than it needs at once


class PooledSqliteEventLogStorage(SqliteEventLogStorage):
    """The same files and tables as its parent, fewer openings of them."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engine = lru_cache(maxsize=OPEN_DATABASES)(self._new_engine)
        self._tables_seen: set[str] = set()
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        return cls(inst_data=inst_data, **config_value)

    def _new_engine(self, shard: str) -> sa.Engine:
        engine = sa.create_engine(
            self.conn_string_for_shard(shard),
            connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS},
        )
        sa.event.listen(engine, "connect", _sync_at_checkpoints)
        return engine

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def has_table(self, table_name: str) -> bool:
        """Asked of every event of a check; a table that is there stays."""
        if table_name not in self._tables_seen and super().has_table(table_name):
            self._tables_seen.add(table_name)
        return table_name in self._tables_seen

    def wipe(self) -> None:
        self._engine.cache_clear()
        self._tables_seen.clear()
        super().wipe()

    def dispose(self) -> None:
        self._engine.cache_clear()
        super().dispose()


def _sync_at_checkpoints(connection: Any, _record: Any) -> None:
    connection.execute("pragma synchronous = normal")
