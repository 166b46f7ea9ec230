"""`minerals rank`, `compare`, `portfolio`, `shock`: suppliers of a mineral, from the release.

Ranks, shares and the portfolio are read from the marts; what a loss does is computed in
`minerals/sourcing`.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from minerals.errors import ReleaseError
from minerals.names import CATEGORIES, MODELS
from minerals.settings import Choices, Settings
from orchestration.cli import common

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer()
OF_MARKETS = (
    "importer_iso3 = ? and mineral = coalesce(?, mineral) and category = coalesce(?, category)"
)
Markets = tuple[str, str | None, str | None]


def _markets(
    marts: common.Marts, importer: str | None, mineral: str | None, category: str | None
) -> Markets:
    """The parameters of `OF_MARKETS`; None stands for all minerals or categories.

    Raises ReleaseError for a name that the release does not hold.
    """
    held = marts.rows("select distinct importer_iso3, mineral from marts.ranking_forward")
    importers, minerals = ({row[name] for row in held} for name in ("importer_iso3", "mineral"))
    importer = common.known_importer(importer, marts.settings, importers)
    if mineral is not None:
        mineral = common.known("mineral", mineral, minerals, "in the release")
    if category is not None:
        category = common.known("category", category, CATEGORIES)
    return importer, mineral, category


@app.command()
def rank(
    mineral: Annotated[str, typer.Option(help="For example Lithium, Copper or 'Rare Earths'.")],
    category: Annotated[str, typer.Option(help="ores, products or scrap.")],
    importer: common.Importer = None,
    source: Annotated[
        str | None,
        typer.Option(help="world, expected, estimated or published; default: the headline."),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many suppliers to show.")] = 10,
) -> None:
    """Show the forward ranking of suppliers of one mineral."""
    if source is not None:
        source = common.known("model", source, MODELS)
    with common.Marts(common.settings(), common.console()) as marts:
        markets = _markets(marts, importer, mineral, category)
        title = f"{markets[1]} {markets[2]} for {marts.country(markets[0])}"
        found = marts.rows(
            f"""
            select coefficient_source, model_description, is_headline, headline_reason,
                effective_k, release_id, count(*) as n
            from marts.ranking_forward
            where {OF_MARKETS} and coefficient_source = coalesce(?, coefficient_source)
            group by all order by is_headline desc limit 1
            """,
            *markets, source,
        )  # fmt: skip
        if not found:
            raise ReleaseError(f"There is no {source or ''} ranking of {title}.")
        ranking = found[0]
        source = ranking["coefficient_source"]
        marts.show(
            f"{title}, {source} model",
            f"""
            select forward_rank as rank, country(exporter_iso3) as supplier,
                rank_low || '-' || rank_high as "rank, 90%",
                pct(top_k_probability) as "in top {ranking["effective_k"]}",
                pct(actual_share) as "actual share", tons(predicted_qty_kg) as "predicted t/year"
            from marts.ranking_forward
            where {OF_MARKETS} and coefficient_source = ? order by forward_rank limit ?
            """,
            *markets, source, top,
        )  # fmt: skip
    marts.console.print(f"The model says {ranking['model_description']}.")
    if ranking["is_headline"]:
        marts.console.print(f"Why this model: {ranking['headline_reason']}.")
    marts.console.print(f"{ranking['n']} candidates in all. Release {ranking['release_id']}.")


@app.command()
def compare(
    importers: Annotated[str, typer.Option(help="ISO3 codes of the importers: IND,JPN,DEU.")],
    mineral: Annotated[str, typer.Option(help="For example Lithium, Copper or 'Rare Earths'.")],
    category: Annotated[str, typer.Option(help="ores, products or scrap.")],
    top: Annotated[int, typer.Option(min=1, help="How many suppliers of each to show.")] = 10,
) -> None:
    """Show the suppliers of one mineral for several importers side by side."""
    with common.Marts(common.settings(), common.console()) as marts:
        codes = [code for code in re.split(r"[,\s]+", importers) if code]
        chosen = [_markets(marts, code, mineral, category) for code in codes]
        _, mineral, category = map(str, chosen[0])
        found = marts.rows(
            """
            select country(exporter_iso3) as supplier, importer_iso3, forward_rank,
                format('{} ({})', forward_rank, pct(actual_share)) as shown
            from marts.ranking_forward
            where is_headline and list_contains(?, importer_iso3) and mineral = ? and category = ?
            order by forward_rank, exporter_iso3
            """,
            [market[0] for market in chosen], mineral, category,
        )  # fmt: skip
        suppliers = dict.fromkeys(row["supplier"] for row in found if row["forward_rank"] <= top)
        places = {(row["supplier"], row["importer_iso3"]): row["shown"] for row in found}
        rows = [
            {
                "supplier": supplier,
                **{marts.country(m[0]): places.get((supplier, m[0]), "") for m in chosen},
            }
            for supplier in suppliers
        ]
        common.show(marts.console, rows, f"{mineral} {category}")
    marts.console.print("Rank by the headline model, and in brackets what is bought there now.")


@app.command()
def portfolio(
    mineral: common.Mineral = None,
    category: common.Category = None,
    importer: common.Importer = None,
    top: Annotated[int, typer.Option(min=1, help="How many suppliers to show.")] = 12,
) -> None:
    """Show the strategy of every mineral, or the recommended portfolio of one."""
    with common.Marts(common.settings(), common.console()) as marts:
        markets = _markets(marts, importer, mineral, category)
        strategies = marts.rows(
            f"""
            select *, coalesce(nullif(binding_constraints, ''), nullif(infeasible_because, ''),
                    'nothing') as binds,
                (select string_agg(
                    if(is_recommended, '*', '') || format('{{:.2f}} ({{:.2f}})', hhi, divergence),
                    ', ' order by concentration_penalty)
                from marts.portfolio_frontier as f
                where (f.importer_iso3, f.category, f.mineral)
                    = (s.importer_iso3, s.category, s.mineral)) as frontier
            from marts.portfolio_strategy as s
            join marts.portfolio_optimization using (importer_iso3, category, mineral)
            where {OF_MARKETS} order by s.hhi_actual desc nulls last, category, mineral
            """,
            *markets,
        )
        if mineral is None:
            _print_strategies(marts, strategies)
        for strategy in strategies if mineral is not None else ():
            _print_portfolio(marts, strategy, top)
    marts.console.print(f"Release {strategies[0]['release_id']}.")


def _print_strategies(marts: common.Marts, strategies: list[dict[str, Any]]) -> None:
    rows = [
        {
            "strategy": row["strategy"].replace("_", " "),
            "category": row["category"],
            "mineral": row["mineral"],
            "HHI now": common.number(row["hhi_actual"], ".2f"),
            "recommended": common.number(row["hhi_recommended"], ".2f"),
            "to move": common.number(row["change_share"], ".0%"),
        }
        for row in strategies
    ]
    title = f"Strategies for {marts.country(strategies[0]['importer_iso3'])}"
    common.show(marts.console, rows, title)
    marts.console.print("One of them: minerals portfolio --mineral Copper --category ores.")


def _print_portfolio(marts: common.Marts, strategy: dict[str, Any], top: int) -> None:
    """The suppliers with today's, the model's and the recommended shares, and why."""
    market = [strategy[name] for name in ("importer_iso3", "mineral", "category")]
    marts.show(
        f"{market[1]} {market[2]} for {marts.country(market[0])}: the suppliers with the largest "
        "recommended shares",
        f"""
        select country(exporter_iso3) as supplier, forward_rank as rank,
            pct(top_k_probability) as "top k", pct(actual_share) as now,
            pct(model_share) as model, pct(recommended_share) as recommended,
            if(capacity_share is null, 'unknown', pct(capacity_share)) as "at most", role
        from marts.portfolio_partners
        where {OF_MARKETS} order by recommended_share desc, forward_rank limit ?
        """,
        *market, top,
    )  # fmt: skip
    marts.console.print(strategy["rationale"], soft_wrap=False)
    marts.console.print(f"What binds: {strategy['binds']}.", soft_wrap=False)
    if strategy["frontier"]:
        marts.console.print(
            "Frontier, HHI (divergence from the model, nats) as the concentration penalty rises, * "
            f"in use: {strategy['frontier']}",
            soft_wrap=False,
        )
    marts.console.print()


@app.command()
def shock(
    lose: Annotated[
        list[str],
        typer.Option(help="ISO3 codes of the suppliers lost: CHN,RUS, or the option repeated."),
    ],
    mineral: common.Mineral = None,
    category: common.Category = None,
    importer: common.Importer = None,
) -> None:
    """Take suppliers away: what is lost, who can step in, what is recommended then."""
    from minerals.sourcing import shocks

    settings, console = common.settings(), common.console()
    with common.Marts(settings, console) as marts:
        markets = _markets(marts, importer, mineral, category)
        partners = marts.connection.execute(
            f"select * from marts.portfolio_partners where {OF_MARKETS} "
            "order by category, mineral, forward_rank",
            markets,
        ).df()
    lost = list(dict.fromkeys(re.findall(r"[^,\s]+", ",".join(lose).upper())))
    unknown = sorted(set(lost) - set(partners["exporter_iso3"]))
    if not lost or unknown:
        raise ReleaseError(
            f"--lose {', '.join(unknown) or 'nothing'}: no supplier of these markets; give ISO3 "
            "codes, such as CHN,RUS."
        )
    by_market = [rows for _, rows in partners.groupby(["category", "mineral"])]
    losses = [(rows, shocks.lose(rows, lost)) for rows in by_market]
    hit = [(rows, loss) for rows, loss in losses if loss.lost_qty_kg > 0]
    hit.sort(key=lambda pair: -pair[1].lost_share)
    without = ", ".join(common.country(settings, iso3) for iso3 in lost)
    title = f"{common.country(settings, markets[0])} without {without}"
    if not hit:
        console.print(f"{title}: nothing of known quantity is lost in {len(losses)} markets.")
        return
    common.show(console, [_loss_row(settings, rows, loss) for rows, loss in hit], title)
    console.print(f"{len(losses) - len(hit)} other markets lose nothing of known quantity.")
    if len(hit) == 1:
        _print_portfolio_without(console, settings, hit[0][0], lost)
    console.print(f"Release {partners['release_id'].iloc[0]}.")


def _loss_row(settings: Settings, rows: "pd.DataFrame", loss: Any) -> dict[str, str]:
    """One line of the table of losses, from a `shocks.Loss`."""
    names = common.country_names(settings.seeds_dir)
    return {
        "category": rows["category"].iloc[0],
        "mineral": rows["mineral"].iloc[0],
        "lost": f"{loss.lost_share:.1%}",
        "lost t/year": common.number(loss.lost_qty_kg / 1000, ",.1f"),
        "replaced": common.percent(loss.replaceable_share),
        "HHI": common.number(loss.hhi_before, ".2f"),
        "after": common.number(loss.hhi_after, ".2f"),
        "next best, part of the loss": ", ".join(
            f"{names.get(iso3, iso3)} {part:.0%}" for iso3, part in loss.next_best(4)
        ),
    }


def _print_portfolio_without(
    console: Console, settings: Settings, rows: "pd.DataFrame", lost: Sequence[str]
) -> None:
    """The recommended portfolio of one market without the lost suppliers."""
    from minerals.sourcing.portfolio_tables import weights
    from minerals.sourcing.shocks import recommend_without

    # The release's own choices: what differs from it is due to the loss alone.
    released = (common.releases(settings).manifest() or {}).get("settings", {})
    choices = Choices(**{**settings.choices.model_dump(), **released})
    solution = recommend_without(rows, lost, weights(choices))
    if solution.shares is None:
        console.print(f"No portfolio without them: {solution.infeasible_because}.")
        return
    then = rows.assign(then=solution.shares).nlargest(10, "then")
    suppliers = [
        {
            "supplier": common.country(settings, row["exporter_iso3"]),
            "now": common.percent(row["actual_share"]),
            "recommended before": common.percent(row["recommended_share"]),
            "recommended then": common.percent(row["then"]),
        }
        for row in then.to_dict("records")
    ]
    common.show(console, suppliers, title="Recommended without them")
    console.print(
        f"HHI {solution.hhi:.2f}, {1 / solution.hhi:.1f} effective suppliers; "
        f"{solution.change:.0%} of today's imports move."
    )
