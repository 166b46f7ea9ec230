"""Kinds of damage that publishers, transfers and mistakes have done to tables such as ours.

A damage is one SQL statement over the real rows (`rows`) of a table, or an edit of a source file.
`expected` is the rule of a gate, or the words of the refusal at ingestion, that must catch it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from expectations import fct_country_covariates, raw_country_indicators
from minerals.names import CATEGORIES

TRADE, PRODUCTION = "bilateral_trade", "production"
INDICATORS, GEOGRAPHY = "country_indicators", "country_geography"


@dataclass(frozen=True)
class Damage:
    """`sql` makes the damaged table out of `rows`; `edit` the damaged bytes of a CSV file.

    `table` is a raw dataset, or a table that dbt or a model makes, with its schema.
    """

    name: str
    table: str
    expected: str
    sql: str = ""
    edit: Callable[[bytes], bytes] | None = None

    @property
    def gate(self) -> str:
        """The table whose gate judges it."""
        schema, _, table = self.table.rpartition(".")
        return {"ppml_fit": "ppml_coefficients"}.get(table, table if schema else f"raw_{table}")


def _replaced(column: str, value: str, where: str = "true") -> str:
    return f'select * replace (if({where}, {value}, "{column}") as "{column}") from rows'


def _absurd(columns: Iterable[str], where: str) -> str:
    """A row in which each of these columns is out of any range."""
    changed = ", ".join(f'if({where}, 1e20, "{column}") as "{column}"' for column in columns)
    return f"select * replace ({changed}) from rows"


def _headers_swapped(first: str, second: str) -> Callable[[bytes], bytes]:
    def edit(content: bytes) -> bytes:
        header, _, body = content.partition(b"\n")
        names = [{first: second, second: first}.get(n, n) for n in header.decode().split(",")]
        return ",".join(names).encode() + b"\n" + body

    return edit


def _decimal_comma(content: bytes) -> bytes:
    header, _, body = content.partition(b"\n")
    return header.replace(b",", b";") + b"\n" + body.replace(b",", b";").replace(b".", b",")


# What a publisher delivers: refused at ingestion, or by the gate of the raw table.
DELIVERED = (
    Damage("value and quantity swapped", TRADE, "unit_value_of_each_code_is_steady",
           "select t, i, j, k, coalesce(q, v) as v, v as q from rows"),
    Damage("a year missing", TRADE, "years_are_present", "from rows where t <> '2021'"),
    Damage("tons for kg in every row", TRADE, "unit_values_have_the_right_unit",
           _replaced("q", "(q::double * 1000)::varchar")),
    Damage("tons for kg in one year", TRADE, "unit_value_of_each_code_is_steady",
           _replaced("q", "(q::double * 1000)::varchar", "t = '2022'")),
    Damage("half the rows", TRADE, "figures_near_previous",
           "from rows where hash(t, i, j, k) % 2 = 0"),
    Damage("half the rows of one year", TRADE, "rows_are_steady",
           "from rows where t <> '2022' or hash(i, j, k) % 2 = 0"),
    Damage("rows twice", TRADE, "is not unique",
           "from rows union all (from rows where t = '2023')"),
    Damage("a year counted twice, under codes of the importers' own", TRADE, "rows_are_steady",
           "from rows union all (select t, '9' || i, j, k, v, q from rows where t = '2022')"),
    Damage("a partner's trade lost in one year", TRADE, "no_leading_exporter_is_lost",
           "from rows where not (i = '152' and t = '2022')"),
    Damage("negative values", TRADE, "value_thousand_usd_in_range",
           _replaced("v", "'-' || v", "hash(i, j, k) % 1000 = 0")),
    Damage("NaN among the values", TRADE, "is not a number",
           _replaced("v", "'nan'", "hash(i, j, k) % 1000 = 0")),
    Damage("decimal comma in the trade table", TRADE, "is not a number",
           _replaced("v", "replace(v, '.', ',')")),
    Damage("last year's file again", TRADE, "year_is_not_the_year_before",
           "from rows where t <> '2023' union all "
           "(select '2023', i, j, k, v, q from rows where t = '2022')"),
    Damage("World counted as a partner", TRADE, "partner_is_not_the_world",
           "from rows union all (select t, '0', j, k, sum(v::double)::varchar, "
           "sum(q::double)::varchar from rows group by t, j, k)"),
    Damage("quantities left out", TRADE, "quantities_are_given", _replaced("q", "null")),
    Damage("file cut short", TRADE, "years_are_present",
           "from rows where t < '2018'"),
    Damage("half of the codes lost in a year", TRADE, "codes_are_steady",
           "from rows where t <> '2022' or hash(k) % 2 = 0"),
    Damage("half of the exporters lost in a year", TRADE, "exporters_are_steady",
           "from rows where t <> '2022' or hash(i) % 2 = 0"),
    Damage("half of the importers lost in a year", TRADE, "importers_are_steady",
           "from rows where t <> '2022' or hash(j || 'x') % 2 = 0"),
    Damage("values in cents in a year", TRADE, "values_are_steady",
           _replaced("v", "(v::double * 100)::varchar", "t = '2022'")),
    Damage("a year in the middle lost", TRADE, "years_have_no_gap", "from rows where t <> '2010'"),
    Damage("years of two digits", TRADE, "year_in_range", _replaced("t", "t[3:]", "t = '1999'")),
    Damage("re-imports among the rows", TRADE, "exporter_is_not_importer",
           "from rows union all (select t, j, j, k, v, q from rows where t = '2010' limit 1)"),
    Damage("quantities of zero", TRADE, "quantity_t_in_range",
           _replaced("q", "'0'", "hash(i, j, k) % 1000 = 0")),
    Damage("a column renamed", TRADE, "has no column", "select * rename (v as value) from rows"),
    Damage("kg for tons on one sheet", PRODUCTION, "world_output_in_band",
           _replaced("quantity", "quantity * 1000", "sheet = 'Copper'")),
    Damage("kg for tons in one year", PRODUCTION, "world_output_is_steady",
           _replaced("quantity", "quantity * 1000", "year = 2022")),
    Damage("a sheet missing", PRODUCTION, "sheets_are_present",
           "from rows where trim(sheet) <> 'Cobalt'"),
    Damage("last year's production again", PRODUCTION, "year_is_not_the_year_before",
           "from rows where year <> 2023 union all "
           "(select * replace (2023::int as year) from rows where year = 2022)"),
    Damage("the largest producer lost", PRODUCTION, "countries_add_up_to_the_total",
           "from rows where country <> 'China'"),
    Damage("an absurd output", PRODUCTION, "quantity_in_range",
           _replaced("quantity", "1e11", "sheet = 'Copper' and country = 'Chile'")),
    Damage("a cell that slipped a column", PRODUCTION, "country_is_a_name",
           _replaced("country", "'7'", "country = 'Chile'")),
    Damage("a year of production lost", PRODUCTION, "years_are_present",
           "from rows where year <> 2021"),
    Damage("most countries lost", PRODUCTION, "countries_are_present",
           "from rows where hash(country) % 3 = 0"),
    Damage("figures lost", PRODUCTION, "figures_are_given",
           _replaced("quantity", "null", "hash(country, sheet) % 3 = 0")),
    Damage("totals in another unit", PRODUCTION, "no_total_is_far_off",
           _replaced("quantity", "quantity / 1000", "country = 'Total'")),
    Damage("half the production rows", PRODUCTION, "countries_are_present",
           "from rows where hash(country) % 2 = 0"),
    Damage("negative production", PRODUCTION, "is negative",
           _replaced("quantity", "-quantity", "country = 'Chile'")),
    Damage("encoding broken on the way", PRODUCTION, "names_are_read_in_the_right_encoding",
           _replaced("country", "'CÃ´te d''Ivoire'", "country ilike 'C%te d%Ivoire'")),
    Damage("decimal comma in a CSV file", INDICATORS, "country_indicators.csv",
           edit=_decimal_comma),
    Damage("two columns swapped", INDICATORS, "NY.GDP.MKTP.PP.KD_in_range",
           edit=_headers_swapped("NY.GDP.MKTP.PP.KD", "SP.POP.TOTL")),
    Damage("a covariate constant", INDICATORS, "economies_differ",
           _replaced("CC.EST", "0.1", '"CC.EST" is not null')),
    Damage("population in thousands", INDICATORS, "medians_in_band",
           _replaced("SP.POP.TOTL", '"SP.POP.TOTL" / 1000')),
    Damage("shares from 0 to 1 for percent", INDICATORS,
           "medians_in_band",
           _replaced("EG.ELC.ACCS.ZS", '"EG.ELC.ACCS.ZS" / 100')),
    Damage("one economy's figures absurd", INDICATORS, "SP.POP.TOTL_in_range",
           _absurd((one.code for one in raw_country_indicators.INDICATORS),
                   "iso3 = 'CHN' and year = 2021")),
    Damage("last year's indicators again", INDICATORS, "year_is_not_the_year_before",
           "from rows where year <> 2021 union all "
           "(select * replace (2021 as year) from rows where year = 2020)"),
    Damage("economies of later years lost", INDICATORS, "years_are_present",
           "from rows where year <= 2021"),
    Damage("a year without figures", INDICATORS, "years_are_present",
           "from rows where year <> 2021"),
    Damage("a third of the economies lost", INDICATORS, "economies_are_present",
           "from rows where hash(iso3) % 3 <> 0"),
    Damage("one indicator mostly empty", INDICATORS, "figures_are_given",
           _replaced("NY.GDP.MKTP.PP.KD", "null", "hash(iso3, year) % 2 = 0")),
    Damage("one indicator missing", INDICATORS, "figures_are_given",
           _replaced("CC.EST", "null::double")),
    Damage("one indicator three years late", INDICATORS, "figures_are_given",
           _replaced("EG.ELC.FOSL.ZS", "null", "year > 2020")),
    Damage("file in Latin-1", GEOGRAPHY, "is not UTF-8",
           edit=lambda content: content.decode("utf-8").encode("latin-1", "replace")),
    Damage("UTF-8 taken for Latin-1", GEOGRAPHY, "names_are_read_in_the_right_encoding",
           edit=lambda content: content.decode("utf-8").encode("utf-8").decode("latin-1")
           .encode("utf-8")),
    Damage("latitude and longitude swapped", GEOGRAPHY, "anchor_lat_is_right",
           edit=_headers_swapped("main_city_lat_deg", "main_city_lon_deg")),
    Damage("India not among the countries", GEOGRAPHY, "anchor_countries_are_there",
           "from rows where iso3 <> 'IND'"),
    Damage("half of the countries lost", GEOGRAPHY, "enough_economies",
           "from rows where hash(iso3) % 2 = 0"),
    Damage("areas in square metres", GEOGRAPHY, "area_km2_in_range",
           _replaced("area_km2", "area_km2 * 1e6")),
    Damage("coordinates in thousandths of a degree", GEOGRAPHY, "main_city_lon_deg_in_range",
           "select * replace (main_city_lat_deg * 1000 as main_city_lat_deg, "
           "main_city_lon_deg * 1000 as main_city_lon_deg) from rows"),
    Damage("countries counted twice", GEOGRAPHY, "enough_economies",
           "from rows union all "
           "(select * replace ('Q' || row_number() over () as iso3) from rows)"),
    Damage("no country has a coast", GEOGRAPHY, "landlocked_share_in_band",
           _replaced("landlocked", "1::int")),
)  # fmt: skip

# What only dbt or the gate of the panel can see: judged from end to end, one per dataset.
END_TO_END = (
    Damage("a country's code renamed", TRADE, "assert_trade_country_codes_are_known",
           _replaced("i", "'1560'", "i = '156'")),
    Damage("units renamed", PRODUCTION, "assert_production_is_complete",
           _replaced("unit", "'t'", "unit = 'metr. t'")),
    Damage("population in thousands", INDICATORS, "medians_in_band",
           _replaced("SP.POP.TOTL", '"SP.POP.TOTL" / 1000')),
    Damage("India not among the countries", GEOGRAPHY, "anchor_countries_are_there",
           "from rows where iso3 <> 'IND'"),
)  # fmt: skip

FLOW, COVARIATES = "conformed.fct_trade_flow", "conformed.fct_country_covariates"
PANEL, TERMS, FIT = "marts.import_panel", "marts.ppml_coefficients", "marts.ppml_fit"
ANNUAL, FORWARD = "marts.ranking_annual", "marts.ranking_forward"
_OURS = "coefficient_source = 'estimated'"
# What India sold, in the place of what it bought.
_SWAPPED = """
    select panel.* replace (coalesce(sold.value_usd, 0) as products_value_usd)
    from rows as panel left join (
        select importer_iso3 as exporter_iso3, mineral, year, sum(value_usd)::double as value_usd
        from conformed.fct_trade_flow where exporter_iso3 = 'IND' group by all
    ) as sold using (exporter_iso3, mineral, year)"""

_CHINA = "country_iso3 = 'CHN' and year = 2021"
_COPPER = "mineral = 'Copper' and exporter_iso3 = 'CHL' and year = 2021"

# What a broken step makes of a table: the gate after it sees it.
BUILT = (
    Damage("a year of flows lost", FLOW, "years_are_present", "from rows where year <> 2021"),
    Damage("a mineral lost in a year", FLOW, "every_mineral_has_every_year",
           "from rows where mineral <> 'Tin' or year <> 2021"),
    Damage("copper in tons", FLOW, "unit_values_of_minerals_in_range",
           _replaced("unit_value_usd_per_kg", "unit_value_usd_per_kg * 1000",
                     "mineral = 'Copper'")),
    Damage("ores in tons", FLOW, "ores_unit_values_in_range",
           _replaced("unit_value_usd_per_kg", "unit_value_usd_per_kg * 1000")),
    Damage("products in grams", FLOW, "products_unit_values_in_range",
           _replaced("unit_value_usd_per_kg", "unit_value_usd_per_kg / 1000")),
    Damage("quantities lost", FLOW, "quantities_of_codes_are_given",
           _replaced("has_quantity", "false")),
    Damage("outliers everywhere", FLOW, "outliers_are_few",
           _replaced("is_unit_value_outlier", "true")),
    Damage("half the value", FLOW, "figures_near_previous",
           _replaced("value_usd", "value_usd / 2")),
    Damage("one country's population in thousands", COVARIATES, "gdp_per_person_in_range",
           _replaced("population", "population / 1000", "country_iso3 = 'CHN'")),
    Damage("one country's figures absurd", COVARIATES, "population_in_range",
           _absurd((name for name, *_ in fct_country_covariates.RANGES), _CHINA)),
    Damage("GDP in thousands", COVARIATES, "world_gdp_ppp_2021_usd_in_range",
           _replaced("gdp_ppp_2021_usd", "gdp_ppp_2021_usd / 1000")),
    Damage("population twice", COVARIATES, "world_population_in_range",
           _replaced("population", "population * 2")),
    Damage("all governance imputed", PANEL, "regressors_are_observed",
           _replaced("is_imputed_wgi_average", "true")),
    Damage("access as a share", PANEL, "medians_in_band",
           _replaced("access_to_electricity_pct", "access_to_electricity_pct / 100")),
    Damage("a candidate's figures absurd", PANEL, "products_qty_kg_in_range",
           _absurd(("production_kg", *(f"{category}_{column}"
                    for category in CATEGORIES for column in ("qty_kg", "value_usd"))), _COPPER)),
    Damage("a copied coordinate", PANEL, "ln_distance_in_range",
           _replaced("ln_distance", "ln(0.5)", "exporter_iso3 = 'CHN'")),
    Damage("production in grams", PANEL, "world_production_in_band",
           _replaced("production_kg", "production_kg * 1000")),
    Damage("one mineral's production in tons", PANEL, "leading_producers_in_band",
           _replaced("production_kg", "production_kg / 1000", "mineral = 'Platinum'")),
    Damage("no importer trades", PANEL, "every_importer_has_trade",
           _replaced("is_trading_partner", "false")),
    Damage("copper lost", PANEL, "every_mined_mineral_has_candidates",
           "from rows where mineral <> 'Copper'"),
    Damage("minerals A to P only", PANEL, "enough_minerals_have_candidates",
           "from rows where mineral < 'P'"),
    *(
        Damage(f"{category} without quantities", PANEL, f"{category}_quantities_are_known",
               f"select * replace (null as {category}_qty_kg, 5 as {category}_value_usd) from rows")
        for category in CATEGORIES
    ),
    *(
        Damage(f"{category} for a cent per ton", PANEL, f"{category}_unit_values_in_range",
               f"select * replace (1e6 as {category}_qty_kg, 10 as {category}_value_usd) from rows")
        for category in CATEGORIES
    ),
    Damage("all debt imputed", PANEL, "regressors_are_observed",
           _replaced("is_imputed_central_govt_debt_pct_gdp", "true")),
    Damage("GDP in thousands, in the panel", PANEL, "medians_in_band",
           _replaced("ln_gdp", "ln_gdp - ln(1000)")),
    Damage("a tenth of the exporters lost", PANEL, "figures_near_previous",
           "from rows where hash(exporter_iso3) % 10 <> 0"),
    Damage("GDP of another base year", PANEL, "figures_near_previous",
           _replaced("ln_gdp", "ln_gdp + 0.4")),
    Damage("a leading supplier's trade lost", PANEL, "leading_suppliers_keep_their_trade",
           _replaced("products_value_usd", "0", "exporter_iso3 = 'CHN'")),
    Damage("exporter and importer swapped", PANEL, "leading_suppliers_keep_their_trade", _SWAPPED),
    Damage("separation taken for an estimate", TERMS, "estimates_are_not_separated",
           _replaced("estimate", "-30", _OURS)),
    Damage("estimates lost", TERMS, "estimates_are_known", _replaced("estimate", "null", _OURS)),
    Damage("standard errors lost", TERMS, "std_errors_are_known",
           _replaced("std_error", "null", _OURS)),
    Damage("standard errors absurd", TERMS, "std_errors_in_range",
           _replaced("std_error", "60", f"{_OURS} and se_type <> 'bootstrap_exporter'")),
    Damage("bootstrap nearly separated", TERMS, "bootstrap_std_errors_in_range",
           _replaced("std_error", "60", f"{_OURS} and se_type = 'bootstrap_exporter'")),
    Damage("signs turned", TERMS, "signs_as_in_previous",
           _replaced("estimate", "-estimate", _OURS)),
    Damage("estimates moved a little", TERMS, "sizes_near_previous",
           _replaced("estimate", "estimate + 4 * std_error", _OURS)),
    Damage("estimates moved far", TERMS, "sizes_not_far_from_previous",
           _replaced("estimate", "estimate + 11 * std_error", _OURS)),
    Damage("models lost", TERMS, "models_are_still_published", f"from rows where not ({_OURS})"),
    Damage("a model that explains everything", FIT, "published_models_explain",
           _replaced("pseudo_r2", "0.999")),
    Damage("bootstrap samples lost", FIT, "bootstrap_samples_are_estimated",
           _replaced("n_bootstrap_failed", "n_bootstrap_replications // 2")),
    *(
        damage
        for table in (ANNUAL, FORWARD)
        for damage in (
            Damage(f"a negative prediction in {table}", table, "predicted_qty_kg_in_range",
                   _replaced("predicted_qty_kg", "-1", "mineral = 'Tin'")),
            Damage(f"absurd imports in {table}", table, "actual_qty_kg_in_range",
                   _replaced("actual_qty_kg", "1e14", "mineral = 'Tin'")),
            Damage(f"an importer lost in {table}", table, "every_importer_is_ranked_for",
                   "from rows where importer_iso3 <> 'JPN'"),
        )
    ),
    Damage("ranks turned over", FORWARD, "churn_is_bounded",
           _replaced("forward_rank", "1000 - forward_rank")),
    Damage("a third of the ranks moved", FORWARD, "leading_suppliers_stay",
           _replaced("forward_rank", "forward_rank + 5")),
)  # fmt: skip
