"""The quality gates: what each table must satisfy before anything is built on it.

One module per gated table (`import_panel`, `raw_production`, ...) holds its thresholds with their
reasons, its rules, the SQL of the frames that are judged, and the comparison with the previous
release. To add a rule, add a line to the rules of a suite there; `rules` has the kinds there are.
`gates` lists the tables, `previous` reads the previous release, `validation` runs Great
Expectations, and `report` says what was found.

What does not belong here: Dagster, and anything else of ours but `minerals.names` and
`minerals.marts`. Structure (keys, nulls, types, accepted values, balance) is tested in dbt, and for
raw tables when a snapshot is taken in.
"""
