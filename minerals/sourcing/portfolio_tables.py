"""All tables of the portfolio stage, computed from the rankings in their order."""

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


def portfolio_tables(
    choices: Choices,
    panel: pd.DataFrame,
    ranking_forward: pd.DataFrame,
    ranking_persistence: pd.DataFrame,
    production: pd.DataFrame,
    country_covariates: pd.DataFrame,
    restrictions: pd.DataFrame,
    supplier_types: pd.DataFrame,
) -> dict[str, pd.DataFrame]:
    """Every mart of the portfolio by name; `production` is `fct_production` of the window,
    `restrictions` the rows of `policy_events` that may end a supply."""
    wgi = governance(country_covariates)
    of_world = production_concentration(production, wgi)
    concentrated = concentration(panel, ranking_forward, of_world, wgi, choices.concentrated_above)
    ceilings = capacity(
        panel,
        ranking_forward,
        supplier_types,
        choices.capacity_fraction,
        choices.excluded_suppliers,
    )
    candidates = suppliers(ranking_forward, ranking_persistence, ceilings, wgi)
    recommended = recommend(candidates, weights(choices))
    with_roles = partners(recommended.suppliers, concentrated)
    return {
        "portfolio_concentration": concentrated,
        "portfolio_concentration_annual": concentration_by_year(panel),
        "portfolio_partners": with_roles,
        "portfolio_optimization": recommended.optimization,
        "portfolio_frontier": recommended.frontier,
        "portfolio_strategy": strategies(with_roles, recommended.optimization, concentrated),
        "portfolio_core_partners": core_partners(with_roles),
        "portfolio_shocks": standing_shocks(with_roles, import_value(panel), restrictions),
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
