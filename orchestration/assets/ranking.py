"""Stage 4: suppliers ranked, each year and forward, compared with actual imports and over time."""

from collections.abc import Iterator

import dagster as dg

from orchestration.assets import WRITER_POOL, mart_spec
from orchestration.metadata import save, step
from orchestration.resources import RunSettings, Warehouse

UPSTREAM = ["import_panel", "ppml_coefficients", "ppml_covariance", "ppml_bootstrap", "ppml_fit"]
MARTS = ("ranking_annual", "ranking_forward", "ranking_persistence", "portfolio_alignment")


@dg.multi_asset(
    name="rankings",
    group_name="ranking",
    pool=WRITER_POOL,
    specs=[mart_spec(name, UPSTREAM) for name in MARTS],
)
@step
def rankings(warehouse: Warehouse, settings: RunSettings) -> Iterator[dg.MaterializeResult]:
    from minerals.ppml.tables import publishable_coefficients
    from minerals.sourcing.alignment import alignment_by_year
    from minerals.sourcing.persistence import persistence
    from minerals.sourcing.ranking import annual_ranking, forward_ranking

    chosen = settings.chosen
    panel = warehouse.frame("marts.import_panel")
    coefficients = publishable_coefficients(
        warehouse.frame("marts.ppml_coefficients"), warehouse.frame("marts.ppml_fit")
    )
    annual = annual_ranking(panel, coefficients, chosen.top_k)
    forward = forward_ranking(
        panel,
        coefficients,
        warehouse.frame("marts.ppml_covariance"),
        top_k=chosen.top_k,
        draws=chosen.simulation_draws,
        seed=chosen.seed,
        bootstrap=warehouse.frame("marts.ppml_bootstrap"),
        forward_years=chosen.forward_years,
    )
    alignment = alignment_by_year(annual)
    tables = {
        "ranking_annual": annual,
        "ranking_forward": forward,
        "ranking_persistence": persistence(annual),
        "portfolio_alignment": alignment,
    }
    aligned = annual["alignment"].value_counts()
    figures = {
        "ranking_annual": {f"{label}_rows": int(count) for label, count in aligned.items()},
        "portfolio_alignment": {
            "mean_misallocated_share": float(alignment["misallocated_share"].mean())
        },
    }
    yield from save(warehouse, settings, tables, figures)
