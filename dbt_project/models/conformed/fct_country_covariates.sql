{%- set indicators = [
    'gdp_ppp_2021_usd',
    'population',
    'access_to_electricity_pct',
    'central_govt_debt_pct_gdp',
    'electricity_fossil_pct',
    'electricity_renewable_ex_hydro_pct',
    'fdi_pct_gdp',
    'wgi_average',
] -%}

-- Every country in every year of the window, with every gap filled and every filling named. In turn:
-- the same country's nearest year of the window (the earlier of two as near), then the median of the
-- year over its region and income group, then over its region, then over all. Medians are of
-- observed values only.

with countries as (

    select
        country_iso3,
        region,
        income_group,
        is_landlocked,
    from {{ ref('dim_country') }}

),

window_years as (

    select year from {{ window_years() }}

),

window_indicators as (

    select
        *,
        (
            wgi_control_of_corruption
            + wgi_government_effectiveness
            + wgi_political_stability
            + wgi_rule_of_law
            + wgi_regulatory_quality
            + wgi_voice_and_accountability
        ) / 6 as wgi_average,
    from {{ ref('stg_world_bank__indicator') }}
    where year between {{ var('first_year') }} and {{ var('last_year') }}

),

long as (

    -- One row a figure; `unpivot` leaves nulls out.
    unpivot window_indicators
    on {{ indicators | join(', ') }}
    into name indicator value value

),

observed as (

    select
        long.country_iso3,
        long.year,
        long.indicator,
        long.value,
        countries.region,
        countries.income_group,
    from long
    inner join countries on long.country_iso3 = countries.country_iso3

),

indicators as (

    select distinct indicator from long

),

cells as (

    select
        countries.country_iso3,
        countries.region,
        countries.income_group,
        window_years.year,
        indicators.indicator,
    from countries
    cross join window_years
    cross join indicators

),

nearest_year as (

    select
        cells.country_iso3,
        cells.year,
        cells.indicator,
        observed.value,
        observed.year as observed_year,
    from cells
    inner join observed
        on cells.country_iso3 = observed.country_iso3 and cells.indicator = observed.indicator
    qualify
        row_number() over (
            partition by cells.country_iso3, cells.year, cells.indicator
            order by abs(cells.year - observed.year), observed.year
        ) = 1

),

region_income_median as (

    select
        indicator,
        year,
        region,
        income_group,
        median(value) as value,
    from observed
    where region is not null and income_group is not null
    group by indicator, year, region, income_group

),

region_median as (

    select
        indicator,
        year,
        region,
        median(value) as value,
    from observed
    where region is not null
    group by indicator, year, region

),

global_median as (

    select
        indicator,
        year,
        median(value) as value,
    from observed
    group by indicator, year

),

filled as (

    select
        cells.country_iso3,
        cells.year,
        cells.indicator,
        coalesce(
            nearest_year.value, region_income_median.value, region_median.value, global_median.value
        ) as value,
        case
            when nearest_year.observed_year = cells.year then 'observed'
            when nearest_year.value is not null then 'nearest_year'
            when region_income_median.value is not null then 'region_income_median'
            when region_median.value is not null then 'region_median'
            when global_median.value is not null then 'global_median'
        end as imputation,
    from cells
    left join nearest_year
        on
            cells.country_iso3 = nearest_year.country_iso3
            and cells.year = nearest_year.year
            and cells.indicator = nearest_year.indicator
    left join region_income_median
        on
            cells.indicator = region_income_median.indicator
            and cells.year = region_income_median.year
            and cells.region = region_income_median.region
            and cells.income_group = region_income_median.income_group
    left join region_median
        on
            cells.indicator = region_median.indicator
            and cells.year = region_median.year
            and cells.region = region_median.region
    left join global_median
        on cells.indicator = global_median.indicator and cells.year = global_median.year

),

one_row_per_country_and_year as (

    select
        country_iso3,
        year,
        {%- for indicator in indicators %}
            max(value) filter (where indicator = '{{ indicator }}') as {{ indicator }},
            max(imputation) filter (where indicator = '{{ indicator }}') as {{ indicator }}_imputation,
        {%- endfor %}
    from filled
    group by country_iso3, year

)

select
    -- key
    wide.country_iso3,
    wide.year,

    -- covariates
    {%- for indicator in indicators %}
        wide.{{ indicator }},
    {%- endfor %}
    countries.is_landlocked,

    -- where each value comes from
    {%- for indicator in indicators %}
        wide.{{ indicator }}_imputation <> 'observed' as is_imputed_{{ indicator }},
    {%- endfor %}
    {%- for indicator in indicators %}
        wide.{{ indicator }}_imputation,
    {%- endfor %}
from one_row_per_country_and_year as wide
left join countries on wide.country_iso3 = countries.country_iso3
order by wide.country_iso3, wide.year
