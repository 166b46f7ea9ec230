"""Nothing is lost between the raw rows and the marts: rows to the row, value to the cent."""

from decimal import Decimal

import pytest

from tests.integration.conftest import COMTRADE_FILE


def test_every_raw_row_and_cent_has_one_disposition(refreshed):
    raw = refreshed.query(
        "select count(*), sum(cast(v as decimal(18, 3))) * 1000 from raw.bilateral_trade"
    )[0]
    balance = refreshed.served("select sum(n_rows), sum(value_usd) from marts.trade_balance")[0]
    assert balance[0] == raw[0] == 1_264_888
    assert abs(Decimal(balance[1]) - Decimal(raw[1])) < Decimal("0.01")


def test_dispositions_are_the_four_and_no_quantity_is_lost(refreshed):
    rows = refreshed.query(
        """
        select
            (select sum(cast(q as decimal(18, 3))) from raw.bilateral_trade) * 1000,
            (select sum(cast(qty_kg as decimal(18, 0))) from conformed.int_trade_flow__classified),
            (select count(*) from raw.bilateral_trade where q is null),
            (select count(*) from conformed.int_trade_flow__classified where qty_kg is null)
        """
    )[0]
    assert float(rows[0]) == float(rows[1])
    assert rows[2] == rows[3] == 61_682
    kinds = {r[0] for r in refreshed.served("select distinct disposition from marts.trade_balance")}
    assert {"conformed", "non_country", "out_of_scope"} <= kinds
    assert kinds <= {"conformed", "non_country", "out_of_scope", "unmapped", "quarantined"}


def test_conformed_rows_are_the_trade_facts(refreshed):
    balance = refreshed.query(
        "select sum(n_rows) from marts.trade_balance where disposition = 'conformed'"
    )
    facts = refreshed.query("select count(*) from conformed.fct_trade_flow")
    assert balance == facts


def test_panel_holds_all_conformed_imports_of_its_window(refreshed):
    """Value of the three categories in the panel = value of the trade facts, per importer."""
    panel = refreshed.query(
        "select importer_iso3, round(sum(ores_value_usd + products_value_usd + scrap_value_usd)) "
        "from marts.import_panel group by 1 order by 1"
    )
    facts = refreshed.query(
        "select importer_iso3, round(sum(value_usd)::double) from conformed.fct_trade_flow "
        "where importer_iso3 in ('IND', 'JPN') and year between 2019 and 2023 "
        "and exporter_iso3 <> importer_iso3 group by 1 order by 1"
    )
    assert [row[0] for row in panel] == ["IND", "JPN"]
    assert panel == facts


def test_taiwan_is_kept_as_a_partner(refreshed):
    """BACI's 'Other Asia, nes' is Taiwan's trade: lost once elsewhere, never here."""
    rows = refreshed.query(
        "select count(*) from conformed.fct_trade_flow "
        "where exporter_iso3 = 'TWN' and importer_iso3 = 'IND'"
    )
    assert rows[0][0] > 50


def test_panel_is_balanced(refreshed):
    rows = refreshed.query(
        "select count(*) from (select 1 from marts.import_panel "
        "group by importer_iso3, mineral, exporter_iso3 having count(distinct year) <> 5)"
    )
    assert rows == [(0,)]


def test_the_copper_ore_that_cost_three_cents_is_weighed_by_its_value(refreshed):
    """260300 from Papua New Guinea in 2020: 1,092,800 t for 27.9 million USD, at 1.80 USD a kg."""
    rows = refreshed.served(
        "select round(reported_qty_kg), round(value_usd / 1e6, 1), unit_value_ratio < 0.02, "
        "deviations < -3, round(used_qty_kg / 1000), is_qty_estimated, correction_status "
        "from marts.trade_unit_value_outliers where importer_iso3 = 'IND' "
        "and exporter_iso3 = 'PNG' and hs_code = '260300' and year = 2020"
    )
    assert rows == [(1_092_800_000, 27.9, True, True, 15_503, True, "rejected")]


def test_only_flagged_quantities_change_and_a_flag_is_rare(refreshed):
    flagged, flows, changed, estimated = refreshed.query(
        "select count(*) filter (where is_unit_value_outlier), count(*), "
        "count(*) filter (where qty_kg is distinct from reported_qty_kg), "
        "count(*) filter (where is_qty_estimated and is_unit_value_outlier) "
        "from conformed.fct_trade_flow"
    )[0]
    assert 0.01 < flagged / flows < 0.10
    assert changed == estimated == flagged


def test_quarantine_is_published_and_empty_for_the_bundle(refreshed):
    assert refreshed.served("select count(*) from marts.trade_quarantine") == [(0,)]


@pytest.mark.skipif(not COMTRADE_FILE.exists(), reason="the UN Comtrade file is not at hand")
def test_two_providers_are_compared_flow_by_flow(refreshed):
    rows = dict(
        refreshed.served("select difference, count(*) from marts.trade_reconciliation group by all")
    )
    assert rows["agrees"] > 100
    assert rows["code not in the BACI extract"] > 1000
    world = refreshed.served(
        "select round(value_ratio, 3), round(partners_to_world_ratio, 3) "
        "from marts.trade_reconciliation where importer_iso3 = 'IND' and exporter_iso3 = 'WLD' "
        "and hs_code = '282200' and year = 2019"
    )
    assert world == [(1.002, 1.0)]
    snapshot = refreshed.query(
        "select count(distinct snapshot_id) from staging.stg_comtrade__reported_flow"
    )
    assert snapshot == [(1,)]
