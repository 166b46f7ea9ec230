"""What a table must satisfy before anything is built on it: one module of rules a gated table.

A module such as `import_panel` holds the rules of that table and the thresholds with their reasons;
`rules` is the vocabulary they are written in; `custom` adds the three expectations Great
Expectations lacks; `validation` runs a suite on a frame and reports in plain values.

What does not belong here: reading the warehouse, Dagster, and anything else of ours. Callers hand
in a frame and the parameters (years, importers, minerals). Structure that a database can guard
(keys, relationships, contracts) is tested in dbt; content is judged here.

Great Expectations takes seconds to import, so only `custom` imports it at the top and everything
else imports it, and `custom`, inside functions: names, severities and reasons of the rules can be
listed without it.
"""
