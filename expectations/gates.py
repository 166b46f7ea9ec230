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

_RAW: Final = (raw_bilateral_trade, raw_production, raw_country_indicators, raw_country_geography)
_CONFORMED: Final = (fct_trade_flow, fct_country_covariates)
_MARTS: Final = (import_panel, ppml_coefficients, ranking_annual, ranking_forward)
GATES: Final[tuple[Gate, ...]] = tuple(table.GATE for table in (*_RAW, *_CONFORMED, *_MARTS))
