"""From coefficients to suppliers, and from suppliers to a portfolio.

Belongs here: pure functions over frames. Ranks and their analysis (`ranking`, `headline`,
`alignment`, `persistence`, `replication`), concentration and governance (`concentration`,
`governance`), capacities and recommended shares (`capacity`, `programme`, `portfolio`), what they
mean (`roles`, `core_partners`, `shocks`), and the order in which all of these run
(`portfolio_tables`). Does not belong here: estimation (`minerals.ppml`), and reading or writing
the warehouse.

What the columns of a mart mean is said once, in `minerals/marts/<mart>.yml`; a function that makes
one says how it is computed, from what. It raises ValueError when a column that it needs is missing.

Importing this package imports neither statsmodels, scipy nor cvxpy.
"""
