"""Alerts: written down whatever happens to the webhook, whose address nobody sees.

A real webhook on the loopback interface, and real runs of a real Dagster instance.
"""

import json
import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from minerals import alerts
from minerals.settings import Settings
from orchestration import recovery, run
from orchestration.sensors import build_sensors
from tests.publishers import Webhook

ALERT = alerts.Alert("run failed", "rebuild", "0123456789", "ppml", "It broke.\nA long story.")
KEY = "a-key-that-nobody-may-see"


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as server:
        yield server


def settings(folder: Path, url: str | None) -> Settings:
    return Settings(
        warehouse_dir=folder, profile="live", comtrade_api_key=KEY, alert_webhook_url=url
    )


def written(folder: Path) -> list[dict[str, str]]:
    lines = (folder / "logs" / "alerts.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_an_alert_is_written_and_posted(tmp_path, webhook):
    assert alerts.send(settings(tmp_path, webhook.url), ALERT) is None
    (line,) = written(tmp_path)
    assert (line["kind"], line["job"], line["run_id"], line["step"], line["cause"]) == (
        "run failed", "rebuild", "0123456789", "ppml", "It broke.",
    )  # fmt: skip
    (posted,) = webhook.posted
    assert posted.pop("text") == "run failed: rebuild, ppml (run 01234567): It broke."
    assert posted == line


def test_without_a_webhook_it_is_only_written(tmp_path):
    assert alerts.send(settings(tmp_path, None), ALERT) is None
    assert len(written(tmp_path)) == 1


@pytest.mark.parametrize("fault", ["dead", "status 500", "no such host", "a redirect"])
def test_a_webhook_that_fails_loses_nothing_and_its_address_stays_unseen(
    tmp_path, webhook, caplog, fault
):
    caplog.set_level(logging.DEBUG)
    url = webhook.url
    if fault == "dead":
        url = "http://127.0.0.1:9/services/a-token-that-nobody-may-see"
    elif fault == "no such host":
        url = "http://nowhere.invalid/services/a-token-that-nobody-may-see"
    else:
        webhook.status = 500 if fault == "status 500" else 302
    problem = alerts.send(settings(tmp_path, url), ALERT)
    kinds = [line["kind"] for line in written(tmp_path)]
    assert kinds == ["run failed", "webhook failed"]
    assert problem == written(tmp_path)[1]["cause"]
    assert any(words in problem for words in ("did not answer", "status 500", "status 302"))
    seen = caplog.text + (tmp_path / "logs" / "alerts.jsonl").read_text() + problem
    assert "token" not in seen


def test_the_address_is_in_no_log_line_when_all_goes_well(tmp_path, webhook, caplog):
    caplog.set_level(logging.DEBUG)
    alerts.send(settings(tmp_path, webhook.url), ALERT)
    assert webhook.posted
    assert "token" not in caplog.text
    assert logging.getLogger("httpx").level == logging.NOTSET  # as it was before


def test_a_secret_in_a_cause_is_struck_out(tmp_path, webhook):
    cause = f"asked with {KEY} and told {webhook.url}"
    alerts.send(
        settings(tmp_path, webhook.url), alerts.Alert("run failed", "refresh", "1", "", cause)
    )
    assert written(tmp_path)[0]["cause"] == "asked with (secret) and told (secret)"
    assert webhook.posted[0]["cause"] == "asked with (secret) and told (secret)"


@dg.op
def breaks() -> None:
    raise ValueError("The sheet 'Lithium' has no cell B3.\nNothing of it is used.")


@dg.job(name="refresh")
def failing() -> None:
    breaks()


@dg.asset
def panel() -> None: ...


@dg.asset_check(asset=panel, blocking=True)
def is_observed() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, description="1,392 of 4,355 rows break the rule.")


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """One history of runs for all sensors of this module."""
    folder = tmp_path_factory.mktemp("alerts")
    with run.open_instance(Settings(warehouse_dir=folder)) as made:
        yield made


class Sensor:
    """The sensor of an instance, with the cursor that the daemon would keep."""

    def __init__(self, instance: dg.DagsterInstance, settings: Settings) -> None:
        self.instance, self.cursor = instance, None
        (self.sensor,) = [s for s in build_sensors(settings) if s.name == "alert_failed_runs"]
        self.tick()  # the first one only notes where the history ends

    def tick(self) -> None:
        with dg.build_sensor_context(instance=self.instance, cursor=self.cursor) as context:
            self.cursor = self.sensor.evaluate_tick(context).cursor


def test_each_failed_run_makes_one_alert_also_with_a_dead_webhook(instance, tmp_path, webhook):
    sensor = Sensor(instance, settings(tmp_path, webhook.url))
    done = failing.execute_in_process(instance=instance, raise_on_error=False)
    sensor.tick()
    sensor.tick()
    (line,) = written(tmp_path)
    assert line["cause"] == "The sheet 'Lithium' has no cell B3."
    assert (line["job"], line["run_id"], line["step"]) == ("refresh", done.run_id, "breaks")
    assert [posted["run_id"] for posted in webhook.posted] == [done.run_id]

    webhook.status = 503
    again = failing.execute_in_process(instance=instance, raise_on_error=False)
    sensor.tick()
    sensor.tick()
    assert [(a["kind"], a["run_id"]) for a in written(tmp_path)[1:]] == [
        ("run failed", again.run_id),
        ("webhook failed", again.run_id),
    ]


def test_the_alert_for_a_failed_gate_says_what_was_found(instance, tmp_path):
    gated = dg.Definitions(
        assets=[panel], asset_checks=[is_observed], jobs=[dg.define_asset_job("judge")]
    ).resolve_job_def("judge")
    sensor = Sensor(instance, settings(tmp_path, None))
    assert not gated.execute_in_process(instance=instance, raise_on_error=False).success
    sensor.tick()
    (line,) = written(tmp_path)
    assert line["step"] == "panel_is_observed"
    assert line["cause"] == "panel.is_observed: 1,392 of 4,355 rows break the rule."


def test_a_run_whose_process_was_killed_makes_an_alert_too(instance, tmp_path):
    process = subprocess.Popen(["true"])
    process.wait()
    sensor = Sensor(instance, settings(tmp_path, None))
    run_id = "6a6cbb44-3c5c-4d0a-8c3e-000000000001"
    dead = dg.DagsterRun(
        job_name="rebuild",
        run_id=run_id,
        status=dg.DagsterRunStatus.STARTED,
        tags={recovery.RUN_TAG: run_id, recovery.PID_TAG: str(process.pid)},
    )
    instance.add_run(dead)
    assert recovery.recover(instance) == [dead.run_id]
    sensor.tick()
    (line,) = written(tmp_path)
    assert (line["job"], line["step"]) == ("rebuild", "")
    assert line["cause"] == recovery.KILLED
