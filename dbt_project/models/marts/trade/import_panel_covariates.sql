-- What the variants of the model add to each row of the panel. Attributes of a partner are means of the
-- window, with gaps filled by medians over the partners of its region and income group, then of its
-- region, then of all. Restrictions and agreements are those in force at the end of the year, and a
-- cost is of the year before and of other importers' purchases.
{%- set attributes = [
    'ideal_point_distance',
    'logistics_performance_index',
    'wgi_political_stability',
    'wgi_regulatory_quality',
    'ores_metals_exports_pct_merchandise'
] -%}
{%- set categories = ['ores', 'products', 'scrap'] %}

with panel as (

    select
        importer_iso3,
        exporter_iso3,
        mineral,
        year,
        production_kg,
        make_date(year, 12, 31) as year_end
    from {{ ref('import_panel') }}

),

partners as (

    select
        exporter_iso3,
        {%- for name in attributes %}
            {{ name }} is null as is_imputed_{{ name }},
            coalesce(
                {{ name }},
                case
                    when region is not null and income_group is not null
                        then median({{ name }}) over (partition by importer_iso3, region, income_group)
                end,
                case
                    when region is not null then median({{ name }}) over (partition by importer_iso3, region)
                end,
                median({{ name }}) over (partition by importer_iso3)
            ) as {{ name }},
        {%- endfor %}
        importer_iso3
    from {{ ref('partner_attributes') }}

),

partner_years as (

    select distinct
        importer_iso3,
        exporter_iso3,
        year,
        year_end
    from panel

),

agreements as (

    -- An agreement without a date counts in every year.
    select
        panel.importer_iso3,
        panel.exporter_iso3,
        panel.year,
        count(*) as n_agreements_in_force,
        bool_or(coalesce(agreements.in_force_date, agreements.signed_date) is null) as is_imputed
    from partner_years as panel
    inner join {{ ref('partner_agreements') }} as agreements
        on panel.importer_iso3 = agreements.importer_iso3 and panel.exporter_iso3 = agreements.partner_iso3
    where
        agreements.status = 'in_force'
        and coalesce(agreements.in_force_date, agreements.signed_date, panel.year_end) <= panel.year_end
    group by panel.importer_iso3, panel.exporter_iso3, panel.year

),

restrictions as (

    select
        panel.exporter_iso3,
        panel.mineral,
        panel.year,
        {%- for category in categories %}
            max(events.severity_in_force) filter (where events.category = '{{ category }}')
                as {{ category }}_restriction_severity,
        {%- endfor %}
        panel.importer_iso3
    from panel
    inner join {{ ref('policy_events') }} as events
        on panel.exporter_iso3 = events.actor_iso3 and panel.mineral = events.mineral
    where
        events.is_supply_restriction
        and {{ is_aimed_at('panel.importer_iso3') }}
        and {{ is_in_force_on('panel.year_end') }}
    group by panel.importer_iso3, panel.exporter_iso3, panel.mineral, panel.year

),

flows as (

    select
        importer_iso3,
        exporter_iso3,
        mineral,
        category,
        hs_code,
        year + 1 as year,
        unit_value_usd_per_kg
    from {{ ref('fct_trade_flow') }}
    where
        year + 1 between {{ var('first_year') }} and {{ var('last_year') }}
        and importer_iso3 <> exporter_iso3
        and unit_value_usd_per_kg > 0
        and not is_unit_value_outlier
        and {{ is_world_trade() }}

),

world_prices as (

    select
        mineral,
        category,
        hs_code,
        year,
        median(unit_value_usd_per_kg) as usd_per_kg
    from flows
    group by mineral, category, hs_code, year

),

sellers as (

    -- What each exporter sold a line for, to all importers of the year, from the lowest.
    select
        exporter_iso3,
        mineral,
        category,
        hs_code,
        year,
        array_sort(array_agg(unit_value_usd_per_kg)) as usd_per_kg
    from flows
    group by exporter_iso3, mineral, category, hs_code, year

),

own_purchases as (

    select
        importer_iso3,
        exporter_iso3,
        hs_code,
        year,
        row_number() over (
            partition by exporter_iso3, mineral, category, hs_code, year
            order by unit_value_usd_per_kg, importer_iso3
        ) as place
    from flows

),

purchases_of_others as (

    -- The median of what others paid, the importer's own purchase left out. At least three bought.
    select
        panel.importer_iso3,
        panel.exporter_iso3,
        panel.mineral,
        sellers.category,
        sellers.hs_code,
        panel.year,
        sellers.usd_per_kg,
        own_purchases.place as own_place,
        cardinality(sellers.usd_per_kg) - (own_purchases.place is not null)::int as n_others,
        floor((n_others + 1) / 2) as lower_place,
        floor(n_others / 2) + 1 as upper_place
    from panel
    inner join sellers
        on
            panel.exporter_iso3 = sellers.exporter_iso3
            and panel.mineral = sellers.mineral
            and panel.year = sellers.year
    left join own_purchases
        on
            panel.importer_iso3 = own_purchases.importer_iso3
            and panel.exporter_iso3 = own_purchases.exporter_iso3
            and sellers.hs_code = own_purchases.hs_code
            and panel.year = own_purchases.year

),

prices as (

    select
        importer_iso3,
        exporter_iso3,
        mineral,
        category,
        hs_code,
        year,
        (
            {{ element('usd_per_kg', 'lower_place + coalesce(own_place <= lower_place, false)::int') }}
            + {{ element('usd_per_kg', 'upper_place + coalesce(own_place <= upper_place, false)::int') }}
        )
        / 2 as usd_per_kg
    from purchases_of_others
    where n_others >= 3

),

costs as (

    select
        prices.exporter_iso3,
        prices.mineral,
        prices.year,
        {%- for category in categories %}
            median(ln(prices.usd_per_kg / world_prices.usd_per_kg))
            filter (where prices.category = '{{ category }}') as ln_{{ category }}_unit_value_ratio,
        {%- endfor %}
        prices.importer_iso3
    from prices
    inner join world_prices using (mineral, category, hs_code, year)
    group by prices.importer_iso3, prices.exporter_iso3, prices.mineral, prices.year

),

refined as (

    select
        exporter_iso3,
        mineral,
        refined_output_kg
    from {{ ref('supplier_types') }}
    where category = 'products'

)

select
    -- key
    panel.importer_iso3,
    panel.exporter_iso3,
    panel.mineral,
    panel.year,

    -- alignment and agreements
    partners.ideal_point_distance,
    coalesce(agreements.n_agreements_in_force, 0) as n_agreements_in_force,

    -- trade restrictions of the exporter
    {%- for category in categories %}
        coalesce(restrictions.{{ category }}_restriction_severity, 0) as {{ category }}_restriction_severity,
    {%- endfor %}

    -- what it refines
    ln(1 + coalesce(refined.refined_output_kg, panel.production_kg)) as ln_refined_qty,

    -- logistics, governance, and what it lives on
    partners.logistics_performance_index,
    partners.wgi_political_stability,
    partners.wgi_regulatory_quality,
    partners.ores_metals_exports_pct_merchandise,

    -- what it costs
    {%- for category in categories %}
        coalesce(costs.ln_{{ category }}_unit_value_ratio, 0) as ln_{{ category }}_unit_value_ratio,
    {%- endfor %}

    -- which of them are filled in rather than observed
    {%- for name in attributes %}
        partners.is_imputed_{{ name }},
    {%- endfor %}
    {%- for category in categories %}
        costs.ln_{{ category }}_unit_value_ratio is null as is_imputed_ln_{{ category }}_unit_value_ratio,
    {%- endfor %}
    coalesce(agreements.is_imputed, false) as is_imputed_n_agreements_in_force,
    refined.refined_output_kg is null as is_imputed_ln_refined_qty
from panel
inner join partners
    on panel.importer_iso3 = partners.importer_iso3 and panel.exporter_iso3 = partners.exporter_iso3
left join agreements
    on
        panel.importer_iso3 = agreements.importer_iso3
        and panel.exporter_iso3 = agreements.exporter_iso3
        and panel.year = agreements.year
left join restrictions
    on
        panel.importer_iso3 = restrictions.importer_iso3
        and panel.exporter_iso3 = restrictions.exporter_iso3
        and panel.mineral = restrictions.mineral
        and panel.year = restrictions.year
left join costs
    on
        panel.importer_iso3 = costs.importer_iso3
        and panel.exporter_iso3 = costs.exporter_iso3
        and panel.mineral = costs.mineral
        and panel.year = costs.year
left join refined on panel.exporter_iso3 = refined.exporter_iso3 and panel.mineral = refined.mineral
order by panel.importer_iso3, panel.mineral, panel.exporter_iso3, panel.year
