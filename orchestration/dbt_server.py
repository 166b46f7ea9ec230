"""dbt, loaded once for a run: each command runs in a fork of a process that has read the project.

Importing dbt and reading the project take two seconds of every command. `serve` does this once,
while the first steps of a run are at work; `ask` is what dagster-dbt starts in place of dbt. They
meet at a socket in the warehouse folder. Without a server `ask` becomes dbt itself.
`ask` starts with every command, so the top of this module imports the standard library only.
"""

import gc
import json
import os
import select
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

SOCKET = "dbt.sock"
DBT = str(Path(sys.executable).with_name("dbt"))


def ask(folder: str, arguments: list[str]) -> int:
    """Have a dbt command run with the output streams of this process; return its exit code."""
    here = Path.cwd()
    with socket.socket(socket.AF_UNIX) as server:
        try:
            os.chdir(folder)  # the path of a socket is limited to some 100 bytes
            server.connect(SOCKET)
        except OSError:
            os.chdir(here)
            os.execv(DBT, [DBT, *arguments])
        socket.send_fds(server, [json.dumps(arguments).encode() + b"\n"], [1, 2])
        return int.from_bytes(server.recv(1) or b"\x01")  # no answer: the command was killed


def serve(folder: str, parse: list[str]) -> None:
    """Read the project in the current folder with this dbt command, then run what is asked for.

    Ends when its standard input does: with the process that started it.
    """
    here = Path.cwd()
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(folder)
        Path(SOCKET).unlink(missing_ok=True)
        listener.bind(SOCKET)
        listener.listen()  # who asks from here on waits for the import
        os.chdir(here)
        from dbt.cli.main import dbtRunner

        manifest = dbtRunner().invoke(parse).result  # None if it does not parse: the fork says why
        gc.freeze()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    _run(connection, dbtRunner(manifest))
    Path(folder, SOCKET).unlink(missing_ok=True)
    os._exit(0)  # DuckDB complains when an interpreter ends in the usual way after a fork


def _run(connection: socket.socket, runner: Any) -> None:
    """In the fork: run one command and end, at once if the process that asked ends first."""
    from dbt.adapters.duckdb import DuckDBConnectionManager

    message, streams, _, _ = socket.recv_fds(connection, 1 << 16, 2)
    while not message.endswith(b"\n"):
        message += connection.recv(1 << 16)
    for ours, theirs in zip((1, 2), streams, strict=True):
        os.dup2(theirs, ours)
    threading.Thread(target=lambda: connection.recv(1) or os._exit(1), daemon=True).start()
    arguments = json.loads(message)
    if "spark" in arguments:
        give_up_soon()
    succeeded = runner.invoke(arguments).success
    DuckDBConnectionManager.close_all_connections()  # before the answer: others wait for the file
    sys.stdout.flush()
    connection.send(bytes([not succeeded]))
    os._exit(0)


def give_up_soon() -> None:
    """Let this process ask a Spark that is gone again for some 20 seconds; its client would for ten
    minutes, each time."""
    from functools import partial

    from pyspark.sql.connect.client import core, retries

    core.DefaultPolicy = partial(retries.DefaultPolicy, max_retries=5)


if __name__ == "__main__":
    do, where, *given = sys.argv[1:]
    if do == "serve":
        serve(where, given)
    else:
        sys.exit(ask(where, given))
