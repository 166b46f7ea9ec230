"""From coefficients to suppliers, and from suppliers to a portfolio.

Belongs here: pure functions over frames. Ranks and what is read off them (`ranking`, `headline`,
`alignment`, `persistence`, `replication`), shares and their concentration (`shares`,
`concentration`), what a supplier can be asked for and the programme that shares imports out
(`capacity`, `programme`, `portfolio`), what follows (`roles`, `core_partners`, `shocks`), and the
order of it all (`derive`). Does not belong here: estimation (`minerals.ppml`), and reading or
writing the warehouse.

Importing this package imports neither statsmodels, scipy nor cvxpy.
"""
