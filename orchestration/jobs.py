"""The jobs: what can be started as a whole. How a step is run (processes, pools) is said here
too."""

import dagster as dg

WRITER_POOL = "duckdb_writer"  # every step that opens the warehouse; dagster.yaml admits one

# Step processes are copies of a server that has imported these once: a start costs a fork.
PRELOADED = ["orchestration.definitions", "statsmodels.api", "great_expectations"]

EXECUTOR = dg.multiprocess_executor.configured(
    {
        "max_concurrent": 2,
        "start_method": {"forkserver": {"preload_modules": PRELOADED}},
    }
)

REFRESH = dg.define_asset_job(
    name="refresh",
    description="Everything, from the sources to the published release. "
    "An unchanged source is not read again; a failing gate leaves the last release served.",
    selection=dg.AssetSelection.all(),
    tags={"dagster/max_retries": "0"},
)
