"""Rankings of importers: all models side by side, and which of them leads."""

from __future__ import annotations

import pandas as pd

from minerals import marts
from minerals.names import MODEL_DESCRIPTIONS
from minerals.settings import Choices
from minerals.sourcing.alignment import alignment_by_year
from minerals.sourcing.headline import with_headline
from minerals.sourcing.persistence import persistence
from minerals.sourcing.ranking import annual_ranking, forward_ranking
from minerals.sourcing.world_tables import Served


def ranking_tables(
    panel: pd.DataFrame,
    coefficients: pd.DataFrame,
    bootstrap: pd.DataFrame,
    world: Served,
    skill: pd.DataFrame,
    choices: Choices,
) -> dict[str, pd.DataFrame]:
    """The marts of some importers by name. coefficients: of the models that may be ranked on.
    world: the rows of the world and expected models. skill: `ranking_skill`."""
    annual = annual_ranking(panel, coefficients, choices.top_k)
    forward = forward_ranking(panel, coefficients, bootstrap, choices)
    annual = marts.conform(pd.concat([annual, world.annual]), "ranking_annual")
    forward = pd.concat([forward, world.forward], ignore_index=True)
    forward["model_description"] = forward["coefficient_source"].map(MODEL_DESCRIPTIONS)
    forward = marts.conform(with_headline(forward, skill), "ranking_forward")
    return {
        "ranking_annual": annual,
        "ranking_forward": forward,
        "ranking_headline": marts.conform(forward[forward["is_headline"]], "ranking_headline"),
        "ranking_persistence": persistence(annual),
        "portfolio_alignment": alignment_by_year(annual),
    }
