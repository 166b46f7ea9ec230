"""The grid of tiles and the shapes know the countries."""

import json

import pandas as pd
import pytest

from minerals.settings import PROJECT_ROOT

maps = pytest.importorskip("dashboard.maps", reason="run `make setup-dashboard`")

SEEDS = PROJECT_ROOT / "dbt_project" / "seeds"


def test_every_country_has_a_tile_of_its_own_near_where_it_is():
    near = {
        "ISL": (65, -20),
        "NOR": (60, 10),
        "SWE": (59, 18),
        "CHL": (-33, -71),
        "ARG": (-35, -58),
    }
    rows = [(iso3, latitude, longitude) for iso3, (latitude, longitude) in near.items()]
    countries = pd.DataFrame(rows, columns=["country_iso3", "latitude_deg", "longitude_deg"])
    placed = maps.places(countries).set_index("country_iso3")
    assert not placed.duplicated(["column", "row"]).any() and len(placed) == len(rows)
    assert placed["column"].sort_values().index.tolist() == ["CHL", "ARG", "ISL", "NOR", "SWE"]
    assert placed.loc[["ISL", "NOR"], "row"].max() < placed.loc[["CHL", "ARG"], "row"].min()


def test_the_shapes_are_found_by_the_code_of_the_country():
    codes = pd.read_csv(SEEDS / "countries.csv", dtype=str, keep_default_na=False)
    shapes = json.loads(maps.SHAPES.read_text(encoding="utf-8"))["objects"]["countries"]
    drawn = {shape.get("id") for shape in shapes["geometries"]}
    assert {"156", "180", "356", "004"} <= drawn
    assert codes["m49_code"].isin(drawn).mean() > 0.9
