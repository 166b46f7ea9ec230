"""A release made a second time: the same snapshots, settings, seed and code give the same rows."""

import shutil

import pytest

from minerals.marts import published
from minerals.settings import PROJECT_ROOT
from tests.integration.conftest import TestWarehouse, warehouse_in


@pytest.fixture(scope="module")
def refreshed(mini: TestWarehouse) -> TestWarehouse:
    return mini


def test_a_second_run_from_the_manifest_makes_the_same_release(refreshed, tmp_path):
    """All marts, all values exactly, in the same order; the served warehouse is only read, and the
    run history of a service, which is elsewhere, is not touched."""
    before, into = refreshed.release_id(), tmp_path / "again"
    service = str(PROJECT_ROOT / "deploy" / "dagster-postgres.yaml")
    done = refreshed.command(
        "releases", "rebuild", "current", "--into", str(into), MINERALS_DAGSTER_CONFIG=service
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = dict(line.split() for line in done.stdout.splitlines() if line.endswith(" identical"))
    assert lines == dict.fromkeys(published(), "identical")
    assert f"identical to {before}" in done.stdout
    assert "note" not in done.stdout
    assert refreshed.release_id() == before
    assert "postgres" not in (into / "dagster" / "dagster.yaml").read_text()
    again, served = warehouse_in(into).store().manifest(), refreshed.store().manifest()
    assert again["release_id"] != before
    for fact in ("code_version", "snapshots"):
        assert again[fact] == served[fact]
    # Policy events are judged as of the day of the release, which was the day of the refresh.
    day = again["settings"].pop("as_of")
    assert served["created_at"].startswith(day) and served["settings"].pop("as_of") is None
    assert again["settings"] == served["settings"]
    full = refreshed.ask("releases", "rebuild", "--into", str(into))
    assert full.returncode == 1 and "is not empty" in full.stderr


def test_without_its_snapshots_a_release_cannot_be_made_again(refreshed, tmp_path):
    warehouse = refreshed.settings.warehouse_dir
    shutil.copytree(warehouse / "releases", tmp_path / "releases", symlinks=True)
    done = refreshed.command("releases", "rebuild", MINERALS_WAREHOUSE_DIR=str(tmp_path))
    assert done.returncode == 1
    assert "snapshot.json cannot be read" in done.stderr
    assert "Traceback" not in done.stderr
