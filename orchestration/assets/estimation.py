"""Stage 3: one PPML model per importer and category, and the study's coefficients beside ours."""

import base64
from collections.abc import Callable, Iterator, Mapping

import dagster as dg
import pandas as pd

from orchestration.assets import WRITER_POOL, mart_spec
from orchestration.metadata import Metadata, save, step
from orchestration.resources import RunSettings, Warehouse

AGREES = "agrees_with_statsmodels"
# One number per model and statistic, which the UI plots over runs.
PLOTTED = (
    "pseudo_r2",
    "n_observations",
    "n_nonzero",
    "n_separated_dropped",
    "top_k_stability",
    "n_bootstrap_failed",
)


@dg.multi_asset(
    name="ppml",
    group_name="estimation",
    pool=WRITER_POOL,
    specs=[
        mart_spec("ppml_coefficients", ["import_panel", "published_ppml_coefficients"]),
        mart_spec("ppml_covariance", ["import_panel"]),
        mart_spec("ppml_bootstrap", ["import_panel"]),
        mart_spec("ppml_fit", ["import_panel"]),
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
@step
def ppml(
    context: dg.AssetExecutionContext, warehouse: Warehouse, settings: RunSettings
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    from minerals.ppml.plots import coefficient_plot, fitted_plot
    from minerals.ppml.tables import estimate_categories, published_coefficients_frame

    panel = warehouse.frame("marts.import_panel")
    published = warehouse.frame("seeds.published_ppml_coefficients")
    chosen = settings.chosen
    estimates = {
        importer: estimate_categories(panel, importer, chosen.choices)
        for importer in chosen.importers
    }
    parts: dict[str, list[pd.DataFrame]] = {
        "ppml_coefficients": [e.coefficients for e in estimates.values()],
        "ppml_covariance": [e.covariance for e in estimates.values()],
        "ppml_bootstrap": [e.bootstrap for e in estimates.values()],
        "ppml_fit": [e.fit for e in estimates.values()],
    }
    parts["ppml_coefficients"] += [
        published_coefficients_frame(importer, published) for importer in chosen.importers
    ]
    tables = {name: pd.concat(frames, ignore_index=True) for name, frames in parts.items()}
    fit = tables["ppml_fit"]
    for row in fit.to_dict("records"):
        verdict = "publishable" if row["is_publishable"] else f"not published: {row['reason']}"
        context.log.info(f"{row['importer_iso3']} {row['category']}: {verdict}")
    models = {
        f"{importer}, {category}": model
        for importer, estimate in estimates.items()
        for category, model in estimate.models.items()
    }
    figures = {
        "ppml_coefficients": _pictures(models, "coefficients", coefficient_plot),
        "ppml_fit": _statistics(fit) | _pictures(models, "fitted", fitted_plot),
    }
    yield from save(warehouse, settings, tables, figures)
    yield agreement(fit)


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


def _statistics(fit: pd.DataFrame) -> Metadata:
    figures: Metadata = {}
    for row in fit.to_dict("records"):
        model = f"{row['importer_iso3']}_{row['category']}"
        figures[f"{model}_is_publishable"] = int(row["is_publishable"])
        known = [statistic for statistic in PLOTTED if pd.notna(row[statistic])]
        figures |= {f"{model}_{statistic}": float(row[statistic]) for statistic in known}
    return figures


def _pictures(models: Mapping[str, object], kind: str, draw: Callable[..., bytes]) -> Metadata:
    """One picture per model, as the UI shows it: markdown with the image inside."""
    pictures: Metadata = {}
    for name, model in models.items():
        title = f"{name}: {kind}"
        image = base64.b64encode(draw(model, title)).decode("ascii")
        pictures[f"{name.replace(', ', '_')}_{kind}_plot"] = dg.MetadataValue.md(
            f"![{title}](data:image/png;base64,{image})"
        )
    return pictures
