"""Stage 5: what the ranks mean for the import portfolio, and how near we are to the study."""

from collections.abc import Iterator, Mapping

import dagster as dg
import pandas as pd

from orchestration.assets import WRITER_POOL, mart_spec
from orchestration.metadata import Metadata, save, step
from orchestration.resources import RunSettings, Warehouse

UPSTREAM = [
    "import_panel",
    "fct_production",
    "fct_country_covariates",
    "ranking_forward",
    "ranking_persistence",
    "supply_events",
]
MARTS = (
    "portfolio_concentration",
    "portfolio_concentration_annual",
    "portfolio_partners",
    "portfolio_optimization",
    "portfolio_frontier",
    "portfolio_strategy",
    "portfolio_core_partners",
    "portfolio_shocks",
)
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
    specs=[mart_spec(name, UPSTREAM) for name in MARTS],
)
@step
def portfolio(
    context: dg.AssetExecutionContext, warehouse: Warehouse, settings: RunSettings
) -> Iterator[dg.MaterializeResult]:
    from minerals.sourcing.portfolio_tables import portfolio_tables

    production = warehouse.frame("conformed.fct_production")
    tables = portfolio_tables(
        settings.chosen.choices,
        panel=warehouse.frame("marts.import_panel"),
        production=production[production["year"].isin(settings.chosen.years)],
        country_covariates=warehouse.frame("conformed.fct_country_covariates"),
        ranking_forward=warehouse.frame("marts.ranking_forward"),
        ranking_persistence=warehouse.frame("marts.ranking_persistence"),
        supply_events=warehouse.frame("seeds.supply_events"),
    )
    for row in tables["portfolio_optimization"].query("not is_feasible").to_dict("records"):
        market = f"{row['importer_iso3']} {row['category']} {row['mineral']}"
        context.log.warning(f"no portfolio for {market}: {row['infeasible_because']}")
    yield from save(warehouse, settings, tables, _figures(tables))


def _figures(tables: Mapping[str, pd.DataFrame]) -> dict[str, Metadata]:
    """Numbers that the UI plots over runs."""
    concentration = tables["portfolio_concentration"]
    optimization = tables["portfolio_optimization"]
    roles = tables["portfolio_partners"]["role"].value_counts()
    strategies = tables["portfolio_strategy"]["strategy"].value_counts()
    return {
        "portfolio_concentration": {
            "concentrated": int(concentration["is_concentrated"].fillna(False).sum()),
            "narrow_pools": int(concentration["is_narrow_pool"].sum()),
        },
        "portfolio_optimization": {
            "infeasible": int((~optimization["is_feasible"]).sum()),
            "mean_hhi_recommended": float(optimization["hhi_recommended"].mean()),
        },
        "portfolio_partners": {f"{role}_rows": int(n) for role, n in roles.items()},
        "portfolio_strategy": {f"{name}_markets": int(n) for name, n in strategies.items()},
    }


@dg.multi_asset(
    name="replication",
    group_name="portfolio",
    pool=WRITER_POOL,
    specs=[
        mart_spec(name, COMPARED) for name in ("replication_scorecard", "replication_differences")
    ],
)
@step
def replication(
    context: dg.AssetExecutionContext, warehouse: Warehouse, settings: RunSettings
) -> Iterator[dg.MaterializeResult]:
    from minerals.sourcing.replication import differences, scorecard, summary

    top_k = settings.chosen.top_k
    aliases = warehouse.frame("seeds.country_aliases").query("code_system == 'study_name'")
    coefficients = warehouse.frame("marts.ppml_coefficients")
    compared = (
        warehouse.frame("marts.import_panel"),
        coefficients.query("coefficient_source == 'published'"),
        warehouse.frame("seeds.published_forward_ranking"),
        dict(zip(aliases["code"], aliases["iso3"], strict=True)),
    )
    tables = {
        "replication_scorecard": scorecard(
            *compared, warehouse.frame("marts.ranking_forward"), top_k
        ),
        "replication_differences": differences(*compared, top_k),
    }
    figures: Metadata = {}
    for row in summary(tables["replication_scorecard"], top_k).to_dict("records"):
        means = {name: value for name, value in row.items() if name.startswith("mean_")}
        figures |= {f"{row['category']}_{name}": float(value) for name, value in means.items()}
        context.log.info(
            f"{row['category']}: mean top-{top_k} overlap {row['mean_overlap_share']:.3f}, mean "
            f"Spearman {row['mean_spearman_rho']:.3f} over {row['n_minerals']} minerals"
        )
    yield from save(warehouse, settings, tables, {"replication_scorecard": figures})
