with source as (

    select * from {{ source('raw', 'country_indicators') }}

),

renamed as (

    select
        -- keys
        iso3 as country_iso3,
        cast(year as bigint) as year,

        -- economy
        cast({{ quoted("NY.GDP.MKTP.PP.KD") }} as double) as gdp_ppp_2021_usd,
        cast({{ quoted("SP.POP.TOTL") }} as double) as population,
        cast({{ quoted("GC.DOD.TOTL.GD.ZS") }} as double) as central_govt_debt_pct_gdp,
        cast({{ quoted("BX.KLT.DINV.WD.GD.ZS") }} as double) as fdi_pct_gdp,

        -- electricity
        cast({{ quoted("EG.ELC.ACCS.ZS") }} as double) as access_to_electricity_pct,
        cast({{ quoted("EG.ELC.FOSL.ZS") }} as double) as electricity_fossil_pct,
        cast({{ quoted("EG.ELC.RNWX.ZS") }} as double) as electricity_renewable_ex_hydro_pct,

        -- governance
        cast({{ quoted("CC.EST") }} as double) as wgi_control_of_corruption,
        cast({{ quoted("GE.EST") }} as double) as wgi_government_effectiveness,
        cast({{ quoted("PV.EST") }} as double) as wgi_political_stability,
        cast({{ quoted("RL.EST") }} as double) as wgi_rule_of_law,
        cast({{ quoted("RQ.EST") }} as double) as wgi_regulatory_quality,
        cast({{ quoted("VA.EST") }} as double) as wgi_voice_and_accountability
    from source

)

select * from renamed
