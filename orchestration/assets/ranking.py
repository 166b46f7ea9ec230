"""Stage 4: suppliers ranked, each year and forward, compared with actual imports and over time."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pandas as pd

from minerals.files import remove
from minerals.names import EVERY_IMPORTER
from minerals.releases.reproduction import code_version
from minerals.settings import Settings
from orchestration.assets import WRITER_POOL, importers_of, mart_spec
from orchestration.metadata import Metadata, Progress, every_importer, save, step
from orchestration.resources import RunSettings, Warehouse, warehouse_of

if TYPE_CHECKING:
    from minerals.sourcing.world_tables import OfPast

# Of each mart what it is made from, so that the graph reads from left to right.
FROM = {
    "world_coefficients": [
        "fct_trade_flow",
        "fct_production",
        "fct_country_covariates",
        "dim_country_pair",
    ],
    "ranking_backtest": ["world_coefficients", "import_panel", "ppml_coefficients"],
    "ranking_skill": ["ranking_backtest"],
    "world_variants": [
        "world_coefficients",
        "country_alignment_and_logistics",
        "register_of_agreements",
        "register_of_agreement_parties",
        "int_country__attributes",
        "supplier_types",
    ],
    "ranking_annual": ["world_coefficients", "import_panel", "ppml_coefficients"],
    "ranking_forward": [
        "world_coefficients",
        "ranking_skill",
        "import_panel",
        "ppml_coefficients",
        "ppml_bootstrap",
    ],
    "ranking_headline": ["ranking_forward"],
    "ranking_persistence": ["ranking_annual"],
    "portfolio_alignment": ["ranking_annual"],
}
REMEMBERED = 8  # categories, times the settings that they were judged with
SERVED_AT_ONCE = 32  # importers; a multiple of `parallel.GROUP`
_AHEAD: list[threading.Thread] = []
FLOW = ["importer_iso3", "exporter_iso3", "mineral", "category", "year", "value_usd"]


@dg.multi_asset(
    name="rankings",
    group_name="ranking",
    pool=WRITER_POOL,
    specs=[mart_spec(name, made_from) for name, made_from in FROM.items()],
    check_specs=[every_importer("ranking_forward")],
)
@step
def rankings(
    context: dg.AssetExecutionContext, warehouse: Warehouse, settings: RunSettings
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    from joblib import Memory

    from minerals.parallel import groups, one_by_one_on_failure
    from minerals.ppml.tables import publishable_coefficients
    from minerals.sourcing.headline import best_model
    from minerals.sourcing.ranking_tables import ranking_tables
    from minerals.sourcing.world_tables import Inputs, fit_world
    from minerals.sourcing.world_variants import Added

    while _AHEAD:
        _AHEAD.pop().join()
    chosen = settings.chosen
    coefficients = warehouse.frame("marts.ppml_coefficients")
    inputs = Inputs(
        past=of_past(warehouse, chosen),
        covariates=warehouse.frame("conformed.fct_country_covariates"),
        panel=warehouse.frame("marts.import_panel"),
        published=coefficients.query("coefficient_source == 'published'"),
        added=Added(
            attributes=warehouse.frame("conformed.int_country__attributes"),
            types=warehouse.frame("marts.supplier_types"),
        ),
    )
    coefficients = publishable_coefficients(coefficients, warehouse.frame("marts.ppml_fit"))
    of_importers = [coefficients, warehouse.frame("marts.ppml_bootstrap")]
    importers = importers_of(chosen, inputs.panel)
    memory = Memory(past_origins(chosen), verbose=0)
    world = fit_world(inputs, importers, chosen.choices, memory)
    memory.reduce_size(items_limit=REMEMBERED)
    for category in sorted(world.backtest["category"].unique()):
        model, why = best_model(world.skill, category)
        context.log.info(f"{category}: {model or 'no model'} leads{why and ', '}{why}")
    for category, why in world.without.items():
        context.log.warning(f"{category}: no world model, so the study's kind leads: {why}")
    grouped = warehouse.groups(importers)
    progress, labels, misallocated = Progress(context, importers), Counter[str](), []
    figures: dict[str, Metadata] = {}

    def jobs() -> Iterator[tuple[object, ...]]:
        # Most of what `served` does is the same for one importer and for many.
        for many in groups(importers, SERVED_AT_ONCE):
            panel = inputs.panel[inputs.panel["importer_iso3"].isin(many)]
            served = world.served(panel, many, chosen.choices)
            for group in warehouse.groups(many):
                own = (f[f["importer_iso3"].isin(group)] for f in (panel, *of_importers))
                arguments = [*own, served.of(group), world.skill, chosen.choices]
                yield ranking_tables, group, arguments

    def parts() -> Iterator[Mapping[str, pd.DataFrame]]:
        yield {
            "world_coefficients": world.coefficients,
            "ranking_backtest": world.backtest,
            "ranking_skill": world.skill,
            "world_variants": world.variants,
        }
        made = warehouse.side_by_side(one_by_one_on_failure, jobs(), len(grouped))
        for tables in progress.tables(grouped, made):
            labels.update(tables["ranking_annual"]["alignment"].value_counts().to_dict())
            figures["ranking_annual"] = {f"{label}_rows": n for label, n in labels.items()}
            misallocated.append(tables["portfolio_alignment"]["misallocated_share"])
            mean = float(pd.concat(misallocated).mean())
            figures["portfolio_alignment"] = {"mean_misallocated_share": mean}
            yield tables

    yield from save(warehouse, settings, parts(), figures)
    yield progress.check("ranking_forward")


def of_past(warehouse: Warehouse, settings: Settings) -> "OfPast":
    """What the models see of the past: complete once the conformed tables are built."""
    from minerals.sourcing.world_tables import OfPast
    from minerals.sourcing.world_variants import Ties

    years = f"year between {settings.first_year} and {settings.last_year}"
    return OfPast(
        flows=warehouse.frame("conformed.fct_trade_flow", FLOW),
        pairs=warehouse.frame("conformed.dim_country_pair"),
        production=warehouse.frame("conformed.fct_production", where=years),
        ties=Ties(
            votes=warehouse.frame("seeds.country_alignment_and_logistics"),
            agreements=warehouse.frame("seeds.register_of_agreements"),
            parties=warehouse.frame("seeds.register_of_agreement_parties"),
        ),
    )


def learn_ahead(settings: Settings) -> None:
    """Judge the past origins while this process only waits for dbt to build the marts; `rankings`
    then finds what they say. What fails here fails again there, with a message."""
    from joblib import Memory

    from minerals.sources.window import settled
    from minerals.sourcing.world_tables import remember_past

    settings = settled(settings)
    if settings.importers == (EVERY_IMPORTER,):
        return  # who they are, the marts say
    past = of_past(warehouse_of(settings), settings)
    memory = Memory(past_origins(settings), verbose=0)

    def learn() -> None:
        with suppress(Exception):
            remember_past(past, settings.last_year, settings.importers, settings.choices, memory)

    _AHEAD.append(threading.Thread(target=learn, daemon=True))
    _AHEAD[-1].start()


def past_origins(settings: Settings) -> Path:
    """Where the figures of past origins are kept, for this code and these packages alone."""
    packages = (version(package) for package in ("numpy", "scipy", "pandas"))
    root = settings.warehouse_dir / "past_origins"
    here = "-".join([code_version().rpartition("+")[2], *packages])
    for other in root.glob("*"):
        if other.name != here:
            remove(other)
    return root / here
