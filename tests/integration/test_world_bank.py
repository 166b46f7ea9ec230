"""The World Bank client against a server that replays the figures of this package."""

import csv
import json

import pyarrow.parquet as pq
import pytest

from minerals.errors import PermanentSourceError, SourceError, TransientSourceError
from minerals.settings import PROJECT_ROOT, Settings
from minerals.sources import world_bank
from minerals.sources.http import RetryPolicy
from minerals.sources.snapshots import SnapshotStore
from tests.publishers import Publisher, WorldBankPublisher, as_json

FIGURES = PROJECT_ROOT / "minerals" / "sources" / "figures"
POLICY = RetryPolicy(attempts=3, first_wait=0.0, read_timeout=30.0)
FEW = ("IND", "CHL", "COD", "XKX", "CHI")
YEARS = tuple(range(2014, 2024))


@pytest.fixture(scope="module")
def economies() -> list[dict[str, str]]:
    with (FIGURES / "country_geography.csv").open(encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["iso3"] in FEW]


@pytest.fixture(scope="module")
def figures() -> dict[str, dict[tuple[str, int], float]]:
    """The real figures of a few economies."""
    with (FIGURES / "country_indicators.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["iso3"] in FEW]
    codes = [code for codes in world_bank.DATABASES.values() for code in codes]
    return {
        code: {(r["iso3"], int(r["year"])): float(r[code]) for r in rows if r[code]}
        for code in codes
    }


@pytest.fixture
def server(figures, economies):
    with WorldBankPublisher(dict(figures), economies) as publisher:
        yield publisher


@pytest.fixture
def provider(server, tmp_path):
    settings = Settings(
        profile="live",
        warehouse_dir=tmp_path,
        world_bank_url=server.url,
        first_year=2019,
        last_year=2023,
    )
    return world_bank.indicators_provider(settings, POLICY)


@pytest.fixture
def store(tmp_path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "raw")


def expected(figures) -> list[dict]:
    rows = []
    for iso3 in sorted(FEW):
        for year in YEARS:
            row = {"iso3": iso3, "year": year}
            row |= {code: values.get((iso3, year)) for code, values in figures.items()}
            rows.append(row)
    return rows


def table(snapshot, name="country_indicators") -> list[dict]:
    return pq.read_table(snapshot.parquet(name)).to_pylist()


def test_the_figures_come_back_in_the_shape_of_the_bundle(provider, store, figures, server):
    snapshot, _ = provider.ingest(store)
    assert table(snapshot) == expected(figures)
    assert len(server.seen) == 1 + 2 + 13  # economies, two dates of update, the indicators
    assert {o.name for o in snapshot.originals} >= {
        "economies.json",
        "GOV_WGI_CC.EST-2014-2023-1.json",
    }
    store.verify_originals(snapshot)


def test_many_pages_are_all_read_also_through_faults(provider, store, figures, server):
    server.largest_page = 17
    server.script = ["", "", "500", "html", "", "previous page", "reset"]
    snapshot, _ = provider.ingest(store)
    assert table(snapshot) == expected(figures)


def test_an_unchanged_database_costs_one_small_request(provider, store, server):
    first, _ = provider.ingest(store)
    n_before = len(server.seen)
    assert provider.ingest(store) == (first, False)
    assert len(server.seen) == n_before + 3  # the list of economies, and one a database
    assert [s.params.get("per_page") for s in server.seen[n_before:]] == ["500", "1", "1"]


def test_an_updated_database_is_read_again_and_the_other_is_not(provider, store, server):
    first, _ = provider.ingest(store)
    n_before = len(server.seen)
    server.updated["3"] = "2026-11-01"
    second, is_new = provider.ingest(store)
    assert is_new
    assert second.snapshot_id != first.snapshot_id
    assert len(server.seen) == n_before + 3 + 6
    held = {folder.name for folder in (store.root.parent / "downloads/world_bank").glob("*-*")}
    assert held == {"2-2026-07-01", "3-2026-11-01"}  # the older answers are gone
    store.verify_originals(first)  # the snapshot that was made of them has its own


def test_governance_is_asked_by_its_new_names_and_by_the_old_where_they_are_not_known(
    provider, store, server, figures, caplog
):
    new, _ = provider.ingest(store)
    assert {s.path.rpartition("/")[2] for s in server.seen if s.params.get("source") == "3"} == {
        f"GOV_WGI_{code}" for code in world_bank.DATABASES["3"]
    }
    assert new.notes == ()
    server.governance_prefix, server.updated["3"] = "", "2026-08-01"
    n_before = len(server.seen)
    old, _ = provider.ingest(store)
    assert table(new) == table(old) == expected(figures)
    assert len(server.seen) == n_before + 3 + 1 + 6  # one question was under the new name
    assert "CC.EST is known under its older name only" in caplog.text


def test_a_required_indicator_that_is_refused_stops_with_the_service_s_words(
    provider, store, server
):
    del server.figures["SP.POP.TOTL"]
    with pytest.raises(SourceError) as caught:
        provider.ingest(store)
    for words in ("SP.POP.TOTL", "may have been deleted or archived", "code 175", "adapt"):
        assert words in str(caught.value)
    assert len([s for s in server.seen if s.params.get("date")]) == 1


@pytest.mark.parametrize("figures_left", [None, {}])
def test_a_missing_optional_indicator_does_not_stop_the_others(
    provider, store, server, figures, figures_left
):
    server.figures["RQ.EST"] = figures_left
    if figures_left is None:
        del server.figures["RQ.EST"]
    snapshot, _ = provider.ingest(store)
    rows = table(snapshot)
    assert [{**row, "RQ.EST": None} for row in rows] == [
        {**row, "RQ.EST": None} for row in expected(figures)
    ]
    (note,) = snapshot.notes
    assert "RQ.EST is from the figures of this package" in note
    ours = {(row["iso3"], row["year"]): row["RQ.EST"] for row in rows}
    assert ours["IND", 2020] == figures["RQ.EST"]["IND", 2020]
    assert provider.ingest(store) == (snapshot, False)


def test_a_database_whose_first_indicator_is_gone_still_has_a_date(provider, store, server):
    del server.figures["CC.EST"]
    provider.ingest(store)
    held = {folder.name for folder in (store.root.parent / "downloads/world_bank").glob("*-*")}
    assert held == {"2-2026-07-01", "3-2025-11-01"}


def test_a_service_that_is_unavailable_is_asked_again(provider, store, server, figures):
    message = {"id": "105", "key": "Service currently unavailable", "value": "Try later."}
    server.script = [as_json([{"message": [message]}])]
    snapshot, _ = provider.ingest(store)
    assert table(snapshot) == expected(figures)


def test_an_indicator_without_any_figure_is_refused(provider, store, server):
    server.figures["SP.POP.TOTL"] = {}
    with pytest.raises(SourceError, match=r"no figure at all of SP.POP.TOTL in 2014-2023"):
        provider.ingest(store)


def test_an_economy_that_nobody_named_is_left_out_with_the_line_to_add(
    provider, store, server, figures
):
    new = {"iso3": "XYZ", "name": "Atlantis", "region": "South Asia", "income_group": ""}
    server.economies.append(new)
    snapshot, _ = provider.ingest(store)
    assert table(snapshot) == expected(figures)
    (note,) = snapshot.notes
    assert "XYZ (Atlantis). Add a row with code_system world_bank" in note


def test_a_place_that_the_publisher_s_own_list_lacks_refuses_nothing(
    provider, store, server, figures, caplog
):
    economy = server._economy
    server._economy = lambda row: economy(row) | ({"id": "ZZ9"} if row["iso3"] == "CHI" else {})
    server.economies.append({"iso3": "ZZ8", "name": "Nowhere", "region": "", "income_group": ""})
    list_of = server._page

    def without(params, rows, updated):
        return list_of(params, [r for r in rows if r.get("id") != "ZZ8"], updated)

    server._page = without
    snapshot, _ = provider.ingest(store)
    assert [r for r in table(snapshot) if r["iso3"] == "IND"] == [
        r for r in expected(figures) if r["iso3"] == "IND"
    ]
    assert "SP.POP.TOTL has places that its own list lacks: CHI, ZZ8" in caplog.text


def test_a_list_of_other_economies_is_refused(provider, store, server):
    server.economies += [
        {"iso3": f"X{i:02}", "name": "?", "region": "", "income_group": ""} for i in range(11)
    ]
    with pytest.raises(SourceError, match="lists 11 economies that country_alias"):
        provider.ingest(store)


def test_pages_that_are_fewer_rows_than_they_say_are_dropped(provider, store, server, figures):
    page = server._page

    def cut(params, rows, updated):
        reply = page(params, rows, updated)
        meta, rows = json.loads(reply.body)
        return as_json([meta, rows[:-1]]) if params.get("date") else reply

    server._page = cut
    with pytest.raises(TransientSourceError, match=r"60 rows by its own count and 59 in"):
        provider.ingest(store)
    server._page = page
    snapshot, _ = provider.ingest(store)
    assert table(snapshot) == expected(figures)


def test_another_service_at_the_address_is_named(tmp_path, store):
    with Publisher(lambda *_: as_json({"hello": "world"})) as server:
        settings = Settings(profile="live", warehouse_dir=tmp_path, world_bank_url=server.url)
        with pytest.raises(PermanentSourceError, match="MINERALS_WORLD_BANK_URL"):
            world_bank.indicators_provider(settings, POLICY).ingest(store)


def test_two_figures_for_one_year_are_refused(tmp_path):
    groups = world_bank.Economies({"IND": {}}, {"IND": "IND"}, frozenset())
    rows = [{"countryiso3code": "IND", "date": "2020", "value": v, "country": {}} for v in (1, 2)]
    page = tmp_path / "page.json"
    page.write_text(json.dumps([{}, rows]))
    with pytest.raises(SourceError, match=r"SP.POP.TOTL of IND in 2020 is 1.0 and 2.0"):
        world_bank.read_values([page], "SP.POP.TOTL", groups)
