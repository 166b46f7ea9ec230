"""Releases: whole or not at all, served in one step, and what readers see while that happens."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest

from minerals.errors import ReleaseError
from minerals.files import remove, sha256_of
from minerals.marts import Column, published
from minerals.releases import CURRENT, MANIFEST, ReleaseStore
from minerals.releases import folder as folder_module
from minerals.releases import store as store_module
from minerals.releases.contract import (
    CONTRACT,
    RELEASE_ID,
    as_markdown,
    contract_changes,
    fingerprint,
    read_contract,
)
from minerals.releases.export import export_mart
from minerals.releases.folder import PUBLISHED
from minerals.releases.reproduction import IDENTICAL, code_version, differences
from minerals.releases.serving import MADE, PINNED, POINTER, only_select, open_serving
from minerals.releases.store import DAY
from tests.declared import declared

MART = "fits"
WORDY = "concentration"  # has columns named like words of SQL
KEYS = {"panel": ("importer", "mineral", "year"), MART: ("importer", "category"), WORDY: ("id",)}
NUMBER = f"select max(number) from marts.{MART}"


def make_marts(database: duckdb.DuckDBPyConnection, value: int = 1) -> None:
    """Three marts: each its key, two rows, and one more column that holds `value`."""
    database.execute("create schema marts")
    for name, key in KEYS.items():
        columns = ", ".join(f"'{column} ' || i as {column}" for column in key)
        words = ', 7 as "order", 8 as "select", 9 as "group"' if name == WORDY else ""
        database.execute(
            f"create table marts.{name} as "
            f"select {columns}, {value} as number{words} from range(2, 0, -1) as t(i)"
        )
        database.execute(f"comment on table marts.{name} is 'What the suppliers'' {name} holds.'")
        for column in (*key, "number"):
            database.execute(
                f"comment on column marts.{name}.{column} is 'The {name}''s {column}.'"
            )


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
    ReleaseStore(
        folder / "releases", folder / "serving.duckdb", marts=declared(marts, KEYS)
    ).publish(marts, {"run_id": "first"})
    return folder


@pytest.fixture
def store(made: Path, tmp_path: Path, marts: duckdb.DuckDBPyConnection) -> ReleaseStore:
    """A copy of that folder for one test."""
    folder = tmp_path / "warehouse"
    shutil.copytree(made, folder, symlinks=True)
    return store_in(folder, marts)


def store_in(folder: Path, marts: duckdb.DuckDBPyConnection) -> ReleaseStore:
    return ReleaseStore(folder / "releases", folder / "serving.duckdb", marts=declared(marts, KEYS))


def reader_of(store: ReleaseStore) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(store.serving_database), read_only=True)


def served(store: ReleaseStore, sql: str = NUMBER) -> list[tuple]:
    with reader_of(store) as database:
        return database.execute(sql).fetchall()


def publish(store: ReleaseStore, warehouse: duckdb.DuckDBPyConnection, value: int) -> str:
    warehouse.execute(f"update marts.{MART} set number = {value}")
    return store.publish(warehouse, {}).release_id


def add_column(store: ReleaseStore, warehouse: duckdb.DuckDBPyConnection) -> None:
    """A new contract: one column more, in the warehouse and in the declaration."""
    warehouse.execute(f"alter table marts.{MART} add column note varchar default 'new'")
    store.marts = declared(warehouse, KEYS)


def served_id(store: ReleaseStore) -> str:
    current = store.current()
    assert current is not None
    return current.name


def leftovers(store: ReleaseStore) -> list[str]:
    hidden = [*store.root.parent.rglob(".*"), *store.root.parent.glob("*/.*")]
    return sorted({path.name for path in hidden} - {".lock"})


def unlocked(folder: Path) -> Path:
    """A release, made writable for its owner, who then damages it."""
    folder.chmod(0o755)
    return folder


def overwrite(file: Path, content: bytes) -> None:
    """Also a published file, which is read-only."""
    file.unlink()
    file.write_bytes(content)


def make_old(store: ReleaseStore, *releases: str) -> None:
    """As if these had been served for the last time more than a day ago."""
    for release in releases:
        then = time.time() - DAY - 60
        os.utime(store.folder(release) / PUBLISHED, (then, then))


def test_a_release_is_whole_and_says_what_it_holds(made, marts):
    store = store_in(made, marts)
    release = store.current()
    assert release.parent.name == fingerprint(read_contract(release / CONTRACT))
    parquet, others = {f"{name}.parquet" for name in KEYS}, {CONTRACT, "README.md", PINNED}
    assert {path.name for path in release.iterdir()} == parquet | others | {MANIFEST, PUBLISHED}
    assert {path.stat().st_mode & 0o777 for path in release.iterdir()} == {0o444}
    assert release.stat().st_mode & 0o777 == 0o555
    manifest = json.loads((release / MANIFEST).read_text())
    assert manifest["files"] == {name: sha256_of(release / name) for name in parquet | others}
    assert manifest == store.manifest()
    assert (manifest["release_id"], manifest["run_id"]) == (release.name, "first")
    for mart in manifest["marts"]:
        assert mart["row_count"] == 2
        assert mart["sha256"] == sha256_of(release / f"{mart['name']}.parquet")
    contract = {mart.name: mart for mart in read_contract(release / CONTRACT)}
    assert {name: mart.key for name, mart in contract.items()} == KEYS
    assert contract[MART].columns[-2:] == (
        Column("number", "INTEGER", "", f"The {MART}'s number."), RELEASE_ID
    )  # fmt: skip
    readme = (release / "README.md").read_text()
    assert all(f"| `{name}` | 2 | What the suppliers' {name} holds. |" in readme for name in KEYS)
    assert "| **`importer`** | VARCHAR |  | The fits's importer. |" in as_markdown(
        contract.values()
    )
    assert leftovers(store) == []


def test_the_link_for_people_leads_to_the_release_that_is_served(made, marts):
    store = store_in(made, marts)
    assert (store.root / CURRENT).resolve() == store.current().resolve()


def test_the_rows_of_a_mart_are_in_the_order_of_its_key_and_carry_the_release(made, marts):
    store = store_in(made, marts)
    rows = served(store, f"select category, release_id from marts.{MART}")
    assert rows == [("category 1", served_id(store)), ("category 2", served_id(store))]


def test_before_the_first_release_there_is_none(tmp_path):
    store = ReleaseStore(tmp_path / "releases", tmp_path / "serving.duckdb")
    assert (store.current(), store.manifest(), store.list()) == (None, None, [])
    with pytest.raises(ReleaseError, match="There is no release under"):
        store.rollback()


def test_by_default_a_release_must_hold_all_that_is_declared(tmp_path, warehouse):
    store = ReleaseStore(tmp_path / "releases", tmp_path / "serving.duckdb")
    with pytest.raises(ReleaseError) as caught:
        store.publish(warehouse, {})
    assert len(published()) > 20
    assert all(f"{name}: the mart is not in the warehouse" in str(caught.value)
               for name in published())  # fmt: skip


def test_views_and_columns_carry_their_descriptions(made, marts):
    store = store_in(made, marts)
    views = "select view_name, comment from duckdb_views() where schema_name = 'marts'"
    assert dict(served(store, views)) == {
        name: f"What the suppliers' {name} holds. Key: {', '.join(key)}."
        for name, key in KEYS.items()
    }
    columns = served(
        store,
        "select column_name, comment from duckdb_columns() "
        f"where schema_name = 'marts' and table_name = '{MART}' order by column_index",
    )
    described = [(column, f"The {MART}'s {column}.") for column in (*KEYS[MART], "number")]
    assert columns == [*described, ("release_id", RELEASE_ID.description)]


def test_columns_named_like_words_of_sql_are_served(made, marts):
    rows = served(store_in(made, marts), f'select "order", "select", "group" from marts.{WORDY}')
    assert rows == [(7, 8, 9), (7, 8, 9)]


def test_the_serving_database_lets_nobody_write(made, marts):
    with (
        reader_of(store_in(made, marts)) as database,
        pytest.raises(duckdb.Error, match="read-only"),
    ):
        database.execute("create table marts.mine as select 1")


def locked(store: ReleaseStore) -> duckdb.DuckDBPyConnection:
    return open_serving(store.serving_database, store.root)


# Statements of the two kinds: refused for what they are, refused for what they ask.
WRITES = (
    "copy (select 1) to '{releases}/current/fits.parquet'",
    "copy (select 1) to '{outside}'",
    "export database '{outside}'",
    "explain analyze copy (select 1) to '{outside}'",
    "attach '{outside}' as mine",
    "install json",
    "load json",
    "set enable_external_access = true",
    "create temp table mine as select 1",
    "delete from marts.fits",
    "prepare mine as copy (select 1) to '{outside}'",
    "call enable_logging(storage = 'file', storage_path = '{outside}')",
    "pivot marts.fits on category using sum(number)",
)
READS = (
    "from read_csv('/etc/passwd')",
    "from read_text('{outside}')",
    "from read_text('{releases}/../secret')",
    "from read_text('{releases}-other/secret')",
    "from read_text('{releases}/link/secret')",
    "from glob('/etc/*')",
    "from 'http://127.0.0.1:9/x.parquet'",
    "from enable_logging(storage = 'file', storage_path = '{outside}')",
    "from query('copy (select 1) to ''{outside}''')",
    "with gone as (delete from marts.fits returning *) from gone",
)


def test_who_asks_the_served_marts_writes_nothing_and_reads_nothing_else(store, tmp_path):
    """As `minerals query` and the dashboard open them, with SQL of anybody."""
    for folder in (store.root.parent, (beside := store.root.with_name("releases-other"))):
        folder.mkdir(exist_ok=True)
        (folder / "secret").write_text("not to be seen")
    (store.root / "link").symlink_to(beside)
    outside = tmp_path / "outside"
    before = sorted(path for path in tmp_path.rglob("*"))
    names = {"releases": store.root, "outside": outside}
    with locked(store) as marts, locked(store) as second:
        for sql in WRITES:
            with pytest.raises(ReleaseError, match=r"of kind|PIVOT"):
                only_select(marts, sql.format(**names))
        for sql in READS:
            with pytest.raises(duckdb.Error):
                marts.execute(only_select(marts, sql.format(**names))).fetchall()
        for sql in ("set lock_configuration = false", "set allowed_directories = ['/']"):
            with pytest.raises(duckdb.Error, match="locked"):
                second.execute(sql)
        for sql in (NUMBER, f"describe marts.{MART}", f"summarize marts.{MART}", "show all tables",
                    f"from marts.{MART}", f"with a as (from marts.{MART}) from a"):  # fmt: skip
            assert marts.execute(only_select(marts, sql)).fetchall()
            assert second.execute(only_select(second, sql)).fetchall()
    assert sorted(path for path in tmp_path.rglob("*")) == before
    assert store.verify(served_id(store)) == []


UNPRIVILEGED = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []


def test_not_even_the_owner_writes_into_a_published_release_by_mistake(store):
    """A BI tool that runs as the owner, without `locked_down`: modes hold for all but root."""
    if UNPRIVILEGED and shutil.which("setpriv") is None:
        pytest.skip("root may write anywhere, and setpriv, which takes that from it, is missing")
    program = """
import duckdb, sys
from pathlib import Path
release, database = Path(sys.argv[1]), sys.argv[2]
def copy_over():
    with duckdb.connect(database, read_only=True) as marts:
        marts.execute(f"copy (select 666) to '{release}/fits.parquet'")
for attempt in (copy_over, (release / "mine").touch, (release / "fits.parquet").unlink,
                lambda: (release / "manifest.json").write_text("{}")):
    try:
        attempt()
        print("written")
    except (OSError, duckdb.Error):
        print("refused")
"""
    release = store.current()
    arguments = [str(release.resolve()), str(store.serving_database)]
    command = [*UNPRIVILEGED, sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["refused"] * 4
    assert store.verify(release.name) == []


@pytest.mark.parametrize("is_cached", [False, True])
def test_an_open_connection_sees_the_new_release_with_its_next_query(store, warehouse, is_cached):
    """Prepared or not, and where DuckDB keeps what it read; a rollback as well."""
    publish(store, warehouse, 1)
    with reader_of(store) as reader:
        reader.execute(f"set cache_local_files = {is_cached}")
        reader.execute(f"prepare again as {NUMBER}")
        for value in (2, 3):
            publish(store, warehouse, value)
            assert reader.execute(NUMBER).fetchall() == [(value,)]
            assert reader.execute("execute again").fetchall() == [(value,)]
        store.rollback()
        assert reader.execute(NUMBER).fetchall() == [(2,)]
        assert reader.execute("execute again").fetchall() == [(2,)]


def test_a_query_that_listed_the_files_before_a_release_takes_the_one_before(store, warehouse):
    """The pointer names a release that is not among the listed files: never no rows."""
    publish(store, warehouse, 2)
    last = publish(store, warehouse, 3)
    hidden = unlocked(store.current()).rename(
        store.root / last
    )  # not listed, and the pointer names it
    assert served(store) == [(2,)]
    hidden.rename(store.root / store.current().parent.name / last)
    assert served(store) == [(3,)]


def test_of_ten_releases_one_file_is_read(store, warehouse):
    for value in range(2, 11):
        publish(store, warehouse, value)
    plan = served(store, f"explain analyze {NUMBER}")[0][1]
    files = re.findall(r"Total Files Read: (\d+)", plan)
    assert len(store.list()) == 10
    assert files and set(files) == {"1"}
    assert re.findall(r"Row Groups Scanned: (\d+) / (\d+)", plan) == [("1", "1")]


def test_the_database_of_a_release_stays_with_it(store, warehouse):
    """Also opened through the link `current`, across a new release, for all marts at once."""
    sql = f"select a.number, b.number from marts.{MART} as a, marts.panel as b limit 1"
    with duckdb.connect(str(store.root / CURRENT / PINNED), read_only=True) as reader:
        assert reader.execute(sql).fetchall() == [(1, 1)]
        publish(store, warehouse, 2)
        assert reader.execute(sql).fetchall() == [(1, 1)]
    with duckdb.connect(str(store.root / CURRENT / PINNED), read_only=True) as reader:
        assert reader.execute(sql).fetchall() == [(2, 1)]


def test_a_copy_that_followed_the_links_is_served_and_published_into(store, warehouse, tmp_path):
    """As a share for Windows is, or what was unpacked from an archive."""
    copy = tmp_path / "copy"
    shutil.copytree(store.root.parent, copy, symlinks=False)
    remove(store.root.parent)
    for database in (copy / "serving.duckdb", copy / "releases" / CURRENT / PINNED):
        with duckdb.connect(str(database), read_only=True) as reader:
            assert reader.execute(NUMBER).fetchall() == [(1,)]
    copied = store_in(copy, warehouse)
    assert publish(copied, warehouse, 2) == (copied.root / CURRENT).resolve().name


@pytest.mark.parametrize("name", ["mounted [else]where *", "o'brien"])
def test_the_views_find_the_release_where_the_folder_is_now(store, warehouse, name, monkeypatch):
    """Moved, opened by a relative path from within, attached to another database."""
    elsewhere = store.root.parent.rename(store.root.parents[1] / name)
    moved = store_in(elsewhere, warehouse)
    assert served(moved) == [(1,)]
    with locked(moved) as marts:
        assert marts.execute(NUMBER).fetchall() == [(1,)]
    with duckdb.connect(str(moved.current() / PINNED), read_only=True) as database:
        assert database.execute(NUMBER).fetchall() == [(1,)]
    publish(moved, warehouse, 2)
    with duckdb.connect() as database:
        database.execute("attach ? as served (read_only)", [str(moved.serving_database)])
        assert database.execute(f"from served.marts.{MART}").fetchall()[0][2] == 2
    monkeypatch.chdir(elsewhere)
    with duckdb.connect("serving.duckdb", read_only=True) as database:
        assert database.execute(NUMBER).fetchall() == [(2,)]


@pytest.mark.parametrize(
    "damage",
    [
        lambda release: (release / MANIFEST).unlink(),
        lambda release: overwrite(release / CONTRACT, b"{"),
        lambda release: overwrite(release / f"{MART}.parquet", b"PAR1"),
        lambda release: (release / f"{MART}.parquet").unlink(),
    ],
)
def test_a_damaged_release_does_not_stop_the_one_that_repairs_it(store, warehouse, damage):
    damage(unlocked(store.current()))
    release = publish(store, warehouse, 4)
    assert (served_id(store), served(store)) == (release, [(4,)])
    assert store.verify(release) == []


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (f"drop table marts.{MART}", [f"{MART}: the mart is not in the warehouse"]),
        (f"insert into marts.{MART} from marts.{MART} limit 1",
         [f"Mart {MART} has more than one row for (importer, category)", "category "]),
        (f"alter table marts.{MART} alter number type varchar",
         [f"{MART}.number: declared INTEGER, made VARCHAR", "minerals/marts/<mart>.yml"]),
        (f'alter table marts.{WORDY} drop column "order"',
         [f"{WORDY}.order: declared INTEGER, not made"]),
        (f"alter table marts.{MART} add column more date",
         [f"{MART}.more: not declared, made DATE"]),
    ],
)  # fmt: skip
def test_a_mart_that_is_not_as_declared_leaves_the_previous_release_served(
    store, warehouse, spoil, words
):
    before, releases = served_id(store), store.list()
    warehouse.execute("update marts.panel set number = 2")  # written before the bad one
    warehouse.execute(spoil)
    with pytest.raises(ReleaseError) as caught:
        store.publish(warehouse, {})
    for word in (*words, "previous release stays served"):
        assert word in str(caught.value)
    assert (served_id(store), store.list()) == (before, releases)
    assert leftovers(store) == []


def test_an_unchanged_contract_leaves_the_serving_database_alone(store, warehouse):
    publish(store, warehouse, 2)
    before = store.serving_database.stat()
    publish(store, warehouse, 3)
    after = store.serving_database.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_better_description_reaches_the_serving_database_within_the_contract(store, warehouse):
    contract = store.current().parent
    warehouse.execute(f"comment on column marts.{MART}.number is 'Said better.'")
    with reader_of(store) as before:
        publish(store, warehouse, 2)
        assert before.execute(NUMBER).fetchall() == [(2,)]
    assert store.current().parent == contract
    sql = f"select comment from duckdb_columns() where table_name = '{MART}' and column_name = "
    assert served(store, f"{sql} 'number'") == [("Said better.",)]


def test_a_new_contract_is_told_and_an_old_connection_keeps_the_last_of_its_contract(
    store, warehouse
):
    last_of_old = publish(store, warehouse, 2)
    with duckdb.connect() as old:  # as a second program would: not our process's database
        old.execute("attach ? as served (read_only)", [str(store.serving_database)])
        number = NUMBER.replace("marts.", "served.marts.")
        add_column(store, warehouse)
        warehouse.execute(f"update marts.{MART} set number = 3")
        release = store.publish(warehouse, {})
        assert release.contract_changes == (f"{MART}.note: the column is new",)
        assert store.manifest()["contract_changes"] == [f"{MART}.note: the column is new"]
        assert old.execute(number).fetchall() == [(2,)]
        assert served(store, f"select number, note from marts.{MART} limit 1") == [(3, "new")]
        assert store.current() == release.path
        publish(store, warehouse, 4)
        assert old.execute(number).fetchall() == [(2,)]

        assert store.rollback(last_of_old) == last_of_old
        assert (served_id(store), served(store)) == (last_of_old, [(2,)])
        assert old.execute(number).fetchall() == [(2,)]
        with pytest.raises(duckdb.Error, match="note"):
            served(store, f"select note from marts.{MART}")
        assert store.rollback(release.release_id) == release.release_id
        assert (served_id(store), served(store)) == (release.release_id, [(3,)])


def test_what_changes_for_a_reader_is_named(made, marts):
    contract = read_contract(store_in(made, marts).current() / CONTRACT)
    panel, *others = contract
    assert contract_changes(contract, contract) == []
    assert contract_changes(contract, others) == ["panel: the mart is gone"]
    assert contract_changes(others, contract) == ["panel: the mart is new"]
    *key, number, _ = panel.columns
    other = replace(panel, key=("mineral",), columns=(*key, replace(number, type="DOUBLE")))
    assert contract_changes([panel], [other]) == [
        "panel.number: was INTEGER, is DOUBLE", "panel.release_id: the column is gone",
        "panel: the key was (importer, mineral, year), is (mineral)",
    ]  # fmt: skip
    assert fingerprint(contract) != fingerprint([other, *others])
    assert fingerprint(contract) == fingerprint([replace(panel, description="x"), *others])


@pytest.mark.parametrize("recover", ["publish", "rollback"])
@pytest.mark.parametrize("damage", ["cut", "lost"])
def test_a_serving_database_damaged_or_lost_is_made_again(store, warehouse, damage, recover):
    publish(store, warehouse, 2)
    store.rollback()
    before, content = served_id(store), store.serving_database.read_bytes()
    store.serving_database.unlink()
    if damage == "cut":
        store.serving_database.write_bytes(content[:5000])
    assert served_id(store) == before, "what was served last is known without it"
    if recover == "publish":
        publish(store, warehouse, 3)
    else:
        store.rollback(before)
    assert served(store) == [(3 if recover == "publish" else 1,)]


def test_old_releases_go_the_newest_the_young_and_the_oldest_stay(store, warehouse):
    first = served_id(store)
    second, third, fourth = (publish(store, warehouse, value) for value in (2, 3, 4))
    store.keep = 2
    make_old(store, first, second)
    last = publish(store, warehouse, 5)
    assert store.list() == [first, third, fourth, last], "third was served today"
    assert leftovers(store) == []
    make_old(store, *store.list())
    newest = publish(store, warehouse, 6)
    assert store.list() == [first, last, newest], "first tells the columns of its contract"


def test_a_release_is_young_from_when_it_was_served_last(store, warehouse):
    """One that was made long ago, and was served until now, has readers."""
    store.keep = 1
    publish(store, warehouse, 2)
    served_for_long = publish(store, warehouse, 3)
    make_old(store, *store.list())
    newest = publish(store, warehouse, 4)
    assert store.list()[1:] == [served_for_long, newest]


def test_an_old_contract_goes_as_a_whole(store, warehouse):
    store.keep = 2
    old = {served_id(store), publish(store, warehouse, 2)}
    contract = store.current().parent
    add_column(store, warehouse)
    new = [publish(store, warehouse, 3)]
    make_old(store, *old)
    new.append(publish(store, warehouse, 4))
    assert not contract.exists()
    assert store.list() == new


def test_the_release_served_stays_even_if_the_clock_went_back(store, warehouse):
    """Ids begin with the time; one from the future must not push out the one served."""
    future = "29990101T000000Z-0badc0de-0000"
    shutil.copytree(store.current(), store.current().parent / future)
    store.keep = 1
    release = publish(store, warehouse, 2)
    assert served_id(store) == release
    make_old(store, *store.list())
    assert served(store) == [(2,)]


def test_a_manifest_that_cannot_be_read_says_where_and_what_to_do(store):
    for content in ("{", "[]", "{}"):
        overwrite(unlocked(store.root / CURRENT) / MANIFEST, content.encode())
        for read in (store.manifest, lambda: store.verify(served_id(store))):
            with pytest.raises(ReleaseError, match=rf"{MANIFEST} cannot be read.*`minerals ref"):
                read()


def fail(*_: object, **__: object) -> None:
    raise OSError(28, os.strerror(28))


@pytest.mark.parametrize("changes_contract", [False, True])
@pytest.mark.parametrize(
    ("module", "step"),
    [(folder_module, "_export"), (folder_module, "write_release_database"),
     (folder_module, "fsync_path"), (store_module, "write_pointer"),
     (store_module, "write_serving_database"), (store_module, "mark_served")],
)  # fmt: skip
def test_a_full_disk_at_any_step_leaves_a_whole_release_and_the_next_one_recovers(
    store, warehouse, monkeypatch, module, step, changes_contract
):
    before = served_id(store)
    if changes_contract:
        add_column(store, warehouse)
    with monkeypatch.context() as broken:
        broken.setattr(module, step, fail)
        with pytest.raises((ReleaseError, OSError), match="No space left"):
            publish(store, warehouse, 2)
    assert (served_id(store), store.list(), served(store)) == (before, [before], [(1,)])
    after = publish(store, warehouse, 3)
    assert (store.list(), served(store), leftovers(store)) == ([before, after], [(3,)], [])


def test_a_release_that_was_never_served_is_not_listed_and_goes(store, warehouse):
    """Killed after the release has its place, before it is served."""
    before = served_id(store)
    unserved = store.current().parent / "29990101T000000Z-0bad"
    shutil.copytree(store.current(), unserved)
    (unlocked(unserved) / PUBLISHED).unlink()
    (store.root / ("0" * 12) / "29990101T000000Z-0bad").mkdir(parents=True)
    assert store.list() == [before]
    with pytest.raises(ReleaseError, match="There is no release 2999"):
        store.rollback(unserved.name)
    assert served(store) == [(1,)]
    for name in (".writing-x", ".removing-x", f".{CURRENT}-x"):
        (store.root / name).mkdir()
        (store.root / name / "part").touch()
        (store.root / name).chmod(0o555)
    store.remove_leftovers()  # as each run does when it starts
    assert not unserved.exists() and not (store.root / ("0" * 12)).exists()
    assert leftovers(store) == []


POINTERS = {
    "gone": None, "empty": b"", "garbage": os.urandom(200),
    "dangling": b"position,release_id\n1,20990101T000000Z-0bad\n",
    "long": b"\n," + b"a" * 300 + b"\n", "a dot": b"\n,.\n",
}  # fmt: skip


@pytest.mark.parametrize("content", POINTERS.values(), ids=POINTERS)
def test_a_damaged_pointer_is_told_and_written_again_by_the_next_run(store, warehouse, content):
    before = publish(store, warehouse, 2)
    assert store.dangling_pointer() is None
    pointer = store.current().parent / POINTER
    pointer.unlink()
    if content is not None:
        pointer.write_bytes(content)
    assert served_id(store) == before
    assert f"{pointer} names no release that is there" in store.dangling_pointer()
    store.remove_leftovers()
    assert store.dangling_pointer() is None
    assert (served_id(store), served(store)) == (before, [(2,)])


def test_a_release_killed_after_it_was_served_counts(store, warehouse):
    publish(store, warehouse, 2)
    (unlocked(store.current()) / PUBLISHED).unlink()
    killed = served_id(store)
    assert killed in store.list() and served(store) == [(2,)]
    publish(store, warehouse, 3)
    assert (store.folder(killed) / PUBLISHED).exists()


def test_going_back_serves_the_older_release_and_the_next_publication_a_new_one(store, warehouse):
    first, second = served_id(store), publish(store, warehouse, 2)
    with reader_of(store) as reader:
        assert reader.execute(NUMBER).fetchall() == [(2,)]
        assert store.rollback() == first
        assert reader.execute(NUMBER).fetchall() == [(1,)]
    assert store.rollback(second) == second
    assert served(store) == [(2,)]
    publish(store, warehouse, 3)
    assert served(store) == [(3,)]
    store.rollback(first)
    with pytest.raises(ReleaseError, match="no release before"):
        store.rollback()


def test_a_release_that_was_tampered_with_is_named_and_not_gone_back_to(store, warehouse):
    first, second = served_id(store), publish(store, warehouse, 2)
    assert store.verify(first) == []
    folder = unlocked(store.folder(first))
    overwrite(folder / f"{MART}.parquet", b"other")
    (folder / "panel.parquet").unlink()
    (folder / "mine.parquet").write_bytes(b"x")
    overwrite(folder / "README.md", b"Trust me.")
    assert store.verify(first) == [
        "README.md is not the file that was published (sha256)",
        f"{MART}.parquet is not the file that was published (sha256)",
        "panel.parquet is missing",
        "mine.parquet was added after publication",
    ]
    with pytest.raises(ReleaseError, match="not sound"):
        store.rollback(first)
    with pytest.raises(ReleaseError, match="There is no release nope"):
        store.rollback("nope")
    assert served_id(store) == second


@pytest.mark.parametrize("name", ["current", "previous", "", ".", "../{}", POINTER, MADE])
def test_going_back_takes_nothing_but_the_id_of_a_release(store, warehouse, name):
    first, second = served_id(store), publish(store, warehouse, 2)
    with pytest.raises(ReleaseError, match="There is no release"):
        store.rollback(name.format(first))
    assert served_id(store) == second


def test_going_back_that_fails_leaves_what_was_served(store, warehouse):
    first, second = served_id(store), publish(store, warehouse, 2)
    store.serving_database.unlink()
    (store.serving_database / "in the way").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        store.rollback(first)
    assert served_id(store) == second
    shutil.rmtree(store.serving_database)
    store.rollback(second)
    assert served(store) == [(2,)]


def test_what_differs_between_two_releases_is_named(store, warehouse):
    first = store.current()
    same = store.publish(warehouse, {}).path
    assert differences(first, same) == dict.fromkeys(KEYS, IDENTICAL)
    warehouse.execute(f"update marts.{MART} set number = 2")
    warehouse.execute(f"alter table marts.{WORDY} add column more integer")
    warehouse.execute("insert into marts.panel select 'x', 'x', 'x', 1")
    store.marts = declared(warehouse, KEYS)
    other = store.publish(warehouse, {}).path
    assert differences(first, other) == {
        MART: "number in 2 rows", WORDY: "other columns: more",
        "panel": "3 rows instead of 2 rows",
    }  # fmt: skip
    (unlocked(other) / f"{MART}.parquet").unlink()
    assert differences(first, other)[MART] == "was not made"


def test_the_code_version_is_the_project_s_and_of_its_files():
    version, _, content = code_version().partition("+")
    assert version.count(".") == 2
    assert len(content) == 12


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_mart_is_exported_with_the_rows_that_match(made, tmp_path, form):
    target = tmp_path / f"mart.{form}"
    folder = made / "releases" / CURRENT
    assert export_mart(folder, MART, target, form, {"category": "CATEGORY 2"}) == 1
    rows = pd.read_csv(target) if form == "csv" else pd.read_excel(target, engine="calamine")
    assert rows[["category", "number"]].values.tolist() == [["category 2", 1]]
    if form == "xlsx":
        words = pd.read_excel(target, sheet_name="columns", engine="calamine")
        assert list(words["column"]) == [*KEYS[MART], "number", "release_id"]


@pytest.mark.parametrize(
    ("mart", "filters", "words"),
    [
        ("nothing", {}, "There is no mart nothing"),
        (MART, {"mineral": "Copper"}, "no column mineral"),
        (MART, {"category": "ores"}, "no row with category ores; it has: category 1; category 2"),
        (MART, {"importer": "importer 1", "category": "category 2"}, "1 and category category 2"),
    ],
)
def test_an_export_of_nothing_says_why_and_writes_nothing(made, tmp_path, mart, filters, words):
    target = tmp_path / "out.csv"
    with pytest.raises(ReleaseError, match=words):
        export_mart(made / "releases" / CURRENT, mart, target, "csv", filters)
    assert not target.exists()


@pytest.mark.parametrize("filters", [{}, {"category": "category 1"}])
def test_an_empty_mart_is_said_to_be_empty(store, warehouse, tmp_path, filters):
    warehouse.execute(f"delete from marts.{MART}")
    folder = store.publish(warehouse, {}).path
    assert pq.read_table(folder / f"{MART}.parquet").num_rows == 0
    with pytest.raises(ReleaseError, match=f"{MART} is empty in this release"):
        export_mart(folder, MART, tmp_path / "out.csv", "csv", filters)


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("place", ["folder", "file/out", "nowhere/out", "/proc/out"])
def test_where_an_export_cannot_be_written_is_said(made, tmp_path, form, place):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(ReleaseError, match=rf"{place} cannot be written \(.*\): write elsewhere"):
        export_mart(made / "releases" / CURRENT, MART, tmp_path / place, form, {})
    assert not (tmp_path / "nowhere").exists()
