-- An edition that names a commodity, a statistic or a country anew: its figures are missing, or count
-- with the rest of the world.
{{ config(severity='warn', meta={
    'description': 'The USGS data release has every table of usgs_tables, and every country in them is known.',
    'dagster': {'ref': {'name': 'stg_usgs__figure'}}
}) }}

with figures as (

    select
        *,
        max(source_dataset) over () as newest_dataset
    from {{ ref('stg_usgs__figure') }}

),

newest as (

    select * from figures
    where source_dataset = newest_dataset

),

named as (

    select
        *,
        max(edition) over () as newest_edition
    from {{ ref('usgs_tables') }}

),

known as (

    select code as country_name from {{ ref('int_country_code__resolved') }}
    where code_system = 'usgs_name'

),

problems as (

    select 'no figure of ' || named.commodity || ': ' || named.statistic as problem
    from named
    left join newest on named.table_id = newest.table_id
    where named.edition = named.newest_edition and newest.table_id is null
    union all
    select distinct 'unknown country ' || newest.country_name as problem
    from newest
    left join known on newest.country_name = known.country_name
    where known.country_name is null

)

select problem from problems
order by problem
