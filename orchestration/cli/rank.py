"""`minerals rank` and `compare`: who could supply a mineral, read from the release."""

from typing import Annotated, Any

import typer

from minerals.errors import ReleaseError
from minerals.names import MODELS
from orchestration.cli import common, names
from orchestration.cli.common import OF_MARKETS

app = typer.Typer()
TOP, TOP_OF_EACH = 10, 5  # suppliers that are shown of one category, and of each of several


@app.command()
def rank(
    words: names.Words = None,
    importer: names.Importer = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="world, expected, estimated or published; default: the headline.",
            autocompletion=names.MODEL,
        ),
    ] = None,
    top: names.Top = None,
    mineral: names.MineralOption = None,
    category: names.CategoryOption = None,
) -> None:
    """Show the forward ranking of suppliers of one mineral, of all categories or of one."""
    if source is not None:
        source = names.known("model", source, MODELS)
    with common.Marts(common.settings(), common.console()) as marts:
        market = marts.markets(importer, words, mineral, category)
        if market[1] is None:
            raise ReleaseError(
                "Name a mineral, for example `minerals rank lithium`. `minerals list` has all."
            )
        rankings = marts.rows(
            f"""
            select category, coefficient_source, model_description, is_headline, headline_reason,
                effective_k, release_id, count(*) as n
            from marts.ranking_forward
            where {OF_MARKETS} and if(? is null, is_headline, coefficient_source = ?)
            group by all order by category
            """,
            *market, source, source,
        )  # fmt: skip
        marts.require(rankings, f"{source or ''} ranking".strip(), market)
        for number, ranking in enumerate(rankings):
            if number:
                marts.console.print()
            most = top or (TOP if len(rankings) == 1 else TOP_OF_EACH)
            _print_ranking(marts, (*market[:2], ranking["category"]), ranking, most)
    marts.console.print(f"Release {rankings[0]['release_id']}.")


def _print_ranking(
    marts: common.Marts, market: common.Markets, ranking: dict[str, Any], most: int
) -> None:
    """The first suppliers of one market by one model, and what the model says."""
    source = ranking["coefficient_source"]
    marts.show(
        f"{market[1]} {market[2]} for {marts.country(market[0])}, {source} model",
        f"""
        select forward_rank as rank, country(exporter_iso3) as supplier,
            rank_low || '-' || rank_high as "rank, 90%",
            pct(top_k_probability) as "in top {ranking["effective_k"]}",
            pct(actual_share) as "actual share", tons(predicted_qty_kg) as "predicted t/year"
        from marts.ranking_forward
        where {OF_MARKETS} and coefficient_source = ? order by forward_rank limit ?
        """,
        *market, source, most,
    )  # fmt: skip
    marts.console.print(f"The model says {ranking['model_description']}.")
    if ranking["is_headline"]:
        marts.console.print(f"Why this model: {ranking['headline_reason']}.")
    marts.console.print(f"{ranking['n']} candidates in all.")


@app.command()
def compare(
    words: names.Words = None,
    importers: Annotated[
        list[str] | None,
        typer.Option(
            help="Importers, by name or ISO code: India,Japan; default: all of the release.",
            autocompletion=names.COUNTRIES,
        ),
    ] = None,
    top: names.Top = None,
    mineral: names.MineralOption = None,
    category: names.CategoryOption = None,
) -> None:
    """Show importers side by side: how concentrated their imports are, or one mineral's suppliers.

    Without a mineral: the concentration and the largest supplier of every market.
    """
    settings = common.settings()
    with common.Marts(settings, common.console()) as marts:
        held = [
            row["importer_iso3"]
            for row in marts.rows(
                "select distinct importer_iso3 from marts.portfolio_concentration order by all"
            )
        ]
        chosen = [
            names.known_importer(code, settings, held)
            for code in names.known_countries(importers or held, settings)
        ]
        if len(chosen) < 2:
            raise ReleaseError(
                f"compare needs two importers. The release holds {', '.join(held)}: "
                "`minerals importers add Japan`, then `minerals refresh`, adds one."
            )
        market = marts.markets(chosen[0], words, mineral, category)
        if market[1] is None:
            _compare_concentration(marts, chosen, market[2])
            return
        rankings = marts.rows(
            f"select distinct category from marts.ranking_forward where {OF_MARKETS} order by all",
            *market,
        )
        marts.require(rankings, "ranking", market)
        most = top or (TOP if len(rankings) == 1 else TOP_OF_EACH)
        for row in rankings:
            _compare_suppliers(marts, chosen, market[1], row["category"], most)
    marts.console.print("Rank by the headline model, and in brackets what is bought there now.")


def _compare_suppliers(
    marts: common.Marts, importers: list[str], mineral: str, category: str, most: int
) -> None:
    found = marts.rows(
        """
        select country(exporter_iso3) as supplier, importer_iso3,
            format('{} ({})', forward_rank, pct(actual_share)) as shown
        from marts.ranking_forward
        where is_headline and list_contains(?, importer_iso3) and mineral = ? and category = ?
        qualify min(forward_rank) over (partition by exporter_iso3) <= ?
        order by forward_rank, exporter_iso3
        """,
        importers, mineral, category, most,
    )  # fmt: skip
    _side_by_side(marts, importers, found, ["supplier"], f"{mineral} {category}")


def _compare_concentration(marts: common.Marts, importers: list[str], category: str | None) -> None:
    found = marts.rows(
        """
        select mineral, category, importer_iso3, if(hhi_actual is null, '',
            format('{:.2f} {} {}', hhi_actual, named(top1_exporter_iso3), pct(top1_share)))
            as shown, max(hhi_actual) over (partition by mineral, category) as worst
        from marts.portfolio_concentration
        where list_contains(?, importer_iso3) and category = coalesce(?, category)
        qualify worst is not null order by worst desc, category, mineral
        """,
        importers, category,
    )  # fmt: skip
    title = "Concentration (HHI, 0 to 1) and largest supplier"
    _side_by_side(marts, importers, found, ["mineral", "category"], title)
    marts.console.print("The suppliers of one mineral: minerals compare lithium products.")


def _side_by_side(
    marts: common.Marts,
    importers: list[str],
    found: list[dict[str, Any]],
    keys: list[str],
    title: str,
) -> None:
    """A line for each value of the keys, in their order, and a column for each importer."""
    lines: dict[tuple[str, ...], dict[str, str]] = {}
    for row in found:
        line = lines.setdefault(tuple(row[key] for key in keys), {})
        line[row["importer_iso3"]] = row["shown"]
    rows = [
        dict(zip(keys, of, strict=True))
        | {marts.country(code): line.get(code, "") for code in importers}
        for of, line in lines.items()
    ]
    common.show(marts.console, rows, title)
