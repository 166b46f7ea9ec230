"""All tables of the ranking stage: the models side by side, and which of them leads."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from minerals import marts
from minerals.names import MODEL_DESCRIPTIONS
from minerals.settings import Choices
from minerals.sourcing.alignment import alignment_by_year
from minerals.sourcing.headline import with_headline
from minerals.sourcing.persistence import persistence
from minerals.sourcing.ranking import annual_ranking, forward_ranking
from minerals.sourcing.world_tables import Inputs, world_tables


def ranking_tables(
    inputs: Inputs,
    importers: Sequence[str],
    choices: Choices,
    coefficients: pd.DataFrame,
    covariance: pd.DataFrame,
    bootstrap: pd.DataFrame,
) -> dict[str, pd.DataFrame]:
    """Every mart of the stage by name. coefficients: of the models that may be ranked on."""
    world = world_tables(inputs, importers, choices)
    annual = annual_ranking(inputs.panel, coefficients, choices.top_k)
    forward = forward_ranking(inputs.panel, coefficients, covariance, choices, bootstrap)
    annual = marts.conform(pd.concat([annual, world.annual]), "ranking_annual")
    forward = pd.concat([forward, world.forward], ignore_index=True)
    forward["model_description"] = forward["coefficient_source"].map(MODEL_DESCRIPTIONS)
    return {
        "ranking_annual": annual,
        "ranking_forward": marts.conform(with_headline(forward, world.skill), "ranking_forward"),
        "ranking_persistence": persistence(annual),
        "portfolio_alignment": alignment_by_year(annual),
        "world_coefficients": world.coefficients,
        "ranking_backtest": world.backtest,
        "ranking_skill": world.skill,
    }
