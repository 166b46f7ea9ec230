"""The live profile from end to end, from the ticks of its schedules to a published release: six
publishers and a webhook on the loopback interface.

They serve the real rows of the bundle in their own formats (BACI's flows as UN Comtrade would
report them, in HS 1992), so that the two profiles must come to the same panel.
"""

import time
from collections.abc import Iterator

import dagster as dg
import duckdb
import pytest

from minerals.sources import DATASETS
from minerals.sources.snapshots import SnapshotStore
from orchestration.sensors import DAY_SECONDS
from tests.integration.conftest import COMTRADE_FILE, TestWarehouse
from tests.live import (
    KEY,
    YEARS,
    LiveWarehouse,
    Publishers,
    comtrade_row,
    comtrade_rows,
    flows_of,
    live_environment,
    serving,
)
from tests.publishers import Webhook

MONDAY_THE_FIRST, FIRST_OF_JULY = "2026-06-01T03:00", "2026-07-01T03:00"
ASKS = "publish_what_is_new"
FAULTS = ["429 0", "500", "reset"]
COPPER_OF_CHILE = """
    select ores_value_usd from marts.import_panel
    where exporter_iso3 = 'CHL' and mineral = 'Copper' and year = 2021
"""


@pytest.fixture(scope="module")
def publishers(refreshed) -> Iterator[Publishers]:
    store = SnapshotStore(refreshed.settings.raw_dir)
    trade = str(store.current("bilateral_trade").parquet("bilateral_trade"))
    with serving(store, comtrade_rows(flows_of(trade, "699", YEARS)), YEARS) as made:
        yield made


@pytest.fixture(scope="module")
def webhook() -> Iterator[Webhook]:
    with Webhook() as server:
        yield server


@pytest.fixture(scope="module")
def live(
    publishers: Publishers,
    webhook: Webhook,
    refreshed: TestWarehouse,
    tmp_path_factory: pytest.TempPathFactory,
) -> LiveWarehouse:
    """A warehouse after the first ticks of all its schedules, with a key."""
    to_midnight = DAY_SECONDS - time.time() % DAY_SECONDS
    if to_midnight < 300:  # on another day totals are asked for again
        time.sleep(to_midnight + 1)
    folder = tmp_path_factory.mktemp("live")
    environment = live_environment(folder, publishers) | {
        "MINERALS_ALERT_WEBHOOK_URL": webhook.url,
        "MINERALS_SCHEDULES_ON": "true",
        # What is in force is judged for the day of the release that it is compared with.
        "MINERALS_AS_OF": refreshed.store().manifest()["created_at"][:10],
    }
    if COMTRADE_FILE.exists():
        environment["MINERALS_COMTRADE_FILE"] = str(COMTRADE_FILE)
    warehouse = LiveWarehouse(folder, environment)
    publishers.comtrade.script = list(FAULTS)
    warehouse.first = warehouse.ticks(f"schedules@{MONDAY_THE_FIRST}", ASKS, ASKS)
    return warehouse


def test_from_the_ticks_of_the_schedules_to_one_published_release(live):
    *sources, published, again = live.first
    assert {(line["job"], *line["runs"]) for line in sources} == {
        ("ingest_bilateral_trade", "succeeded"),
        ("ingest_production", "succeeded"),
        ("ingest_mineral_summaries", "succeeded"),
        ("ingest_country_indicators", "succeeded"),
        ("ingest_country_geography", "succeeded"),
        ("ingest_export_restrictions", "succeeded"),
    }
    assert (published["job"], published["runs"]) == ("rebuild", ["succeeded"])
    assert again["runs"] == []
    assert "was made from the snapshots in use" in again["skipped"]
    assert len(list((live.folder / "releases").glob("*/*/manifest.json"))) == 1


def test_a_first_fetch_costs_what_the_handbook_says(live, publishers):
    """docs/operations.md, 'What a first fetch costs'; the faults of the script came on top."""
    totals = [s for s in publishers.comtrade.data_calls if s.params.get("partnerCode") == "0"]
    assert len(totals) == 2 * len(YEARS)  # of the codes without a row, more in HS 1992 than later
    assert len(publishers.comtrade.seen) == 1 + 2 * len(YEARS) + len(totals) + len(FAULTS)
    assert len(publishers.world_bank.seen) == 16 + 1  # and the groups of the geography
    assert len(publishers.world_mining_data.seen) == 2  # once to know the years
    assert len(publishers.usgs.seen) == 1
    assert len(publishers.geodist.seen) == 1
    assert len(publishers.oecd.seen) == 1


def test_it_comes_to_the_panel_of_the_bundle(live, refreshed):
    """But for estimated quantities: the median price is India's here, the world's in the bundle."""
    panel = """
        select exporter_iso3, mineral, year, round(ores_value_usd), round(products_value_usd),
            round(scrap_value_usd), round(production_kg), round(ln_distance, 4)
        from marts.import_panel where importer_iso3 = 'IND' order by all
    """
    ours, theirs = live.served(panel), refreshed.served(panel)
    assert len(ours) > 4000
    assert ours == theirs
    reported = f"""
        select exporter_iso3, hs_code, year, round(reported_qty_kg) from conformed.fct_trade_flow
        where importer_iso3 = 'IND' and year between {YEARS[0]} and {YEARS[-1]} order by all
    """
    with duckdb.connect(str(live.folder / "warehouse.duckdb"), read_only=True) as connection:
        ours = connection.execute(reported).fetchall()
    assert ours == refreshed.query(reported)


def test_the_release_says_whose_data_it_was_made_from(live):
    rows = live.served("select dataset, provider from marts.source_snapshots order by dataset")
    assert [row for row in rows if row[0] != "reported_trade"] == [
        ("bilateral_trade", "UN Comtrade"),
        ("country_geography", "CEPII"),
        ("country_indicators", "World Bank"),
        ("export_restrictions", "OECD"),
        ("mineral_summaries", "USGS"),
        ("production", "Austrian Federal Ministry of Finance"),
    ]


@pytest.mark.skipif(not COMTRADE_FILE.exists(), reason=f"{COMTRADE_FILE} is not there")
def test_reports_are_not_reconciled_with_themselves(live):
    with duckdb.connect(str(live.folder / "warehouse.duckdb"), read_only=True) as connection:
        ((reported,),) = connection.execute("select count(*) from raw.reported_trade").fetchall()
    assert reported == 1612
    assert live.served("select count(*) from marts.trade_reconciliation") == [(0,)]


def test_what_the_oecd_records_is_a_candidate_and_judges_nothing(live, refreshed):
    rows = live.served(
        "select actor_name, hs_code, mineral, category, measure_type, registered_event_ids "
        "from marts.policy_event_candidates order by actor_iso3, hs_code, variation"
    )
    assert rows == [
        ("Argentina", "811020", "Antimony", "scrap", "export_tax", None),
        ("Argentina", "811020", "Antimony", "scrap", "export_tax", None),
        ("Indonesia", "260400", "Nickel", "ores", "ban", "IDN-NICKEL-2014;IDN-NICKEL-2020"),
        ("Indonesia", "760200", "", "", None, None),
        ("Zambia", "260300", "Copper", "ores", "licence", None),
    ]
    acts = """
        select event_id, actor_iso3, mineral, category, severity from marts.policy_events
        where measure_type <> 'quota' order by all
    """  # a quota is set against the output of a year that the live window may lack
    assert live.served(acts) == refreshed.served(acts)


def test_a_backfill_is_used_and_asks_for_nothing_twice(live, publishers):
    publishers.comtrade.rows += [
        comtrade_row(2018, partner, "260300", 1000.0, 5.0) | {"classificationCode": "H5"}
        for partner in ("0", "152")
    ]
    n_calls = len(publishers.comtrade.data_calls)
    done = live.command("backfill", "--importer", "ind", "--years", "2017-2019")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2017: not published" in done.stdout
    assert "2018, H5: 2 rows in 2 answers, 2 of them fetched now" in done.stdout
    assert "2019, H0: " in done.stdout
    assert "0 of them fetched now" in done.stdout  # the refresh holds 2019
    assert len(publishers.comtrade.data_calls) == n_calls + 2 + 3  # and the totals of the rest
    again = live.command("backfill", "--importer", "IND", "--years", "2018")
    assert "2018, H5: 2 rows in 2 answers, 0 of them fetched now" in again.stdout
    wrong = live.command("backfill", "--importer", "IND", "--years", "2023-2015")
    assert wrong.returncode == 1
    assert "first-last" in wrong.stderr


def test_with_one_source_down_the_others_are_ingested_and_an_alert_says_so(
    live, publishers, webhook
):
    """UN Comtrade has revised 2021; World Mining Data answers every request with 404."""
    for row in publishers.comtrade.rows:
        if (row["period"], row["cmdCode"]) == ("2021", "260300") and row["partnerCode"] in (0, 152):
            row["primaryValue"] += 1_000_000.0
    publishers.comtrade.revised["2021"] = 2
    publishers.world_mining_data.files.clear()
    n_calls = len(publishers.comtrade.data_calls)

    revised, *monthly = live.ticks("ask_comtrade_what_is_new", f"schedules@{FIRST_OF_JULY}")
    assert (revised["job"], revised["runs"]) == ("ingest_bilateral_trade", ["succeeded"])
    years = {seen.params["period"] for seen in publishers.comtrade.data_calls[n_calls:]}
    assert years == {"2021"}  # just what is new
    assert {line["job"] for line in monthly} == {
        "ingest_production", "ingest_mineral_summaries", "ingest_country_indicators",
        "ingest_country_geography", "ingest_export_restrictions",
    }  # fmt: skip
    assert [line["runs"] for line in monthly] == [["succeeded"]] * 5
    older = [f.name for f in (live.folder / "downloads" / "comtrade").glob("699-2021-*")]
    assert older == ["699-2021-H0-2"]  # the answers of the first checksum are gone

    (alert,) = live.alerts()
    assert (alert["kind"], alert["job"], alert["step"]) == (
        "source not up to date", "ingest_production", "raw_production",
    )  # fmt: skip
    for words in ("the last accepted snapshot, of 20", "MINERALS_WORLD_MINING_DATA_FILE"):
        assert words in alert["cause"]
    assert [posted["run_id"] for posted in webhook.posted] == [alert["run_id"]]


def answers(live: LiveWarehouse, dataset: str) -> int:
    """How often the source answered: the last time is the age that its freshness policy sees."""
    with dg.DagsterInstance.from_config(str(live.folder / "dagster")) as instance:
        key = dg.AssetKey(f"source_{dataset}")
        return len(instance.fetch_materializations(key, limit=20).records)


def test_the_age_of_a_source_that_fails_is_that_of_its_last_answer(live):
    """The failed request materialized nothing, and its check warns. The others answered twice; the
    rebuilds in between asked nobody."""
    assert {dataset: answers(live, dataset) for dataset in DATASETS} == {
        "bilateral_trade": 2, "production": 1, "mineral_summaries": 2, "country_indicators": 2,
        "country_geography": 2, "export_restrictions": 2,
    }  # fmt: skip
    with dg.DagsterInstance.from_config(str(live.folder / "dagster")) as instance:
        key = dg.AssetCheckKey(dg.AssetKey("source_production"), "is_up_to_date")
        (record,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    assert record.status.value == "FAILED"


def test_a_refresh_with_a_source_down_publishes_what_is_new_elsewhere_and_says_so(live):
    used = "select dataset, snapshot_id from marts.source_snapshots"
    before, value = dict(live.served(used)), live.served(COPPER_OF_CHILE)[0][0]
    done = live.command("refresh", "--quiet")
    assert done.returncode == 0, done.stdout + done.stderr
    after = dict(live.served(used))
    assert {d for d in after if after[d] != before[d]} == {"bilateral_trade"}
    assert live.served(COPPER_OF_CHILE)[0][0] == pytest.approx(value + 1_000_000.0, abs=0.01)
    (warning,) = [line for line in done.stdout.splitlines() if "is_up_to_date" in line]
    for words in (
        "source_production",
        "MINERALS_WORLD_MINING_DATA_FILE",
        "the last accepted snapshot, of 20",
    ):
        assert words in warning
    assert answers(live, "production") == 1
    assert [alert["job"] for alert in live.alerts()] == ["ingest_production", "refresh"]


def test_the_snapshots_are_as_their_sidecars_say(live):
    done = live.command("snapshots", "verify")
    assert done.returncode == 0, done.stdout
    assert "0 snapshots damaged" in done.stdout


def test_neither_key_nor_webhook_is_on_disk_or_on_screen(live, webhook):
    assert webhook.posted
    files = [file for file in live.folder.rglob("*") if file.is_file()]
    assert len(files) > 50
    assert live.folder / "logs" / "alerts.jsonl" in files
    for secret in (KEY, webhook.path):
        assert secret not in live.said
        holding = [str(file) for file in files if secret.encode() in file.read_bytes()]
        assert holding == []
