-- Figures that are carried forward, because the World Bank does not have the indicator's last years yet.
{{ config(severity='warn', meta={
    'description': 'The World Bank has every indicator up to the last year of the window; of one that lags, the last figures are carried forward.',
    'dagster': {'ref': {'name': 'indicator_values'}}
}) }}

with carried as (

    select
        indicator_id,
        year,
        count(*) as n_figures
    from {{ ref('indicator_values') }}
    where imputation = 'carried_forward'
    group by indicator_id, year

)

select
    'figures carried forward, because the World Bank does not have the year yet: ' || sum(n_figures) || ' ('
    || {{ joined("indicator_id || ' ' || year || ': ' || n_figures", 'indicator_id, year') }} || ')'
        as problem
from carried
having count(*) > 0
