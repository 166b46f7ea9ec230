"""`minerals portfolio` and `minerals shock`: the arguments. What is shown: `portfolio_view`."""

import re
from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console

from minerals.settings import Settings

Mineral = Annotated[str | None, typer.Option(help="For example Copper or 'Rare Earths'.")]
Category = Annotated[str | None, typer.Option(help="ores, products or scrap.")]
Importer = Annotated[
    str | None, typer.Option(help="ISO3 code of the importing country; default: the first one set.")
]


def register(app: typer.Typer, read_settings: Callable[[], Settings]) -> None:
    """Add the commands to the command line."""

    @app.command()
    def portfolio(
        mineral: Mineral = None,
        category: Category = None,
        importer: Importer = None,
        top: Annotated[int, typer.Option(min=1, help="How many suppliers to show.")] = 12,
    ) -> None:
        """Show the strategy of every mineral, or the recommended portfolio of one."""
        from orchestration import portfolio_view as view

        chosen = view.Choice(read_settings(), importer, mineral, category)
        console = Console(highlight=False)
        if mineral is None:
            view.print_strategies(console, chosen)
        else:
            view.print_portfolio(console, chosen, top)

    @app.command()
    def shock(
        lose: Annotated[
            list[str],
            typer.Option(help="ISO3 codes of who falls away: CHN,RUS, or the option repeated."),
        ],
        mineral: Mineral = None,
        category: Category = None,
        importer: Importer = None,
    ) -> None:
        """Take suppliers away: what is lost, who can step in, what is recommended then."""
        from orchestration import portfolio_view as view

        chosen = view.Choice(read_settings(), importer, mineral, category)
        codes = re.split(r"[,\s]+", ",".join(lose).upper())
        lost = list(dict.fromkeys(code for code in codes if code))
        view.print_shock(Console(highlight=False), chosen, lost)
