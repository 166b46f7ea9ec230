"""What enters a design and what is dropped, on frames small enough to read."""

import numpy as np
import pandas as pd
import pytest

from minerals.ppml import EstimationError
from minerals.ppml.design import Clusters, ModelSpec, Term, build_design, study_spec

SPEC = ModelSpec(dependent="qty", regressors=("x", "landlocked"))


def panel(rows: list[tuple[str, str, int, float, float, float | None]]) -> pd.DataFrame:
    names = ["exporter_iso3", "mineral", "year", "x", "landlocked", "qty"]
    return pd.DataFrame(rows, columns=names)


def two_minerals() -> pd.DataFrame:
    return panel(
        [
            ("AUS", "Antimony", 2019, 1.0, 0, 10.0),
            ("AUS", "Antimony", 2020, 1.5, 0, 0.0),
            ("BOL", "Antimony", 2019, 2.0, 1, 4.0),
            ("BOL", "Antimony", 2020, 2.5, 1, 1.0),
            ("AUS", "Copper", 2019, 1.0, 0, 7.0),
            ("AUS", "Copper", 2020, 1.5, 0, 8.0),
            ("CHL", "Copper", 2019, 4.0, 0, 0.0),
            ("CHL", "Copper", 2020, 4.5, 0, 9.0),
        ]
    )


def labels(clusters: Clusters) -> list[str]:
    return clusters.names[clusters.codes].tolist()


def names(design_terms: tuple[Term, ...]) -> list[str]:
    return [term.name for term in design_terms]


def test_terms_are_regressors_effects_and_constant_less_the_base_levels() -> None:
    design = build_design(two_minerals(), SPEC)
    assert names(design.terms) == ["x", "landlocked", "Copper", "2020", "Constant"]
    assert names(design.base_levels) == ["Antimony", "2019"]
    assert design.X.shape == (8, 5)
    assert design.X[3].tolist() == [2.5, 1, 0, 1, 1]  # BOL, Antimony, 2020
    assert design.X[7].tolist() == [4.5, 0, 1, 1, 1]  # CHL, Copper, 2020
    assert design.y.tolist() == [10, 0, 4, 1, 7, 8, 0, 9]
    assert labels(design.clusters) == ["AUS", "AUS", "BOL", "BOL", "AUS", "AUS", "CHL", "CHL"]
    assert labels(design.second_clusters) == ["Antimony"] * 4 + ["Copper"] * 4
    assert design.dropped.n_missing == design.dropped.n_separated == 0


def test_the_wanted_base_level_is_left_out_wherever_it_stands() -> None:
    spec = ModelSpec(
        dependent="qty", regressors=("x",), base_levels={"mineral": "Copper", "year": 2020}
    )
    design = build_design(two_minerals(), spec)
    assert names(design.base_levels) == ["Copper", "2020"]
    assert names(design.terms) == ["x", "Antimony", "2019", "Constant"]


def test_rows_without_a_quantity_are_dropped_and_counted() -> None:
    frame = two_minerals()
    frame["qty"] += 1.0
    frame.loc[[0, 5], "qty"] = np.nan
    frame.loc[3, "x"] = np.nan
    design = build_design(frame, SPEC)
    assert design.y.tolist() == [1, 5, 8, 1, 10]
    assert design.dropped.n_missing == 3


def test_a_mineral_and_a_year_without_imports_are_separated_and_named() -> None:
    frame = two_minerals()
    frame["qty"] += 1.0
    frame.loc[frame["mineral"] == "Antimony", "qty"] = 0.0
    frame.loc[frame["year"] == 2020, "qty"] = 0.0
    design = build_design(frame, ModelSpec(dependent="qty", regressors=("x",)))
    assert design.dropped.separated == (Term("Antimony", "mineral"), Term("2020", "year"))
    assert design.dropped.n_separated == 6
    assert design.y.tolist() == [8, 1]
    assert names(design.base_levels) == ["Copper", "2019"]  # the first that is left
    assert names(design.terms) == ["x", "Constant"]


def test_a_dummy_regressor_without_imports_where_it_is_one_is_separated() -> None:
    frame = two_minerals()
    frame.loc[frame["landlocked"] == 1, "qty"] = 0.0
    design = build_design(frame, SPEC)
    assert design.dropped.separated == (Term("landlocked", "covariate"),)
    assert design.dropped.n_separated == 2
    assert design.clusters.names.tolist() == ["AUS", "CHL"]
    assert names(design.terms) == ["x", "Copper", "2020", "Constant"]


def test_collinear_columns_are_named_and_the_earlier_one_is_kept() -> None:
    frame = two_minerals()
    frame["doubled"] = 3.0 - 2.0 * frame["x"]
    frame["flat"] = 5.0
    frame["is_copper"] = (frame["mineral"] == "Copper").astype(float)
    spec = ModelSpec(dependent="qty", regressors=("x", "doubled", "flat", "is_copper"))
    design = build_design(frame, spec)
    assert design.dropped.collinear == (
        Term("doubled", "covariate"),
        Term("flat", "covariate"),
        Term("Copper", "mineral"),
    )
    assert names(design.terms) == ["x", "is_copper", "2020", "Constant"]
    assert np.linalg.matrix_rank(design.X) == 4


def test_nothing_to_estimate_says_what_was_seen() -> None:
    frame = two_minerals()
    frame["qty"] = 0.0
    frame.loc[0, "qty"] = np.nan
    with pytest.raises(EstimationError, match="of 8 rows of qty, 7 are zero, 1 have") as caught:
        build_design(frame, SPEC)
    assert caught.value.dropped.n_missing == 1
    with pytest.raises(EstimationError, match="no rows"):
        build_design(frame.iloc[:0], SPEC)


def test_positive_quantities_only_where_a_regressor_is_missing() -> None:
    frame = two_minerals()
    frame.loc[frame["qty"] > 0, "x"] = np.nan
    with pytest.raises(EstimationError, match="lacks a regressor"):
        build_design(frame, SPEC)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("x", np.inf, "infinite values in x"),
        ("qty", -1.0, "qty has negative"),
        ("importer_iso3", "JPN", "mixes IND, JPN"),
    ],
)
def test_bad_panels_are_refused(column: str, value: object, message: str) -> None:
    frame = two_minerals().assign(importer_iso3="IND")
    frame.loc[2, column] = value
    with pytest.raises(ValueError, match=message):
        build_design(frame, SPEC)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(ValueError, match="the panel lacks the columns x"):
        build_design(two_minerals().drop(columns="x"), SPEC)


def test_the_study_has_eleven_regressors_and_two_effects() -> None:
    spec = study_spec("ores")
    assert (spec.dependent, len(spec.regressors)) == ("ores_qty_kg", 11)
    assert spec.base_levels == {"mineral": "Antimony", "year": 2019}
    with pytest.raises(ValueError, match="'ore' is not one of ores, products, scrap"):
        study_spec("ore")
