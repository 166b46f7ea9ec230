"""`minerals importers`: the countries whose imports every refresh covers."""

from typing import Annotated

import typer

from minerals.errors import SettingsError
from minerals.files import write_atomically
from minerals.names import EVERY_IMPORTER
from minerals.settings import Settings
from orchestration.cli import common, names

app = typer.Typer()
importers = typer.Typer(help="The importing countries: list, add, remove. A refresh covers them.")
app.add_typer(importers, name="importers")
Countries = Annotated[
    list[str],
    typer.Argument(
        metavar="COUNTRY",
        help="Name or ISO code: Japan, 'United States', DEU; all for every importer.",
        autocompletion=names.COUNTRIES,
    ),
]


@importers.callback(invoke_without_command=True)
def list_importers(context: typer.Context) -> None:
    """Show the importers of the release and of the next refresh."""
    if context.invoked_subcommand is not None:
        return
    settings, console = common.settings(), common.console()
    served = common.releases(settings).manifest() or {}
    held = {fit["importer_iso3"] for fit in served.get("fits", [])}
    chosen = settings.importers
    rows = [
        {
            "importer": common.country(settings, code),
            "in the release": "yes" if code in held else "",
            "in the next": "yes" if code in chosen or EVERY_IMPORTER in chosen else "",
        }
        for code in [code for code in chosen if code != EVERY_IMPORTER] + sorted(held - {*chosen})
    ]
    common.show(console, rows)
    if EVERY_IMPORTER in chosen:
        console.print("The next refresh covers every country with imports.")
    console.print("minerals importers add Japan; minerals importers remove Japan.")


@importers.command()
def add(countries: Countries) -> None:
    """Cover these importers too, from the next refresh on."""
    settings = common.settings()
    _keep(settings, [*_kept(settings), *_codes(countries, settings)])


@importers.command()
def remove(countries: Countries) -> None:
    """Do not cover these importers from the next refresh on; older releases keep them."""
    settings = common.settings()
    kept, leaving = _kept(settings), _codes(countries, settings)
    if unknown := [code for code in leaving if code not in kept]:
        raise SettingsError(
            f"{', '.join(unknown)} is none of the importers. They are: {', '.join(kept)}."
        )
    if not (left := [code for code in kept if code not in leaving]):
        raise SettingsError("One importer has to stay: add another first.")
    _keep(settings, left)


def _codes(countries: list[str], settings: Settings) -> list[str]:
    if any(country.strip().upper() == EVERY_IMPORTER for country in countries):
        return [EVERY_IMPORTER]
    return names.known_countries(countries, settings)


def _kept(settings: Settings) -> list[str]:
    """The list, whatever the environment says."""
    if settings.importers_file.exists():
        return settings.importers_file.read_text(encoding="utf-8").split()
    return list(Settings.model_fields["importers"].default)


def _keep(settings: Settings, codes: list[str]) -> None:
    """Write the list, and say what the next refresh covers."""
    chosen = [EVERY_IMPORTER] if EVERY_IMPORTER in codes else list(dict.fromkeys(codes))
    settings.importers_file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(settings.importers_file, "\n".join(chosen) + "\n")
    console = common.console()
    covered = ", ".join(
        "all" if code == EVERY_IMPORTER else common.country(settings, code) for code in chosen
    )
    console.print(f"Importers: {covered}. `minerals refresh` publishes them.")
    now = common.settings().importers
    if list(now) != chosen:
        console.print(
            f"[yellow]warning[/] MINERALS_IMPORTERS={','.join(now)} is set and overrides this "
            "list: unset it."
        )
