"""For Superset: locks every DuckDB connection before somebody's SQL runs on it (docs/bi.md).

Append it to your superset_config.py and put in the path of your warehouse.
"""

from threading import Lock
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

RELEASES = "/srv/minerals/releases"
LOCKING = Lock()


@event.listens_for(Engine, "connect")
def lock_down(connection: Any, _record: Any) -> None:
    if type(connection).__module__ != "duckdb_engine":
        return
    with LOCKING:
        duckdb = connection.cursor()
        duckdb.execute("select current_setting('lock_configuration')")
        if not duckdb.fetchone()[0]:
            duckdb.execute(f"set allowed_directories = ['{RELEASES}']")
            duckdb.execute("set enable_external_access = false")
            duckdb.execute("set lock_configuration = true")
