"""`minerals portfolio`, `risk` and `shock`: what to buy from whom, and what is at risk.

Shares and the portfolio are read from the marts; what a loss does is computed in
`minerals/sourcing`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from minerals.errors import ReleaseError
from minerals.settings import Choices, Settings
from orchestration.cli import common, names
from orchestration.cli.common import OF_MARKETS

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer()


@app.command()
def portfolio(
    words: names.Words = None,
    importer: names.Importer = None,
    top: Annotated[int, typer.Option(min=1, help="How many to show.")] = 12,
    mineral: names.MineralOption = None,
    category: names.CategoryOption = None,
) -> None:
    """Show the strategy of every mineral, or the recommended portfolio of one."""
    with common.Marts(common.settings(), common.console()) as marts:
        markets = marts.markets(importer, words, mineral, category)
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
        marts.require(strategies, "portfolio", markets)
        if markets[1] is None:
            _print_strategies(marts, strategies)
        for strategy in strategies if markets[1] is not None else ():
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
    marts.console.print("One of them: minerals portfolio copper ores.")


def _print_portfolio(marts: common.Marts, strategy: dict[str, Any], top: int) -> None:
    """The suppliers with today's, the model's and the recommended shares, and why."""
    market = [strategy[name] for name in ("importer_iso3", "mineral", "category")]
    marts.show(
        f"{market[1]} {market[2]} for {marts.country(market[0])}: the suppliers with the largest "
        "recommended shares",
        f"""
        select action, country(exporter_iso3) as supplier, pct(actual_share) as now,
            pct(recommended_share) as recommended, pct(model_share) as model,
            if(capacity_share is null, 'unknown', pct(capacity_share)) as "at most",
            forward_rank as rank, pct(top_k_probability) as "top k",
            replace(role, '_', ' ') as role
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
def risk(
    words: names.Words = None,
    importer: names.Importer = None,
    top: Annotated[int, typer.Option(min=1, help="How many to show.")] = 10,
    mineral: names.MineralOption = None,
    category: names.CategoryOption = None,
) -> None:
    """Show which markets are most at risk, the most concentrated first, and why."""
    with common.Marts(common.settings(), common.console()) as marts:
        markets = marts.markets(importer, words, mineral, category)
        found = marts.rows(
            f"""
            select *, named(top1_exporter_iso3) as largest, named(top1_producer_iso3) as producer,
                hhi_actual_governance / hhi_actual as weak
            from marts.portfolio_concentration
            left join (from marts.portfolio_shocks where shock_kind = 'largest_supplier')
                using (importer_iso3, category, mineral)
            where {OF_MARKETS} order by hhi_actual desc nulls last, category, mineral
            """,
            *markets,
        )
        marts.require(found, "concentration", markets)
        known = [row for row in found if row["hhi_actual"] is not None]
        rows = [
            {
                "mineral": row["mineral"],
                "category": row["category"],
                "HHI": common.number(row["hhi_actual"], ".2f"),
                "suppliers": str(row["n_suppliers"]),
                "why": why_at_risk(row),
            }
            for row in known[:top]
        ]
        title = f"Markets of {marts.country(markets[0])} most at risk, by concentration of imports"
        common.show(marts.console, rows, title)
    console = marts.console
    if len(known) > len(rows):
        console.print(f"and {len(known) - len(rows)} more: --top {len(known)} shows them")
    if len(found) > len(known):
        console.print(
            f"{common.count(len(found) - len(known), 'market')} without imports of known quantity."
        )
    console.print("What to do about one: minerals portfolio rare earths products.")


def why_at_risk(row: dict[str, Any]) -> str:
    """What makes a market risky, from `portfolio_concentration`, `weak` (0 to 1: the governance
    risk of its suppliers, weighted by squared share) and the loss of the largest supplier."""
    trend = row["top1_share_trend"] or 0.0
    reasons = [f"{row['largest']} sells {row['top1_share']:.0%}"]
    if abs(trend) >= 0.01:
        verb = "rising" if trend > 0 else "falling"
        reasons[0] += f" ({verb} by {abs(trend) * 100:.0f} points a year)"
    replaced = row["replaceable_share"]
    if replaced is not None and replaced < 0.995:
        reasons.append(f"the others could replace {replaced:.0%} of it")
    if row["is_narrow_pool"]:
        reasons.append(f"few to choose from ({common.count(row['n_candidates'], 'candidate')})")
    if row["weak"] is not None and row["weak"] >= 0.5:
        reasons.append("weakly governed suppliers")
    if row["top1_production_share"] is not None and row["top1_production_share"] >= 0.5:
        reasons.append(f"{row['producer']} mines {row['top1_production_share']:.0%} of the world's")
    return "; ".join(reasons)


@app.command()
def shock(
    words: names.Words = None,
    lose: Annotated[
        list[str] | None,
        typer.Option(
            help="The suppliers lost, by name or ISO code: China,Russia, or the option repeated.",
            autocompletion=names.COUNTRIES,
        ),
    ] = None,
    importer: names.Importer = None,
    mineral: names.MineralOption = None,
    category: names.CategoryOption = None,
) -> None:
    """Take suppliers away: what is lost, who can step in, what is recommended then."""
    from minerals.sourcing import shocks

    settings, console = common.settings(), common.console()
    with common.Marts(settings, console) as marts:
        markets = marts.markets(importer, words, mineral, category)
        partners = marts.connection.execute(
            f"select * from marts.portfolio_partners where {OF_MARKETS} "
            "order by category, mineral, forward_rank",
            markets,
        ).df()
    lost = names.known_countries(lose or (), settings)
    unknown = sorted(set(lost) - set(partners["exporter_iso3"]))
    if not lost or unknown:
        without = ", ".join(common.country(settings, iso3) for iso3 in unknown)
        raise ReleaseError(
            f"--lose {without or 'nothing'}: no supplier of these markets; name one that is, for "
            "example `minerals shock --lose China`."
        )
    by_market = [rows for _, rows in partners.groupby(["category", "mineral"])]
    losses = [(rows, shocks.lose(rows, lost)) for rows in by_market]
    hit = [(rows, loss) for rows, loss in losses if loss.lost_qty_kg > 0]
    hit.sort(key=lambda pair: -pair[1].lost_share)
    without = ", ".join(common.country(settings, iso3) for iso3 in lost)
    title = f"{common.country(settings, markets[0])} without {without}"
    if not hit:
        places = "one market" if len(losses) == 1 else f"{len(losses)} markets"
        console.print(f"{title}: nothing of known quantity is lost in {places}.")
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
