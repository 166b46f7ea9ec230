"""Stage 3: one PPML model per importer and category, and the study's coefficients beside ours."""

import base64
from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg
import pandas as pd

from orchestration.assets import MODELLERS, WRITER_POOL
from orchestration.metadata import watched
from orchestration.resources import RunSettings, Warehouse

if TYPE_CHECKING:
    from minerals.ppml.tables import Estimates

AGREES = "agrees_with_statsmodels"
SPECS = {
    "ppml_coefficients": "Coefficients of the gravity models: ours, and the study's as published.",
    "ppml_covariance": "Covariance of our coefficients, clustered by exporter.",
    "ppml_bootstrap": "Our coefficients in samples of exporters drawn with replacement.",
    "ppml_fit": "How well each model fits, and whether it may be published.",
}


@dg.multi_asset(
    name="ppml",
    group_name="estimation",
    pool=WRITER_POOL,
    specs=[
        dg.AssetSpec(
            name,
            deps=["import_panel", "published_ppml_coefficients"]
            if name == "ppml_coefficients"
            else ["import_panel"],
            description=description,
            kinds={"python", "duckdb"},
            owners=MODELLERS,
        )
        for name, description in SPECS.items()
    ],
    check_specs=[
        dg.AssetCheckSpec(
            AGREES,
            asset="ppml_fit",
            blocking=True,
            description="statsmodels fits every model beside ours; a difference above tolerance "
            "means that one of the two is wrong.",
        )
    ],
)
@watched
def ppml(
    context: dg.AssetExecutionContext, warehouse: Warehouse, settings: RunSettings
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    from minerals.ppml.tables import estimate_categories, published_coefficients_frame

    panel = warehouse.frame("marts.import_panel")
    published = warehouse.frame("seeds.published_ppml_coefficients")
    estimates = {
        importer: estimate_categories(
            panel,
            importer,
            replications=settings.bootstrap_replications,
            seed=settings.seed,
            top_k=settings.top_k,
        )
        for importer in settings.deployed.importers
    }
    coefficients = [e.coefficients for e in estimates.values()]
    coefficients += [
        published_coefficients_frame(i, published) for i in settings.deployed.importers
    ]
    tables = {
        "ppml_coefficients": pd.concat(coefficients, ignore_index=True),
        "ppml_covariance": pd.concat([e.covariance for e in estimates.values()], ignore_index=True),
        "ppml_bootstrap": pd.concat([e.bootstrap for e in estimates.values()], ignore_index=True),
        "ppml_fit": pd.concat([e.fit for e in estimates.values()], ignore_index=True),
    }
    warehouse.save_marts(tables)
    for row in tables["ppml_fit"].to_dict("records"):
        verdict = "publishable" if row["is_publishable"] else f"not published: {row['reason']}"
        context.log.info(f"{row['importer_iso3']} {row['category']}: {verdict}")
    for name, frame in tables.items():
        metadata: dict[str, object] = {"dagster/row_count": len(frame)}
        if name == "ppml_fit":
            metadata |= _fit_metadata(frame) | _pictures(estimates, "fitted")
        if name == "ppml_coefficients":
            metadata |= _pictures(estimates, "coefficients")
        yield dg.MaterializeResult(asset_key=name, metadata=metadata)
    yield agreement(tables["ppml_fit"])


def agreement(fit: pd.DataFrame) -> dg.AssetCheckResult:
    """Whether every publishable model of `ppml_fit` agrees with statsmodels."""
    from minerals.ppml.reference import Comparison

    differences = {
        f"{row['importer_iso3']} {row['category']}": Comparison(
            row["statsmodels_coefficient_difference"],
            row["statsmodels_std_error_difference"],
            row["statsmodels_log_likelihood_difference"],
        )
        for row in fit.to_dict("records")
        if row["is_publishable"]
    }
    apart = [
        f"{model}: coefficients {c.coefficients:.1e}, standard errors {c.std_errors:.1e}, "
        f"log-likelihood {c.log_likelihood:.1e}"
        for model, c in differences.items()
        if not c.agrees
    ]
    return dg.AssetCheckResult(
        asset_key="ppml_fit",
        check_name=AGREES,
        passed=not apart,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(apart) or f"{len(differences)} models agree",
        metadata={
            f"{model}_coefficients".replace(" ", "_"): float(c.coefficients)
            for model, c in differences.items()
        },
    )


def _fit_metadata(fit: pd.DataFrame) -> dict[str, object]:
    """One number a model and statistic, so that the UI plots them over runs."""
    figures: dict[str, object] = {}
    statistics = (
        "pseudo_r2",
        "n_observations",
        "n_nonzero",
        "n_separated_dropped",
        "top_k_stability",
        "n_bootstrap_failed",
    )
    for row in fit.to_dict("records"):
        model = f"{row['importer_iso3']}_{row['category']}"
        figures[f"{model}_is_publishable"] = int(row["is_publishable"])
        for statistic in statistics:
            if pd.notna(row[statistic]):
                figures[f"{model}_{statistic}"] = float(row[statistic])
    return figures


def _pictures(estimates: dict[str, "Estimates"], kind: str) -> dict[str, object]:
    """One picture a model, as the UI shows it: markdown with the image inside."""
    from minerals.ppml.plots import coefficient_plot, fitted_plot

    draw = {"coefficients": coefficient_plot, "fitted": fitted_plot}[kind]
    pictures: dict[str, object] = {}
    for importer, estimate in estimates.items():
        for category, model in estimate.models.items():
            title = f"{importer}, {category}: {kind}"
            image = base64.b64encode(draw(model, title)).decode("ascii")
            pictures[f"{importer}_{category}_{kind}_plot"] = dg.MetadataValue.md(
                f"![{title}](data:image/png;base64,{image})"
            )
    return pictures
