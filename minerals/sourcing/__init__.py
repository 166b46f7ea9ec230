"""From coefficients to suppliers: rankings, persistence, concentration, and the study's
replication.

Belongs here: pure functions over the panel and the coefficients. Does not belong here: estimation
(`minerals.ppml`), and reading or writing the warehouse.

Importing this package imports neither statsmodels nor scipy.
"""
