-- The part of the importer's purchases over the window that would count under a scheme, against each
-- threshold. The scheme asks it of a vehicle; by mineral it is an indicator.

with requirements as (

    select
        scheme,
        year_from as year,
        threshold_share,
        status
    from {{ ref('register_of_content_requirements') }}
    where content = 'critical_minerals'

),

purchases as (

    {%- for category in ['ores', 'products', 'scrap'] %}
        {{ 'union all' if not loop.first }}
        select
            importer_iso3,
            exporter_iso3,
            mineral,
            '{{ category }}' as category,
            sum(cast({{ category }}_value_usd as decimal(18, 2))) as value_usd
        from {{ ref('import_panel') }}
        group by importer_iso3, exporter_iso3, mineral
    {%- endfor %}

),

shares as (

    select
        eligibility.scheme,
        purchases.importer_iso3,
        purchases.category,
        purchases.mineral,
        cast(sum(purchases.value_usd) as double) as value_usd,
        cast(
            sum(purchases.value_usd) filter (where eligibility.is_qualifying) as double
        ) as qualifying_value_usd
    from purchases
    inner join {{ ref('content_eligibility') }} as eligibility
        on purchases.exporter_iso3 = eligibility.exporter_iso3
    group by eligibility.scheme, purchases.importer_iso3, purchases.category, purchases.mineral

)

select
    -- key
    shares.scheme,
    shares.importer_iso3,
    shares.category,
    shares.mineral,
    requirements.year,

    -- measures
    coalesce(shares.qualifying_value_usd, 0) / shares.value_usd as qualifying_value_share,
    requirements.threshold_share,
    greatest(requirements.threshold_share - coalesce(shares.qualifying_value_usd, 0) / shares.value_usd, 0)
        as gap_share,
    requirements.status
from shares
inner join requirements on shares.scheme = requirements.scheme
where shares.value_usd > 0
order by shares.scheme, shares.importer_iso3, shares.category, shares.mineral, requirements.year
