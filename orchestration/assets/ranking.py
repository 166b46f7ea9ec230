"""Stage 4: suppliers ranked, each year and forward, compared with actual imports and over time."""

from collections.abc import Iterator

import dagster as dg

from orchestration.assets import MODELLERS, WRITER_POOL
from orchestration.metadata import watched
from orchestration.resources import RunSettings, Warehouse


@dg.multi_asset(
    name="rankings",
    group_name="ranking",
    pool=WRITER_POOL,
    specs=[
        dg.AssetSpec(
            name,
            deps=[
                "import_panel",
                "ppml_coefficients",
                "ppml_covariance",
                "ppml_bootstrap",
                "ppml_fit",
            ],
            description=description,
            kinds={"python", "duckdb"},
            owners=MODELLERS,
        )
        for name, description in {
            "ranking_annual": "Predicted and actual rank of every candidate, each year.",
            "ranking_forward": "The forward ranking of suppliers, with its uncertainty.",
            "ranking_persistence": "How long each supplier stays among the leading ones.",
            "portfolio_alignment": "How far each year's imports are from the model's, per mineral.",
        }.items()
    ],
)
@watched
def rankings(warehouse: Warehouse, settings: RunSettings) -> Iterator[dg.MaterializeResult]:
    from minerals.ppml.tables import publishable_coefficients
    from minerals.sourcing.alignment import alignment_by_year
    from minerals.sourcing.persistence import persistence
    from minerals.sourcing.ranking import annual_ranking, forward_ranking

    panel = warehouse.frame("marts.import_panel")
    coefficients = publishable_coefficients(
        warehouse.frame("marts.ppml_coefficients"), warehouse.frame("marts.ppml_fit")
    )
    annual = annual_ranking(panel, coefficients, settings.top_k)
    forward = forward_ranking(
        panel,
        coefficients,
        warehouse.frame("marts.ppml_covariance"),
        top_k=settings.top_k,
        draws=settings.simulation_draws,
        seed=settings.seed,
        bootstrap=warehouse.frame("marts.ppml_bootstrap"),
        forward_years=settings.forward_years,
    )
    tables = {
        "ranking_annual": annual,
        "ranking_forward": forward,
        "ranking_persistence": persistence(annual),
        "portfolio_alignment": alignment_by_year(annual),
    }
    warehouse.save_marts(tables)
    aligned = annual["alignment"].value_counts()
    for name, frame in tables.items():
        metadata: dict[str, object] = {"dagster/row_count": len(frame)}
        if name == "ranking_annual":
            metadata |= {f"{label}_rows": int(count) for label, count in aligned.items()}
        if name == "portfolio_alignment":
            share = frame["misallocated_share"].mean()
            metadata["mean_misallocated_share"] = float(share)
        yield dg.MaterializeResult(asset_key=name, metadata=metadata)
