"""`minerals backfill`: fetch years of one importer ahead of a refresh that asks for them.

Belongs here: the arguments, and what a person reads. The fetching is `minerals/sources/comtrade`;
the UI has the job `backfill_trade` for the same.
"""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.status import Status

from minerals.errors import SourceError
from minerals.settings import Settings


def register(app: typer.Typer, read_settings: Callable[[], Settings]) -> None:
    """Add the command to the command line."""

    @app.command()
    def backfill(
        importer: Annotated[str, typer.Option(help="ISO3 code of the importing country.")],
        years: Annotated[str, typer.Option(help="One year, or first-last: 2015-2023.")],
    ) -> None:
        """Fetch years of one importer from UN Comtrade ahead of a refresh (live profile).

        What the quota or Ctrl-C stops goes on where it was when it is started again.
        """
        from minerals.sources import comtrade

        settings, console = read_settings(), Console(highlight=False, soft_wrap=True)
        asked = read_years(years)
        if settings.profile == "bundled":
            console.print(
                "Nothing to fetch: the bundle holds all importers and the years 1995-2024 already. "
                f"MINERALS_IMPORTERS={importer.upper()} MINERALS_FIRST_YEAR={asked[0]} "
                f"MINERALS_LAST_YEAR={asked[-1]} minerals refresh uses them."
            )
            return
        with console.status("asks what is published") as status, _shown(status):
            for done in comtrade.backfill(settings, importer.upper(), asked):
                console.print(str(done))
        console.print(
            f"Kept under {settings.downloads_dir / 'comtrade'}: a refresh of these years uses it."
        )


def read_years(text: str) -> list[int]:
    """'2015-2023' as its years, in order. Raises SourceError for anything else."""
    found = re.fullmatch(r"\s*(\d{4})(?:\s*-\s*(\d{4}))?\s*", text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if last < first:
        raise SourceError(f"'{text}' are no years: write one, 2019, or first-last, 2015-2023.")
    return list(range(first, last + 1))


@contextmanager
def _shown(status: Status) -> Iterator[None]:
    """Show each answer as it comes: the client logs it."""

    class Shown(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            status.update(record.getMessage())

    log, handler = logging.getLogger("minerals.sources.comtrade"), Shown(logging.INFO)
    before, propagates = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)
        log.propagate = propagates
