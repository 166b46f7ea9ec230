"""`minerals dashboard`: the pages over the served release, in a browser on this machine."""

import os
import sys
from importlib.util import find_spec
from typing import Annotated

import typer

from minerals.errors import MineralsError
from minerals.settings import PROJECT_ROOT
from orchestration.cli import common

app = typer.Typer()


@app.command()
def dashboard(
    port: Annotated[int | None, typer.Option(help="Port on the loopback interface.")] = None,
) -> None:
    """Look at the served release in a browser: who supplies, how surely, what to change."""
    if find_spec("streamlit") is None:
        raise MineralsError(
            "The packages of the dashboard are not installed: `make dashboard` installs them and "
            "starts it."
        )
    settings = common.settings()
    common.release_names(common.releases(settings))
    port = port or settings.dashboard_port
    common.console().print(f"Dashboard: http://127.0.0.1:{port}  (Ctrl-C stops it)")
    command = [sys.executable, "-m", "streamlit", "run"]
    command += [str(PROJECT_ROOT / "dashboard" / "app" / "main.py"), "--server.port", str(port)]
    os.execv(command[0], command)
