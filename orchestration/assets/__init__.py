"""The assets, one file per stage: ingestion, transformation, estimation, ranking, portfolio,
publication.

An asset here takes frames from the warehouse, calls the domain, and puts frames back. No
arithmetic, no HTTP, no SQL beyond load and publish.
"""

from collections.abc import Sequence

import dagster as dg

from minerals.marts import python_marts

OWNERS = ["team:data-engineering"]
MODELLERS = ["team:econometrics"]
SOURCES = "sources"  # the group of the assets that ask a source
WRITER_POOL = "duckdb_writer"  # of every step that opens the warehouse; dagster.yaml admits one


def mart_spec(name: str, deps: Sequence[str]) -> dg.AssetSpec:
    """A mart made in Python, with the description that it is declared with."""
    return dg.AssetSpec(
        name,
        deps=deps,
        description=python_marts()[name].description,
        kinds={"python", "duckdb"},
        owners=MODELLERS,
    )
