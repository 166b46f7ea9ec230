"""Kinds of damage that publishers, transfers and mistakes have done to files such as ours.

A damage is one SQL statement over the real rows (`rows`), or an edit of a source file's bytes.
`expected` is the check, test or rule of ingestion that is meant to catch it.
"""

from collections.abc import Callable
from dataclasses import dataclass

TRADE, PRODUCTION = "bilateral_trade", "production"
INDICATORS, GEOGRAPHY = "country_indicators", "country_geography"


@dataclass(frozen=True)
class Damage:
    """`sql` makes the damaged table out of `rows`; `edit` the damaged bytes of a CSV file."""

    name: str
    dataset: str
    expected: str
    sql: str | None = None
    edit: Callable[[bytes], bytes] | None = None


def _replaced(column: str, value: str, where: str = "true") -> str:
    return f'select * replace (if({where}, {value}, "{column}") as "{column}") from rows'


def _headers_swapped(first: str, second: str) -> Callable[[bytes], bytes]:
    def edit(content: bytes) -> bytes:
        header, _, body = content.partition(b"\n")
        names = [{first: second, second: first}.get(n, n) for n in header.decode().split(",")]
        return ",".join(names).encode() + b"\n" + body

    return edit


def _decimal_comma(content: bytes) -> bytes:
    header, _, body = content.partition(b"\n")
    return header.replace(b",", b";") + b"\n" + body.replace(b",", b";").replace(b".", b",")


DAMAGES = (
    Damage("value and quantity swapped", TRADE, "unit_value_of_each_code_is_steady",
           "select t, i, j, k, coalesce(q, v) as v, v as q from rows"),
    Damage("exporter and importer swapped", TRADE, "leading_suppliers_keep_their_trade",
           "select t, j as i, i as j, k, v, q from rows"),
    Damage("a year missing", TRADE, "years_are_present", "from rows where t <> '2021'"),
    Damage("tons for kg in every row", TRADE, "unit_values_have_the_right_unit",
           _replaced("q", "(q::double * 1000)::varchar")),
    Damage("tons for kg in one year", TRADE, "unit_value_of_each_code_is_steady",
           _replaced("q", "(q::double * 1000)::varchar", "t = '2022'")),
    Damage("half the rows", TRADE, "n_rows_near_previous",
           "from rows where hash(t, i, j, k) % 2 = 0"),
    Damage("half the rows of one year", TRADE, "rows_are_steady",
           "from rows where t <> '2022' or hash(i, j, k) % 2 = 0"),
    Damage("rows twice", TRADE, "is not unique",
           "from rows union all (from rows where t = '2023')"),
    Damage("a year counted twice, under codes of the importers' own", TRADE, "rows_are_steady",
           "from rows union all (select t, '9' || i, j, k, v, q from rows where t = '2022')"),
    Damage("a partner's trade lost in one year", TRADE, "no_leading_exporter_is_lost",
           "from rows where not (i = '152' and t = '2022')"),
    Damage("a country's code renamed", TRADE, "assert_trade_country_codes_are_known",
           _replaced("i", "'1560'", "i = '156'")),
    Damage("a partner's trade lost in all years", TRADE, "leading_suppliers_keep_their_trade",
           "from rows where i <> '360'"),
    Damage("negative values", TRADE, "value_thousand_usd_in_range",
           _replaced("v", "'-' || v", "hash(i, j, k) % 1000 = 0")),
    Damage("NaN among the values", TRADE, "is not a number",
           _replaced("v", "'nan'", "hash(i, j, k) % 1000 = 0")),
    Damage("decimal comma in the trade table", TRADE, "is not a number",
           _replaced("v", "replace(v, '.', ',')")),
    Damage("last year's file again", TRADE, "year_is_not_the_year_before",
           "from rows where t <> '2023' union all "
           "(select '2023', i, j, k, v, q from rows where t = '2022')"),
    Damage("World counted as a partner", TRADE, "exporter_is_not_the_world",
           "from rows union all (select t, '0', j, k, sum(v::double)::varchar, "
           "sum(q::double)::varchar from rows group by t, j, k)"),
    Damage("quantities left out", TRADE, "quantities_are_given", _replaced("q", "null")),
    Damage("file cut short", TRADE, "years_are_present",
           "from rows where t < '2018'"),
    Damage("a column renamed", TRADE, "has no column", "select * rename (v as value) from rows"),
    Damage("kg for tons on one sheet", PRODUCTION, "copper_output_in_band",
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
    Damage("units renamed", PRODUCTION, "units_are_known",
           _replaced("unit", "'t'", "unit = 'metr. t'")),
    Damage("negative production", PRODUCTION, "is negative",
           _replaced("quantity", "-quantity", "country = 'Chile'")),
    Damage("encoding broken on the way", PRODUCTION, "names_are_read_in_the_right_encoding",
           _replaced("country", "'CÃ´te d''Ivoire'", "country ilike 'C%te d%Ivoire'")),
    Damage("decimal comma in a CSV file", INDICATORS, "country_indicators.csv",
           edit=_decimal_comma),
    Damage("two columns swapped", INDICATORS, "ny_gdp_mktp_pp_kd_in_range",
           edit=_headers_swapped("NY.GDP.MKTP.PP.KD", "SP.POP.TOTL")),
    Damage("a covariate constant", INDICATORS, "cc_est_differs_between_economies",
           _replaced("CC.EST", "0.1", '"CC.EST" is not null')),
    Damage("population in thousands", INDICATORS, "sp_pop_totl_median_of_each_year_in_band",
           _replaced("SP.POP.TOTL", '"SP.POP.TOTL" / 1000')),
    Damage("shares from 0 to 1 for percent", INDICATORS,
           "eg_elc_accs_zs_median_of_each_year_in_band",
           _replaced("EG.ELC.ACCS.ZS", '"EG.ELC.ACCS.ZS" / 100')),
    Damage("a year without figures", INDICATORS, "years_are_present",
           "from rows where year <> 2021"),
    Damage("a third of the economies lost", INDICATORS, "economies_of_each_year_are_present",
           "from rows where hash(iso3) % 3 <> 0"),
    Damage("one indicator mostly empty", INDICATORS, "ny_gdp_mktp_pp_kd_is_complete_each_year",
           _replaced("NY.GDP.MKTP.PP.KD", "null", "hash(iso3, year) % 2 = 0")),
    Damage("file in Latin-1", GEOGRAPHY, "is not UTF-8",
           edit=lambda content: content.decode("utf-8").encode("latin-1", "replace")),
    Damage("UTF-8 taken for Latin-1", GEOGRAPHY, "names_are_read_in_the_right_encoding",
           edit=lambda content: content.decode("utf-8").encode("utf-8").decode("latin-1")
           .encode("utf-8")),
    Damage("latitude and longitude swapped", GEOGRAPHY, "ind_lat_is_there",
           edit=_headers_swapped("main_city_lat_deg", "main_city_lon_deg")),
    Damage("India not among the countries", GEOGRAPHY, "anchor_countries_are_there",
           "from rows where iso3 <> 'IND'"),
    Damage("no country has a coast", GEOGRAPHY, "landlocked_share_in_band",
           _replaced("landlocked", "1::int")),
)  # fmt: skip
