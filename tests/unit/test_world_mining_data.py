"""World Mining Data 6.4: the layout, what is refused with its cell, one edition after another."""

import copy

import pyarrow.parquet as pq
import pytest

from minerals.errors import PermanentSourceError, SourceError, TransientSourceError
from minerals.settings import PROJECT_ROOT, Settings
from minerals.sources import world_mining_data
from minerals.sources.http import RetryPolicy
from minerals.sources.snapshots import Original, SnapshotStore
from tests.publishers import FilePublisher, make_workbook

SHARED = PROJECT_ROOT.parent / "shared" / "data" / "world_mining_data"
PATH = "/" + world_mining_data.WORKBOOK_PATH
POLICY = RetryPolicy(attempts=3, first_wait=0.0, read_timeout=30.0)
SHEETS = {
    "Lithium (Li2O)": [
        ["6.4. Production of Mineral Raw Materials; column A Country, column B unit"],
        ["Country", "unit", "2019", "2020", "2021", "2022", "2023", "data source"],
        ["Australia", "metr. t", 102000, 91000.5, 120000, 149800, 190000, "r"],
        ["Chile *", "metr. t", 50000, 60000, 70000, 110350, "", "r"],
        ["Atlantis", "metr. t", 0, None, "-", 5, 6, "e"],
        ["Total", "metr. t", 152000, 151000.5, 190000, 260155, 190010, None],
        ["* including brine"],
    ],
    "Steam Coal ": [
        ["6.4. Production of Mineral Raw Materials"],
        ["Country", "unit", 2019, 2020, 2021, 2022, 2023, "data source"],
        ["Germany", "metr. t", 1, 2, 3, 4, 5, "r"],
        ["Total", "metr. t", 1, 2, 3, 4, 5, None],
    ],
    "Gold": [
        ["6.4. Production of Mineral Raw Materials"],
        ["Country", "unit", 2019, 2020, 2021, 2022, 2023, "data source"],
        ["China", "kg", 380226, 365346, 328980, 372048, 375155, "r"],
        ["Total", "kg", 380226, 365346, 328980, 372048, 375155, None],
    ],
}


def original(
    name: str = "6.4.xlsx", sha256: str = "0" * 64, retrieved_at: str = "2025"
) -> Original:
    return Original(name, "http://localhost", {}, 200, None, None, retrieved_at, sha256, 1)


def changed(sheet: str, row: int, column: int, value: object) -> dict:
    sheets = copy.deepcopy(SHEETS)
    sheets[sheet][row][column] = value
    return sheets


def next_year() -> dict:
    """The edition of a year later: 2020-2024, with one figure revised."""
    sheets = copy.deepcopy(SHEETS)
    for rows in sheets.values():
        for row in rows[1:]:
            if len(row) > 1:
                last = 2024 if row[0] == "Country" else row[6]
                row[2:7] = [*row[3:7], last]
    sheets["Lithium (Li2O)"][2][5] = 195000  # Australia in 2023, 190000 before
    return sheets


@pytest.fixture
def server():
    with FilePublisher({PATH: make_workbook(SHEETS)}) as publisher:
        yield publisher


@pytest.fixture
def provider(server, tmp_path):
    settings = Settings(profile="live", warehouse_dir=tmp_path, world_mining_data_url=server.url)
    return world_mining_data.production_provider(settings, POLICY)


@pytest.fixture
def store(tmp_path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "raw")


def table(snapshot, name="production") -> list[dict]:
    return pq.read_table(snapshot.parquet(name)).to_pylist()


def test_every_sheet_becomes_rows_in_the_shape_of_the_bundle(provider, store):
    snapshot, _ = provider.ingest(store)
    rows = table(snapshot)
    assert len(rows) == (4 + 2 + 2) * 5
    assert list(rows[0]) == [
        "sheet", "country", "country_iso", "year", "quantity", "unit",
    ]  # fmt: skip
    lithium = {(r["country"], r["year"]): r for r in rows if r["sheet"] == "Lithium (Li2O)"}
    assert lithium["Australia", 2020]["quantity"] == 91000.5
    assert lithium["Australia", 2020]["country_iso"] == "AUS"
    assert lithium["Chile", 2023]["quantity"] is None  # no figure is not zero
    assert lithium["Atlantis", 2019]["quantity"] == 0.0
    assert [lithium["Atlantis", y]["quantity"] for y in (2020, 2021, 2022)] == [None, None, 5.0]
    assert lithium["Atlantis", 2019]["country_iso"] is None
    assert lithium["Total", 2019]["country_iso"] == "DELETE"
    assert {r["unit"] for r in rows if r["sheet"] == "Gold"} == {"kg"}
    assert "Steam Coal " in {r["sheet"] for r in rows}


@pytest.mark.parametrize(
    ("sheets", "words"),
    [
        (changed("Gold", 1, 0, "Land"), ["'Gold'", "cell A2", "'country' expected, 'land' found"]),
        (changed("Gold", 1, 1, None), ["'Gold'", "cell B2", "'unit' expected"]),
        (changed("Gold", 1, 4, "2021 (r)"), ["cell E2", "a year expected, '2021 (r)' found"]),
        (changed("Gold", 1, 4, 2020), ["cell E2", "the year 2020 is there twice"]),
        (changed("Gold", 1, 7, "remarks"), ["cell H2", "'data source' expected"]),
        (changed("Gold", 2, 3, "365 346 kg"), ["cell D3", "'365 346 kg' is not a number"]),
        (changed("Gold", 2, 1, None), ["cell B3", "no country or no unit"]),
        (changed("Gold", 3, 0, "China"), ["cell A4", "'China' is also in row 3"]),
        (changed("Gold", 3, 0, "Sum"), ["'Gold'", "no row 'Total'", "cut short"]),
        ({**SHEETS, "Tin": [["6.4."]]}, ["'Tin'", "no header row"]),
        ({**SHEETS, "Tin": [*SHEETS["Gold"], ["Peru", "kg", 1, 2, 3, 4, 5, "r"]]},
         ["'Tin'", "cell A5", "below 'Total'"]),
    ],
)  # fmt: skip
def test_another_layout_is_refused_with_sheet_and_cell(sheets, words):
    with pytest.raises(SourceError) as caught:
        world_mining_data.read_edition(make_workbook(sheets), original())
    for word in [*words, "Nothing of the workbook is used", "layout changed"]:
        assert word in str(caught.value)


def test_a_refused_workbook_is_no_edition_and_leaves_what_there_is(provider, store, server):
    first, _ = provider.ingest(store)
    server.files[PATH] = make_workbook(changed("Gold", 1, 0, "Land"))
    with pytest.raises(SourceError, match="cell A2"):
        provider.ingest(store)
    assert store.list("production") == [first.snapshot_id]
    server.files[PATH] = make_workbook(SHEETS)
    assert provider.ingest(store) == (first, False)


def test_an_unchanged_workbook_costs_one_request_without_a_body(provider, store, server):
    first, is_new = provider.ingest(store)
    assert is_new
    assert provider.ingest(store) == (first, False)
    assert len(server.seen) == 2
    assert server.seen[1].headers["If-None-Match"] == first.originals[0].etag
    store.verify_originals(first)


def test_a_newer_edition_wins_year_by_year(provider, store, server):
    provider.ingest(store)
    server.files[PATH] = make_workbook(next_year())
    snapshot, is_new = provider.ingest(store)
    assert is_new
    rows = {(r["sheet"], r["country"], r["year"]): r["quantity"] for r in table(snapshot)}
    assert rows["Lithium (Li2O)", "Australia", 2019] == 102000.0  # only the older one has it
    assert rows["Lithium (Li2O)", "Australia", 2023] == 195000.0
    assert rows["Gold", "China", 2024] == 375155.0
    assert len(rows) == (4 + 2 + 2) * 6
    assert len(snapshot.originals) == 2


def test_an_older_workbook_served_again_does_not_win(provider, store, server):
    server.files[PATH] = make_workbook(next_year())
    provider.ingest(store)
    server.files[PATH] = make_workbook(SHEETS)
    snapshot, _ = provider.ingest(store)
    rows = {(r["sheet"], r["country"], r["year"]): r["quantity"] for r in table(snapshot)}
    assert rows["Lithium (Li2O)", "Australia", 2023] == 195000.0


def test_the_address_of_the_workbook_itself_will_do(server, store, tmp_path):
    server.files["/mirror/wmd.xlsx"] = make_workbook(SHEETS)
    url = f"{server.url}/mirror/wmd.xlsx"
    settings = Settings(profile="live", warehouse_dir=tmp_path, world_mining_data_url=url)
    snapshot, _ = world_mining_data.production_provider(settings, POLICY).ingest(store)
    assert snapshot.originals[0].url == url


def test_a_workbook_that_moved_is_found_at_the_next_address(server, provider, store):
    server.files = {"/" + world_mining_data.WORKBOOK_PATHS[1]: make_workbook(SHEETS)}
    first, _ = provider.ingest(store)
    assert len(server.seen) == 2
    assert provider.ingest(store) == (first, False)


def test_without_a_workbook_at_any_address_the_message_says_what_to_set(server, provider, store):
    server.files.clear()
    with pytest.raises(PermanentSourceError) as caught:
        provider.ingest(store)
    for words in ("no workbook 6.4 at 2 addresses", "MINERALS_WORLD_MINING_DATA_FILE", "404"):
        assert words in str(caught.value)
    server.script = ["500"] * 3
    with pytest.raises(TransientSourceError, match=r"no workbook 6\.4"):
        provider.ingest(store)


def test_the_publisher_itself_is_asked_at_its_newest_address_first():
    addresses = world_mining_data.addresses(Settings(profile="live"))
    assert [address.split("/")[2] for address in addresses] == [
        "www.bmf.gv.at", "www.world-mining-data.info", "www.world-mining-data.info",
    ]  # fmt: skip
    assert len(set(addresses)) == 3


def test_a_local_workbook_is_an_edition_beside_those_that_were_fetched(
    server, provider, store, tmp_path
):
    provider.ingest(store)
    file = tmp_path / "a copy.xlsx"
    file.write_bytes(make_workbook(next_year()))
    settings = Settings(
        profile="live",
        warehouse_dir=tmp_path,
        world_mining_data_url=server.url,
        world_mining_data_file=file,
    )
    n_before = len(server.seen)
    snapshot, _ = world_mining_data.production_provider(settings, POLICY).ingest(store)
    assert len(server.seen) == n_before
    years = pq.read_table(snapshot.parquet("production"))["year"].to_pylist()
    assert set(years) == set(range(2019, 2025))
    assert world_mining_data.years_held(settings, POLICY) == set(range(2019, 2025))


def test_a_workbook_cut_short_is_not_read():
    content = make_workbook(SHEETS)
    with pytest.raises(SourceError, match="not a readable workbook"):
        world_mining_data.read_edition(content[: len(content) // 2], original())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("6.1_total_world_production.xlsx", "'6.1.1.by Continents', cell A2: 'country' expected"),
        ("6.5_share_of_world_mineral_production_2022_by_countries.xlsx",
         "'Iron (Fe)', cell A2: 'country' expected, 'rank 2022' found"),
    ],
)  # fmt: skip
def test_the_publishers_other_tables_are_not_taken_for_this_one(name, words):
    if not (SHARED / name).exists():
        pytest.skip(f"the real workbook is not at {SHARED / name}")
    with pytest.raises(SourceError) as caught:
        world_mining_data.read_edition((SHARED / name).read_bytes(), original(name))
    assert words in str(caught.value)
