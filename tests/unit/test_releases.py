"""Releases: whole or not at all, made current in one step, and what BI sees while that happens."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest

from minerals.errors import ReleaseError
from minerals.marts import PUBLISHED_MARTS
from minerals.releases import CURRENT, MANIFEST, ReleaseStore
from minerals.releases.contract import (
    CONTRACT,
    RELEASE_ID,
    breaking_changes,
    read_contract,
    unit_of,
)
from minerals.releases.diff import diff_releases
from minerals.releases.export import export_mart
from minerals.releases.reproduction import IDENTICAL, code_version, differences
from minerals.releases.serving import PINNED
from minerals.releases.succession import PLACES, PREDECESSORS, SERVED
from minerals.settings import PROJECT_ROOT
from minerals.sources.snapshots import sha256_of

MART = "ppml_fit"
WORDY = "portfolio_concentration"  # gets columns named like words of SQL
MARTS = {name: PUBLISHED_MARTS[name] for name in ("import_panel", MART, WORDY)}


def make_marts(database: duckdb.DuckDBPyConnection, value: int = 1) -> None:
    """Three marts: each its key, two rows, and one more column that holds `value`."""
    database.begin()
    database.execute("create schema marts")
    for name, key in MARTS.items():
        columns = ", ".join(f"'{column} ' || i as \"{column}\"" for column in key)
        words = ', 7 as "order", 8 as "select", 9 as "group"' if name == WORDY else ""
        database.execute(
            f"create table marts.{name} as "
            f"select {columns}, {value} as number{words} from range(2, 0, -1) as t(i)"
        )
        database.execute(f"comment on table marts.{name} is 'What the suppliers'' {name} holds.'")
        for column in (*key, "number"):
            database.execute(
                f"comment on column marts.{name}.\"{column}\" is 'The {name}''s {column}.'"
            )
    database.commit()


@pytest.fixture(scope="module")
def marts() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as database:
        make_marts(database)
        yield database


@pytest.fixture
def warehouse(marts: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """The marts for one test, which may change them: all is taken back afterwards."""
    marts.begin()
    yield marts
    marts.rollback()


@pytest.fixture(scope="module")
def made(marts: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one release of the marts; tests only read it."""
    folder = tmp_path_factory.mktemp("made")
    store_in(folder).publish(marts, {"run_id": "first"})
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of it for one test; the serving database is made for the new place when published."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True, symlinks=True)
    return tmp_path


def store_in(folder: Path, keep: int = 5) -> ReleaseStore:
    return ReleaseStore(folder / "releases", folder / "serving.duckdb", keep, MARTS)


@pytest.fixture
def store(folder: Path) -> ReleaseStore:
    return store_in(folder)


def served(store: ReleaseStore, sql: str) -> list[tuple]:
    with duckdb.connect(str(store.serving_database), read_only=True) as database:
        return database.execute(sql).fetchall()


def change(warehouse: duckdb.DuckDBPyConnection, value: int) -> None:
    warehouse.execute(f"update marts.{MART} set number = {value}")


def served_id(store: ReleaseStore) -> str:
    current = store.current()
    assert current is not None
    return current.name


def leftovers(folder: Path) -> list[str]:
    allowed = {".lock", ".serving-contract"}
    hidden = [*folder.glob(".*"), *folder.glob("releases/.*")]
    return sorted(path.name for path in hidden if path.name not in allowed)


def test_a_release_is_whole_and_says_what_it_holds(made):
    store = store_in(made)
    release = made / "releases" / served_id(store)
    files = {path.name for path in release.iterdir()}
    marts, others = {f"{name}.parquet" for name in MARTS}, {CONTRACT, "README.md", PINNED}
    assert files == marts | others | {MANIFEST, SERVED}
    manifest = json.loads((release / MANIFEST).read_text())
    assert manifest["files"] == {name: sha256_of(release / name) for name in marts | others}
    assert manifest == store.manifest()
    assert manifest["release_id"] == release.name
    assert manifest["run_id"] == "first"
    assert [mart["name"] for mart in manifest["marts"]] == list(MARTS)
    for mart in manifest["marts"]:
        assert mart["row_count"] == 2
        assert mart["sha256"] == sha256_of(release / f"{mart['name']}.parquet")
        assert mart["columns"][-2]["type"] == "INTEGER"
        assert mart["columns"][-1]["name"] == "release_id"
    readme = (release / "README.md").read_text()
    assert all(f"| `{name}` | 2 |" in readme for name in MARTS)
    assert leftovers(made) == []


def test_a_release_is_to_hold_all_that_is_published(tmp_path):
    store = ReleaseStore(tmp_path / "releases", tmp_path / "serving.duckdb")
    assert store.marts == PUBLISHED_MARTS


def test_the_rows_of_a_mart_are_in_the_order_of_its_key(made):
    rows = served(store_in(made), f"select category from marts.{MART}")
    assert rows == [("category 1",), ("category 2",)]


def test_before_the_first_release_there_is_none(tmp_path):
    store = store_in(tmp_path)
    assert (store.current(), store.manifest(), store.list()) == (None, None, [])


def test_views_and_columns_carry_their_descriptions(made):
    store = store_in(made)
    views = served(
        store, "select view_name, comment from duckdb_views() where schema_name = 'marts'"
    )
    assert dict(views) == {n: f"What the suppliers' {n} holds." for n in MARTS}
    columns = served(
        store,
        "select column_name, comment from duckdb_columns() "
        f"where schema_name = 'marts' and table_name = '{MART}' order by column_index",
    )
    described = [(column, f"The {MART}'s {column}.") for column in (*MARTS[MART], "number")]
    assert columns == [*described, ("release_id", RELEASE_ID.description)]


def test_columns_named_like_words_of_sql_are_served(made):
    rows = served(store_in(made), f'select "order", "select", "group" from marts.{WORDY}')
    assert rows == [(7, 8, 9), (7, 8, 9)]


def test_the_serving_database_lets_nobody_write(made):
    with (
        duckdb.connect(str(made / "serving.duckdb"), read_only=True) as database,
        pytest.raises(duckdb.Error, match="read-only"),
    ):
        database.execute("create table marts.mine as select 1")


def test_an_open_connection_sees_the_new_release_with_its_next_query(store, warehouse):
    """Also where DuckDB keeps what it read: the files have the same size and second of birth."""
    sql = f"select max(number) from marts.{MART}"
    store.publish(warehouse, {})
    with duckdb.connect(str(store.serving_database), read_only=True) as reader:
        assert reader.execute(sql).fetchall() == [(1,)]
        for value, keeping in ((2, False), (3, True)):
            reader.execute(f"set cache_local_files = {keeping}")
            reader.execute(sql)
            change(warehouse, value)
            store.publish(warehouse, {})
            assert reader.execute(sql).fetchall() == [(value,)]


READER = """
import sys, time
from pathlib import Path

import duckdb

database, importer, stop = sys.argv[1], sys.argv[2], Path(sys.argv[3])
sql = "select count(*), count(distinct release_id), sum(number), sum(twice) from marts.import_panel"
prepared, n, seen = None, 0, set()
with duckdb.connect(database, read_only=True) as reader:
    reader.execute(f"prepare again as {sql}")
    while not stop.exists():
        for question in (sql, "execute again"):
            rows, releases, number, twice = reader.execute(question).fetchall()[0]
            assert releases == 1 and twice == 2 * number and number == rows * (rows - 1000), rows
            seen.add(rows)
            n += 1
print(n, len(seen))
"""


def test_no_query_meets_an_error_or_half_a_release_while_releases_flip(tmp_path):
    """Releases of which each has other rows, so that the file of one does not fit the metadata of
    another: every answer must be of one, and there must be an answer."""
    key = PUBLISHED_MARTS["import_panel"]
    store = ReleaseStore(
        tmp_path / "releases", tmp_path / "serving.duckdb", 4, {"import_panel": key}
    )
    stop = tmp_path / "stop"

    def publish(n_rows: int) -> None:
        columns = ", ".join(f"'{column} ' || i as {column}" for column in key)
        with duckdb.connect() as database:
            database.execute("create schema marts")
            database.execute(
                f"create table marts.import_panel as select {columns}, {n_rows} - 1000 as number, "
                f"2 * number as twice, hash(i)::varchar as noise from range({n_rows}) as t(i)"
            )
            store.publish(database, {})

    publish(2000)
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, str(store.serving_database), str(n), str(stop)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for n in range(2)
    ]  # fmt: skip
    for flip in range(12):
        publish(2000 + 997 * (flip % 5))
        if flip % 4 == 3:
            store.rollback()
    stop.touch()
    for reader in readers:
        said, error = reader.communicate(timeout=60)
        assert reader.returncode == 0, error
        n_queries, n_seen = map(int, said.split())
        assert n_queries > 20 and n_seen >= 2


def test_the_database_of_a_release_stays_with_it(store, warehouse):
    """Also opened through the link `current`, across a flip, for all marts at once."""
    store.publish(warehouse, {})
    sql = f"select a.number, b.number from marts.{MART} as a, marts.import_panel as b limit 1"
    with duckdb.connect(str(store.root / CURRENT / PINNED), read_only=True) as reader:
        assert reader.execute(sql).fetchall() == [(1, 1)]
        change(warehouse, 2)
        store.publish(warehouse, {})
        assert reader.execute(sql).fetchall() == [(1, 1)]
    with duckdb.connect(str(store.root / CURRENT / PINNED), read_only=True) as reader:
        assert reader.execute(sql).fetchall() == [(2, 1)]


def test_a_copy_that_followed_the_links_is_served_too(store, warehouse, tmp_path):
    """As a share for Windows is, or what was unpacked from an archive."""
    store.publish(warehouse, {})
    copy = tmp_path / "copy"
    shutil.copytree(store.root, copy / "releases", symlinks=False)
    shutil.copy(store.serving_database, copy)
    for database in (copy / "serving.duckdb", copy / "releases" / CURRENT / PINNED):
        with duckdb.connect(str(database), read_only=True) as reader:
            assert reader.execute(f"select number from marts.{MART}").fetchall() == [(1,), (1,)]


def test_a_served_file_holds_its_predecessors_where_they_were_and_does_not_grow(store, warehouse):
    """What was noted of an old file is still true of the new one, byte for byte."""
    noted, sizes = [], []
    for value in range(1, 9):
        change(warehouse, value)
        release = store.publish(warehouse, {}).path
        file = release / SERVED / f"{MART}.parquet"
        start, end = json.loads((release / SERVED / PLACES).read_text())[file.name]["places"][0]
        noted.append((start, end, file.read_bytes()[start:end]))
        sizes.append(file.stat().st_size)
        for old_start, old_end, data in noted[-1 - PREDECESSORS :]:
            assert file.read_bytes()[old_start:old_end] == data
        assert pq.read_table(file).equals(pq.read_table(release / file.name))
    assert len({data for _, _, data in noted}) == len(noted)
    assert max(sizes[PREDECESSORS:]) < 2 * PREDECESSORS * sizes[0]
    file.write_bytes(file.read_bytes()[:-1])
    assert store.verify(release.name) == [
        f"{SERVED}/{MART}.parquet is not the file that was published (sha256)"
    ]


@pytest.mark.parametrize(
    "damage",
    [
        lambda release: (release / MANIFEST).unlink(),
        lambda release: (release / f"{MART}.parquet").write_bytes(b"PAR1"),
        lambda release: (release / SERVED / f"{MART}.parquet").write_bytes(b"PAR1"),
        lambda release: (release / SERVED / f"{MART}.parquet").unlink(),
        lambda release: (release / SERVED / PLACES).write_text("{"),
        lambda release: shutil.rmtree(release / SERVED),
    ],
)
def test_a_damaged_release_does_not_stop_the_one_that_repairs_it(store, warehouse, damage):
    broken = store.publish(warehouse, {}).path
    damage(broken)
    if (broken / MANIFEST).exists() and (broken / SERVED).exists():
        assert store.verify(broken.name) != []
    change(warehouse, 5)
    release = store.publish(warehouse, {})
    assert store.verify(release.release_id) == []
    with duckdb.connect(str(store.serving_database), read_only=True) as reader:
        assert reader.execute(f"select number from marts.{MART}").fetchall() == [(5,), (5,)]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (f"drop table marts.{MART}",
         [f"Mart {MART} is not in the warehouse", "previous release", "whole `refresh` job"]),
        (f"insert into marts.{MART} from marts.{MART} limit 1",
         [f"Mart {MART} has more than one row for (importer_iso3, category)", "category ",
          "previous release stays served"]),
    ],
)  # fmt: skip
def test_a_mart_that_may_not_be_published_leaves_the_previous_release_served(
    folder, store, warehouse, spoil, words
):
    before, ids = served_id(store), store.list()
    warehouse.execute("update marts.import_panel set number = 2")  # written before the bad one
    warehouse.execute(spoil)
    with pytest.raises(ReleaseError) as caught:
        store.publish(warehouse, {})
    for word in words:
        assert word in str(caught.value)
    assert (served_id(store), store.list()) == (before, ids)
    assert leftovers(folder) == []


def test_an_unchanged_contract_leaves_the_serving_database_alone(store, warehouse):
    store.publish(warehouse, {})
    before = store.serving_database.stat()
    change(warehouse, 2)
    store.publish(warehouse, {})
    after = store.serving_database.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_new_column_or_a_better_description_reaches_the_serving_database(store, warehouse):
    store.publish(warehouse, {})
    warehouse.execute(f"alter table marts.{MART} add column note varchar default 'new'")
    warehouse.execute(f"comment on column marts.{MART}.note is 'Added later.'")
    warehouse.execute(f"comment on column marts.{MART}.number is 'Said better.'")
    store.publish(warehouse, {})
    assert served(store, f"select distinct note from marts.{MART}") == [("new",)]
    comments = served(
        store,
        "select comment from duckdb_columns() "
        f"where table_name = '{MART}' order by column_index desc limit 2 offset 1",
    )
    assert comments == [("Added later.",), ("Said better.",)]


def test_a_serving_database_damaged_or_lost_is_made_again(store, warehouse):
    store.publish(warehouse, {})
    store.serving_database.write_bytes(store.serving_database.read_bytes()[:5000])
    store.publish(warehouse, {})
    assert served(store, f"select max(number) from marts.{MART}") == [(1,)]
    store.serving_database.unlink()
    store.publish(warehouse, {})
    assert served(store, f"select max(number) from marts.{MART}") == [(1,)]


def test_a_warehouse_in_a_folder_with_a_quote_in_its_name(warehouse, tmp_path):
    store = store_in(tmp_path / "o'brien")
    store.publish(warehouse, {})
    assert served(store, f"select max(number) from marts.{MART}") == [(1,)]


def with_older(store: ReleaseStore, count: int) -> list[str]:
    """Copies of the current release under ids of earlier years, oldest first."""
    ids = [f"{2000 + i}0101T000000Z-0badc0de-0000" for i in range(count)]
    for release_id in ids:
        shutil.copytree(store.root / CURRENT, store.root / release_id)
    return ids


def test_old_releases_go_the_newest_stay(store, warehouse):
    older = with_older(store, 4)
    last = served_id(store)
    store.keep = 3
    release = store.publish(warehouse, {})
    assert store.list() == sorted([older[-1], last, release.release_id])
    assert served_id(store) == release.release_id


def test_the_release_served_stays_even_if_the_clock_went_back(store, warehouse):
    """Ids begin with the time; one from the future must not push out the one served."""
    future = "29990101T000000Z-0badc0de-0000"
    shutil.copytree(store.root / CURRENT, store.root / future)
    store.keep = 1
    release = store.publish(warehouse, {})
    assert store.list() == [release.release_id]
    assert served_id(store) == release.release_id


def test_a_manifest_that_cannot_be_read_says_where_and_what_to_do(store):
    (store.root / CURRENT / MANIFEST).write_text("{")
    with pytest.raises(ReleaseError, match=rf"{MANIFEST} cannot be read.*`minerals refresh`"):
        store.manifest()


# Runs in a process of its own: for each folder and point, a copy of it publishes and kills itself
# at that point. Prints how each copy ended.
KILLER = """
import os, shutil, signal, sys
from collections.abc import Mapping
from pathlib import Path

import duckdb

from minerals.marts import PUBLISHED_MARTS
from minerals.releases import ReleaseStore, serving

MARTS = {name: PUBLISHED_MARTS[name] for name in sys.argv[1].split(",")}

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

class DeadlyFacts(Mapping):
    __getitem__ = __len__ = __iter__ = die

def publish_and_die(folder, point):
    store = ReleaseStore(folder / "releases", folder / "serving.duckdb", 1, MARTS)
    if point == "renamed":
        store._make_current = die
    elif point == "flipping":
        Path.replace = die
    elif point == "serving":
        create = serving._create_view
        is_newest = lambda within: within.parts[0] == "releases"
        serving._create_view = lambda *a: die() if is_newest(a[3]) else create(*a)
    elif point == "pruning":
        shutil.rmtree = lambda path, **_: (
            (next(Path(path).glob("*.parquet")).unlink(), die()) if ".removing" in str(path) else 0
        )
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as warehouse:
        store.publish(warehouse, DeadlyFacts() if point == "written" else {})

for argument in sys.argv[2:]:
    child = os.fork()
    if child == 0:
        publish_and_die(Path(argument), Path(argument).name)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
# Where it is killed, whether the new release is then served, and what is left lying about.
POINTS = {
    "written": (False, ".writing-"),  # every mart is written, the manifest is not
    "renamed": (False, None),  # whole, and not yet current
    "flipping": (False, ".current-"),
    "serving": (True, ".serving-"),  # in the middle of the new database of views
    "pruning": (True, ".removing-"),  # in the middle of an old release
}


@pytest.fixture(scope="module")
def killed(made: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For each point, the folder of a publication of the value 2 killed there, after one of 1."""
    warehouse = tmp_path_factory.mktemp("changed") / "warehouse.duckdb"
    with duckdb.connect(str(warehouse)) as database:
        make_marts(database, 2)
    folders = {point: tmp_path_factory.mktemp("killed") / point for point in POINTS}
    for folder in folders.values():
        shutil.copytree(made, folder, symlinks=True)
        shutil.copy(warehouse, folder)
    done = subprocess.run(
        [sys.executable, "-c", KILLER, ",".join(MARTS), *map(str, folders.values())],
        env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.split() == [str(-signal.SIGKILL.value)] * len(POINTS), done.stderr
    return folders


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_point_a_whole_release_is_served_and_the_next_publication_cleans_up(
    made, killed, warehouse, point
):
    folder, (is_flipped, left) = killed[point], POINTS[point]
    store, before = store_in(folder), served_id(store_in(made))
    assert (served_id(store) != before) is is_flipped
    current = pq.read_table(store.root / CURRENT / f"{MART}.parquet")
    assert current["number"].to_pylist() == ([2, 2] if is_flipped else [1, 1])
    for release_id in store.list():
        files = {path.name for path in (store.root / release_id).iterdir()}
        assert files >= {f"{name}.parquet" for name in MARTS}
    if point != "pruning":  # the step after the new database of views is in place
        assert sha256_of(store.serving_database) == sha256_of(made / "serving.duckdb")
    assert bool(leftovers(folder)) is (left is not None)
    assert all(name.startswith(left) for name in leftovers(folder))

    store.keep = 1
    change(warehouse, 3)
    after = store.publish(warehouse, {})
    assert leftovers(folder) == []
    assert store.list() == [after.release_id]
    assert served_id(store) == after.release_id
    assert served(store, f"select max(number) from marts.{MART}") == [(3,)]


def test_the_views_find_the_release_where_the_folder_is_now(folder, monkeypatch):
    """Moved, mounted elsewhere, opened by a relative path from within."""
    elsewhere = folder / "mounted [else]where *"
    elsewhere.mkdir()
    for name in ("releases", "serving.duckdb"):
        (folder / name).rename(elsewhere / name)
    sql = f"select max(number) from marts.{MART}"
    assert served(store_in(elsewhere), sql) == [(1,)]
    monkeypatch.chdir(elsewhere)
    with duckdb.connect("serving.duckdb", read_only=True) as database:
        assert database.execute(sql).fetchall() == [(1,)]


def test_the_views_work_for_who_attaches_the_database(store, warehouse):
    store.publish(warehouse, {})
    with duckdb.connect() as database:
        database.execute(f"attach '{store.serving_database}' as served (read_only)")
        rows = database.execute(f"select max(number) from served.marts.{MART}").fetchall()
    assert rows == [(1,)]


def test_every_row_says_which_release_it_is_of(store, warehouse):
    release = store.publish(warehouse, {})
    for name in MARTS:
        assert served(store, f"select distinct release_id from marts.{name}") == [
            (release.release_id,)
        ]


def test_a_release_that_breaks_the_contract_is_not_published(store, warehouse):
    store.publish(warehouse, {})
    before = served_id(store)
    store.agreed = read_contract(store.root / before / CONTRACT)
    store.publish(warehouse, {})  # keeps it
    before = served_id(store)
    warehouse.execute(f"alter table marts.{MART} alter number type varchar")
    warehouse.execute(f'alter table marts.{WORDY} drop column "order"')
    with pytest.raises(ReleaseError) as caught:
        store.publish(warehouse, {})
    words = str(caught.value)
    assert f"{MART}.number: was INTEGER, is VARCHAR" in words
    assert f"{WORDY}.order: the column is gone (it was INTEGER)" in words
    assert "contract --write" in words
    assert served_id(store) == before
    assert leftovers(store.root.parent) == []


def test_a_table_gone_and_another_key_break_the_contract_a_column_more_does_not(made):
    store = store_in(made)
    agreed = read_contract(store.root / served_id(store) / CONTRACT)
    without = [line for line in agreed if line.table != MART]
    assert breaking_changes(agreed, without) == [f"{MART}: the table is gone"]
    assert breaking_changes(without, agreed) == []
    unkeyed = [replace(line, is_key=False) for line in agreed]
    assert f"{MART}.category: no longer part of the key" in breaking_changes(agreed, unkeyed)


@pytest.mark.parametrize(
    ("column", "unit"),
    [
        ("ores_qty_kg", "kg"), ("value_usd", "current USD"), ("actual_share", "share, 0 to 1"),
        ("fdi_pct_gdp", "percent of GDP"), ("ln_distance", "natural logarithm"),
        ("n_candidates", "count"), ("exporter_iso3", "ISO 3166-1 alpha-3"), ("mineral", ""),
        ("unit_value_usd_per_kg", "current USD per kg"), ("forward_rank", "rank, 1 is the first"),
        ("value_thousand_usd", "thousand current USD"), ("is_imputed_fdi_pct_gdp", ""),
        ("change_share", "share of the imports"), ("top1_share_trend", "share a year"),
        ("top1_share", "share, 0 to 1"),
    ],
)  # fmt: skip
def test_the_name_of_a_column_tells_its_unit(column, unit):
    assert unit_of(column) == unit


def test_going_back_serves_the_older_release_and_the_next_publication_a_new_one(store, warehouse):
    first = store.publish(warehouse, {}).release_id
    change(warehouse, 2)
    second = store.publish(warehouse, {}).release_id
    sql = f"select max(number) from marts.{MART}"
    with duckdb.connect(str(store.serving_database), read_only=True) as reader:
        assert reader.execute(sql).fetchall() == [(2,)]
        assert store.rollback() == first
        assert reader.execute(sql).fetchall() == [(1,)]
    assert store.rollback(second) == second
    assert served(store, sql) == [(2,)]
    change(warehouse, 3)
    store.publish(warehouse, {})
    assert served(store, sql) == [(3,)]


def test_a_release_that_was_tampered_with_is_named_and_not_gone_back_to(store, warehouse):
    first = store.publish(warehouse, {}).release_id
    second = store.publish(warehouse, {}).release_id
    assert store.verify(first) == []
    folder = store.root / first
    (folder / f"{MART}.parquet").write_bytes(b"other")
    (folder / "import_panel.parquet").unlink()
    (folder / "mine.parquet").write_bytes(b"x")
    (folder / "README.md").write_text("Trust me.")
    assert store.verify(first) == [
        "README.md is not the file that was published (sha256)",
        "import_panel.parquet is missing",
        f"{MART}.parquet is not the file that was published (sha256)",
        "mine.parquet was added after publication",
    ]
    with pytest.raises(ReleaseError, match="not sound"):
        store.rollback(first)
    with pytest.raises(ReleaseError, match="There is no release nope"):
        store.rollback("nope")
    assert served_id(store) == second


@pytest.mark.parametrize("name", ["current", "previous", "", ".", "../releases/{}"])
def test_going_back_takes_nothing_but_the_id_of_a_release(store, warehouse, name):
    """Any other path to a release would become what the link points at, also the link itself."""
    first = served_id(store)
    second = store.publish(warehouse, {}).release_id
    with pytest.raises(ReleaseError, match="There is no release"):
        store.rollback(name.format(first))
    assert served_id(store) == second
    assert (store.root / CURRENT).readlink() == Path(second)


def test_going_back_that_fails_leaves_what_was_served(store, warehouse):
    first = served_id(store)
    second = store.publish(warehouse, {}).release_id
    store.serving_database.unlink()
    (store.serving_database / "in the way").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        store.rollback(first)
    assert served_id(store) == second


def test_a_diff_names_who_moved_entered_and_left(tmp_path):
    ranks = {
        "before": [("CHL", 1), ("PER", 2), ("AUS", 3), ("IDN", 4)],
        "after": [("PER", 1), ("CHL", 2), ("AUS", 3), ("ZMB", 4)],
    }
    for name, rows in ranks.items():
        (tmp_path / name).mkdir()
        with duckdb.connect() as database:
            database.execute(
                "create table r as select 'IND' as importer_iso3, 'ores' as category, "
                "'Copper' as mineral, 'estimated' as coefficient_source, * from "
                f"(values {', '.join(map(str, rows))}) as v(exporter_iso3, forward_rank)"
            )
            database.execute(f"copy r to '{tmp_path / name / 'ranking_forward.parquet'}'")
    found = diff_releases(tmp_path / "before", tmp_path / "after")
    assert found.n_compared == 5
    assert [(m.exporter_iso3, m.rank_before, m.rank_after, m.places) for m in found.moves] == [
        ("IDN", 4, None, None), ("ZMB", None, 4, None), ("CHL", 1, 2, -1), ("PER", 2, 1, 1),
    ]  # fmt: skip
    assert found.row_counts == {}
    assert diff_releases(tmp_path / "before", tmp_path / "after", "Nickel").n_compared == 0


def test_what_differs_between_two_releases_is_named(store, warehouse, tmp_path):
    first = store.root / store.publish(warehouse, {}).release_id
    same = store.root / store.publish(warehouse, {}).release_id
    assert differences(first, same) == dict.fromkeys(MARTS, IDENTICAL)
    change(warehouse, 2)
    warehouse.execute(f"alter table marts.{WORDY} add column more integer")
    warehouse.execute("insert into marts.import_panel select 'x', 'x', 'x', 'x', 1")
    other = store.root / store.publish(warehouse, {}).release_id
    assert differences(first, other) == {
        MART: "number in 2 rows", WORDY: "other columns: more",
        "import_panel": "3 rows instead of 2 rows",
    }  # fmt: skip
    (other / f"{MART}.parquet").unlink()
    assert differences(first, other)[MART] == "was not made"


def test_a_mart_more_is_published_and_one_of_an_older_making_is_taken_over(store, warehouse):
    """The release before has neither the new mart nor, made by older code, the served copies."""
    shutil.rmtree(store.root / served_id(store) / SERVED)
    store.publish(warehouse, {})
    key = {"ppml_coefficients": ("importer_iso3",)}
    warehouse.execute("create table marts.ppml_coefficients as select 'IND' as importer_iso3")
    store.marts = {**store.marts, **key}
    store.publish(warehouse, {})
    assert served(store, "select importer_iso3 from marts.ppml_coefficients") == [("IND",)]


def test_the_code_version_is_the_project_s_and_of_its_files():
    version, _, content = code_version().partition("+")
    assert version.count(".") == 2
    assert len(content) == 12


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_mart_is_exported_with_the_rows_asked_for(made, tmp_path, form):
    folder = made / "releases" / CURRENT
    target = tmp_path / f"mart.{form}"
    assert export_mart(folder, MART, target, form, {"category": "CATEGORY 2"}) == 1
    rows = pd.read_csv(target) if form == "csv" else pd.read_excel(target, engine="calamine")
    assert rows[["category", "number"]].values.tolist() == [["category 2", 1]]
    if form == "xlsx":
        words = pd.read_excel(target, sheet_name="columns", engine="calamine")
        assert list(words["column"]) == [*MARTS[MART], "number", "release_id"]


@pytest.mark.parametrize(
    ("mart", "filters", "words"),
    [
        ("nothing", {}, "There is no mart nothing"),
        (MART, {"mineral": "Copper"}, "no column mineral"),
        (MART, {"category": "ores"}, "no row with category ores; it has: category 1; category 2"),
        (
            MART,
            {"importer_iso3": "importer_iso3 1", "category": "category 2"},
            "1 and category category 2",
        ),
    ],
)
def test_an_export_of_nothing_says_why_and_writes_nothing(made, tmp_path, mart, filters, words):
    target = tmp_path / "out.csv"
    with pytest.raises(ReleaseError, match=words):
        export_mart(made / "releases" / CURRENT, mart, target, "csv", filters)
    assert not target.exists()


def test_an_empty_mart_is_said_to_be_empty(store, warehouse, tmp_path):
    warehouse.execute(f"delete from marts.{MART}")
    folder = store.publish(warehouse, {}).path
    with pytest.raises(ReleaseError, match=f"{MART} is empty in this release"):
        export_mart(folder, MART, tmp_path / "out.csv", "csv", {"category": "category 1"})


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("folder", "folder is a folder: name a file in it"),
        ("file/out", "file is a file"),
        ("nowhere/out", "nowhere is not there: create it"),
        ("/proc/out", "/proc/out cannot be written"),
    ],
)
def test_where_an_export_cannot_be_written_is_said(made, tmp_path, form, place, words):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(ReleaseError, match=words):
        export_mart(made / "releases" / CURRENT, MART, tmp_path / place, form, {})
    assert not (tmp_path / "nowhere").exists()
