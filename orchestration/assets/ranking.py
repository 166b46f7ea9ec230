"""Stage 4: suppliers ranked, each year and forward, compared with actual imports and over time."""

from collections.abc import Iterator

import dagster as dg

from orchestration.assets import WRITER_POOL, mart_spec
from orchestration.metadata import save, step
from orchestration.resources import RunSettings, Warehouse

UPSTREAM = [
    "import_panel",
    "fct_trade_flow",
    "fct_production",
    "fct_country_covariates",
    "dim_country_pair",
    "ppml_coefficients",
    "ppml_covariance",
    "ppml_bootstrap",
    "ppml_fit",
]
MARTS = (
    "ranking_annual",
    "ranking_forward",
    "ranking_persistence",
    "portfolio_alignment",
    "world_coefficients",
    "ranking_backtest",
    "ranking_skill",
)
FLOW = ["importer_iso3", "exporter_iso3", "mineral", "category", "year", "value_usd"]


@dg.multi_asset(
    name="rankings",
    group_name="ranking",
    pool=WRITER_POOL,
    specs=[mart_spec(name, UPSTREAM) for name in MARTS],
)
@step
def rankings(
    context: dg.AssetExecutionContext, warehouse: Warehouse, settings: RunSettings
) -> Iterator[dg.MaterializeResult]:
    from minerals.ppml.tables import publishable_coefficients
    from minerals.sourcing.headline import best_model
    from minerals.sourcing.ranking_tables import ranking_tables
    from minerals.sourcing.world_tables import Inputs

    chosen = settings.chosen
    coefficients = warehouse.frame("marts.ppml_coefficients")
    production = warehouse.frame("conformed.fct_production")
    inputs = Inputs(
        flows=warehouse.frame("conformed.fct_trade_flow", FLOW),
        pairs=warehouse.frame("conformed.dim_country_pair"),
        production=production[production["year"].isin(chosen.years)],
        covariates=warehouse.frame("conformed.fct_country_covariates"),
        panel=warehouse.frame("marts.import_panel"),
        published=coefficients.query("coefficient_source == 'published'"),
    )
    tables = ranking_tables(
        inputs,
        chosen.importers,
        chosen.choices,
        publishable_coefficients(coefficients, warehouse.frame("marts.ppml_fit")),
        warehouse.frame("marts.ppml_covariance"),
        warehouse.frame("marts.ppml_bootstrap"),
    )
    annual, alignment = tables["ranking_annual"], tables["portfolio_alignment"]
    for category in sorted(annual["category"].unique()):
        model, why = best_model(tables["ranking_skill"], category)
        context.log.info(f"{category}: {model or 'no model'} leads{why and ', '}{why}")
    aligned = annual["alignment"].value_counts()
    figures = {
        "ranking_annual": {f"{label}_rows": int(count) for label, count in aligned.items()},
        "portfolio_alignment": {
            "mean_misallocated_share": float(alignment["misallocated_share"].mean())
        },
    }
    yield from save(warehouse, settings, tables, figures)
