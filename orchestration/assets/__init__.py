"""The assets, one file a stage: ingestion, transformation, estimation, ranking, portfolio,
publication.

An asset here takes frames from the warehouse, calls the domain, and puts frames back. No
arithmetic, no HTTP, no SQL beyond load and publish.
"""

OWNERS = ["team:data-engineering"]
MODELLERS = ["team:econometrics"]
WRITER_POOL = "duckdb_writer"  # of every step that opens the warehouse; dagster.yaml admits one
UP_TO_DATE = "is_up_to_date"  # the check that a source's own step makes, in the live profile
