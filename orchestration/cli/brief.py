"""`minerals brief`: one mineral on one page, each figure with how well it is supported."""

from typing import Annotated

import typer

from minerals.errors import ReleaseError
from minerals.names import WEAKEST_FIRST
from orchestration.cli import common, names

app = typer.Typer()
_SUPPLIERS, _EVENTS = 5, 6
_MACROS = """
create temp macro buyer() as getvariable('importer');
create temp macro is_asked(importer, name) as importer = buyer() and name = getvariable('mineral');
"""
# Each section: its title and a query.
_SECTIONS = {
    "World supply by stage, and the importer's own part (computed)": """
        select stage, source_dataset as source, year,
            string_agg(named(country_iso3) || ' ' || pct(share), ', ' order by world_rank)
                filter (world_rank <= 3) as leaders,
            replace(pct(max(share) filter (country_iso3 = buyer())), 'none', 'no figure') as own
        from (from marts.world_production_shares
            where is_asked(buyer(), mineral) and form = ''
            qualify year = max(year) over (partition by stage, source_dataset))
        group by all order by stage, source""",
    "Imports and their concentration (computed)": """
        select category, named(top1_exporter_iso3) as largest, pct(top1_share) as share,
            printf('%.2f', hhi_actual) as HHI, n_suppliers as suppliers,
            n_candidates as candidates,
            coalesce(case when unreplaceable_share is not null then pct(unreplaceable_share) end,
                'unknown') as unreplaceable
        from marts.portfolio_concentration
        left join (select importer_iso3, category, mineral, unreplaceable_share
            from marts.contingency_priorities) using (importer_iso3, category, mineral)
        where is_asked(importer_iso3, mineral) and top1_share is not null
        order by category""",
    "Leading suppliers and recommended shares (modelled)": f"""
        select category, forward_rank as rank, named(exporter_iso3) as supplier,
            supplier_type as type, pct(actual_share) as now, pct(recommended_share) as recommended
        from marts.portfolio_partners
        where is_asked(importer_iso3, mineral) and annual_qty_kg is not null
        qualify row_number() over (
                partition by category order by recommended_share desc nulls last, forward_rank
            ) <= {_SUPPLIERS}
            and sum(annual_qty_kg) over (partition by category) > 0
        order by category, recommended_share desc, forward_rank""",
    "What to do, after the study (single_source)": """
        select category, replace(strategy, '_', ' ') as strategy, instruments
        from marts.policy_options
        where is_asked(importer_iso3, mineral)
            and strategy <> 'build_data'
        order by category""",
    "Restrictions, and what they put at risk (loss expected: modelled)": f"""
        select category, event,
            if(x.is_in_force, 'in force', 'not in force') || if(is_status_outdated, ', check', '')
                as state,
            pct(lost_share_full) as "all lost", pct(lost_share_expected) as expected,
            replace(exposure_basis, '_', ' ') as basis, x.evidence_label as label
        from marts.policy_event_exposure as x
        join (select distinct event_id, is_status_outdated from marts.policy_events)
            using (event_id)
        where is_asked(importer_iso3, mineral) and exposure_basis <> 'none'
        order by x.is_in_force desc, lost_share_expected desc, category, event
        limit {_EVENTS}""",
    "Agreements with the leading suppliers": f"""
        with top as (
            select exporter_iso3, max(recommended_share) as share from marts.portfolio_partners
            where is_asked(importer_iso3, mineral)
            group by all order by share desc nulls last, exporter_iso3 limit {_SUPPLIERS})
        select named(exporter_iso3) as supplier,
            coalesce(string_agg(name, '; ' order by name)
                filter (mode = 'bilateral' or scope = 'minerals'), 'none available') as agreements,
            count(agreement_id) as "all in the register",
            coalesce(min_by(evidence_label,
                list_position({list(WEAKEST_FIRST)}, evidence_label)), '') as "weakest label"
        from top
        left join (from marts.partner_agreements where importer_iso3 = buyer())
            on exporter_iso3 = partner_iso3
        group by exporter_iso3, share order by share desc nulls last""",
    "Chokepoints, 1 (hollow) to 5": """
        select chokepoint, coalesce(nullif(sector, ''), 'by mineral') as sector, score_kind as kind,
            coalesce(score::varchar, word) as score, evidence_label as label
        from marts.chokepoint_scores
        where is_asked(country_iso3, mineral)
        order by chokepoint, kind""",
    "Signals, newest first (none moves a portfolio)": f"""
        select coalesce(signal_date::varchar, 'lasting') as date, subject, maturity,
            evidence_label as label
        from marts.supply_signals
        where is_asked(coalesce(importer_iso3, buyer()), mineral)
        order by signal_date desc nulls last, signal_id limit {_EVENTS}""",
}


@app.command()
def brief(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MINERAL",
            help="A mineral, such as lithium or rare earths.",
            autocompletion=names.MINERAL,
            show_default=False,
        ),
    ] = None,
    importer: names.Importer = None,
    mineral: names.MineralOption = None,
) -> None:
    """Print one mineral on one page: supply, imports, portfolio, measures, agreements, signals."""
    with common.Marts(common.settings(), common.console()) as marts:
        buyer, name, category = marts.markets(importer, words, mineral)
        if category is not None:
            raise ReleaseError("brief covers all categories: leave the category out.")
        if name is None:
            raise ReleaseError("Name a mineral, for example `minerals brief rare earths`.")
        marts.connection.execute("set variable importer = ?", [buyer])
        marts.connection.execute("set variable mineral = ?", [name])
        marts.connection.execute(_MACROS)
        (release,) = marts.rows("select made_at, release_id from marts.dim_release")
        marts.console.print(f"{name} for {marts.country(buyer)}, {release['made_at']:%d %B %Y}")
        for title, sql in _SECTIONS.items():
            rows = marts.rows(sql)
            marts.console.print()
            common.show(marts.console, rows, title)
            if not rows:
                marts.console.print(f"{title}: none available")
    marts.console.print(f"\nRelease {release['release_id']}.")
