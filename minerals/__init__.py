"""The domain: how suppliers are modelled and ranked, importable and testable on its own.

Belongs here: sources, the PPML estimator, and the sourcing analysis built on it. Does not belong
here: Dagster, dbt, Great Expectations, or anything that opens the warehouse.
"""
