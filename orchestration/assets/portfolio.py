"""Stage 5: what the ranks mean for the import portfolio, and how near we are to the study."""

import dagster as dg

from minerals.marts import schema
from orchestration.assets import MODELLERS, WRITER_POOL
from orchestration.metadata import watched
from orchestration.resources import RefreshSettings, Warehouse


@dg.asset(
    group_name="portfolio",
    description="How concentrated imports are, in fact and by the model, per mineral and category.",
    kinds={"python", "duckdb"},
    owners=MODELLERS,
    pool=WRITER_POOL,
    deps=["import_panel", "ranking_forward"],
)
@watched
def portfolio_concentration(warehouse: Warehouse) -> dg.MaterializeResult:
    from minerals.sourcing.concentration import concentration

    frame = concentration(
        warehouse.frame("marts.import_panel"), warehouse.frame("marts.ranking_forward")
    )
    warehouse.save_marts({"portfolio_concentration": (frame, schema("portfolio_concentration"))})
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(frame),
            "concentrated": int(frame["is_concentrated"].fillna(False).sum()),
            "narrow_pools": int(frame["is_narrow_pool"].sum()),
        }
    )


@dg.asset(
    group_name="portfolio",
    description="The study's coefficients on our covariates, against its printed ranking.",
    kinds={"python", "duckdb"},
    owners=MODELLERS,
    pool=WRITER_POOL,
    deps=["import_panel", "ppml_coefficients", "published_forward_ranking", "country_aliases"],
)
@watched
def replication_scorecard(
    context: dg.AssetExecutionContext, warehouse: Warehouse, settings: RefreshSettings
) -> dg.MaterializeResult:
    from minerals.sourcing.replication import scorecard, summary

    aliases = warehouse.frame("seeds.country_aliases").query("code_system == 'study_name'")
    coefficients = warehouse.frame("marts.ppml_coefficients")
    frame = scorecard(
        warehouse.frame("marts.import_panel"),
        coefficients.query("coefficient_source == 'published'"),
        warehouse.frame("seeds.published_forward_ranking"),
        dict(zip(aliases["code"], aliases["iso3"], strict=True)),
        settings.top_k,
    )
    warehouse.save_marts({"replication_scorecard": (frame, schema("replication_scorecard"))})
    metadata: dict[str, object] = {"dagster/row_count": len(frame)}
    for row in summary(frame, settings.top_k).to_dict("records"):
        category = row["category"]
        metadata[f"{category}_mean_overlap_share"] = float(row["mean_overlap_share"])
        metadata[f"{category}_mean_spearman_rho"] = float(row["mean_spearman_rho"])
        context.log.info(
            f"{category}: mean top-{settings.top_k} overlap {row['mean_overlap_share']:.3f}, mean "
            f"Spearman {row['mean_spearman_rho']:.3f} over {row['n_minerals']} minerals"
        )
    return dg.MaterializeResult(metadata=metadata)
