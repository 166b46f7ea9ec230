"""Stage 5: what the ranks mean for the import portfolio, and how near we are to the study."""

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from orchestration.assets import MODELLERS, WRITER_POOL
from orchestration.metadata import watched
from orchestration.resources import RunSettings, Warehouse

UPSTREAM = [
    "import_panel",
    "fct_production",
    "fct_country_covariates",
    "ranking_forward",
    "ranking_persistence",
    "supply_events",
]
SPECS = {
    "portfolio_concentration": "How concentrated imports are, in fact and by the model, per "
    "mineral and category, and the world's production.",
    "portfolio_concentration_annual": "How concentrated each year's imports are.",
    "portfolio_partners": "What each supplier delivers, could and should deliver, and its role.",
    "portfolio_optimization": "The recommended portfolio of each mineral: objective and limits.",
    "portfolio_frontier": "What less concentration costs, mineral by mineral.",
    "portfolio_strategy": "What to do about each mineral and category, and why.",
    "portfolio_core_partners": "Countries that lead in many minerals, and in one alone.",
    "portfolio_shocks": "What is lost when a supplier falls away, and who can step in.",
}


@dg.multi_asset(
    name="portfolio",
    group_name="portfolio",
    pool=WRITER_POOL,
    specs=[
        dg.AssetSpec(
            name,
            deps=UPSTREAM,
            description=description,
            kinds={"python", "duckdb"},
            owners=MODELLERS,
        )
        for name, description in SPECS.items()
    ],
)
@watched
def portfolio(
    context: dg.AssetExecutionContext, warehouse: Warehouse, settings: RunSettings
) -> Iterator[dg.MaterializeResult]:
    from minerals.sourcing.portfolio_tables import Inputs, portfolio_tables

    production = warehouse.frame("conformed.fct_production")
    tables = portfolio_tables(
        Inputs(
            panel=warehouse.frame("marts.import_panel"),
            production=production.loc[
                production["year"].between(
                    settings.deployed.first_year, settings.deployed.last_year
                )
            ],
            country_covariates=warehouse.frame("conformed.fct_country_covariates"),
            ranking_forward=warehouse.frame("marts.ranking_forward"),
            ranking_persistence=warehouse.frame("marts.ranking_persistence"),
            supply_events=warehouse.frame("seeds.supply_events"),
        ),
        settings.chosen.choices,
    )
    warehouse.save_marts(tables)
    for row in tables["portfolio_optimization"].to_dict("records"):
        if not row["is_feasible"]:
            market = f"{row['importer_iso3']} {row['category']} {row['mineral']}"
            context.log.warning(f"no portfolio for {market}: {row['infeasible_because']}")
    for name, frame in tables.items():
        metadata: dict[str, object] = {"dagster/row_count": len(frame)}
        yield dg.MaterializeResult(asset_key=name, metadata=metadata | _figures(name, frame))


def _figures(name: str, frame: pd.DataFrame) -> dict[str, object]:
    """Numbers that the UI plots over runs."""
    if name == "portfolio_concentration":
        return {
            "concentrated": int(frame["is_concentrated"].fillna(False).sum()),
            "narrow_pools": int(frame["is_narrow_pool"].sum()),
        }
    if name == "portfolio_optimization":
        return {
            "infeasible": int((~frame["is_feasible"]).sum()),
            "mean_hhi_recommended": float(frame["hhi_recommended"].mean()),
        }
    if name == "portfolio_partners":
        return {f"{role}_rows": int(n) for role, n in frame["role"].value_counts().items()}
    if name == "portfolio_strategy":
        return {f"{word}_markets": int(n) for word, n in frame["strategy"].value_counts().items()}
    return {}


@dg.multi_asset(
    name="replication",
    group_name="portfolio",
    pool=WRITER_POOL,
    specs=[
        dg.AssetSpec(
            name,
            deps=[
                "import_panel",
                "ppml_coefficients",
                "ranking_forward",
                "published_forward_ranking",
                "country_aliases",
            ],
            description=description,
            kinds={"python", "duckdb"},
            owners=MODELLERS,
        )
        for name, description in {
            "replication_scorecard": "The study's coefficients on our covariates, against its "
            "printed ranking.",
            "replication_differences": "Suppliers whose place in the printed ranking is not ours.",
        }.items()
    ],
)
@watched
def replication(
    context: dg.AssetExecutionContext, warehouse: Warehouse, settings: RunSettings
) -> Iterator[dg.MaterializeResult]:
    from minerals.sourcing.replication import differences, scorecard, summary

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
            *compared, warehouse.frame("marts.ranking_forward"), settings.top_k
        ),
        "replication_differences": differences(*compared, settings.top_k),
    }
    warehouse.save_marts(tables)
    means: dict[str, object] = {}
    for row in summary(tables["replication_scorecard"], settings.top_k).to_dict("records"):
        category = row["category"]
        means[f"{category}_mean_overlap_share"] = float(row["mean_overlap_share"])
        means[f"{category}_mean_overlap_share_as_served"] = float(
            row["mean_overlap_share_as_served"]
        )
        means[f"{category}_mean_spearman_rho"] = float(row["mean_spearman_rho"])
        context.log.info(
            f"{category}: mean top-{settings.top_k} overlap {row['mean_overlap_share']:.3f}, mean "
            f"Spearman {row['mean_spearman_rho']:.3f} over {row['n_minerals']} minerals"
        )
    for name, frame in tables.items():
        metadata: dict[str, object] = {"dagster/row_count": len(frame)}
        if name == "replication_scorecard":
            metadata |= means
        yield dg.MaterializeResult(asset_key=name, metadata=metadata)
