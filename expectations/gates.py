"""The tables that are judged, in the order of a run."""

from typing import Final

from expectations import (
    fct_country_covariates,
    fct_trade_flow,
    import_panel,
    ppml_coefficients,
    ranking_annual,
    ranking_forward,
    raw_bilateral_trade,
    raw_country_geography,
    raw_country_indicators,
    raw_production,
)
from expectations.rules import Gate

GATES: Final[tuple[Gate, ...]] = (
    raw_bilateral_trade.GATE,
    raw_production.GATE,
    raw_country_indicators.GATE,
    raw_country_geography.GATE,
    fct_trade_flow.GATE,
    fct_country_covariates.GATE,
    import_panel.GATE,
    ppml_coefficients.GATE,
    ranking_annual.GATE,
    ranking_forward.GATE,
)
