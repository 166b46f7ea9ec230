"""The shapes in which the gates judge each table, made by DuckDB from the warehouse.

A shape is a frame: rows that may break a rule, one row a year, one row a code, or one row in all.
Large tables are narrowed to the rows that a rule could refuse, in predicates that are wider than
any threshold, and one year of all; the number of all rows travels beside.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import duckdb
import pandas as pd

# The median of the four years around each, the year itself left out.
_NEIGHBOURS = "(order by year rows between 2 preceding and 2 following exclude current row)"

# The raw rows of either provider in common columns, by a column that only its layout has.
_TRADE_LAYOUTS = {
    "v": """
        select try_cast(t as integer) as year, i as exporter_code, j as importer_code,
            lpad(cast(k as varchar), 6, '0') as hs_code,
            try_cast(v as double) as value_thousand_usd, try_cast(q as double) as quantity_t,
            q is not null and try_cast(q as double) is null as is_quantity_text
        from raw.bilateral_trade""",
    "primaryValue": """
        select period as year, partnerCode as exporter_code, reporterCode as importer_code,
            cmdCode as hs_code, round(primaryValue, 2) / 1000 as value_thousand_usd,
            nullif(netWgt, 0) / 1000 as quantity_t, false as is_quantity_text
        from raw.bilateral_trade""",
}


@dataclass(frozen=True)
class Shape:
    """A frame to be judged, and how many rows the table behind it has when it is a part of one.

    `why_not` says why it cannot be judged now; None when it can.
    """

    frame: pd.DataFrame
    of_rows: int | None = None
    why_not: str | None = None


def raw_trade(
    connection: duckdb.DuckDBPyConnection, years: Sequence[int], *, with_world: bool
) -> dict[str, Shape]:
    """Raw bilateral trade: `rows`, `years`, `codes`, `totals`, and `world` of UN Comtrade's."""
    described = connection.execute("describe raw.bilateral_trade").fetchall()
    columns = {row[0] for row in described}
    layout = next(sql for column, sql in _TRADE_LAYOUTS.items() if column in columns)
    connection.execute(f"create or replace temp table trade as {layout}")
    shapes = {
        "rows": Shape(_suspect_trade(connection), _count(connection, "trade")),
        "years": Shape(_trade_years(connection, years)),
        "codes": Shape(_trade_codes(connection)),
        "totals": Shape(
            connection.sql(
                "select count(*)::double as n_rows, sum(value_thousand_usd) * 1000 as value_usd, "
                "count(distinct importer_code)::double as n_importers, "
                "count(distinct year)::double as n_years from trade"
            ).df()
        ),
    }
    if with_world:
        shapes["world"] = Shape(
            connection.sql(
                "select reporterCode as importer_code, period as year, cmdCode as hs_code, "
                "relative_difference, known_case is not null as is_known, world_value_usd, "
                "partners_value_usd from raw.bilateral_trade__reconciliation order by all"
            ).df()
        )
    return shapes


def _suspect_trade(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    return connection.sql(
        """
        with keys as (
            select year, exporter_code, importer_code, hs_code from trade
            group by all having count(*) > 1
        )
        select trade.* exclude (is_quantity_text)
                replace (if(is_quantity_text, -1, quantity_t) as quantity_t),
            trade.exporter_code = trade.importer_code as is_own_trade
        from trade left join keys on trade.year = keys.year
            and trade.exporter_code = keys.exporter_code
            and trade.importer_code = keys.importer_code and trade.hs_code = keys.hs_code
        where trade.year = (select max(year) from trade where year < 2100)
            or keys.year is not null
            or trade.year is null or trade.exporter_code is null or trade.importer_code is null
            or trade.hs_code is null or value_thousand_usd is null
            or trade.year not between 1990 and 2050
            or not value_thousand_usd between 0.0001 and 1e8
            or quantity_t <= 1e-6 or quantity_t > 1e8 or isnan(quantity_t) or is_quantity_text
            or length(trade.hs_code) <> 6 or trade.exporter_code = trade.importer_code
            or try_cast(trade.exporter_code as integer) is null
            or try_cast(trade.exporter_code as integer) < 4
            or try_cast(trade.importer_code as integer) is null
            or try_cast(trade.importer_code as integer) < 4
        order by all
        """
    ).df()


def _trade_years(connection: duckdb.DuckDBPyConnection, years: Sequence[int]) -> pd.DataFrame:
    """One row a year, with its ratios to the years around, and the large exporters it lacks."""
    return connection.execute(
        f"""
        with by_year as (
            select year, count(*) as n, sum(value_thousand_usd) as v, sum(quantity_t) as q,
                count(distinct exporter_code) as e, count(distinct importer_code) as i,
                count(distinct hs_code) as k,
                avg((quantity_t is null)::int) as share_without_quantity
            from trade where year is not null group by year
        ),
        repeated as (
            select now.year, avg((now.value_thousand_usd = before.value_thousand_usd)::int) as share
            from trade as now join trade as before on now.year = before.year + 1
                and now.exporter_code = before.exporter_code
                and now.importer_code = before.importer_code and now.hs_code = before.hs_code
            where list_contains($years, now.year)
            group by now.year
        ),
        exporters as (
            select exporter_code, by_year.year, coalesce(any_value(x.v), 0) as v,
                any_value(by_year.v) as v_of_all
            from (select distinct exporter_code from trade) cross join by_year
            left join (
                select exporter_code, year, sum(value_thousand_usd) as v from trade group by all
            ) as x using (exporter_code, year)
            group by all
        ),
        lost as (
            select year, count(*) as n_lost,
                string_agg(exporter_code, ', ' order by exporter_code) as lost_exporters
            from (
                select *, median(v) over (partition by exporter_code order by year
                        rows between 2 preceding and 2 following exclude current row) as usual,
                    median(v_of_all) over (partition by exporter_code order by year
                        rows between 2 preceding and 2 following exclude current row) as usual_all
                from exporters
            )
            where usual >= 0.01 * usual_all and v < 0.01 * usual
            group by year
        )
        select year, n as n_rows,
            coalesce(year - lag(year) over (order by year) - 1, 0) as years_missing_before,
            n / median(n) over {_NEIGHBOURS} as rows_to_neighbours,
            v / median(v) over {_NEIGHBOURS} as value_to_neighbours,
            q / median(q) over {_NEIGHBOURS} as quantity_to_neighbours,
            e / median(e) over {_NEIGHBOURS} as exporters_to_neighbours,
            i / median(i) over {_NEIGHBOURS} as importers_to_neighbours,
            k / median(k) over {_NEIGHBOURS} as codes_to_neighbours,
            share_without_quantity,
            coalesce(repeated.share, 0) as share_as_the_year_before,
            coalesce(n_lost, 0) as leading_exporters_lost,
            coalesce(lost_exporters, '') as lost_exporters,
            list_contains($years, year) as is_in_window
        from by_year left join repeated using (year) left join lost using (year)
        order by year
        """,
        {"years": list(years)},
    ).df()


def _trade_codes(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    return connection.sql(
        """
        with cells as (
            select hs_code, year, count(*) as n_flows,
                median(value_thousand_usd / quantity_t) filter (quantity_t > 0)
                    as unit_value_usd_per_kg
            from trade group by hs_code, year
        )
        select *, unit_value_usd_per_kg / median(unit_value_usd_per_kg) over (partition by hs_code)
            as unit_value_to_code
        from cells where unit_value_usd_per_kg is not null order by hs_code, year
        """
    ).df()


def raw_production(
    connection: duckdb.DuckDBPyConnection, sheets: Collection[str]
) -> dict[str, Shape]:
    """Raw production: `rows`, `years`, `sheets`, `totals`. `sheets` are those of our minerals."""
    connection.execute(
        """create or replace temp table production as
        select trim(sheet) as sheet, country, country_iso, year, quantity, unit from raw.production
        """
    )
    rows = connection.sql(
        f"""select *, length(country) as name_length, {_broken_letters("country")}
            from production order by all"""
    ).df()
    years = connection.execute(
        """
        with cells as (
            select sheet, year, coalesce(count(quantity) filter (quantity > 0), 0) as n_figures
            from production where list_contains($1, sheet) group by all
        ),
        years as (
            select year, count(distinct country) filter (quantity > 0) as n_countries_of_year,
                avg((quantity is null)::int) as share_without_figure_of_year
            from production group by year
        ),
        repeated as (
            select now.year, avg((now.quantity = before.quantity)::int) as share
            from production as now join production as before on now.year = before.year + 1
                and now.sheet = before.sheet and now.country = before.country
            where now.quantity > 0 and before.quantity > 0 group by now.year
        )
        select sheet, year, n_figures, count(*) over (partition by year) as n_sheets_of_year,
            n_countries_of_year, share_without_figure_of_year,
            coalesce(share, 0) as share_as_the_year_before
        from cells join years using (year) left join repeated using (year)
        where n_figures > 0 order by sheet, year
        """,
        [list(sheets)],
    ).df()
    sums = connection.execute(
        """
        with sums as (
            select sheet, year, sum(quantity) filter (country <> 'Total') as sum_of_countries,
                max(quantity) filter (country = 'Total') as stated_total
            from production group by all
        )
        select *, sum_of_countries / nullif(stated_total, 0) as sum_to_total,
            sum_of_countries / nullif(median(sum_of_countries) over (partition by sheet), 0)
                as sum_to_other_years,
            list_contains($1, sheet) as is_mineral
        from sums order by sheet, year
        """,
        [list(sheets)],
    ).df()
    return {
        "rows": Shape(rows),
        "years": Shape(years),
        "sheets": Shape(sums),
        "totals": _row_count(connection, "production"),
    }


def raw_indicators(
    connection: duckdb.DuckDBPyConnection, years: Sequence[int], indicators: Sequence[str]
) -> dict[str, Shape]:
    """Raw country indicators: `rows`, `years` (of the window), `totals`."""
    rows = connection.sql("select * from raw.country_indicators order by iso3, year").df()
    found = [code for code in indicators if code in rows.columns]
    measures = "".join(
        f"""
        , avg((now."{code}" is not null)::int) as "observed_share {code}",
        count(distinct now."{code}") as "n_distinct {code}",
        median(now."{code}") as "median {code}",
        coalesce(avg((now."{code}" = before."{code}")::int), 0) as "repeated_share {code}"
        """
        for code in found
    )
    finite = ", ".join(f'if(isfinite("{code}"), "{code}", null) as "{code}"' for code in found)
    years_of_window = connection.execute(
        f"""
        with figures as (select iso3, year, {finite} from raw.country_indicators)
        select now.year, count(distinct now.iso3) as n_economies {measures}
        from figures as now
        left join figures as before on now.iso3 = before.iso3 and now.year = before.year + 1
        where list_contains($1, now.year) group by now.year order by now.year
        """,
        [list(years)],
    ).df()
    return {
        "rows": Shape(rows),
        "years": Shape(years_of_window),
        "totals": _row_count(connection, "raw.country_indicators"),
    }


def raw_geography(connection: duckdb.DuckDBPyConnection) -> dict[str, Shape]:
    """Raw geography: `rows` and `totals`."""
    rows = connection.sql(
        f"""select *, {_broken_letters("name", "main_city")}
        from raw.country_geography order by iso3"""
    )
    return {
        "rows": Shape(rows.df()),
        "totals": _row_count(connection, "raw.country_geography"),
    }


def trade_flow(connection: duckdb.DuckDBPyConnection, years: Sequence[int]) -> dict[str, Shape]:
    """Conformed trade: `rows`, `codes`, `totals`."""
    rows = connection.sql(
        """
        select importer_iso3, exporter_iso3, mineral, category, year, hs_code, qty_kg,
            cast(value_usd as double) as value_usd
        from conformed.fct_trade_flow
        where year = (select max(year) from conformed.fct_trade_flow)
            or importer_iso3 is null or exporter_iso3 is null or mineral is null
            or category is null or hs_code is null or value_usd is null
            or not value_usd between 0.01 and 1e11 or qty_kg <= 1e-3 or qty_kg > 1e11
            or not regexp_full_match(importer_iso3, '[A-Z]{3}')
            or not regexp_full_match(exporter_iso3, '[A-Z]{3}')
        order by all
        """
    ).df()
    codes = connection.execute(
        """
        select mineral, category, hs_code, year, count(*) as n_flows,
            avg((not has_quantity)::int) as share_without_quantity,
            avg(is_unit_value_outlier::int) as share_of_outliers,
            median(unit_value_usd_per_kg) as median_unit_value_usd_per_kg
        from conformed.fct_trade_flow
        where list_contains($1, year) group by all order by all
        """,
        [list(years)],
    ).df()
    totals = connection.sql(
        "select count(*)::double as n_rows, sum(value_usd)::double as value_usd, "
        "sum(qty_kg) as qty_kg, count(distinct importer_iso3)::double as n_importers "
        "from conformed.fct_trade_flow"
    ).df()
    return {
        "rows": Shape(rows, _count(connection, "conformed.fct_trade_flow")),
        "codes": Shape(codes),
        "totals": Shape(totals),
    }


def _broken_letters(*columns: str) -> str:
    """SQL: how many signs of a file read in the wrong encoding the texts of a row hold."""
    text = f"concat_ws(' ', {', '.join(columns)})"
    return (
        f"length({text}) - length(regexp_replace({text}, '[\ufffdÃÂ]', '', 'g')) "
        "as n_broken_letters"
    )


def _row_count(connection: duckdb.DuckDBPyConnection, table: str) -> Shape:
    return Shape(connection.sql(f"select count(*)::double as n_rows from {table}").df())


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(connection.execute(f"select count(*) from {table}").fetchall()[0][0])
