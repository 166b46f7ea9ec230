{%- set indicators = [
    'gdp_ppp_2021_usd',
    'population',
    'access_to_electricity_pct',
    'central_govt_debt_pct_gdp',
    'electricity_fossil_pct',
    'electricity_renewable_ex_hydro_pct',
    'fdi_pct_gdp',
    'wgi_average'
] -%}

-- Every country in every year of the window, with every gap filled and every filling named. In turn:
-- the World Bank's figure or that of the register of country corrections, then, of an indicator that
-- lags, the country's last figure carried forward, then the same country's nearest year of the window
-- (the earlier of two as near), then the median of the year over its region and income group, then over
-- its region, then over all. Medians are of the World Bank's figures only. An indicator lags behind in
-- the last years of the window, two at most, when fewer than half as many countries have it as in its
-- best year.

with countries as (

    select
        country_iso3,
        region,
        income_group,
        is_landlocked
    from {{ ref('dim_country') }}

),

window_years as (

    select year from {{ window_years() }}

),

figures as (

    -- With the two years before the window, from which its first may be carried forward.
    select
        indicator.*,
        (
            indicator.wgi_control_of_corruption
            + indicator.wgi_government_effectiveness
            + indicator.wgi_political_stability
            + indicator.wgi_rule_of_law
            + indicator.wgi_regulatory_quality
            + indicator.wgi_voice_and_accountability
        ) / 6 as wgi_average
    from {{ ref('stg_world_bank__indicator') }} as indicator
    inner join countries on indicator.country_iso3 = countries.country_iso3
    where indicator.year between {{ var('first_year') }} - 2 and {{ var('last_year') }}

),

counts as (

    select
        {%- for indicator in indicators %}
            count({{ indicator }}) as {{ indicator }},
            max(count({{ indicator }})) over () as most_{{ indicator }},
        {%- endfor %}
        year
    from figures
    group by year

),

last_years as (

    select
        {%- for indicator in indicators %}
            max(year) filter (where {{ indicator }} > 0 and 2 * {{ indicator }} >= most_{{ indicator }})
                as {{ indicator }},
        {%- endfor %}
        max(year) as year
    from counts

),

observed as (

    select
        window_years.year,
        any_value(countries.region) as region,
        any_value(countries.income_group) as income_group,
        {%- for indicator in indicators %}
            max(figures.{{ indicator }}) filter (where figures.year = window_years.year)
                as own_{{ indicator }},
            max_by(figures.{{ indicator }}, figures.year) filter (
                where
                figures.{{ indicator }} is not null
                and figures.year >= last_years.{{ indicator }}
                and window_years.year <= last_years.{{ indicator }} + 2
            ) as last_{{ indicator }},
            coalesce(own_{{ indicator }}, last_{{ indicator }}) as {{ indicator }},
            own_{{ indicator }} is null and last_{{ indicator }} is not null as is_carried_{{ indicator }},
        {%- endfor %}
        countries.country_iso3
    from countries
    cross join window_years
    cross join last_years
    inner join figures
        on
            countries.country_iso3 = figures.country_iso3
            and figures.year between window_years.year - 2 and window_years.year
    group by countries.country_iso3, window_years.year

),

register as (

    select
        year,
        {%- for indicator in indicators %}
            max(value) filter (where indicator = '{{ indicator }}' and status = 'accepted')
                as accepted_{{ indicator }},
            max(value) filter (where indicator = '{{ indicator }}' and status = 'approximate')
                as approximate_{{ indicator }},
        {%- endfor %}
        country_iso3
    from {{ ref('country_corrections') }}
    where year between {{ var('first_year') }} and {{ var('last_year') }}
    group by country_iso3, year

),

known as (

    select
        year,
        {%- for indicator in indicators %}
            coalesce(
                register.accepted_{{ indicator }},
                observed.own_{{ indicator }},
                register.approximate_{{ indicator }},
                observed.last_{{ indicator }}
            ) as {{ indicator }},
            register.accepted_{{ indicator }} is not null
            or (observed.own_{{ indicator }} is null and register.approximate_{{ indicator }} is not null)
                as is_register_{{ indicator }},
            coalesce(observed.is_carried_{{ indicator }}, false) as is_carried_{{ indicator }},
        {%- endfor %}
        country_iso3
    from observed
    full outer join register using (country_iso3, year)

),

nearest_year as (

    -- `min_by` looks at years with a value only: its order is null in the others.
    select
        window_years.year,
        any_value(countries.region) as region,
        any_value(countries.income_group) as income_group,
        any_value(countries.is_landlocked) as is_landlocked,
        {%- for indicator in indicators %}
            min_by(
                known.{{ indicator }},
                2 * abs(window_years.year - known.year) + (known.year > window_years.year)::integer
            ) filter (where known.{{ indicator }} is not null) as {{ indicator }},
            bool_or(known.{{ indicator }} is not null and known.year = window_years.year)
                as is_observed_{{ indicator }},
            bool_or(known.is_register_{{ indicator }} and known.year = window_years.year)
                as is_register_{{ indicator }},
            bool_or(known.is_carried_{{ indicator }} and known.year = window_years.year)
                as is_carried_{{ indicator }},
        {%- endfor %}
        countries.country_iso3
    from countries
    cross join window_years
    left join known on countries.country_iso3 = known.country_iso3
    group by countries.country_iso3, window_years.year

),

region_income_median as (

    select
        income_group,
        year,
        {%- for indicator in indicators %}
            median({{ indicator }}) as {{ indicator }},
        {%- endfor %}
        region
    from observed
    group by region, income_group, year

),

region_median as (

    select
        year,
        {%- for indicator in indicators %}
            median({{ indicator }}) as {{ indicator }},
        {%- endfor %}
        region
    from observed
    group by region, year

),

global_median as (

    select
        {%- for indicator in indicators %}
            median({{ indicator }}) as {{ indicator }},
        {%- endfor %}
        year
    from observed
    group by year

),

filled as (

    select
        nearest_year.year,
        nearest_year.is_landlocked,
        {%- for indicator in indicators %}
            coalesce(
                nearest_year.{{ indicator }},
                region_income_median.{{ indicator }},
                region_median.{{ indicator }},
                global_median.{{ indicator }}
            ) as {{ indicator }},
            case
                when nearest_year.is_register_{{ indicator }} then 'register'
                when nearest_year.is_carried_{{ indicator }} then 'carried_forward'
                when nearest_year.is_observed_{{ indicator }} then 'observed'
                when nearest_year.{{ indicator }} is not null then 'nearest_year'
                when region_income_median.{{ indicator }} is not null then 'region_income_median'
                when region_median.{{ indicator }} is not null then 'region_median'
                when global_median.{{ indicator }} is not null then 'global_median'
            end as {{ indicator }}_imputation,
        {%- endfor %}
        nearest_year.country_iso3
    from nearest_year
    -- A country without a region or income group equals none, so it gets a wider median.
    left join region_income_median
        on
            nearest_year.year = region_income_median.year
            and nearest_year.region = region_income_median.region
            and nearest_year.income_group = region_income_median.income_group
    left join region_median
        on
            nearest_year.year = region_median.year
            and nearest_year.region = region_median.region
    left join global_median on nearest_year.year = global_median.year

)

select
    -- key
    country_iso3,
    year,

    -- covariates
    {%- for indicator in indicators %}
        {{ indicator }},
    {%- endfor %}

    -- where each value comes from
    {%- for indicator in indicators %}
        {{ indicator }}_imputation not in ('observed', 'register') as is_imputed_{{ indicator }},
    {%- endfor %}
    {%- for indicator in indicators %}
        {{ indicator }}_imputation,
    {%- endfor %}

    -- geography
    is_landlocked
from filled
order by country_iso3, year
