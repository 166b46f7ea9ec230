-- As for the trade rows: an unknown partner would be taken for a partner that is no country.
{{ config(meta={
    'description': 'Every country code in the UN Comtrade file is in country_aliases or non_country_partners.',
    'dagster': {'ref': {'name': 'trade_reconciliation'}}
}) }}

-- Runs with the layer of what it guards: depends_on {{ ref('trade_reconciliation') }}

with known as (

    select code
    from {{ ref('int_country_code__resolved') }}
    where code_system = 'comtrade'

)

{% for role in ['exporter', 'importer'] -%}
    select
        '{{ role }}' as role,
        {{ role }}_code as country_code,
        count(*) as n_rows,
        sum(value_usd) as value_usd
    from {{ ref('stg_comtrade__reported_flow') }}
    where {{ role }}_code not in (select known.code from known)
    group by {{ role }}_code
    {{ 'union all' if not loop.last }}
{% endfor %}
order by value_usd desc, country_code asc, role asc
