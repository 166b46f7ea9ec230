"""What is published, under which key, and how the marts made in Python describe themselves.

One YAML file a mart made in Python: its description and that of every column. The marts made by dbt
are described beside their SQL. How a mart is computed belongs to `ppml/` and `sourcing/`.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml

_FLOW = ("importer_iso3", "exporter_iso3")
_MARKET = ("importer_iso3", "category", "mineral")
_PARTNER = (*_MARKET, "exporter_iso3", "coefficient_source")

PUBLISHED_MARTS: dict[str, tuple[str, ...]] = {
    "import_panel": ("importer_iso3", "exporter_iso3", "mineral", "year"),
    "ppml_coefficients": ("importer_iso3", "category", "coefficient_source", "term", "se_type"),
    "ppml_fit": ("importer_iso3", "category"),
    "ranking_annual": (*_PARTNER[:3], "year", *_PARTNER[3:]),
    "ranking_persistence": _PARTNER,
    "ranking_forward": _PARTNER,
    "portfolio_alignment": (*_MARKET, "year", "coefficient_source"),
    "portfolio_concentration": _MARKET,
    "portfolio_concentration_annual": (*_MARKET, "year"),
    "portfolio_partners": (*_MARKET, "exporter_iso3"),
    "portfolio_optimization": _MARKET,
    "portfolio_frontier": (*_MARKET, "concentration_penalty"),
    "portfolio_strategy": _MARKET,
    "portfolio_core_partners": _FLOW,
    "portfolio_shocks": (*_MARKET, "shock"),
    "replication_scorecard": ("category", "mineral"),
    "replication_differences": ("category", "mineral", "exporter_iso3"),
    "source_snapshots": ("dataset",),
    "unmapped_trade": ("importer_iso3", "hs_revision", "hs_code", "year"),
    "trade_balance": ("dataset", "importer_code", "year", "disposition"),
    "trade_quarantine": ("importer_code", "exporter_code", "hs_revision", "hs_code", "year"),
    "trade_unit_value_outliers": (*_FLOW, "hs_revision", "hs_code", "year"),
    "trade_reconciliation": (*_FLOW, "hs_code", "year"),
}
"""The marts of a release and their keys: the contract with BI tools (docs/bi.md)."""


@dataclass(frozen=True)
class MartSchema:
    """The words that travel into the database as comments: column name to description."""

    name: str
    description: str
    columns: dict[str, str]


def has_schema(name: str) -> bool:
    """Whether this is a mart made in Python."""
    return files(__package__).joinpath(f"{name}.yml").is_file()


@cache
def schema(name: str) -> MartSchema:
    """Read the schema file of a mart made in Python."""
    text = files(__package__).joinpath(f"{name}.yml").read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    return MartSchema(name, content["description"].strip(), content["columns"])
