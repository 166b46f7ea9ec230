"""Stage 5: what the ranks mean for the import portfolio, and how near we are to the study."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

import dagster as dg
import pandas as pd

from minerals.names import STUDY_IMPORTER
from orchestration.assets import WRITER_POOL, importers_of, mart_spec
from orchestration.metadata import Metadata, Progress, every_importer, save, step
from orchestration.resources import RunSettings, Warehouse

# Of each mart what it is made from.
FROM = {
    "portfolio_concentration": [
        "import_panel",
        "ranking_forward",
        "fct_production",
        "fct_country_covariates",
    ],
    "portfolio_concentration_annual": ["import_panel"],
    "portfolio_optimization": [
        "import_panel",
        "ranking_forward",
        "ranking_persistence",
        "fct_country_covariates",
        "policy_events",
        "partner_attributes",
        "supplier_types",
    ],
    "portfolio_frontier": ["portfolio_optimization"],
    "portfolio_partners": ["portfolio_optimization", "portfolio_concentration"],
    "portfolio_sensitivity": ["portfolio_optimization", "policy_events"],
    "portfolio_strategy": ["portfolio_partners"],
    "portfolio_core_partners": ["portfolio_partners"],
    "portfolio_shocks": ["portfolio_partners", "policy_events"],
}
OF_STUDY = f"importer_iso3 = '{STUDY_IMPORTER}'"
EXPOSED = ["policy_events", "portfolio_shocks", "trade_flows"]
OF_POLICY = {
    "policy_event_exposure": EXPOSED,
    "signal_exposure": [
        *EXPOSED,
        "supply_signals",
        "portfolio_partners",
        "int_world_supply__latest",
        "dim_country",
    ],
    "policy_options": ["portfolio_strategy", "policy_instruments", "portfolio_core_partners"],
    "contingency_priorities": [*EXPOSED, "portfolio_concentration"],
}
OVERVIEWED = [
    "portfolio_partners",
    "portfolio_strategy",
    "ranking_forward",
    "dim_country",
]
COMPARED = [
    "import_panel",
    "ppml_coefficients",
    "ranking_forward",
    "published_forward_ranking",
    "country_aliases",
]


@dg.multi_asset(
    name="portfolio",
    group_name="portfolio",
    pool=WRITER_POOL,
    specs=[mart_spec(name, made_from) for name, made_from in FROM.items()],
    check_specs=[every_importer("portfolio_partners")],
)
@step
def portfolio(
    context: dg.AssetExecutionContext, warehouse: Warehouse, settings: RunSettings
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    from minerals.parallel import one_by_one_on_failure
    from minerals.sourcing.portfolio_tables import portfolio_tables

    chosen = settings.chosen
    years = f"year between {chosen.first_year} and {chosen.last_year}"
    panel = warehouse.frame("marts.import_panel")
    headline = warehouse.frame("marts.ranking_forward", where="is_headline")
    persistence = warehouse.frame("marts.ranking_persistence")
    shared = (
        warehouse.frame("conformed.fct_production", where=years),
        warehouse.frame("conformed.fct_country_covariates"),
        warehouse.frame("marts.policy_events", where="is_supply_restriction"),
        warehouse.frame("marts.partner_attributes"),
        warehouse.frame("marts.supplier_types"),
    )
    importers = importers_of(chosen, panel)
    grouped = warehouse.groups(importers)
    progress = Progress(context, importers)
    figures: dict[str, Metadata] = defaultdict(dict)
    recommended: list[pd.Series] = []

    def parts() -> Iterator[Mapping[str, pd.DataFrame]]:
        jobs = (
            (
                portfolio_tables,
                group,
                [
                    chosen.choices,
                    *(f[f["importer_iso3"].isin(group)] for f in (panel, headline, persistence)),
                    *shared,
                ],
            )
            for group in grouped
        )
        made = warehouse.side_by_side(one_by_one_on_failure, jobs, len(grouped))
        for tables in progress.tables(grouped, made):
            for row in tables["portfolio_optimization"].query("not is_feasible").to_dict("records"):
                market = f"{row['importer_iso3']} {row['category']} {row['mineral']}"
                context.log.warning(f"no portfolio for {market}: {row['infeasible_because']}")
            for mart, counts in _counts(tables).items():
                for name, n in counts.items():
                    figures[mart][name] = figures[mart].get(name, 0) + int(n)
            recommended.append(tables["portfolio_optimization"]["hhi_recommended"])
            mean = float(pd.concat(recommended).mean())
            figures["portfolio_optimization"]["mean_hhi_recommended"] = mean
            yield tables

    yield from save(warehouse, settings, parts(), figures)
    yield progress.check("portfolio_partners")


def _counts(tables: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, int]]:
    """Numbers of each mart that the UI plots over runs."""

    def counted(mart: str, column: str, of_what: str) -> dict[str, int]:
        return {f"{word}_{of_what}": n for word, n in tables[mart][column].value_counts().items()}

    concentration = tables["portfolio_concentration"]
    return {
        "portfolio_concentration": {
            "concentrated": concentration["is_concentrated"].fillna(False).sum(),
            "narrow_pools": concentration["is_narrow_pool"].sum(),
        },
        "portfolio_optimization": {
            "infeasible": (~tables["portfolio_optimization"]["is_feasible"]).sum()
        },
        "portfolio_partners": counted("portfolio_partners", "action", "rows")
        | counted("portfolio_partners", "role", "rows"),
        "portfolio_strategy": counted("portfolio_strategy", "strategy", "markets"),
    }


@dg.multi_asset(
    name="overview",
    group_name="portfolio",
    pool=WRITER_POOL,
    specs=[mart_spec("supplier_overview", OVERVIEWED)],
)
@step
def overview(warehouse: Warehouse, settings: RunSettings) -> Iterator[dg.MaterializeResult]:
    from minerals.sourcing.overview import supplier_overview

    tables = (warehouse.frame(f"marts.{name}") for name in OVERVIEWED)
    yield from save(warehouse, settings, [{"supplier_overview": supplier_overview(*tables)}])


@dg.multi_asset(
    name="policy",
    group_name="portfolio",
    pool=WRITER_POOL,
    specs=[mart_spec(name, upstream) for name, upstream in OF_POLICY.items()],
)
@step
def policy(warehouse: Warehouse, settings: RunSettings) -> Iterator[dg.MaterializeResult]:
    from minerals.sourcing.policy import (
        contingency_priorities,
        policy_event_exposure,
        policy_options,
        signal_exposure,
    )

    events = warehouse.frame("marts.policy_events", where="is_supply_restriction")
    shocks = warehouse.frame("marts.portfolio_shocks", where="shock_kind <> 'partner'")
    is_event = shocks["shock_kind"] == "event"
    last_year = warehouse.frame(
        "marts.trade_flows",
        where="year = (select max(year) from marts.trade_flows) "
        "and importer_iso3 in (select importer_iso3 from marts.portfolio_shocks)",
    )
    exposure = policy_event_exposure(events, shocks[is_event], last_year)
    tables = {
        "policy_event_exposure": exposure,
        "signal_exposure": signal_exposure(
            warehouse.frame("marts.supply_signals"),
            warehouse.frame("marts.portfolio_partners"),
            warehouse.frame("conformed.int_world_supply__latest"),
            events,
            warehouse.frame("marts.dim_country"),
            last_year,
        ),
        "policy_options": policy_options(
            warehouse.frame("marts.portfolio_strategy"),
            warehouse.frame("seeds.policy_instruments"),
            warehouse.frame("marts.portfolio_core_partners"),
        ),
        "contingency_priorities": contingency_priorities(
            shocks[~is_event], warehouse.frame("marts.portfolio_concentration"), exposure
        ),
    }
    yield from save(warehouse, settings, [tables])


@dg.multi_asset(
    name="replication",
    group_name="portfolio",
    pool=WRITER_POOL,
    specs=[
        mart_spec("published_fit", ["published_model_fit", "ppml_fit"]),
        mart_spec("published_rankings", COMPARED),
        mart_spec("replication_scorecard", ["published_rankings"]),
        mart_spec("replication_differences", ["published_rankings"]),
    ],
)
@step
def replication(
    context: dg.AssetExecutionContext, warehouse: Warehouse, settings: RunSettings
) -> Iterator[dg.MaterializeResult]:
    from minerals.sourcing.replication import comparison, fit_beside_ours, summary

    top_k = settings.chosen.top_k
    aliases = warehouse.frame("seeds.country_aliases").query("code_system == 'study_name'")
    coefficients = warehouse.frame("marts.ppml_coefficients", where=OF_STUDY)
    tables = {
        "published_fit": fit_beside_ours(
            warehouse.frame("seeds.published_model_fit"),
            warehouse.frame("marts.ppml_fit", where=OF_STUDY),
        ),
        **comparison(
            warehouse.frame("marts.import_panel", where=OF_STUDY),
            coefficients.query("coefficient_source == 'published'"),
            warehouse.frame("seeds.published_forward_ranking"),
            dict(zip(aliases["code"], aliases["iso3"], strict=True)),
            warehouse.frame("marts.ranking_forward", where=OF_STUDY),
            top_k,
        ),
    }
    figures: Metadata = {}
    for row in summary(tables["replication_scorecard"], top_k).to_dict("records"):
        means = {name: value for name, value in row.items() if name.startswith("mean_")}
        figures |= {f"{row['category']}_{name}": float(value) for name, value in means.items()}
        context.log.info(
            f"{row['category']}: mean top-{top_k} overlap {row['mean_overlap_share']:.3f}, mean "
            f"Spearman {row['mean_spearman_rho']:.3f} over {row['n_minerals']} minerals"
        )
    yield from save(warehouse, settings, [tables], {"replication_scorecard": figures})
