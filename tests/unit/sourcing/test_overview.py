"""The wide table of suppliers: names, the rank by each model, the strategy of the market."""

import pandas as pd

from minerals import marts
from minerals.sourcing.overview import supplier_overview

KEY = {"importer_iso3": "IND", "category": "ores", "mineral": "Copper"}


def test_each_supplier_has_its_names_and_its_rank_by_each_model():
    rows = [
        {**KEY, "exporter_iso3": "CHL", "coefficient_source": "world", "forward_rank": 1},
        {**KEY, "exporter_iso3": "TWN", "coefficient_source": "world", "forward_rank": 2},
    ]
    counts = dict.fromkeys(("rank_low", "rank_high", "effective_k", "n_unknown_qty"), 1)
    flags = dict.fromkeys(("is_excluded", "is_at_capacity"), False)
    partners = pd.DataFrame([{**row, **counts, **flags} for row in rows]).reindex(
        columns=marts.empty("portfolio_partners").columns
    )
    forward = pd.DataFrame(
        [
            {**KEY, "exporter_iso3": "CHL", "coefficient_source": "world", "forward_rank": 1},
            {**KEY, "exporter_iso3": "CHL", "coefficient_source": "estimated", "forward_rank": 7},
            {**KEY, "exporter_iso3": "TWN", "coefficient_source": "world", "forward_rank": 2},
        ]
    )
    countries = pd.DataFrame(
        {
            "country_iso3": ["IND", "CHL", "TWN"],
            "country_name": ["India", "Chile", "Taiwan"],
            "region": ["South Asia", "Latin America & Caribbean", None],
        }
    )
    strategies = pd.DataFrame([{**KEY, "strategy": "diversify"}])
    found = supplier_overview(partners, strategies, forward, countries)
    assert found["importer_name"].tolist() == ["India", "India"]
    assert found["exporter_name"].tolist() == ["Chile", "Taiwan"]
    assert found["exporter_region"].tolist() == ["Latin America & Caribbean", ""]
    assert found["headline_model"].tolist() == ["world", "world"]
    assert found["world_rank"].tolist() == [1, 2]
    assert found["estimated_rank"].tolist() == [7, pd.NA]
    assert found["published_rank"].isna().all()
    assert found["strategy"].tolist() == ["diversify", "diversify"]
