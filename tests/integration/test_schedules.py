"""What runs by itself, and when: schedules a source, and sensors that ask once.

The release and the snapshots are those of the shared refresh; the runs of the instance are records.
"""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)

from minerals.errors import QuotaExhaustedError
from minerals.files import remove
from minerals.settings import Settings
from minerals.sources import DATASETS, comtrade
from minerals.sources.ingest import ingest_dataset
from minerals.sources.snapshots import SnapshotStore
from orchestration import run, sensors
from orchestration.assets.ingestion import ingestion_assets
from orchestration.definitions import build_definitions
from orchestration.jobs import backfill_job
from orchestration.schedules import CADENCES, build_schedules
from orchestration.sensors import build_sensors
from tests.comtrade_rows import KEY, few_rows
from tests.comtrade_rows import settings as comtrade_settings
from tests.publishers import ComtradePublisher


@pytest.fixture
def live(refreshed, tmp_path: Path) -> Settings:
    """The live profile over a release and the snapshots it was made from (no data files)."""
    kept, release = refreshed.settings, refreshed.release()
    copied = tmp_path / "releases" / release.parent.name / release.name
    copied.mkdir(parents=True)
    for name in ("manifest.json", "published.json"):
        shutil.copy(release / name, copied)
    for dataset in DATASETS:
        (tmp_path / "raw" / dataset).mkdir(parents=True)
        shutil.copy(kept.raw_dir / dataset / "CURRENT", tmp_path / "raw" / dataset)
    return Settings(profile="live", warehouse_dir=tmp_path)


@pytest.fixture
def instance(live: Settings) -> Iterator[dg.DagsterInstance]:
    with run.open_instance(live) as opened:
        yield opened


def tick(settings: Settings, name: str, instance: dg.DagsterInstance):
    (sensor,) = [s for s in build_sensors(settings) if s.name == name]
    with dg.build_sensor_context(instance=instance) as context:
        return sensor.evaluate_tick(context)


def asked(settings: Settings, instance: dg.DagsterInstance) -> list[dg.RunRequest]:
    return list(tick(settings, "publish_what_is_new", instance).run_requests or [])


def change(settings: Settings, *datasets: str) -> None:
    for dataset in datasets:
        (settings.raw_dir / dataset / "CURRENT").write_text(f"another-{dataset}\n")


def test_each_live_source_has_a_schedule_of_its_own_and_says_why(live):
    schedules = {s.name: s for s in build_schedules(live)}
    assert {name: s.cron_schedule for name, s in schedules.items()} == {
        "ask_for_bilateral_trade": "0 3 * * 1",
        "ask_for_production": "0 3 1 * *",
        "ask_for_mineral_summaries": "0 3 1 * *",
        "ask_for_country_indicators": "0 3 1 * *",
        "ask_for_country_geography": "0 3 1 * *",
        "ask_for_export_restrictions": "0 3 1 * *",
    }
    for dataset in DATASETS:
        schedule = schedules[f"ask_for_{dataset}"]
        assert schedule.job_name == f"ingest_{dataset}"
        assert schedule.execution_timezone == "UTC"
        assert "fail" in (schedule.description or "")


@pytest.mark.parametrize("profile", ["bundled", "live"])
def test_a_setting_switches_schedules_and_sensors_on(profile, tmp_path):
    for is_on in (False, True):
        settings = Settings(profile=profile, warehouse_dir=tmp_path, schedules_on=is_on)
        made = [*build_schedules(settings), *build_sensors(settings)]
        on = {one.name for one in made if one.default_status.value == "RUNNING"}
        assert on == ({one.name for one in made} if is_on else {"end_dead_runs"})


def test_the_bundled_profile_lists_nothing_that_only_makes_sense_live(refreshed):
    bundled = refreshed.settings
    assert [s.name for s in build_schedules(bundled)] == ["daily_refresh"]
    assert {s.name for s in build_sensors(bundled)} == {"end_dead_runs", "alert_failed_runs"}
    jobs = build_definitions(bundled).get_repository_def().get_all_jobs()
    assert {job.name for job in jobs} == {"__ASSET_JOB", "refresh", "rebuild"}


def test_every_live_source_has_a_freshness_policy_with_its_reason(live, refreshed):
    specs = {s.key.to_user_string(): s for asset in ingestion_assets(live) for s in asset.specs}
    for dataset, cadence in CADENCES.items():
        spec = specs.pop(f"source_{dataset}")
        assert spec.freshness_policy == cadence.freshness
        assert cadence.reason in spec.description
        assert spec.metadata["freshness"] == cadence.reason
    bundled = [s for asset in ingestion_assets(refreshed.settings) for s in asset.specs]
    # A rebuild shows the tables again without asking: their age says nothing about the source.
    assert {spec.freshness_policy for spec in [*specs.values(), *bundled]} == {None}


def test_a_week_has_one_tick_of_trade_and_a_month_one_of_the_others(live):
    counted = {}
    for schedule in build_schedules(live):
        ticks = dg.build_schedule_context(
            scheduled_execution_time=datetime(2026, 6, 1, 3, tzinfo=UTC)
        )
        (request,) = schedule.evaluate_tick(ticks).run_requests
        counted[schedule.job_name] = request.run_key
    assert len(counted) == len(DATASETS)


@pytest.mark.parametrize("profile", ["bundled", "live"])
def test_the_rebuild_is_all_but_the_sources_and_judges_the_snapshots_in_use_first(live, profile):
    settings = live.model_copy(update={"profile": profile})
    repository = build_definitions(settings).get_repository_def()
    rebuilt, whole = (repository.get_job(name) for name in ("rebuild", "refresh"))
    left_out = {
        key.to_user_string()
        for key in whole.asset_layer.executable_asset_keys
        - rebuilt.asset_layer.executable_asset_keys
    }
    assert left_out == {f"source_{d}" for d in DATASETS}
    checks = rebuilt.asset_layer.asset_graph.asset_check_keys
    assert "is_up_to_date" not in {key.name for key in checks}
    before_dbt = rebuilt.dependency_structure.all_upstream_outputs_from_node("dbt_conformed")
    assert "gate_raw" in {output.node_name for output in before_dbt}


def test_a_release_of_the_snapshots_in_use_asks_for_nothing(live, instance):
    outcome = tick(live, "publish_what_is_new", instance)
    assert not outcome.run_requests
    assert "was made from the snapshots in use" in outcome.skip_message


def test_new_snapshots_ask_for_one_rebuild_together(live, instance):
    change(live, "production", "country_indicators")
    (request,) = asked(live, instance)
    assert request.tags["minerals/changed_sources"] == "production, country_indicators"
    (again,) = asked(live, instance)
    assert again.run_key == request.run_key  # the daemon starts a key once
    change(live, "bilateral_trade")
    (other,) = asked(live, instance)
    assert other.run_key != request.run_key


@pytest.mark.parametrize(
    "status",
    [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED],
)
def test_it_waits_for_the_runs_under_way(live, instance, status):
    change(live, "production")
    run_id = "6a6cbb44-3c5c-4d0a-8c3e-000000000002"
    job = "ingest_country_indicators"
    origin = RemoteJobOrigin(
        RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "all"), job
    )
    record = dg.DagsterRun(job_name=job, run_id=run_id, status=status, remote_job_origin=origin)
    instance.add_run(record)
    outcome = tick(live, "publish_what_is_new", instance)
    assert not outcome.run_requests
    assert "ingest_country_indicators" in outcome.skip_message
    instance.report_run_failed(record)  # a source that fails does not hold the others up
    assert len(asked(live, instance)) == 1


def test_a_release_that_was_rolled_back_is_not_rebuilt(live, instance):
    """The newest release counts, not the served one: going back is an operator's choice."""
    newest = next(live.releases_dir.glob("*/*"))
    older = newest.with_name("20000101T000000Z-00000000")
    shutil.copytree(newest, older)
    text = (older / "manifest.json").read_text()
    for dataset in DATASETS:
        text = text.replace((live.raw_dir / dataset / "CURRENT").read_text().strip(), "older")
    (older / "manifest.json").unlink()  # read-only, as it was published
    (older / "manifest.json").write_text(text)
    (older / "published.json").touch()  # served last
    assert asked(live, instance) == []


def test_before_the_first_release_it_waits_for_every_source(live, instance):
    remove(live.releases_dir)
    (live.raw_dir / "production" / "CURRENT").unlink()
    outcome = tick(live, "publish_what_is_new", instance)
    assert "no snapshot of production yet" in outcome.skip_message
    change(live, "production")
    (request,) = asked(live, instance)
    assert request.run_key.startswith("None:")


def test_comtrade_is_not_asked_before_the_first_fetch_or_when_pinned(live, instance):
    (live.raw_dir / "bilateral_trade" / "PINNED").write_text("x")
    assert "pinned" in tick(live, "ask_comtrade_what_is_new", instance).skip_message
    (live.raw_dir / "bilateral_trade" / "CURRENT").unlink()
    skipped = tick(live, "ask_comtrade_what_is_new", instance).skip_message
    assert "no snapshot of UN Comtrade yet. The schedule starts" in skipped


def test_comtrade_is_not_asked_about_a_snapshot_of_the_other_profile(live, instance, refreshed):
    snapshot_id = (live.raw_dir / "bilateral_trade" / "CURRENT").read_text().strip()
    of_baci = refreshed.settings.raw_dir / "bilateral_trade" / snapshot_id / "snapshot.json"
    (live.raw_dir / "bilateral_trade" / snapshot_id).mkdir()
    shutil.copy(of_baci, live.raw_dir / "bilateral_trade" / snapshot_id)
    skipped = tick(live, "ask_comtrade_what_is_new", instance).skip_message
    assert "no snapshot of UN Comtrade yet: the one in use is of CEPII" in skipped


def test_a_revision_that_failed_is_asked_for_again_on_the_next_day(tmp_path, monkeypatch):
    days = iter(["2026-06-02", "2026-06-03"])
    rows = few_rows()
    with ComtradePublisher(rows, key=KEY) as server:
        live = comtrade_settings(server, tmp_path, comtrade_api_key=KEY)
        store = SnapshotStore(live.raw_dir)
        snapshot, _ = comtrade.trade_provider(live).ingest(store)
        store.use(snapshot)
        keys = []
        with run.open_instance(live) as instance:
            assert "all that UN Comtrade" in asks(live, instance).skip_message
            server.revised["2021"] = 2
            for day in days:
                monkeypatch.setattr(sensors, "datetime", Day(day))
                (request,) = asks(live, instance).run_requests
                keys.append(request.run_key)
            (again,) = asks(live, instance).run_requests
            assert again.run_key == keys[1] != keys[0]  # once a day

            # What was fetched and refused is not fetched every day: an operator decides.
            for row in rows:
                row["primaryValue"] *= 1000
            server.rows = rows
            taken = ingest_dataset(live, "bilateral_trade", store)
            assert taken.outcome == "refused"
            skipped = asks(live, instance).skip_message
            assert f"Snapshot {taken.verdict.candidate} has 699 in 2021, and is kept" in skipped


def test_a_first_fetch_that_the_quota_stopped_goes_on_every_day(tmp_path):
    with ComtradePublisher(few_rows(), key=KEY, quota=2) as server:
        live = comtrade_settings(server, tmp_path, comtrade_api_key=KEY)
        with run.open_instance(live) as instance:
            assert not asks(live, instance).run_requests
            with pytest.raises(QuotaExhaustedError):
                ingest_dataset(live, "bilateral_trade", SnapshotStore(live.raw_dir))
            (request,) = asks(live, instance).run_requests
            assert request.run_key.startswith("first:20")
        server.quota = 1000
        (live.state_dir / next(live.state_dir.glob("*.json")).name).unlink()  # the next day
        taken = ingest_dataset(live, "bilateral_trade", SnapshotStore(live.raw_dir))
        assert taken.outcome == "new"


class Day:
    """The clock of a sensor, on a day of our choice."""

    def __init__(self, day: str) -> None:
        self.day = datetime.fromisoformat(day)

    def now(self, _zone: object) -> datetime:
        return self.day


def asks(settings: Settings, instance: dg.DagsterInstance):
    return tick(settings, "ask_comtrade_what_is_new", instance)


def test_the_bundle_needs_no_backfill_and_says_so(refreshed):
    done = refreshed.command("backfill", "--importer", "jpn", "--years", "2015-2018")
    assert done.returncode == 0, done.stderr
    assert "the bundle holds all importers and the years 1995-2024 already" in done.stdout
    assert "MINERALS_IMPORTERS=JPN MINERALS_FIRST_YEAR=2015 MINERALS_LAST_YEAR=2018" in done.stdout


def test_an_engineer_backfills_from_the_ui(tmp_path):
    with ComtradePublisher(few_rows(), key=KEY) as server:
        live = comtrade_settings(server, tmp_path, comtrade_api_key=KEY)
        config = {"importer": "ind", "first_year": 2020, "last_year": 2021}
        with run.open_instance(live) as instance:
            made = backfill_job(live).execute_in_process(
                instance=instance, run_config={"ops": {"fetch_years": {"config": config}}}
            )
            words = [entry.user_message for entry in instance.all_logs(made.run_id)]
    assert "ind: 2020: not published" in words
    assert "ind: 2021, H5: 6 rows in 2 answers, 2 of them fetched now" in words
    assert len(server.data_calls) == 2 + 3  # and the totals of the codes without a row
