"""How well each model foretells what is bought next, at an origin of choice.

    python benchmarks/ranking.py [--origin 2019] [--test 2021-2024] [--quick]

Reads the trade of all importers from the warehouse of the last refresh. Prints, by category and
model, the mean rank correlation and the part of later purchases from the first ten over six large
importers, and over all markets with five suppliers or more the metrics of `ranking_backtest`.
Nothing after the origin enters a model. `--quick` looks at ores alone.
"""

import argparse

import duckdb
import pandas as pd

from minerals.settings import Settings, limit_linear_algebra_threads

limit_linear_algebra_threads()

# ruff: noqa: E402
from minerals.sourcing.backtest import METRICS, MIN_SUPPLIERS, foretell, judge, roll
from minerals.sourcing.world import Pairs, Trade

SIX = ("IND", "JPN", "DEU", "USA", "BRA", "KOR")
FLOWS = (
    "select importer_iso3, exporter_iso3, mineral, category, year, value_usd::double as value_usd"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--origin", type=int, default=2019, help="last year that the models see")
    parser.add_argument(
        "--test", default="2021-2024", help="first and last year they are judged by"
    )
    parser.add_argument("--quick", action="store_true", help="ores alone")
    chosen = parser.parse_args()
    first, last = (int(year) for year in chosen.test.split("-"))
    with duckdb.connect(str(Settings().database), read_only=True) as warehouse:
        flows = warehouse.sql(f"{FLOWS} from conformed.fct_trade_flow where value_usd > 0").df()
        pairs = warehouse.sql("from conformed.dim_country_pair").df()
    countries = sorted({*flows["importer_iso3"], *flows["exporter_iso3"]})
    tables = []
    for category in ["ores"] if chosen.quick else ["ores", "products"]:
        trade = Trade.of(flows, category, countries)
        between = Pairs.of(pairs, countries)
        *_, (_, learnt) = roll(trade, between, chosen.origin)
        foretold = foretell(trade, between, chosen.origin, learnt)
        later = trade.mean_annual(first, last)
        tables.append(judge(trade, chosen.origin, foretold.shares, later, SIX, 10))
    judged = pd.concat(tables)
    of_six = judged[judged["importer_iso3"].isin(SIX)]
    means = of_six.groupby(["category", "model", "importer_iso3"])[list(METRICS[:2])].mean()
    six = means.groupby(["category", "model"]).mean().add_prefix("six_")
    enough = judged[judged["n_suppliers"] >= MIN_SUPPLIERS].groupby(["category", "model"])
    print(f"seen up to {chosen.origin}, judged by {first}-{last}; six: {', '.join(SIX)}")
    with pd.option_context("display.width", 200, "display.max_columns", None):
        print(six.join(enough[list(METRICS)].mean()).join(enough.size().rename("markets")).round(3))


if __name__ == "__main__":
    main()
