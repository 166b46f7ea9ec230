-- GeoDist's `dist`: the great circle between the main cities, on a sphere of radius 6,376.97 km.

with cities as (

    select
        country_iso3,
        radians(latitude_deg) as latitude_rad,
        radians(longitude_deg) as longitude_rad,
    from {{ ref('dim_country') }}

),

pairs as (

    select
        importer.country_iso3 as importer_iso3,
        exporter.country_iso3 as exporter_iso3,
        sin(importer.latitude_rad) * sin(exporter.latitude_rad)
        + cos(importer.latitude_rad) * cos(exporter.latitude_rad)
        * cos(importer.longitude_rad - exporter.longitude_rad) as cosine_of_angle,
    from cities as importer
    inner join cities as exporter on importer.country_iso3 <> exporter.country_iso3

)

select
    importer_iso3,
    exporter_iso3,
    6376.97 * acos(least(greatest(cosine_of_angle, -1.0), 1.0)) as distance_km,
from pairs
order by importer_iso3, exporter_iso3
