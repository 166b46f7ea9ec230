"""The assets, one file per stage: ingestion, transformation, estimation, ranking, portfolio,
publication.

An asset here takes frames from the warehouse, calls the domain, and puts frames back. No
arithmetic, no HTTP, no SQL beyond load and publish.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from minerals.marts import python_marts
from minerals.names import EVERY_IMPORTER
from minerals.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

OWNERS = ["team:data-engineering"]
MODELLERS = ["team:econometrics"]
SOURCES = "sources"  # the group of the assets that ask a source
WRITER_POOL = "duckdb_writer"  # of every step that opens the warehouse; dagster.yaml admits one


def importers_of(settings: Settings, panel: "pd.DataFrame") -> list[str]:
    """The importers of a run: those chosen, or every one that `import_panel` holds."""
    if settings.importers == (EVERY_IMPORTER,):
        return sorted(panel["importer_iso3"].unique())
    return list(settings.importers)


def mart_spec(name: str, deps: Sequence[str]) -> dg.AssetSpec:
    """A mart made in Python, with the description that it is declared with."""
    return dg.AssetSpec(
        name,
        deps=deps,
        description=python_marts()[name].description,
        kinds={"python", "duckdb"},
        owners=MODELLERS,
    )
