"""What restrictions put at risk, by hand."""

import pandas as pd
import pytest

from minerals.sourcing.policy import (
    contingency_priorities,
    policy_event_exposure,
    policy_options,
    signal_exposure,
)


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


def suppliers() -> pd.DataFrame:
    """Two markets of India: CHN and AUS sell rare earths, AUS alone copper."""
    rows = [
        ("products", "Rare Earths", "CHN", 1, 0.7),
        ("products", "Rare Earths", "AUS", 2, 0.3),
        ("ores", "Copper", "AUS", 1, 1.0),
    ]
    columns = ["category", "mineral", "exporter_iso3", "forward_rank", "actual_share"]
    return pd.DataFrame(rows, columns=columns).assign(
        importer_iso3="IND",
        top_k_probability=0.5,
        role="established",
        recommended_share=0.5,
        headroom_qty_kg=1.0,
    )


def signal(signal_id: str, **of_signal: str) -> dict[str, object]:
    empty = dict.fromkeys(("importer_iso3", "partner_iso3", "region", "category", "mineral"))
    return {**empty, "signal_id": signal_id, **of_signal}


def test_a_signal_touches_named_suppliers_regions_and_whole_partners():
    of_rare_earths = {"category": "products", "mineral": "Rare Earths"}
    signals = pd.DataFrame(
        [
            signal("BAN", partner_iso3="CHN", **of_rare_earths),
            signal("TALKS", importer_iso3="IND", partner_iso3="RUS", **of_rare_earths),
            signal("REGION", region="East Asia & Pacific", **of_rare_earths),
            signal("DEAL", importer_iso3="IND", partner_iso3="AUS"),
            signal("OTHERS", importer_iso3="JPN", partner_iso3="CHN", **of_rare_earths),
        ]
    )
    countries = pd.DataFrame(
        {
            "country_iso3": ["AUS", "CHN", "JPN", "RUS"],
            "region": [*["East Asia & Pacific"] * 3, "Europe & Central Asia"],
        }
    )
    supply = pd.DataFrame(
        {"mineral": ["Rare Earths"], "country_iso3": ["RUS"], "stage": ["mined"], "share": [0.01]}
    )
    events = pd.DataFrame([{"actor_iso3": "CHN", "is_in_force": True, **of_rare_earths}])
    flows = pd.DataFrame([("CHN", 4.0)], columns=["exporter_iso3", "qty_kg"])
    flows = flows.assign(importer_iso3="IND", **of_rare_earths)
    found = signal_exposure(signals, suppliers(), supply, events, countries, flows)
    touched = found.groupby("signal_id")["exporter_iso3"].agg(list).to_dict()
    assert touched == {
        "BAN": ["CHN"],
        "DEAL": ["AUS", "AUS"],  # in copper and in rare earths
        "REGION": ["AUS", "CHN"],  # Japan is no candidate
        "TALKS": ["RUS"],
    }
    of = found.set_index("signal_id")
    assert of.loc["TALKS", ["role", "is_candidate", "actor_world_share"]].tolist() == [
        "not_a_candidate", False, 0.01,
    ]  # fmt: skip
    assert of["has_event"]["BAN"] and not of["has_event"]["TALKS"]
    assert of["actual_share"]["BAN"] == 0.7
    assert (of["import_share_latest"]["BAN"], of["import_share_latest"]["TALKS"]) == (1.0, 0.0)


def test_options_follow_strategy_category_and_core_partners():
    strategies = pd.DataFrame(
        [("IND", "ores", "Copper", "diversify"), ("IND", "products", "Tin", "maintain")],
        columns=["importer_iso3", "category", "mineral", "strategy"],
    )
    rows = [
        (1, None, "core_partner", "talk"),
        (2, None, "diversify", "widen"),
        (3, "ores", None, "invest"),
        (4, None, None, "recycle"),
    ]
    instruments = pd.DataFrame(
        rows, columns=["option_order", "category", "strategy", "instruments"]
    ).assign(preconditions=None, source_id="000", location="5.2", evidence_label="single_source")
    core = pd.DataFrame(
        [("IND", "AUS", "core", "Copper; Nickel"), ("IND", "CHL", "regular", "Tin")],
        columns=["importer_iso3", "exporter_iso3", "partner_type", "minerals"],
    )
    found = policy_options(strategies, instruments, core).set_index("mineral")
    assert found["instruments"].to_dict() == {
        "Copper": "talk; widen; invest; recycle",
        "Tin": "recycle",
    }
    assert found["core_partners"].to_dict() == {"Copper": "AUS", "Tin": ""}
    instruments["evidence_label"] = ["verified", "unverified", "modelled", "single_source"]
    labels = policy_options(strategies, instruments, core).set_index("mineral")["evidence_label"]
    assert labels.to_dict() == {"Copper": "unverified", "Tin": "single_source"}  # the weakest


def test_the_market_with_most_to_lose_comes_first():
    """Loss that nobody replaces, then concentration; a market in no trade data comes last, and one
    without imports and events not at all."""
    keys = ["importer_iso3", "category", "mineral"]
    markets = [("IND", "products", name) for name in ("Cerium", "Tin", "Copper", "Gallium", "Zinc")]
    concentration = pd.DataFrame(markets, columns=keys).assign(
        hhi_actual=[0.5, 0.3, 0.9, None, None]
    )
    shocks = pd.DataFrame(markets[:3], columns=keys).assign(
        lost_exporters="CHN",
        lost_share=[0.7, 0.6, 0.9],
        replaceable_share=[0.0, 0.5, 1.0],
        next_best="",
    )
    exposure = pd.DataFrame([markets[3], markets[3]], columns=keys).assign(
        event_id=["B", "A"], is_in_force=[True, True], lost_share_expected=[0.4, 0.2]
    )
    found = contingency_priorities(shocks, concentration, exposure).set_index("mineral")
    ranks = found["priority_rank"].to_dict()
    assert ranks == {"Cerium": 1, "Tin": 2, "Copper": 3, "Gallium": 4}
    assert found["unreplaceable_share"].round(9).dropna().to_dict() == {
        "Cerium": 0.7,
        "Copper": 0.0,
        "Tin": 0.3,
    }
    assert found["events_in_force"]["Gallium"] == "A, B"
    assert found["largest_expected_loss_share"]["Gallium"] == 0.4
