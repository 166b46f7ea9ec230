-- Years of the window that an importer has not reported, or in an HS revision that is not mapped, are not
-- in the panel: a zero there would say that nothing was bought. They are counted and named.
{{ config(severity='warn', enabled=var('profile') == 'live', meta={
    'description': 'Every importer of the settings has reported every year of the window; a year that it has not is left out of its panel and its means.',
    'dagster': {'ref': {'name': 'fct_trade_flow'}}
}) }}

with importers as (

    select importer_iso3 from {{ importers() }}

),

window_years as (

    select year from {{ window_years() }}

),

reported as (

    select
        importer_iso3,
        year
    from {{ reported_years() }}

),

missing as (

    select
        importers.importer_iso3 || ' ' || {{ joined('window_years.year') }}
            as named,
        count(*) as n_years
    from importers
    cross join window_years
    anti join reported
        on importers.importer_iso3 = reported.importer_iso3 and window_years.year = reported.year
    group by importers.importer_iso3

)

select
    'years of importers that are not in the panel, because no trade of them is reported: ' || sum(n_years)
    || ' (' || {{ joined('named', separator='; ') }} || ')' as problem
from missing
having count(*) > 0
