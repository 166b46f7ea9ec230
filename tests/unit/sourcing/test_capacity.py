"""Ceilings by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from minerals.names import SUPPLIER
from minerals.sourcing.capacity import capacity

NO_OTHERS = pd.DataFrame(columns=SUPPLIER)
TYPED = ["exporter_iso3", "mineral", "category"]
KNOWN = ["supplier_type", "net_exports_qty_kg", "refined_output_kg"]
NO_TYPES = pd.DataFrame(columns=[*TYPED, *KNOWN]).astype(dict.fromkeys(KNOWN[1:], float))


@pytest.fixture()
def panel() -> pd.DataFrame:
    """Two years. CHL mines 1,000 a year and sells 100, 300; SGP mines nothing and sells 50, 0; PER
    mines 400 and sells nothing, in one year an unknown quantity. As products all sell 10."""
    rows = [
        ("CHL", 2022, 100.0, 800.0),
        ("CHL", 2023, 300.0, 1200.0),
        ("SGP", 2022, 50.0, 0.0),
        ("SGP", 2023, 0.0, 0.0),
        ("PER", 2022, 0.0, 400.0),
        ("PER", 2023, np.nan, 400.0),
    ]
    frame = pd.DataFrame(rows, columns=["exporter_iso3", "year", "ores_qty_kg", "production_kg"])
    return frame.assign(
        importer_iso3="IND",
        mineral="Copper",
        products_qty_kg=10.0,
        scrap_qty_kg=0.0,
        ores_estimated_qty_kg=[80.0, 20.0, 0.0, 0.0, 0.0, 0.0],
        products_estimated_qty_kg=0.0,
        scrap_estimated_qty_kg=0.0,
        has_production_data=True,
    )


def of(
    panel: pd.DataFrame, category: str, fraction: float = 0.25, types: pd.DataFrame = NO_TYPES
) -> pd.DataFrame:
    frame = capacity(panel, NO_OTHERS, types, fraction).query("category == @category")
    return frame.set_index("exporter_iso3")


def test_estimated_weights_are_a_years_part_of_what_was_bought(panel: pd.DataFrame) -> None:
    assert of(panel, "ores")["doubtful_qty_kg"].to_dict() == {"CHL": 50.0, "PER": 0.0, "SGP": 0.0}
    assert of(panel, "products")["doubtful_qty_kg"].tolist() == [0.0] * 3


def test_who_is_excluded_has_no_capacity(panel: pd.DataFrame) -> None:
    frame = capacity(panel, NO_OTHERS, NO_TYPES, 0.25, excluded=["CHL"]).set_index(
        ["category", "exporter_iso3"]
    )
    assert frame["is_excluded"]["ores"].to_dict() == {"CHL": True, "PER": False, "SGP": False}
    assert frame.loc[("ores", "CHL"), ["capacity_qty_kg", "headroom_qty_kg"]].tolist() == [0, 0]


def test_ores_are_bounded_by_production_or_by_what_was_delivered(panel: pd.DataFrame) -> None:
    frame = of(panel, "ores")
    assert frame["annual_qty_kg"].to_dict() == {"CHL": 200.0, "PER": 0.0, "SGP": 25.0}
    assert frame["demand_qty_kg"].tolist() == [225.0] * 3
    assert frame["actual_share"].to_dict() == pytest.approx(
        {"CHL": 200 / 225, "PER": 0.0, "SGP": 25 / 225}
    )
    # CHL: the largest year's 300 exceeds a quarter of 1,000; PER: a quarter of 400; SGP: no mine
    assert frame["capacity_qty_kg"].to_dict() == {"CHL": 300.0, "PER": 100.0, "SGP": 50.0}
    assert frame["headroom_qty_kg"].to_dict() == {"CHL": 100.0, "PER": 100.0, "SGP": 25.0}
    assert frame["n_unknown_qty"].to_dict() == {"CHL": 0, "PER": 1, "SGP": 0}
    assert of(panel, "ores", 0.5)["capacity_qty_kg"]["CHL"] == 500.0


def test_products_of_countries_without_mines_have_no_known_ceiling(panel: pd.DataFrame) -> None:
    frame = of(panel, "products")
    assert frame["capacity_qty_kg"]["CHL"] == 250.0
    assert np.isnan(frame["capacity_qty_kg"]["SGP"])
    assert frame["headroom_qty_kg"]["SGP"] == 0.0  # it has never delivered more than today


def test_scrap_has_no_ceiling_and_no_share_without_imports(panel: pd.DataFrame) -> None:
    frame = of(panel, "scrap")
    assert frame["capacity_qty_kg"].isna().all()
    assert frame["actual_share"].isna().all()


def test_a_mineral_without_production_data_has_no_known_ceiling(panel: pd.DataFrame) -> None:
    assert of(panel.assign(has_production_data=False), "ores")["capacity_qty_kg"].isna().all()


def test_who_neither_produced_nor_sold_is_a_candidate_without_deliveries(
    panel: pd.DataFrame,
) -> None:
    other = {"importer_iso3": "IND", "mineral": "Copper", "exporter_iso3": "NOR"}
    others = pd.DataFrame([other | {"category": c} for c in ("ores", "products")])
    frame = capacity(panel, others, NO_TYPES, 0.25).set_index(["category", "exporter_iso3"])
    ores, products = frame.loc[("ores", "NOR")], frame.loc[("products", "NOR")]
    assert ores["annual_qty_kg"] == 0 and ores["actual_share"] == 0
    assert ores["demand_qty_kg"] == frame.loc[("ores", "CHL"), "demand_qty_kg"]
    assert ores["capacity_qty_kg"] == 0  # it mines none
    assert np.isnan(products["capacity_qty_kg"]) and products["headroom_qty_kg"] == 0


def test_a_hub_delivers_its_net_exports_and_a_refiner_by_what_it_refines(
    panel: pd.DataFrame,
) -> None:
    rows = [
        ("SGP", "Copper", "ores", "hub", 60.0, np.nan),
        ("SGP", "Copper", "products", "hub", 2.0, np.nan),
        ("PER", "Copper", "products", "producer", 0.0, 8000.0),
    ]
    types = pd.DataFrame(rows, columns=[*TYPED, *KNOWN])
    ores, products = of(panel, "ores", types=types), of(panel, "products", types=types)
    assert ores.loc["SGP", ["capacity_qty_kg", "headroom_qty_kg"]].tolist() == [60.0, 35.0]
    # Never below today's purchases, 10 a year.
    assert products.loc["SGP", ["capacity_qty_kg", "headroom_qty_kg"]].tolist() == [10.0, 0.0]
    # A quarter of 8,000 refined, where a quarter of the mines' 400 would be 100.
    assert products.loc["PER", "capacity_qty_kg"] == 2000.0
    assert products.loc["CHL", "capacity_qty_kg"] == 250.0
    assert ores["supplier_type"].to_dict() == {"CHL": "unknown", "PER": "unknown", "SGP": "hub"}


def test_a_year_that_an_importer_has_not_reported_is_no_year_of_its_mean(
    panel: pd.DataFrame,
) -> None:
    japan = panel[panel["year"] == 2022].assign(importer_iso3="JPN")
    frame = capacity(pd.concat([panel, japan], ignore_index=True), NO_OTHERS, NO_TYPES, 0.25)
    chile = frame.query("category == 'ores' and exporter_iso3 == 'CHL'").set_index("importer_iso3")
    assert chile["annual_qty_kg"].to_dict() == {"IND": 200.0, "JPN": 100.0}
    assert chile["doubtful_qty_kg"].to_dict() == {"IND": 50.0, "JPN": 80.0}
