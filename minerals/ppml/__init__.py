"""Poisson pseudo-maximum-likelihood (PPML): from a panel to coefficients with standard errors.

Belongs here, one module per step: the columns of a design and their algebra (`columns`), the design
matrix (`design`), exact separation (`separation`), the iterations (`estimator`), gravity over all
importers (`gravity`), standard errors (`inference`, `bootstrap`), what they leave unexplained
(`diagnostics`, `plots`), statsmodels as a reference (`reference`), one model as a whole and its
tables (`model`, `terms`, `tables`), and other regressors beside it (`variants`). Does not belong
here: reading or writing the warehouse, and what is done with coefficients afterwards
(`minerals.sourcing`, which this package never imports).

Importing this package imports nothing heavy; each module imports what it computes with.
"""

from typing import TYPE_CHECKING, Final

from minerals.errors import MineralsError

if TYPE_CHECKING:
    from minerals.ppml.design import Dropped

MIN_NONZERO_OBSERVATIONS: Final = 30
"""A fit on fewer positive quantities than this is not published."""


class EstimationError(MineralsError):
    """A model cannot be estimated; the message says why. `dropped`: what its design left out."""

    def __init__(self, message: str, dropped: "Dropped | None" = None) -> None:
        super().__init__(message)
        self.dropped = dropped


FAILURES: Final = (EstimationError, ValueError, ArithmeticError)
"""What one importer's data may do to a fit; it must not stop the others'."""
