-- A code that is neither a country's alias nor a known non-country once cost a project a supplier with
-- 39% of a country's imports. Add it to seeds/country_aliases.csv or non_country_partners.csv.
{{ config(meta={
    'description': 'Every country code in the trade rows is in country_aliases or non_country_partners.',
    'dagster': {'ref': {'name': 'int_trade_flow__classified'}}
}) }}

with known as (

    select
        code_system,
        code
    from {{ ref('int_country_code__resolved') }}

)

{% for role in ['exporter', 'importer'] -%}
    select
        '{{ role }}' as role,
        flow.{{ role }}_code as country_code,
        count(*) as n_rows,
        sum(flow.value_usd) as value_usd,
        min(flow.year) as first_year,
        max(flow.year) as last_year
    from {{ ref('int_trade_flow__classified') }} as flow
    anti join known
        on
            {{ trade_code_system('flow.hs_revision') }} = known.code_system
            and flow.{{ role }}_code = known.code
    group by flow.{{ role }}_code
    {{ 'union all' if not loop.last }}
{% endfor %}
order by value_usd desc, country_code asc, role asc
