"""The panel that models are fitted on: one row per importer, exporter, mineral and year.

Bands are well outside what the open data of 2019-2023 show and do not depend on the importer, so
that a rule fails for a broken source, a lost join or a slip of unit, not for another importer. The
rules on countries, whatever they supply, are in `fct_country_covariates`.
"""

from typing import Final, NamedTuple

from expectations import rules
from expectations.fct_country_covariates import RANGES
from expectations.previous import Previous, Tolerance, comparable, totals
from expectations.rules import FULL_SHARE_PCT, Connection, Gate, Given, Rule, Shape, Suite
from minerals.names import CATEGORIES

MIN_MINERALS: Final = 25
LEADING_SHARE: Final = 0.01


class Regressor(NamedTuple):
    """What a regressor that can be imputed looks like over all rows.

    `floor_share` is the least share of the rows (0 to 1) with an observed value. `drift` is how far
    the median of the observed values may be from the previous release's, in the column's unit:
    publishers revise single countries and years, which hardly moves it.
    """

    name: str
    unit: str
    floor_share: float
    median_low: float | None
    median_high: float | None
    drift: float


# Observed shares measured on the panel of India, 2019-2023: debt 0.38, every other 0.97 or more.
# A distance is never imputed.
REGRESSORS: Final = (
    Regressor("ln_production_qty", "ln(1 + kg)", 0.85, None, None, 2.0),
    Regressor("ln_gdp", "ln of USD of 2021 at PPP", 0.85, 24, 30, 0.3),
    Regressor("ln_population", "ln of persons", 0.85, 14.5, 19, 0.3),
    Regressor("ln_distance", "ln of km", 0, 6, 9.7, 0.2),
    Regressor("access_to_electricity_pct", "% of population", 0.85, 60, FULL_SHARE_PCT, 5),
    Regressor("central_govt_debt_pct_gdp", "% of GDP", 0.20, 20, 150, 15),
    Regressor("electricity_fossil_pct", "% of generation", 0.70, 20, 95, 10),
    Regressor("electricity_renewable_ex_hydro_pct", "% of generation", 0.70, 1.5, 50, 8),
    Regressor("fdi_pct_gdp", "% of GDP", 0.85, 0.2, 20, 1.5),
    Regressor("wgi_average", "points of a standard normal scale", 0.85, -1.5, 1.5, 0.3),
)

# The column of fct_country_covariates, where it has another name.
_COVARIATES: Final = {"ln_gdp": "gdp_ppp_2021_usd", "ln_population": "population"}

# What the leading producer of a mineral mines in a year, in kg, measured 2019-2023. Each may be
# thirty times less or more: far enough for any importer to be left out of its own panel, near
# enough for a factor of 1,000 to show. The first three come in metric tons, the others in kg.
LEADERS: Final = {
    "Copper": 5.8e9,
    "Lithium": 2.0e8,
    "Rare Earths": 2.6e8,
    "Palladium": 9.3e4,
    "Platinum": 1.4e5,
    "Rhenium": 5.1e4,
    "Rhodium": 2.1e4,
}

# USD per kg. In the trade of 2019-2023 at least half of each importer's flows lie inside (importers
# with thirty flows or more), and with a factor of 1,000 up or down fewer than half of any. The open
# bundle holds no scrap: that band is a guess from the other two, and only warns.
USD_PER_KG: Final = {"ores": (0.02, 200), "products": (1, 4000), "scrap": (0.05, 4000)}

# World mine production of the minerals with a sheet is 1.5e11 kg a year, mostly phosphate, potash
# and copper.
PRODUCTION_KG_A_YEAR: Final = (2e10, 1e12)
MOST_IMPORTERS = 240  # countries and territories that report imports


def rows(given: Given) -> Suite:
    fewest, most = (len(given.importers) or n for n in (1, MOST_IMPORTERS))
    # An importer has a year of the window at least, and all at most.
    low, high = (
        kg * n
        for kg, n in zip(PRODUCTION_KG_A_YEAR, (fewest, most * len(given.years)), strict=True)
    )
    judged = (
        *(rule for category in CATEGORIES for rule in _trade(category)),
        rules.in_range("production_kg", 0, 1e12, unit="kg",
            why="No country mines a billion tons of these minerals."),
        rules.figure_in_band("sum", "production_kg", low, high, unit="kg",
            name="world_production_in_band",
            why="The world mines that much of these minerals over the window, whoever "
            "is left out as importer."),
        rules.in_range("ln_distance", 0, None, unit="ln of km",
            why="Two countries are a kilometre apart at least; less is a copied coordinate."),
        rules.has_all("importer_iso3", given.importers, name="every_importer_has_trade",
            rows=rules.where("is_trading_partner", "==", True),
            why="An importer of the settings without a single trading partner has no data."),
        rules.in_range("n_minerals", MIN_MINERALS, None, name="enough_minerals_have_candidates",
            why="With fewer minerals for an importer a source or the mapping of codes was "
            "lost."),
    )  # fmt: skip
    of_categories = "".join(
        f", {c}_qty_kg, {c}_value_usd, if({c}_qty_kg > 0 and {c}_value_usd > 0, "
        f"{c}_value_usd / {c}_qty_kg, null) as {c}_usd_per_kg"
        for c in CATEGORIES
    )
    sql = f"""
        select importer_iso3, exporter_iso3, mineral, year, is_trading_partner, production_kg,
            ln_distance, count(distinct mineral) over (partition by importer_iso3) as n_minerals
            {of_categories}
        from marts.import_panel order by importer_iso3, mineral, exporter_iso3, year"""
    key = ("importer_iso3", "exporter_iso3", "mineral", "year")
    row = "One row per importer, exporter, mineral and year."
    return Suite("rows", row, key, judged, rules.query(sql))


def _trade(category: str) -> tuple[Rule, ...]:
    quantity, value, price = (f"{category}_{n}" for n in ("qty_kg", "value_usd", "usd_per_kg"))
    low, high = USD_PER_KG[category]
    return (
        rules.in_range(quantity, 0, 1e12, "A quantity is finite and not negative.", unit="kg"),
        rules.in_range(value, 0, 1e12, "A value is finite and not negative.", unit="USD"),
        rules.is_known(quantity, name=f"{category}_quantities_are_known", mostly=0.5,
            rows=rules.where(value, ">", 0),
            why="Traded but not weighed rows leave the model; it must not lose half of the "
            "trade."),
        rules.in_range(price, low, high, name=f"{category}_unit_values_in_range", mostly=0.5,
            unit="USD per kg", severity="warn" if category == "scrap" else "block",
            why="Most are worth that much; tons taken for kg, or thousands of dollars for "
            "dollars, move most of them out."),
    )  # fmt: skip


def minerals(given: Given) -> Suite:
    judged = (
        rules.has_all("mineral", given.sheets, name="every_mined_mineral_has_candidates",
            why="A mineral with a sheet in the production statistics has producers, and so "
            "candidates. For the others the codes of the trade source decide."),
        rules.within("leader_kg", "low_kg", "high_kg", name="leading_producers_in_band",
            why="The leading producer of the mineral mines within a factor of thirty of the "
            "usual; a factor of 1,000 is a slip of unit."),
    )  # fmt: skip
    sql = """
        select mineral, max(production_kg) as leader_kg,
            map($minerals, $usual_kg)[mineral] as usual,
            usual / 30 as low_kg, usual * 30 as high_kg
        from marts.import_panel group by mineral order by mineral"""
    shape = rules.query(sql, minerals=list(LEADERS), usual_kg=list(LEADERS.values()))
    return Suite("minerals", "One row per mineral.", ("mineral",), judged, shape)


def _is_not_carried(regressor: str) -> str:
    """SQL: whether no figure of the row's year was carried forward. dbt says which years these are;
    production and distance have none."""
    covariate = _COVARIATES.get(regressor, regressor)
    if covariate not in {name for name, *_ in RANGES}:
        return "true"
    return (
        "year not in (select year from conformed.fct_country_covariates "
        f"where {covariate}_imputation = 'carried_forward')"
    )


OVERALL: Final = Suite(
    "regressors",
    "One row per regressor that can be imputed, over all rows but those of years whose figures "
    "`fct_country_covariates` carried forward, because its indicator lags.",
    ("regressor", "unit"),
    (
        rules.at_least("observed_share", "floor_share", name="regressors_are_observed",
            why="Below this share of the rows the model would be fitted on imputed values."),
        rules.within("median", "median_low", "median_high", name="medians_in_band",
            why="The value of the median row moves little; a slip of unit moves it."),
    ),
    rules.query(
        " union all ".join(
            f"""
            select name as regressor, unit, avg((not is_imputed_{one.name})::int) as observed_share,
                floor_share, median({one.name}) as median, median_low, median_high
            from marts.import_panel, regressors
            where name = '{one.name}' and {_is_not_carried(one.name)}
            group by all"""
            for one in REGRESSORS
        )
    ),
)  # fmt: skip

_VALUE: Final = " + ".join(f"{category}_value_usd" for category in CATEGORIES)
_QUANTITY: Final = " + ".join(f"coalesce({category}_qty_kg, 0)" for category in CATEGORIES)
_MEDIANS: Final = ", ".join(
    f"median({one.name}) filter (not is_imputed_{one.name}) as median_{one.name}"
    for one in REGRESSORS
)
# A year that an importer has not reported yet is not in the panel: sums are means of its years.
_FIGURES: Final = f"""
    select count(distinct (importer_iso3, year)) as n_years, count(*) / n_years as n_rows,
        count(distinct exporter_iso3) as n_suppliers, count(distinct mineral) as n_minerals,
        sum({_VALUE}) / n_years as import_value_usd, sum({_QUANTITY}) / n_years as import_qty_kg,
        sum(production_kg) / n_years as production_kg, {_MEDIANS}"""
TOTALS: Final = totals(
    (
        Tolerance("n_years", 0.0, 4.0, "years of importers"),
        Tolerance("n_rows", 0.05, 0.15, "rows per importer and year"),
        Tolerance("n_suppliers", 0.05, 0.15, "exporting countries"),
        Tolerance("n_minerals", 0.0, 0.3, "minerals"),
        Tolerance("import_value_usd", 0.10, 0.25, "USD per importer and year"),
        Tolerance("import_qty_kg", 0.20, 0.40, "kg per importer and year"),
        Tolerance("production_kg", 0.15, 0.30, "kg per importer and year"),
        *(
            Tolerance(f"median_{one.name}", one.drift, one.drift, one.unit, is_absolute=True)
            for one in REGRESSORS
        ),
    ),
    "import_panel",
    before=f"{_FIGURES} from {{file}}",
    now=f"{_FIGURES} from marts.import_panel",
)


def _suppliers(connection: Connection, previous: Previous) -> Shape:
    by_supplier = f"""
        select importer_iso3, exporter_iso3, sum({_VALUE}) / count(distinct year) as value_usd
        from {{table}} group by all"""
    previous.load(connection, "import_panel", by_supplier.format(table="{file}"))
    sql = f"""
        select importer_iso3, exporter_iso3, before.value_usd as value_before_usd,
            coalesce(now.value_usd, 0) as value_now_usd,
            before.value_usd / sum(before.value_usd) over (partition by importer_iso3)
                as share_before,
            value_now_usd / before.value_usd as value_to_previous
        from previous_import_panel as before
        left join ({by_supplier.format(table="marts.import_panel")}) as now
            using (importer_iso3, exporter_iso3)
        where before.value_usd > 0 order by importer_iso3, exporter_iso3"""
    return comparable(connection, sql, "nothing was imported in the previous release")


SUPPLIERS: Final = Suite(
    "suppliers",
    "One row per importer and supplier of the previous release.",
    ("importer_iso3", "exporter_iso3", "value_before_usd", "value_now_usd"),
    (
        rules.in_range("value_to_previous", 0.5, 2.0, name="leading_suppliers_keep_their_trade",
            rows=rules.where("share_before", ">=", LEADING_SHARE),
            why=f"A supplier of at least {LEADING_SHARE:.0%} of the imports of the previous "
            "release neither vanishes nor doubles over the window; a code that means another "
            "country now, or a reporter left out, looks like that."),
    ),
    _suppliers,
)  # fmt: skip
GATE: Final = Gate(
    "import_panel",
    "panel",
    lambda given: (rows(given), minerals(given), OVERALL, TOTALS, SUPPLIERS),
    {"regressors": REGRESSORS},
)
