"""Stage 3: one PPML model per importer and category, and the study's coefficients beside ours."""

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from minerals.marts import schema
from orchestration.assets import MODELLERS, WRITER_POOL
from orchestration.resources import RefreshSettings, Warehouse


@dg.multi_asset(
    name="ppml",
    group_name="estimation",
    pool=WRITER_POOL,
    specs=[
        dg.AssetSpec(
            "ppml_coefficients",
            deps=["import_panel", "published_ppml_coefficients"],
            description="Coefficients of the gravity models: ours, and the study's as published.",
            kinds={"python", "duckdb"},
            owners=MODELLERS,
        ),
        dg.AssetSpec(
            "ppml_covariance",
            deps=["import_panel"],
            description="Covariance of our coefficients, clustered by exporter.",
            kinds={"python", "duckdb"},
            owners=MODELLERS,
        ),
        dg.AssetSpec(
            "ppml_fit",
            deps=["import_panel"],
            description="How well each model fits, and whether it may be published.",
            kinds={"python", "duckdb"},
            owners=MODELLERS,
        ),
    ],
)
def ppml(
    context: dg.AssetExecutionContext, warehouse: Warehouse, settings: RefreshSettings
) -> Iterator[dg.MaterializeResult]:
    from minerals.ppml.tables import (
        estimate_categories,
        published_coefficients_frame,
    )

    panel = warehouse.frame("marts.import_panel")
    published = warehouse.frame("seeds.published_ppml_coefficients")
    estimates = [estimate_categories(panel, importer) for importer in settings.importers]
    coefficients = [e.coefficients for e in estimates]
    coefficients += [published_coefficients_frame(i, published) for i in settings.importers]
    tables = {
        "ppml_coefficients": pd.concat(coefficients, ignore_index=True),
        "ppml_covariance": pd.concat([e.covariance for e in estimates], ignore_index=True),
        "ppml_fit": pd.concat([e.fit for e in estimates], ignore_index=True),
    }
    warehouse.save_marts({name: (frame, schema(name)) for name, frame in tables.items()})
    for row in tables["ppml_fit"].to_dict("records"):
        verdict = "publishable" if row["is_publishable"] else f"not published: {row['reason']}"
        context.log.info(f"{row['importer_iso3']} {row['category']}: {verdict}")
    for name, frame in tables.items():
        metadata = {"dagster/row_count": len(frame)}
        if name == "ppml_fit":
            metadata |= _fit_metadata(frame)
        yield dg.MaterializeResult(asset_key=name, metadata=metadata)


def _fit_metadata(fit: pd.DataFrame) -> dict[str, object]:
    """One number a model and statistic, so that the UI plots them over runs."""
    figures: dict[str, object] = {}
    for row in fit.to_dict("records"):
        model = f"{row['importer_iso3']}_{row['category']}"
        figures[f"{model}_is_publishable"] = int(row["is_publishable"])
        for statistic in ("pseudo_r2", "n_observations", "n_nonzero", "n_separated_dropped"):
            if pd.notna(row[statistic]):
                figures[f"{model}_{statistic}"] = float(row[statistic])
    return figures
