-- What is known of a country beyond the regressors of the study's model. Figures are means of the window,
-- the logistics index the nearest year up to its end that has one.
{%- set governance = [
    'control_of_corruption',
    'government_effectiveness',
    'political_stability',
    'rule_of_law',
    'regulatory_quality',
    'voice_and_accountability'
] %}

with governance as (

    select
        {%- for name in governance %}
            avg(wgi_{{ name }}) as wgi_{{ name }},
        {%- endfor %}
        country_iso3
    from {{ ref('stg_world_bank__indicator') }}
    where year between {{ var('first_year') }} and {{ var('last_year') }}
    group by country_iso3

),

others as (

    select
        country_iso3,
        avg(ideal_point) filter (where year between {{ var('first_year') }} and {{ var('last_year') }})
            as ideal_point,
        avg(ores_metals_exports_pct_merchandise)
        filter (where year between {{ var('first_year') }} and {{ var('last_year') }})
            as ores_metals_exports_pct_merchandise,
        max_by(logistics_performance_index, year)
        filter (where logistics_performance_index is not null and year <= {{ var('last_year') }})
            as logistics_performance_index,
        max(year) filter (where logistics_performance_index is not null and year <= {{ var('last_year') }})
            as lpi_year
    from {{ ref('country_alignment_and_logistics') }}
    group by country_iso3

)

select
    country_iso3,
    {%- for name in governance %}
        governance.wgi_{{ name }},
    {%- endfor %}
    others.logistics_performance_index,
    others.lpi_year,
    others.ores_metals_exports_pct_merchandise,
    others.ideal_point
from governance
full outer join others using (country_iso3)
order by country_iso3
