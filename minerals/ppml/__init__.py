"""Poisson pseudo-maximum-likelihood (PPML): from a panel to coefficients with standard errors.

Belongs here: the design matrix (`design`), the estimator and its inference (`estimator`), and the
tables made of them (`tables`). Does not belong here: reading or writing the warehouse, and what is
done with coefficients afterwards (`minerals.sourcing`).

Importing this package imports nothing heavy; statsmodels is imported when a model is fitted.
"""
