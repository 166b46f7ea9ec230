"""The code location, on one screen: all definitions, and the resources they run with.

`build_definitions` takes settings, so that a test builds the same definitions over its own folders.
"""

from functools import partial

import dagster as dg

from minerals.settings import Settings, read_settings
from orchestration.assets import estimation, portfolio, publication, ranking
from orchestration.assets.ingestion import ingestion_assets
from orchestration.assets.transformation import transformation_assets
from orchestration.checks import build_checks
from orchestration.jobs import build_executor, build_jobs
from orchestration.metadata import with_columns_and_tags
from orchestration.resources import build_resources, ensure_manifest
from orchestration.schedules import build_schedules
from orchestration.sensors import build_sensors


def build_definitions(settings: Settings) -> dg.Definitions:
    """Assemble assets, checks, jobs, schedules and resources for these settings."""
    ensure_manifest(settings)
    made = [
        *ingestion_assets(settings),
        *transformation_assets(settings),
        *dg.load_assets_from_modules([estimation, ranking, portfolio, publication]),
    ]
    assets = [*made, publication.release_asset(made)]
    return dg.Definitions(
        assets=[
            asset.map_asset_specs(partial(with_columns_and_tags, settings=settings))
            for asset in assets
        ],
        asset_checks=build_checks(settings),
        jobs=build_jobs(settings),
        schedules=build_schedules(settings),
        sensors=build_sensors(settings),
        resources=build_resources(settings),
        executor=build_executor(settings),
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What `dagster dev` and the daemon load; the settings come from the environment."""
    return build_definitions(read_settings())
