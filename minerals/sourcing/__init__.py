"""From coefficients to suppliers, and from suppliers to a portfolio.

Belongs here: pure functions over frames and arrays. The models of supply (`world`, `expected`,
`supply` for what never sold, `backtest` for how well they foretell), ranks and their analysis
(`ranking`, `headline`, `alignment`, `persistence`, `replication`), concentration and governance
(`concentration`, `governance`), capacities and recommended shares (`capacity`, `programme`,
`portfolio`, `risk`), what they mean (`roles`, `core_partners`, `shocks`, `policy`, `overview`), and
the order in which all of these run (`world_tables`, `ranking_tables`, `portfolio_tables`). Does not
belong here: estimation (`minerals.ppml`), and reading or writing the warehouse.

`minerals/marts/<mart>.yml` says what the columns of a mart mean; a function that makes one says how
it is computed. Frames that this project made are not checked again: each mart is checked against
its columns when it is made (`marts.conform`).

Importing this package imports neither statsmodels nor scipy.
"""
