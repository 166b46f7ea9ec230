"""`minerals ui` and `minerals instance`: Dagster on the warehouse's own instance."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from minerals.settings import child_environment
from orchestration.cli import common

app = typer.Typer()


@app.command()
def ui(
    port: Annotated[int | None, typer.Option(help="Port on the loopback interface.")] = None,
) -> None:
    """Start the Dagster web server and daemon on the warehouse's instance."""
    from orchestration import run

    settings = common.settings()
    for found in run.recovered(settings):
        common.console().print(found)
    port = port or settings.ui_port
    command = [str(Path(sys.executable).with_name("dagster")), "dev"]
    command += ["-m", "orchestration.definitions", "-h", "127.0.0.1", "-p", str(port)]
    address = f"http://127.0.0.1:{port}"
    code = f"{address}/locations/orchestration.definitions"
    common.console().print(
        f"Dagster UI: {address}  (Ctrl-C stops it)\n"
        f"  runs of a refresh: {code}/jobs/refresh/runs\n"
        f"  the rankings and their checks: {code}/asset-groups/ranking/lineage\n"
        f"  the whole graph: {address}/asset-groups (Alt-E opens its groups)",
        soft_wrap=True,
    )
    os.execve(command[0], command, child_environment(settings))


@app.command()
def instance() -> None:
    """Write the Dagster instance into the warehouse folder and end dead runs: before a service."""
    from orchestration import run

    settings = common.settings()
    for found in run.recovered(settings):
        common.console().print(found)
    common.console().print(f"DAGSTER_HOME={settings.dagster_home}")
