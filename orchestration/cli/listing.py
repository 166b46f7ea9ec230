"""`minerals list`: the names that the other commands take, and what data stand behind them."""

from typing import Annotated, Any, Literal

import typer

from minerals.names import CATEGORIES
from minerals.settings import country_names
from orchestration.cli import common, names

app = typer.Typer()


@app.command("list")
def list_names(
    what: Annotated[
        Literal["minerals", "countries", "marts"], typer.Argument(help="What to list.")
    ] = "minerals",
    importer: names.Importer = None,
) -> None:
    """List the minerals with the data that each has, the countries, or the marts."""
    settings, console = common.settings(), common.console()
    if what == "countries":
        known = country_names(settings.seeds_dir).items()
        common.show(console, [{"ISO3": code, "name": name} for code, name in known])
        return
    with common.Marts(settings, console) as marts:
        if what == "marts":
            marts.show(
                "",
                "select view_name as mart, "
                "regexp_replace(comment, '(, one row|[.:] ).*', '') as holds "
                "from duckdb_views() where schema_name = 'marts' order by view_name",
            )
            console.print('The columns of one: minerals query "describe ranking_forward".')
        else:
            _print_minerals(marts, marts.markets(importer, None)[0])


def _print_minerals(marts: common.Marts, importer: str) -> None:
    """One line a mineral: of each category, how many supply the importer, and mine production."""
    found = marts.rows(
        """
        select mineral, category, n_suppliers, n_candidates, top1_producer_iso3 as producer,
            hhi_actual is not null as is_traded
        from marts.portfolio_concentration where importer_iso3 = ?
        """,
        importer,
    )
    by_market = {(row["mineral"], row["category"]): row for row in found}
    rows = []
    for seed in names.mineral_rows(marts.settings):
        mineral = seed["mineral"]
        cells: dict[str, Any] = {"mineral": mineral, "symbol": seed["symbol"]}
        cells |= {name: _data_of(by_market.get((mineral, name))) for name in CATEGORIES}
        of_any = next((row for row in found if row["mineral"] == mineral), None)
        producer = of_any["producer"] if of_any else None
        cells["mined most in"] = marts.country(producer) if producer else ""
        rows.append(cells)
    common.show(marts.console, rows, f"Minerals, and the suppliers of {marts.country(importer)}")
    held = {row["mineral"] for row in found}
    marts.console.print(
        "A number counts the suppliers with imports of known quantity; 'ranked' has a ranking, and "
        "no such imports.",
        soft_wrap=False,
    )
    if missing := [row["mineral"] for row in rows if row["mineral"] not in held]:
        why = names.why_no_data(common.profile(marts.settings))
        marts.console.print(f"No {why}: {'; '.join(missing)}.", soft_wrap=False)
    marts.console.print("More: minerals list countries, minerals list marts, minerals importers.")


def _data_of(market: dict[str, Any] | None) -> str:
    if market is None:
        return ""
    return str(market["n_suppliers"]) if market["is_traded"] else "ranked"
