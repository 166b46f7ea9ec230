"""Where in the world: a grid of equal tiles, or boundaries for those who ask for them.

Shapes: Natural Earth, public domain, from the npm package world-atlas 2.0.2 (ISC).
"""

import json
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st
from scipy.optimize import linear_sum_assignment

from dashboard import reading, words

DRAWINGS = {"tiles": "a tile for each country", "boundaries": "boundaries"}
DISCLAIMER = (
    "Boundaries are those of Natural Earth, as they are in fact. They say nothing of the legal "
    "status of a territory, and are not India's or any other country's official ones."
)
NO_FIGURE = "#ECECEC"
_COLUMNS, _ROWS = 30, 17
_NORTH, _SOUTH = 72.0, -52.0
SHAPES = Path(__file__).with_name("countries-50m.json")


def world(shares: pd.DataFrame, drawing: str) -> alt.LayerChart:
    """Shares (`country_iso3`, `share`) by country, grey where there is no figure."""
    countries = reading.rows(
        "select country_iso3, m49_code, latitude_deg, longitude_deg from marts.dim_country"
    )
    drawn = places(countries).merge(shares, how="left", on="country_iso3")
    drawn["country"] = words.countries(drawn["country_iso3"])
    colour = alt.Color(
        "share:Q",
        title="Share of the world",
        scale=alt.Scale(scheme="blues", domainMin=0),
        legend=alt.Legend(format="%", orient="top", gradientLength=240),
    )
    tooltip = [alt.Tooltip("country:N", title="Country"),
               alt.Tooltip("share:Q", title="Share", format=".1%")]  # fmt: skip
    if drawing == "boundaries":
        shapes = alt.InlineData(
            values=_shapes(), format=alt.TopoDataFormat(feature="countries", type="topojson")
        )
        land = (
            alt.Chart(shapes, height=460)
            .mark_geoshape(stroke="white", strokeWidth=0.4, color=NO_FIGURE)
            .transform_filter("datum.id != '010'")  # Antarctica
            .transform_lookup("id", from_=alt.LookupData(drawn, "m49_code", ["country", "share"]))
        )
        known = land.transform_filter("datum.share > 0").encode(colour)
        return alt.layer(land.encode(tooltip=tooltip[0]), known.encode(tooltip=tooltip)).project(
            "equalEarth"
        )
    base = alt.Chart(drawn, height=_ROWS * 24).encode(
        alt.X("column:O", axis=None), alt.Y("row:O", axis=None), tooltip=tooltip
    )
    tile = base.mark_rect(stroke="white", color=NO_FIGURE)
    is_dark = f"datum.share > {shares['share'].max() * 0.6}"
    black_or_white = alt.condition(is_dark, alt.value("white"), alt.value("#333"))
    code = base.mark_text(fontSize=9).encode(alt.Text("country_iso3:N"), color=black_or_white)
    return tile + tile.transform_filter("datum.share > 0").encode(colour) + code


@st.cache_data
def places(countries: pd.DataFrame) -> pd.DataFrame:
    """The countries with `column` and `row` of a grid: all the nearest to where they are that the
    others leave (Kuhn 1955)."""
    column, row = (grid.ravel() for grid in np.meshgrid(range(_COLUMNS), range(_ROWS)))
    x = (countries["longitude_deg"].to_numpy() + 180) / 360 * (_COLUMNS - 1)
    y = (_NORTH - countries["latitude_deg"].to_numpy()) / (_NORTH - _SOUTH) * (_ROWS - 1)
    away = (x[:, None] - column) ** 2 + (y[:, None] - row) ** 2
    who, cell = linear_sum_assignment(away)
    return countries.iloc[who].assign(column=column[cell], row=row[cell])


@st.cache_resource
def _shapes() -> dict[str, Any]:
    shapes: dict[str, Any] = json.loads(SHAPES.read_text(encoding="utf-8"))
    return shapes
