"""Stage 5: what the ranks mean for the import portfolio, and how near we are to the study."""

from collections.abc import Iterator

import dagster as dg

from minerals.marts import schema
from orchestration.assets import MODELLERS, WRITER_POOL
from orchestration.resources import RefreshSettings, Warehouse


@dg.asset(
    group_name="portfolio",
    description="How concentrated imports are, in fact and by the model, per mineral and category.",
    kinds={"python", "duckdb"},
    owners=MODELLERS,
    pool=WRITER_POOL,
    deps=["import_panel", "ranking_forward"],
)
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
def replication(
    context: dg.AssetExecutionContext, warehouse: Warehouse, settings: RefreshSettings
) -> Iterator[dg.MaterializeResult]:
    from minerals.sourcing.replication import differences, scorecard, summary

    aliases = warehouse.frame("seeds.country_aliases").query("code_system == 'study_name'")
    coefficients = warehouse.frame("marts.ppml_coefficients")
    compared = (
        warehouse.frame("marts.import_panel"),
        coefficients.query("coefficient_source == 'published'"),
        warehouse.frame("seeds.published_forward_ranking"),
        dict(zip(aliases["code"], aliases["iso3"], strict=True)),
        settings.top_k,
    )
    tables = {
        "replication_scorecard": scorecard(*compared),
        "replication_differences": differences(*compared),
    }
    warehouse.save_marts({name: (frame, schema(name)) for name, frame in tables.items()})
    means: dict[str, object] = {}
    for row in summary(tables["replication_scorecard"], settings.top_k).to_dict("records"):
        category = row["category"]
        means[f"{category}_mean_overlap_share"] = float(row["mean_overlap_share"])
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
