"""The USGS Mineral Commodity Summaries: the data release against a server, and the figures of this
package where it cannot be had."""

import csv
from collections.abc import Iterator

import pyarrow.parquet as pq
import pytest

from minerals.errors import SourceError
from minerals.settings import PROJECT_ROOT, Settings
from minerals.sources import ingest, usgs
from minerals.sources.http import RetryPolicy
from minerals.sources.provider import Provider
from minerals.sources.snapshots import SnapshotStore
from tests.live import FIGURES, SEEDS, USGS_PATH, data_release
from tests.publishers import FilePublisher, Reply

SHARED = PROJECT_ROOT.parent / "shared" / "data" / "usgs" / "mcs2026_world_production.csv"
POLICY = RetryPolicy(attempts=3, first_wait=0.0, read_timeout=5.0)
N_FIGURES = 2249


@pytest.fixture
def server() -> Iterator[FilePublisher]:
    with FilePublisher({USGS_PATH: data_release()}) as publisher:
        yield publisher


@pytest.fixture
def settings(server, tmp_path) -> Settings:
    return Settings(profile="live", warehouse_dir=tmp_path, usgs_url=f"{server.url}{USGS_PATH}")


@pytest.fixture
def store(settings) -> SnapshotStore:
    return SnapshotStore(settings.raw_dir)


@pytest.fixture
def asked(settings, monkeypatch) -> Provider:
    """The provider of the live profile, which waits for nothing."""
    provider = usgs.summaries_provider(settings, POLICY)
    monkeypatch.setattr(ingest, "providers", lambda _: {usgs.DATASET: provider})
    return provider


def figures(snapshot) -> list[tuple]:
    rows = pq.read_table(snapshot.parquet(usgs.DATASET)).to_pylist()
    return sorted(tuple(str(cell) for cell in row.values()) for row in rows)


def own_figures() -> list[tuple]:
    with (FIGURES / "mineral_summaries.csv").open(encoding="utf-8", newline="") as file:
        return sorted(tuple(cell or "None" for cell in row) for row in list(csv.reader(file))[1:])


def damaged(change: str, to: str) -> bytes:
    text = data_release().decode("cp1252")
    assert change in text
    return text.replace(change, to).encode("cp1252")


def test_the_data_release_comes_to_the_figures_of_this_package(server, asked, store):
    snapshot, is_new = asked.ingest(store)
    assert is_new
    assert snapshot.notes == ()
    assert snapshot.row_count == N_FIGURES
    assert figures(snapshot) == own_figures()  # the edition of the file, and the one before
    assert [(seen.path, seen.params) for seen in server.seen] == [(USGS_PATH, {"name": usgs.FILE})]
    assert asked.ingest(store) == (snapshot, False)
    assert "If-None-Match" in server.seen[-1].headers
    (original,) = snapshot.originals
    assert (snapshot.path / "original" / original.name).read_bytes() == data_release()


def test_a_corrected_figure_is_taken_over(server, settings, asked, store):
    before = ingest.ingest_dataset(settings, usgs.DATASET, store)
    store.use(before.snapshot)
    server.files[USGS_PATH] = damaged('"5,510"', '"5,520"')
    after = ingest.ingest_dataset(settings, usgs.DATASET, store)
    assert (after.outcome, after.is_whole) == ("new", True)
    assert after.verdict.changes == {"created": 0, "updated": 1, "deleted": 0}
    changed = set(figures(after.snapshot)) - set(figures(before.snapshot))
    assert changed == {("mcs2026_copper_mined", "Chile", "2024", "5,520", "false")}


def test_empty_lines_are_nothing():
    spaced = data_release() + b"\r\n\r\n"
    assert usgs.read_release(spaced, "it", SEEDS) == usgs.read_release(data_release(), "it", SEEDS)


def test_of_another_address_the_whole_file_is_asked_for(server, settings, asked, store):
    asked.ingest(store)
    elsewhere = settings.model_copy(update={"usgs_url": f"{server.url}/elsewhere"})
    with pytest.raises(SourceError):
        usgs.summaries_provider(elsewhere, POLICY).ingest(store)
    assert "If-None-Match" not in server.seen[-1].headers


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (damaged("Statistics_detail", "Detail"),
         ["row 1: no column Statistics_detail", "adapt minerals/sources/usgs.py"]),
        (data_release()[:-9], ["row ", "values, where the header has 12", "cut short"]),
        (data_release()[: data_release().index(b"COPPER", 300)],
         ["has no row of mcs2026_copper_mined", " more, of 52 tables", "cut short"]),
        (damaged(",2025,", ",2026,"), ["latest year is 2026", "the edition usgs_mcs_2027",
         "docs/analysts.md"]),
        (damaged("Mine production,thousand metric tons", "Mine production,million pounds"),
         ["mcs2026_copper_mined is in 'million pounds'", "'thousand metric tons'"]),
        (damaged("Chile,", "Chili,"), ["the country Chili is not in country_aliases.csv",
         "code_system usgs_name"]),
        (damaged('"5,510"', "5-6"), ["5-6 is no figure", "W, s, Large"]),
        (b"Section,Commodity\n", ["no column Country, Statistics_detail"]),
    ],
)  # fmt: skip
def test_another_layout_is_refused_in_one_sentence(content, words):
    with pytest.raises(SourceError) as caught:
        usgs.read_release(content, "the file", SEEDS)
    for word in ["the file", "Nothing", *words]:
        assert word in str(caught.value)


def test_a_page_of_html_is_asked_again_and_then_named(server, settings, asked, store):
    server.script = ["html"] * 3
    with pytest.raises(SourceError) as caught:
        asked.ingest(store)
    for words in ("page of HTML where csv was expected", "Asked 3 times", "maintenance"):
        assert words in str(caught.value)
    assert len(server.seen) == 3
    server.script = ["html", "500", "half"]
    with pytest.raises(SourceError, match="got no complete answer"):
        asked.ingest(store)
    server.script = ["html", "half"]
    snapshot, _ = asked.ingest(store)
    assert snapshot.row_count == N_FIGURES


def test_without_the_file_the_figures_of_this_package_stand_in(server, settings, asked, store):
    server.files.clear()
    first = ingest.ingest_dataset(settings, usgs.DATASET, store)
    assert (first.outcome, first.is_whole) == ("failed", False)
    assert figures(first.snapshot) == own_figures()
    assert f"the {N_FIGURES:,} figures of this package stand in" in first.explanation
    for words in ("there is no snapshot of it", "status 404"):
        assert words in first.message
    store.use(first.snapshot)
    again = ingest.ingest_dataset(settings, usgs.DATASET, store)
    assert (again.outcome, again.snapshot) == ("failed", first.snapshot)
    assert "stays in use" in again.message

    server.files[USGS_PATH] = data_release()
    had = ingest.ingest_dataset(settings, usgs.DATASET, store)
    assert (had.outcome, had.is_whole) == ("new", True)
    store.use(had.snapshot)
    server.script = [Reply(200, damaged("Statistics_detail", "Detail"), {})]
    kept = ingest.ingest_dataset(settings, usgs.DATASET, store)
    assert (kept.outcome, kept.snapshot) == ("failed", had.snapshot)


def test_the_bundled_profile_has_the_figures_of_this_package(tmp_path):
    settings = Settings(warehouse_dir=tmp_path)
    snapshot, _ = usgs.figures_provider(settings).ingest(SnapshotStore(tmp_path / "raw"))
    assert (snapshot.provider, snapshot.row_count) == ("USGS", N_FIGURES)
    assert figures(snapshot) == own_figures()


def test_the_real_file_gives_the_figures_of_this_package():
    if not SHARED.exists():
        pytest.skip(f"the real file of the USGS is not at {SHARED}")
    rows = usgs.read_release(SHARED.read_bytes(), SHARED.name, SEEDS)
    made = {(r["table_id"], r["country"].lower().partition(" (")[0], r["year"]): r for r in rows}
    ours = {
        (table, country.lower().partition(" (")[0], year): (printed, estimated)
        for table, country, year, printed, estimated in own_figures()
        if table.startswith("mcs2026_")
    }
    assert len(rows) == len(made) == len(ours) == 1136
    assert {key: (r["as_printed"] or "None", r["is_estimated"]) for key, r in made.items()} == ours
