"""The USGS data release: what is read, and each way in which it can be wrong."""

import csv
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from minerals.errors import SourceError
from minerals.settings import PROJECT_ROOT, Settings
from minerals.sources.http import RetryPolicy
from minerals.sources.snapshots import SnapshotStore
from minerals.sources.usgs import COLUMNS, SECTION, read_release, supply_provider
from tests.live import USGS_PATH, usgs_release
from tests.publishers import FilePublisher

# The tables of an edition as the USGS prints them, public domain.
REAL_FILE = PROJECT_ROOT.parent / "shared/data/usgs/mcs2026_world_production.csv"
OWN = PROJECT_ROOT / "minerals/sources/figures/supply_figures.csv"
FAST = RetryPolicy(attempts=2, first_wait=0.01, longest_wait=0.01)
HEADER = ",".join([SECTION, *COLUMNS.values()])


class Release:
    """A server with one file, and a warehouse of its own."""

    def __init__(self, server: FilePublisher, folder: Path) -> None:
        self.server = server
        self.settings = Settings(profile="live", warehouse_dir=folder, usgs_url=server.url)
        self.store = SnapshotStore(self.settings.raw_dir)

    def ingest(self):
        snapshot, is_new = supply_provider(self.settings, FAST).ingest(self.store)
        self.store.use(snapshot)
        return snapshot, is_new

    def rows(self) -> list[dict]:
        snapshot = self.store.current("supply_figures")
        return pq.read_table(snapshot.parquet("supply_figures")).to_pylist()


@pytest.fixture
def release(tmp_path):
    with FilePublisher({USGS_PATH: usgs_release()}) as server:
        yield Release(server, tmp_path)


def own_figures() -> list[dict]:
    with OWN.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    return [{**row, "year": int(row["year"]), "value": row["value"] or None} for row in rows]


def test_the_release_comes_to_the_figures_of_this_package(release):
    snapshot, _ = release.ingest()
    assert release.rows() == own_figures()
    assert snapshot.notes == ()
    (asked,) = release.server.seen
    assert asked.params == {"name": "MCS2026_Commodities_Data.csv"}


def test_an_unchanged_release_is_not_sent_again(release):
    release.ingest()
    assert release.ingest()[1] is False
    assert [bool(s.headers.get("If-None-Match")) for s in release.server.seen] == [False, True]


def test_before_a_release_was_ever_had_the_figures_of_this_package_are_used(release):
    release.server.files.clear()
    snapshot, _ = release.ingest()
    (note,) = snapshot.notes
    assert "figures of this package are used" in note and "404" in note
    assert release.rows() == own_figures()
    with pytest.raises(SourceError, match="404"):  # the last snapshot stays in use
        release.ingest()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (HEADER.replace("Commodity", "Chapter") + "\nWorld Production,1,2,3,4,5,6\n", "Commodity"),
        (HEADER + "\nWorld Production,Tin,Peru,Mine\n", "row 2: 4 values"),
        (HEADER + "\nWorld Production,Tin,Peru,Mine,t,late,9\n", "'late' is no year"),
        (HEADER + "\nSalient Statistics,Tin,Peru,Mine,t,2025,9\n", "no row of a section on the"),
        ("<!doctype html><html><p>Down, for maintenance</p></html>", "page of HTML"),
        ("Nothing here", "no comma-separated text"),
    ],
)
def test_another_file_is_refused_by_name(release, content, words):
    release.ingest()
    release.server.files[USGS_PATH] = content.encode()
    with pytest.raises(SourceError, match=words):
        release.ingest()
    assert release.rows() == own_figures()


@pytest.mark.skipif(not REAL_FILE.exists(), reason=f"{REAL_FILE} is not there")
def test_the_real_release_has_the_figures_of_this_package():
    rows = list(read_release(REAL_FILE.read_bytes(), REAL_FILE.name))
    found = {
        tuple(row[k] for k in ("commodity", "country", "statistic", "year")): row for row in rows
    }
    for row in own_figures():
        key = (row["commodity"], row["country"], row["statistic"], row["year"])
        assert found[key]["value"] == row["value"]
    assert len(rows) > 3_000
