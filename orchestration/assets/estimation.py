"""Stage 3: one PPML model per importer and category, and the study's coefficients beside ours."""

import base64
from collections.abc import Callable, Iterator, Mapping

import dagster as dg
import pandas as pd

from orchestration.assets import WRITER_POOL, importers_of, mart_spec
from orchestration.metadata import Metadata, Progress, save, step
from orchestration.resources import RunSettings, Warehouse

AGREES = "agrees_with_statsmodels"
MOST_APART = 0.25  # of the models, that may differ from statsmodels
DRAWN = 8  # importers whose models are drawn and plotted; pictures of hundreds help nobody
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
        mart_spec("ppml_fit", ["import_panel"]),
        mart_spec("ppml_coefficients", ["ppml_fit", "published_ppml_coefficients"]),
        mart_spec("ppml_bootstrap", ["ppml_fit"]),
        mart_spec("ppml_variants", ["import_panel_covariates"]),
        mart_spec("model_comparison", ["ppml_variants"]),
        mart_spec("ranking_forward_variants", ["ppml_variants"]),
    ],
    check_specs=[
        dg.AssetCheckSpec(
            AGREES,
            asset="ppml_fit",
            blocking=True,
            description="statsmodels fits every model beside ours; one that differs above "
            "tolerance is not published, and more than a quarter stop the release.",
        )
    ],
)
@step
def ppml(
    context: dg.AssetExecutionContext, warehouse: Warehouse, settings: RunSettings
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    from minerals.ppml.plots import coefficient_plot, fitted_plot
    from minerals.ppml.tables import estimation_tables

    panel = warehouse.frame("marts.import_panel")
    published = warehouse.frame("seeds.published_ppml_coefficients")
    covariates = warehouse.frame("marts.import_panel_covariates")
    chosen = settings.chosen
    importers = importers_of(chosen, panel)
    grouped = warehouse.groups(importers)
    progress, fits = Progress(context, importers), []
    figures: dict[str, Metadata] = {"ppml_coefficients": {}, "ppml_fit": {}}

    def parts() -> Iterator[Mapping[str, pd.DataFrame]]:
        jobs = (
            (
                panel[panel["importer_iso3"].isin(group)],
                group,
                chosen.choices,
                published,
                covariates[covariates["importer_iso3"].isin(group)],
            )
            for group in grouped
        )
        for group, made in zip(
            grouped,
            warehouse.side_by_side(estimation_tables, jobs, len(grouped)),
            strict=True,
        ):
            tables, models = made
            fits.append(tables["ppml_fit"])
            if len(importers) <= DRAWN:
                figures["ppml_coefficients"] |= _pictures(models, "coefficients", coefficient_plot)
                figures["ppml_fit"] |= _pictures(models, "fitted", fitted_plot)
                figures["ppml_fit"] |= _statistics(tables["ppml_fit"])
            progress.done(len(group))
            yield tables

    yield from save(warehouse, settings, parts(), figures)
    fit = pd.concat(fits, ignore_index=True)
    for row in fit.to_dict("records"):
        verdict = "publishable" if row["is_publishable"] else f"not published: {row['reason']}"
        context.log.info(f"{row['importer_iso3']} {row['category']}: {verdict}")
    yield agreement(fit)


def agreement(fit: pd.DataFrame) -> dg.AssetCheckResult:
    """Whether the models of `ppml_fit` agree with statsmodels: one that does not is not published,
    and more than a quarter mean that our code or statsmodels' is wrong."""
    from minerals.ppml.tables import NOT_CONFIRMED

    reasons = fit["reason"].fillna("")
    is_apart = reasons.str.contains(NOT_CONFIRMED, regex=False)
    compared = fit[fit["is_publishable"] | is_apart]
    models = compared["importer_iso3"] + " " + compared["category"]
    told = [f"{m}: {why}" for m, why in zip(models, reasons[compared.index], strict=True) if why]
    return dg.AssetCheckResult(
        asset_key="ppml_fit",
        check_name=AGREES,
        passed=bool(is_apart.sum() <= MOST_APART * len(compared)),
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(
            [f"{len(compared) - len(told)} of {len(compared)} models agree", *told]
        ),
        metadata={
            f"{model}_coefficients".replace(" ", "_"): float(difference)
            for model, difference in zip(
                models[:DRAWN], compared["statsmodels_coefficient_difference"], strict=False
            )
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
