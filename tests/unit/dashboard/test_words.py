"""Names, units and labels for the eye."""

import pandas as pd
import pytest

pytest.importorskip("streamlit", reason="`make setup-dashboard` installs the dashboard's packages")

from dashboard import reading, words


@pytest.fixture(autouse=True)
def names(monkeypatch):
    monkeypatch.setattr(reading, "country_names", lambda: {"IND": "India", "CHN": "China"})


def test_countries_have_names_and_codes_and_weights_are_tons():
    frame = pd.DataFrame(
        {"exporter_iso3": ["CHN", "XXX", None], "qty_kg": [2500.0, 0.0, None],
         "unit_value_usd_per_kg": [1.5, 2.0, 3.0], "evidence_label": ["computed", "modelled", None],
         "source_dataset": ["usgs_mcs_2026", "world_mining_data", None],
         "strategy": ["secure_long_term", "maintain", None]}
    )  # fmt: skip
    shown = words.readable(frame)
    assert list(shown["exporter_iso3"])[:2] == ["China (CHN)", "XXX"]
    assert list(shown["qty_kg"])[:2] == [2.5, 0.0]
    assert pd.isna(shown["qty_kg"][2])
    assert list(shown["unit_value_usd_per_kg"]) == [1.5, 2.0, 3.0]
    assert list(shown["evidence_label"])[:2] == ["● computed", "△ modelled"]
    assert list(shown["source_dataset"])[:2] == ["USGS 2026", "World Mining Data"]
    assert list(shown["strategy"])[:2] == ["Secure long term", "Maintain"]
    assert shown.iloc[2][["evidence_label", "source_dataset", "strategy"]].isna().all()


def test_codes_in_sentences_get_names():
    assert words.named("CHN supplies 28%; HHI 0.2") == "China (CHN) supplies 28%; HHI 0.2"
    assert words.named(None) is None


def test_a_missing_figure_is_no_zero():
    assert words.amount(None) == words.percent(float("nan")) == words.figure(None) == "none"
    assert words.amount(0.0, "t") == "0 t"
    assert words.cell("qty_kg", float("nan"), "unknown") == "unknown"
    assert words.cell("qty_kg", 0.0, "unknown") == "0"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7.91e9, "7.9 billion USD"),
        (2.5e6, "2.5 million USD"),
        (4521.4, "4,521 USD"),
        (3.2, "3.2 USD"),
    ],
)
def test_large_amounts_are_in_words(value, text):
    assert words.amount(value, "USD") == text


def test_headings_have_units():
    assert words.heading("exports_qty_kg") == "Exports quantity (t)"
    assert words.heading("own_reserves_share") == "Own reserves"
    assert words.heading("unit_value_usd_per_kg") == "Unit value (USD/kg)"


def test_names_are_shown_as_words():
    assert words.heading("hs_code") == "HS code"
    assert words.heading("is_in_force") == "In force"
    assert words.heading("n_candidates") == "Number of candidates"
    assert words.heading("has_minerals_agreement") == "Bilateral minerals agreement"
    assert words.plain("in_force") == "in force"
    assert words.plain("fdi_pct_gdp") == "FDI % of GDP"
    frame = pd.DataFrame({"status": ["in_force", None], "event_id": ["chn_gallium", "x_y"]})
    shown = words.readable(frame)
    assert shown["status"][0] == "in force" and pd.isna(shown["status"][1])
    assert list(shown["event_id"]) == ["chn_gallium", "x_y"]
    assert (
        words.plain("a_b in a sentence, MVA_GRAPHITE.PDF") == "a_b in a sentence, MVA_GRAPHITE.PDF"
    )


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.12, "+12%"), (-0.5, "-50%"), (2.4, "3.4 times"), (1863.5, "other goods"),
     (-0.995, "other goods"), (float("nan"), None)],
)  # fmt: skip
def test_a_unit_value_far_from_another_is_of_other_goods(share, text):
    assert words.on_price(share) == text
    shown = words.readable(pd.DataFrame({"premium_share": [share]}))
    assert shown["premium_share"][0] == text or pd.isna(shown["premium_share"][0])


def test_flags_and_years_are_written_as_people_write_them():
    assert words.cell("is_in_force", True) == "yes"
    assert words.cell("lpi_year", 2023.0) == "2023"
