"""All tables of the portfolio stage, computed from the rankings in their order.

Belongs here: which function feeds which, and the choices they take. Does not belong here: any
definition; each is in the module that is called.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from minerals.settings import Choices
from minerals.sourcing.capacity import capacity
from minerals.sourcing.concentration import (
    concentration,
    concentration_by_year,
    production_concentration,
)
from minerals.sourcing.core_partners import core_partners
from minerals.sourcing.governance import governance
from minerals.sourcing.portfolio import recommend, suppliers
from minerals.sourcing.programme import Weights
from minerals.sourcing.roles import partners, strategies
from minerals.sourcing.shocks import standing_shocks


@dataclass(frozen=True)
class Inputs:
    """Frames by the names of their tables; `production` is `fct_production` of the window."""

    panel: pd.DataFrame
    production: pd.DataFrame
    country_covariates: pd.DataFrame
    ranking_forward: pd.DataFrame
    ranking_persistence: pd.DataFrame
    supply_events: pd.DataFrame


def portfolio_tables(inputs: Inputs, choices: Choices) -> dict[str, pd.DataFrame]:
    """Every mart of the portfolio by name."""
    wgi = governance(inputs.country_covariates)
    concentrated = concentration(
        inputs.panel,
        inputs.ranking_forward,
        production_concentration(inputs.production, wgi),
        wgi,
        choices.concentrated_above,
    )
    candidates = suppliers(
        inputs.ranking_forward,
        inputs.ranking_persistence,
        capacity(inputs.panel, choices.capacity_fraction, choices.excluded_suppliers),
        wgi,
    )
    recommended = recommend(candidates, weights(choices))
    with_roles = partners(recommended.suppliers, concentrated)
    return {
        "portfolio_concentration": concentrated,
        "portfolio_concentration_annual": concentration_by_year(inputs.panel),
        "portfolio_partners": with_roles,
        "portfolio_optimization": recommended.optimization,
        "portfolio_frontier": recommended.frontier,
        "portfolio_strategy": strategies(with_roles, recommended.optimization, concentrated),
        "portfolio_core_partners": core_partners(with_roles),
        "portfolio_shocks": standing_shocks(
            with_roles, import_value(inputs.panel), inputs.supply_events
        ),
    }


def weights(choices: Choices) -> Weights:
    """What the programme weighs."""
    return Weights(choices.concentration_penalty, choices.risk_penalty, choices.change_limit)


def import_value(panel: pd.DataFrame) -> pd.DataFrame:
    """importer_iso3, exporter_iso3, value_usd: what was imported over the panel, nominal USD."""
    pair = ["importer_iso3", "exporter_iso3"]
    values = [name for name in panel.columns if name.endswith("_value_usd")]
    totals = panel[pair].assign(value_usd=panel[values].sum(axis=1))
    return totals.groupby(pair).agg(value_usd=("value_usd", "sum")).reset_index()
