"""Raw geography (GeoDist), before dbt reads it. Nothing in it changes but for new economies."""

from collections import namedtuple
from typing import Final

from expectations import rules
from expectations.rules import Gate, Suite

# Where the main city of a country lies, in degrees. Countries whose hemispheres nobody doubts, with
# room for another city of the same country: swapped or unsigned coordinates fall outside.
Anchor = namedtuple("Anchor", "iso3 lat_low lat_high lon_low lon_high")
ANCHORS: Final = (
    Anchor("IND", 6, 37, 68, 98),
    Anchor("USA", 24, 50, -125, -66),
    Anchor("AUS", -44, -10, 112, 154),
    Anchor("CHL", -56, -17, -76, -66),
    Anchor("ZAF", -35, -22, 16, 33),
)
ROWS: Final = Suite(
    "rows",
    "One row per economy.",
    ("iso3", "name"),
    (
        rules.in_range("main_city_lat_deg", -90, 90, "A latitude.", unit="degrees"),
        rules.in_range("main_city_lon_deg", -180, 180, "A longitude.", unit="degrees"),
        rules.in_range("area_km2", 0.1, 2e7, "Russia has 17 million.", unit="square km"),
        rules.figure_in_band("mean", "landlocked", 0.1, 0.35, name="landlocked_share_in_band",
            why="About a fifth of the economies have no coast."),
        rules.figure_in_band("unique_value_count", "iso3", 200, 300, name="enough_economies",
            why="A supplier without coordinates has no distance; about 240 economies "
            "are known."),
        rules.in_range("n_broken_letters", 0, 0, name="names_are_read_in_the_right_encoding",
            why="A replacement sign, or Ã for é: the file was read in the wrong encoding."),
        rules.has_all("iso3", [one.iso3 for one in ANCHORS], name="anchor_countries_are_there",
            why="Every such list has these countries; the place of their main city is known."),
        *(
            rules.within(f"main_city_{axis}_deg", f"{axis}_low", f"{axis}_high",
                name=f"anchor_{axis}_is_right",
                why="The main city of a well-known country lies in it; swapped or unsigned "
                "coordinates do not.")
            for axis in ("lat", "lon")
        ),
    ),
    rules.query(
        f"""
        select geography.*, anchors.* exclude (iso3),
            {rules.broken_letters("name", "main_city")} as n_broken_letters
        from raw.country_geography as geography left join anchors using (iso3) order by iso3"""
    ),
)  # fmt: skip

GATE: Final = Gate("raw_country_geography", "raw", lambda _: (ROWS,), {"anchors": ANCHORS})
