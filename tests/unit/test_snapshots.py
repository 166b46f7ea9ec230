"""Snapshots: one for the same bytes, written whole or not at all, verified before use."""

import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minerals.errors import SnapshotDamagedError
from minerals.files import sha256_of
from minerals.sources.snapshots import (
    POINTER,
    SIDECAR,
    Snapshot,
    SnapshotStore,
)

SOURCE = {
    "provider": "A publisher",
    "citation": "A publisher (2026)",
    "licence": "CC BY 4.0",
    "url": "https://example.org",
}
BYTES_1, BYTES_2 = "1" * 64, "2" * 64
WriteTables = Callable[[Path], Mapping[str, Path]]


def tables(rows: int = 3, calls: list[Path] | None = None) -> WriteTables:
    """A `write_tables` that writes two tables and notes each call."""

    def write(folder: Path) -> Mapping[str, Path]:
        if calls is not None:
            calls.append(folder)
        files = {name: folder / f"{name}.parquet" for name in ("production", "production__units")}
        pq.write_table(pa.table({"kg": [float(i) for i in range(rows)]}), files["production"])
        pq.write_table(pa.table({"unit": ["kg"]}), files["production__units"])
        return files

    return write


def refusing(folder: Path) -> Mapping[str, Path]:
    raise AssertionError("a sound snapshot is there: nothing is to be written")


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "raw")


@pytest.fixture
def snapshot(store: SnapshotStore) -> Snapshot:
    """A snapshot in use, of three rows."""
    made, is_new = store.create("production", SOURCE, BYTES_1, "layout-1", tables())
    assert is_new
    store.use(made)
    return made


def hidden(store: SnapshotStore, pattern: str) -> list[Path]:
    return sorted((store.root / "production").glob(pattern))


def test_the_sidecar_says_whose_data_these_are_and_what_is_in_the_files(snapshot):
    sidecar = json.loads((snapshot.path / SIDECAR).read_text())
    assert sidecar["provider"] == "A publisher"
    assert sidecar["citation"] == "A publisher (2026)"
    assert sidecar["licence"] == "CC BY 4.0"
    assert sidecar["sha256"] == BYTES_1
    assert sidecar["row_count"] == 3
    assert sidecar["retrieved_at"].endswith("+00:00")
    main = next(table for table in sidecar["tables"] if table["name"] == "production")
    assert main["columns"] == {"kg": "double"}
    assert main["sha256"] == sha256_of(snapshot.parquet("production"))


def test_the_same_bytes_make_no_new_snapshot(store, snapshot):
    again, is_new = store.create("production", SOURCE, BYTES_1, "layout-1", refusing)
    assert not is_new
    assert again == snapshot
    assert store.list("production") == [snapshot.snapshot_id]


@pytest.mark.parametrize(("original", "layout"), [(BYTES_2, "layout-1"), (BYTES_1, "layout-2")])
def test_other_bytes_or_another_layout_make_a_new_one_and_leave_the_old(
    store, snapshot, original, layout
):
    other, is_new = store.create("production", SOURCE, original, layout, tables(5))
    assert is_new
    assert store.list("production") == sorted([snapshot.snapshot_id, other.snapshot_id])
    assert store.verify("production", snapshot.snapshot_id).row_count == 3
    assert other.row_count == 5


def test_the_id_comes_from_the_content_not_from_the_place_or_the_time(snapshot, tmp_path):
    elsewhere = SnapshotStore(tmp_path / "elsewhere")
    other, _ = elsewhere.create("production", SOURCE, BYTES_1, "layout-1", tables())
    assert other.snapshot_id == snapshot.snapshot_id


def test_the_pointer_names_the_snapshot_in_use(store, snapshot):
    assert store.current("production") == snapshot
    other, _ = store.create("production", SOURCE, BYTES_2, "layout-1", tables(5))
    assert store.current("production") == snapshot  # made, but not in use
    store.use(other)
    assert store.current("production") == other
    assert (store.root / "production" / POINTER).read_text() == f"{other.snapshot_id}\n"


def test_without_a_snapshot_in_use_the_error_says_what_to_run(store):
    with pytest.raises(SnapshotDamagedError, match=r"production.*minerals refresh"):
        store.current("production")
    assert store.list("production") == []


def cut_parquet(snapshot: Snapshot) -> None:
    file = snapshot.parquet("production")
    file.write_bytes(file.read_bytes()[:-20])


def change_a_bit(snapshot: Snapshot) -> None:
    file = snapshot.parquet("production")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


def remove_parquet(snapshot: Snapshot) -> None:
    snapshot.parquet("production__units").unlink()


def remove_sidecar(snapshot: Snapshot) -> None:
    (snapshot.path / SIDECAR).unlink()


def cut_sidecar(snapshot: Snapshot) -> None:
    sidecar = snapshot.path / SIDECAR
    sidecar.write_text(sidecar.read_text()[:-40])


def empty_sidecar(snapshot: Snapshot) -> None:
    (snapshot.path / SIDECAR).write_text("")


def forget_tables(snapshot: Snapshot) -> None:
    edit_sidecar(snapshot, tables=[])


def claim_other_bytes(snapshot: Snapshot) -> None:
    edit_sidecar(snapshot, sha256=BYTES_2)


def edit_sidecar(snapshot: Snapshot, **fields: object) -> None:
    sidecar = snapshot.path / SIDECAR
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), **fields}))


DAMAGES = [
    (cut_parquet, "production.parquet"),
    (change_a_bit, "production.parquet"),
    (remove_parquet, "production__units.parquet"),
    (remove_sidecar, SIDECAR),
    (cut_sidecar, SIDECAR),
    (empty_sidecar, SIDECAR),
    (forget_tables, SIDECAR),
    (claim_other_bytes, SIDECAR),
]


@pytest.mark.parametrize(("damage", "file"), DAMAGES)
def test_a_damaged_snapshot_is_never_used_is_set_aside_and_written_again(
    store, snapshot, damage, file
):
    damage(snapshot)
    with pytest.raises(SnapshotDamagedError) as caught:
        store.current("production")
    for words in (str(snapshot.path / file), "not used", "next refresh writes it again"):
        assert words in str(caught.value)

    again, is_new = store.create("production", SOURCE, BYTES_1, "layout-1", tables())
    assert is_new
    assert again.snapshot_id == snapshot.snapshot_id
    assert store.current("production").row_count == 3
    assert store.list("production") == [snapshot.snapshot_id]
    assert len(hidden(store, f".damaged-{snapshot.snapshot_id}-*")) == 1


def test_a_damaged_snapshot_is_kept_when_it_cannot_be_written_again(store, snapshot):
    change_a_bit(snapshot)
    with pytest.raises(OSError, match="the source is gone"):
        store.create("production", SOURCE, BYTES_1, "layout-1", failing)
    (kept,) = hidden(store, ".damaged-*")
    assert sorted(file.name for file in kept.iterdir()) == [
        "production.parquet", "production__units.parquet", SIDECAR
    ]  # fmt: skip
    with pytest.raises(SnapshotDamagedError):
        store.current("production")


def failing(folder: Path) -> Mapping[str, Path]:
    """Fails half way, with one of two tables written."""
    pq.write_table(pa.table({"kg": [1.0]}), folder / "production.parquet")
    raise OSError("the source is gone")


def test_a_failure_while_writing_leaves_no_snapshot_and_the_one_in_use(store, snapshot):
    with pytest.raises(OSError, match="the source is gone"):
        store.create("production", SOURCE, BYTES_2, "layout-1", failing)
    assert store.list("production") == [snapshot.snapshot_id]
    assert store.current("production") == snapshot
    assert hidden(store, ".writing-*") == []


def test_a_half_written_folder_is_never_listed_and_is_cleaned(store, snapshot):
    half = store.root / "production" / ".writing-0badc0de"
    half.mkdir()
    pq.write_table(pa.table({"kg": [1.0]}), half / "production.parquet")
    assert store.list("production") == [snapshot.snapshot_id]
    store.create("production", SOURCE, BYTES_1, "layout-1", refusing)
    assert hidden(store, ".writing-*") == []


def create_with_others(root: Path, barrier, results) -> None:
    """What each of two processes does: wait for the other, then create the same snapshot."""
    calls: list[Path] = []

    def slowly(folder: Path) -> Mapping[str, Path]:
        time.sleep(0.1)
        return tables(calls=calls)(folder)

    barrier.wait(timeout=30)
    made, is_new = SnapshotStore(root).create("production", SOURCE, BYTES_1, "layout-1", slowly)
    results.put((made.snapshot_id, is_new, len(calls)))


def test_two_processes_that_create_the_same_snapshot_end_with_one(store):
    # A copy of this process starts at once; a new one would import everything again, for seconds.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    barrier, results = context.Barrier(2), context.Queue()
    processes = [
        context.Process(target=create_with_others, args=(store.root, barrier, results))
        for _ in range(2)
    ]
    for process in processes:
        process.start()
    outcomes = [results.get(timeout=30) for _ in processes]
    for process in processes:
        process.join(timeout=30)
    assert [process.exitcode for process in processes] == [0, 0]
    (snapshot_id,) = store.list("production")
    assert sorted(outcomes) == [(snapshot_id, False, 0), (snapshot_id, True, 1)]
    assert store.verify("production", snapshot_id).row_count == 3
    assert hidden(store, ".writing-*") + hidden(store, ".damaged-*") == []
