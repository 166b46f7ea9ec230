"""The command line `minerals`, put together: one module per command group.

A command parses its arguments, calls the domain and prints; what several commands need is in
`common.py`. A command imports the heavy packages it needs itself, so that reading stays fast.
"""

import atexit
import contextlib
import logging
import os
import sys
from importlib.metadata import version
from typing import Annotated, Any

import typer
from rich.text import Text
from typer.core import TyperGroup

from minerals.errors import MineralsError
from orchestration.cli import (
    brief,
    common,
    dashboard,
    hs,
    importers,
    listing,
    portfolio,
    query,
    rank,
    refresh,
    releases,
    settings,
    snapshots,
    status,
    ui,
)


class _Commands(TyperGroup):
    """The commands; an error that we foresaw, and a disk that is full or read-only, end in a
    sentence and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except MineralsError as error:
            words = str(error)
        except (typer.Exit, typer.Abort, typer.TyperException):
            raise
        except Exception as error:
            words = f"{error}\n{error.__cause__ or ''}"
            from orchestration.jobs import no_room, refusal_of_disk

            settings = common.settings()
            state = refusal_of_disk(settings, words)
            if state is None:
                raise
            words = no_room(settings, state, words)
        sentence = Text.assemble(("error", "bold red"), f"  {words}")
        common.console(stderr=True).print(sentence)
        raise typer.Exit(1) from None


app = typer.Typer(
    name="minerals",
    cls=_Commands,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"minerals {version('mineral-sourcing-warehouse')}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """From which countries to import each critical mineral: a warehouse that is refreshed,
    ranked and published.

    Settings come from the environment (MINERALS_IMPORTERS=IND,JPN, MINERALS_FIRST_YEAR,
    MINERALS_WAREHOUSE_DIR and so on); `minerals settings` lists them.
    """


for _group in (
    refresh,
    status,
    listing,
    rank,
    portfolio,
    brief,
    query,
    importers,
    releases,
    snapshots,
    hs,
    ui,
    dashboard,
    settings,
):
    app.add_typer(_group.app)


def main() -> None:
    """Run a command and end the process at once: taking its packages apart lasts two seconds after
    a refresh. What others registered to be done at the end comes before."""
    code = 1
    atexit.register(lambda: (logging.shutdown(), _flush(), os._exit(code)))
    try:
        app()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # who read it has gone
            stream.flush()
