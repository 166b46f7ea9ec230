"""Poisson pseudo-maximum-likelihood (PPML): from a panel to coefficients with standard errors.

Belongs here, one module a step: the columns of a design and their algebra (`columns`, `within`,
`absorbed`), the design matrix (`design`), exact separation (`separation`), the iterations
(`estimator`), standard errors (`inference`, `bootstrap`), what they leave unexplained
(`diagnostics`, `plots`), statsmodels beside them (`reference`), and one model as a whole and its
tables (`model`, `tables`). Does not belong here: reading or writing the warehouse, and what is done
with coefficients afterwards (`minerals.sourcing`).

Importing this package imports nothing heavy; each module imports what it computes with.
"""

from typing import Final

MIN_NONZERO_OBSERVATIONS: Final = 30
"""A fit on fewer positive quantities than this is not published."""
