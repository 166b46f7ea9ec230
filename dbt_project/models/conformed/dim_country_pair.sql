-- Distance is GeoDist's `dist`: the great circle between the main cities, on a sphere of radius
-- 6,376.97 km.

with cities as (

    select
        country_iso3,
        region,
        radians(latitude_deg) as latitude_rad,
        radians(longitude_deg) as longitude_rad
    from {{ ref('dim_country') }}

),

pairs as (

    select
        importer.country_iso3 as importer_iso3,
        exporter.country_iso3 as exporter_iso3,
        importer.region = exporter.region as is_same_region,
        sin(importer.latitude_rad) * sin(exporter.latitude_rad)
        + cos(importer.latitude_rad) * cos(exporter.latitude_rad)
        * cos(importer.longitude_rad - exporter.longitude_rad) as cosine_of_angle
    from cities as importer
    inner join cities as exporter on importer.country_iso3 <> exporter.country_iso3

),

ties as (

    select * from {{ ref('country_pairs') }}

)

select
    -- key
    pairs.importer_iso3,
    pairs.exporter_iso3,

    -- geography
    6376.97 * acos(least(greatest(pairs.cosine_of_angle, -1.0), 1.0)) as distance_km,
    coalesce(pairs.is_same_region, false) as is_same_region,

    -- ties
    coalesce(ties.is_contiguous, false) as is_contiguous,
    coalesce(ties.has_common_official_language, false) as has_common_official_language,
    coalesce(ties.has_colonial_tie, false) as has_colonial_tie
from pairs
left join ties
    on
        ties.country_iso3 = least(pairs.importer_iso3, pairs.exporter_iso3)
        and ties.partner_iso3 = greatest(pairs.importer_iso3, pairs.exporter_iso3)
order by pairs.importer_iso3, pairs.exporter_iso3
