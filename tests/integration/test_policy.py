"""Measures, agreements, chokepoints and news on the real data; and what their registers refuse."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from minerals.settings import PROJECT_ROOT


def test_bans_and_licences_show_in_exports(refreshed):
    """Indonesia's nickel ore in kt, China's antimony ore in t."""
    kt = dict(
        refreshed.served(
            "select year, exports_qty_kg / 1e6 from marts.policy_event_effects "
            "where event_id = 'IDN-NICKEL-2014' and hs_code = '260400'"
        )
    )
    expected = {2013: 58_213, 2015: 175, 2019: 28_942, 2020: 3_837, 2021: 372}
    assert {year: round(kt[year]) for year in expected} == expected
    antimony = refreshed.served(
        "select year, exports_qty_kg / 1e3 from marts.policy_event_effects "
        "where event_id = 'CHN-SB-2024' and hs_code = '261710' and year >= 2023 order by year"
    )
    assert antimony == [
        (2023, pytest.approx(6169, rel=1e-3)),
        (2024, pytest.approx(185, rel=1e-3)),
    ]


def test_a_licence_is_no_loss_and_world_supply_stands_in(refreshed):
    rows = refreshed.served(
        "select mineral, exposure_basis, basis_stage, lost_share_expected / lost_share_full "
        "from marts.policy_event_exposure where importer_iso3 = 'IND' and measure_type = 'licence' "
        "and mineral in ('Antimony', 'Gallium', 'Germanium', 'Graphite') and category = 'products' "
        "order by mineral"
    )
    stages = ["mined", "refined", "refined", "mined"]
    minerals = ["Antimony", "Gallium", "Germanium", "Graphite"]
    assert rows == [
        (mineral, "world_supply", stage, pytest.approx(0.4))
        for mineral, stage in zip(minerals, stages, strict=True)
    ]


def test_the_printed_scores_of_electric_vehicles_are_summed_up(refreshed):
    found = refreshed.served(
        "select n_scored, mean_score, min_score, weakest_chokepoint, middle_gap "
        "from marts.chokepoint_summary where country_iso3 = 'IND' and sector = 'electric_vehicles'"
    )
    assert found == [(4, 2.25, 1.0, "C2", 1.5)]
    # One indicator is no score, and the trade balance alone never speaks for refining.
    earths = refreshed.served(
        "select import_top1_score, exports_over_imports is not null, n_indicators, score "
        "from marts.chokepoint_indicators where country_iso3 = 'IND' and mineral = 'Rare Earths' "
        "and chokepoint = 'C2'"
    )
    assert earths == [(2, True, 1, None)]


def test_votes_and_agreements_stand_side_by_side(refreshed):
    found = refreshed.served(
        "select exporter_iso3, round(ideal_point_distance, 2), has_minerals_agreement "
        "from marts.partner_attributes where importer_iso3 = 'IND' "
        "and exporter_iso3 in ('AUS', 'CHN', 'RUS', 'USA')"
    )
    rows = {row[0]: row[1:] for row in found}
    assert rows == {
        "AUS": (1.48, True),
        "CHN": (0.48, False),
        "RUS": (0.02, False),
        "USA": (2.61, True),
    }


def test_a_brief_is_one_page_with_labels(refreshed):
    page = refreshed.ask("brief", "--mineral", "Rare Earths", COLUMNS="160").stdout
    assert page.startswith("Rare Earths for IND India")
    for words in ("single_source", "modelled", "computed", "China: rare earths under licence"):
        assert words in page
    assert len(page.splitlines()) <= 80


# Of each register, a row with every fault, and how many rules have to refuse it.
FAULTS = {
    "register_of_events": {
        "event": "x", "actor_iso3": "XXX", "mineral": "Unobtainium", "measure_type": "ban",
        "direction": "restricts", "announced_date": "2024-02-01", "effective_date": "2024-01-01",
        "date_precision": "day", "status": "in_force", "status_checked_date": "2024-01-01",
    },
    "register_of_agreements": {
        "name": "x", "mode": "bilateral", "scope": "minerals", "hub_iso3": "XXX",
        "is_trade_agreement": "false", "signed_date": "2024-02-01", "in_force_date": "2024-01-01",
        "date_precision": "day", "status": "in_force", "status_checked_date": "2024-01-01",
    },
    "register_of_agreement_parties": {"country_iso3": "XXX", "role": "party"},
    "register_of_content_requirements": {
        "content": "critical_minerals", "year_from": "2030", "jurisdiction_iso3": "XXX",
        "threshold_share": "0.5", "is_open_ended": "true", "status": "ended",
    },
    "register_of_chokepoint_scores": {
        "country_iso3": "XXX", "sector": "all", "chokepoint": "C1", "score_kind": "judged",
        "mineral": "Unobtainium", "score": "6",
    },
    "register_of_chokepoint_scenarios": {
        "country_iso3": "XXX", "sector": "all", "chokepoint": "C1", "scenario": "x",
        "scenario_order": "1", "year": "2035", "words": "x", "probability": "0.4",
    },
    "register_of_signals": {
        "signal_date": "2024-01-01", "date_precision": "none", "partner_iso3": "XXX",
        "mineral": "Unobtainium", "signal_type": "talks", "direction": "eases",
    },
    "register_of_demand": {
        "mineral": "Unobtainium", "region_iso3": "XXX", "scenario": "x", "year": "2020",
        "indicator": "index", "value": "1", "unit": "x", "base_year": "2021", "edition": "x",
    },
    "policy_instruments": {"option_order": "99", "category": "x", "instruments": "x"},
}  # fmt: skip
ALWAYS = {"source_id must not be null", "evidence_label must not be null"}
REFUSED = {
    "register_of_events": {
        "actor_iso3 must be codes of countries.csv, separated by semicolons",
        "mineral must be names of minerals.csv, separated by semicolons",
        "dates are in order: announced, effective, end",
    },
    "register_of_agreements": {
        "hub_iso3 must be in countries.iso3",
        "dates are in order: signed, in force",
    },
    "register_of_agreement_parties": {"country_iso3 must be in countries.iso3"},
    "register_of_content_requirements": {
        "jurisdiction_iso3 must be in countries.iso3",
        "an ended scheme has the day on which it ended",
    },
    "register_of_chokepoint_scores": {
        "country_iso3 must be in countries.iso3",
        "mineral must be in minerals.mineral",
        "what is judged has a day",
    },
    "register_of_chokepoint_scenarios": {
        "country_iso3 must be in countries.iso3",
        "the three probabilities sum to 1 and fall in order",
        "who enters a number signs it",
    },
    "register_of_signals": {
        "partner_iso3 must be in countries.iso3",
        "mineral must be in minerals.mineral",
        "precision is none where there is no date, and only there",
    },
    "register_of_demand": {
        "mineral must be in minerals.mineral",
        "region_iso3 must be a code of countries.csv or WLD",
        "the base year is before the year",
    },
    "policy_instruments": set(),
}


@pytest.fixture(scope="module")
def problems(tmp_path_factory) -> dict[str, set[str]]:
    """What dbt says of each register with one more row that has every fault."""
    folder = tmp_path_factory.mktemp("registers")
    project = Path(
        shutil.copytree(
            PROJECT_ROOT / "dbt_project",
            folder / "project",
            ignore=shutil.ignore_patterns("target", "logs", ".*"),
        )
    )
    for seed, row in FAULTS.items():
        file = project / "seeds" / f"{seed}.csv"
        with file.open(encoding="utf-8", newline="") as opened:
            columns = next(csv.reader(opened))
        assert set(row) <= set(columns), seed
        key = {columns[0]: "x"} if columns[0] not in row else {}
        with file.open("a", encoding="utf-8", newline="") as opened:
            csv.DictWriter(opened, columns, lineterminator="\n").writerow({**key, **row})
    database = folder / "registers.duckdb"
    done = subprocess.run(
        [str(Path(sys.executable).with_name("dbt")), "build", "--profiles-dir", ".",
         "--select", "resource_type:seed", "--exclude-resource-type", "unit_test",
         "--vars", json.dumps({"warehouse_path": str(database)})],
        cwd=project, env={**os.environ, "DBT_TARGET_PATH": "target", "DBT_LOG_PATH": "logs"},
        capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    results = json.loads((project / "target/run_results.json").read_text())["results"]
    found = {}
    with duckdb.connect(str(database), read_only=True) as connection:
        for result in results:
            name = result["unique_id"].split(".")[2].removesuffix("_structure")
            if result["unique_id"].startswith("test.") and name in FAULTS:
                rows = connection.execute(result["compiled_code"]).fetchall()
                found[name] = {row[0] for row in rows}
    assert set(found) == set(FAULTS), done.stdout
    return found


@pytest.mark.parametrize("seed", FAULTS)
def test_a_register_refuses_a_row_without_source_label_known_names_and_order(problems, seed):
    assert problems[seed] >= ALWAYS | REFUSED[seed]
