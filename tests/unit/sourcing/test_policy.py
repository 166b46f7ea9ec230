"""What restrictions put at risk, by hand."""

import pandas as pd
import pytest

from minerals.sourcing.policy import policy_event_exposure


def test_world_supply_stands_in_where_the_trade_data_lack_the_mineral():
    """A licence (severity 0.4) on four goods: bought; not in the trade data; refined output not
    counted; in the trade data and not bought."""
    goods = [
        ("Tungsten", 0.5, True, 0.8, None),
        ("Gallium", None, False, None, 0.98),
        ("Antimony", None, False, 0.33, None),
        ("Nickel", None, True, 0.6, 0.7),
    ]
    columns = [
        "mineral",
        "lost_share",
        "has_trade_line",
        "actor_mined_share",
        "actor_refined_share",
    ]
    frame = pd.DataFrame(goods, columns=columns).astype(
        {"lost_share": float, "actor_mined_share": float, "actor_refined_share": float}
    )
    of_event = {
        "event_id": "LICENCE",
        "event": "under licence",
        "actor_iso3": "CHN",
        "category": "products",
        "measure_type": "licence",
        "is_in_force": True,
        "severity_in_force": 0.4,
        "severity": 0.4,
        "severity_label": "modelled",
        "actor_export_share": 0.1,
        "evidence_label": "verified",
    }
    events = frame.drop(columns="lost_share").assign(**of_event)
    shocks = frame[["mineral", "lost_share"]].assign(
        importer_iso3="IND",
        category="products",
        shock="under licence",
        replaceable_share=1.0,
        next_best="",
    )
    flows = pd.DataFrame([("CHN", 3.0), ("VNM", 1.0)], columns=["exporter_iso3", "qty_kg"]).assign(
        importer_iso3="IND", category="products", mineral="Tungsten", year=2024
    )
    found = policy_event_exposure(events, shocks, flows).set_index("mineral")
    assert found["exposure_basis"].to_dict() == {
        "Antimony": "world_supply",
        "Gallium": "world_supply",
        "Nickel": "none",
        "Tungsten": "imports",
    }
    assert found["basis_stage"].to_dict() == {
        "Antimony": "mined",
        "Gallium": "refined",
        "Nickel": "",
        "Tungsten": "",
    }
    full = found["lost_share_full"].dropna()
    assert full.to_dict() == {"Antimony": 0.33, "Gallium": 0.98, "Tungsten": 0.5}
    expected = found["lost_share_expected"].dropna()
    assert expected.to_dict() == pytest.approx({k: 0.4 * v for k, v in full.items()})
    assert found["import_share_latest"].dropna().to_dict() == {"Tungsten": 0.75}
    assert set(found["last_year"]) == {2024}
