"""Imports of India, replayed as the UN Comtrade API would answer, faults included.

Most rows are made for the tests; the 1,612 real ones are not part of the repository, and the tests
that need them are skipped without them.
"""

import copy
import json
import multiprocessing
import os
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest

from minerals.errors import (
    PermanentSourceError,
    QuotaExhaustedError,
    SourceError,
    UnsoundAnswersError,
)
from minerals.sources import comtrade, comtrade_rows, seeds, window
from minerals.sources.comtrade_rows import AVAILABILITY
from minerals.sources.ingest import ingest_dataset
from minerals.sources.snapshots import ORIGINALS, SnapshotStore
from tests.comtrade_rows import (
    KEY,
    POLICY,
    SEEDS,
    YEARS,
    as_expected,
    client,
    fetched,
    india_rows,
    made_rows,
    settings,
)
from tests.publishers import ComtradePublisher, FilePublisher, as_json


@pytest.fixture(scope="module")
def india() -> list[dict]:
    """The real rows as the API gives them."""
    return india_rows()


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return made_rows()


def test_with_a_key_the_real_rows_come_back_once_each_in_a_call_a_year(tmp_path, india):
    with ComtradePublisher(india, key=KEY) as server:
        source = client(server, tmp_path, india)
        assert fetched(source) == as_expected(india)
        totals = [s for s in server.data_calls if s.params.get("partnerCode") == "0"]
        assert len(server.data_calls) - len(totals) == 3
        assert len(totals) == 2  # in two years a code has no row: it has no total either
        assert len(server.seen) - len(server.data_calls) == 1
        assert {s.params["maxRecords"] for s in server.data_calls} == {"100000"}
        assert all(len(s.params["cmdCode"].split(",")) <= 100 for s in server.data_calls)


def test_without_a_key_answers_at_the_cap_are_split_until_none_is(tmp_path, rows):
    with ComtradePublisher(rows) as server:
        source = client(server, tmp_path, rows, codes_per_request=36)
        assert fetched(source) == as_expected(rows)
        sizes = [len(server._select(seen.params)) for seen in server.data_calls]
        assert max(sizes) > 500  # the server did cut
        assert {seen.path for seen in server.data_calls} == {"/public/v1/preview/C/A/HS"}


def test_a_code_with_more_partners_than_the_cap_is_split_by_partner(tmp_path, rows):
    two_codes = rows[:32]  # each with World and 15 partners
    with ComtradePublisher(two_codes, caps=(10, 10)) as server:
        source = client(server, tmp_path, two_codes, cap=10)
        assert fetched(source, (2019,)) == as_expected(two_codes)
        assert any("partnerCode" in seen.params for seen in server.data_calls)


@pytest.mark.parametrize(
    "script",
    [
        ["429 0", "429 0", "429 0", "", "429 0", "429 0"],
        ["", "500", "", "502", "503"],
        ["", "reset", "half", "", "half without length"],
        ["html", "", "html"],
        ["", "damaged gzip", "empty", "gzip"],
        ["", "previous page", "previous page"],
    ],
    ids=["429 storm", "5xx", "cut off", "html", "bytes", "duplicate page"],
)
def test_the_rows_come_back_through_faults(tmp_path, rows, script):
    with ComtradePublisher(rows) as server:
        server.script = list(script)
        assert fetched(client(server, tmp_path, rows)) == as_expected(rows)
        assert server.script == []


def test_a_fetch_goes_on_where_the_quota_stopped_it(tmp_path, rows):
    with ComtradePublisher(rows, quota=3) as server:
        source = client(server, tmp_path, rows)
        with pytest.raises(QuotaExhaustedError, match=r"7:12:09.*continues from there"):
            fetched(source)
        kept = {tuple(sorted(s.params.items())) for s in server.data_calls[:2]}
        with pytest.raises(QuotaExhaustedError, match="asked to wait"):
            fetched(client(server, tmp_path, rows))  # a restart knows, and asks nothing
        assert len(server.seen) == 4

        server.quota = 1000
        (tmp_path / "state" / "comtrade.json").unlink()  # days later
        n_before = len(server.data_calls)
        assert fetched(client(server, tmp_path, rows)) == as_expected(rows)
        again = {tuple(sorted(s.params.items())) for s in server.data_calls[n_before:]}
        assert kept & again == set()


def test_nothing_is_asked_again_while_the_publishers_checksum_stays(tmp_path, rows):
    with ComtradePublisher(rows) as server:
        first = comtrade.fetch(client(server, tmp_path, rows), ["699"], YEARS)
        n_before = len(server.seen)
        second = comtrade.fetch(client(server, tmp_path, rows), ["699"], YEARS)
        assert len(server.seen) == n_before + 1  # the availability
        assert second.sha256 == first.sha256
        server.checksum = 2
        assert comtrade.fetch(client(server, tmp_path, rows), ["699"], YEARS).sha256 == first.sha256
        assert len(server.seen) > n_before + 10


def test_a_world_row_that_its_partners_do_not_meet_is_refused_and_asked_for_again(tmp_path, rows):
    changed = copy.deepcopy(rows)
    world = changed[0]
    true, place = world["primaryValue"], f"{world['period']}, code {world['cmdCode']}"
    assert world["partnerCode"] == 0
    world["primaryValue"] *= 1.002
    with ComtradePublisher(changed, key=KEY) as server:
        with pytest.raises(SourceError) as caught:
            fetched(client(server, tmp_path, rows))
        for words in ("in 1 case", "within 0.1%", place, "register"):
            assert words in str(caught.value)
        server.rows[0]["primaryValue"] = true
        assert fetched(client(server, tmp_path, rows)) == as_expected(rows)
        assert len(server.data_calls) == 4  # one year was asked for again


def test_what_is_newly_published_is_known_by_the_checksums(tmp_path, rows):
    with ComtradePublisher(rows, key=KEY) as server:
        made = comtrade.fetch(client(server, tmp_path, rows), ["699"], (2019, 2020))
        held = tmp_path / "availability.parquet"
        tables = comtrade_rows.tables(made.rows, made.published)
        pq.write_table(tables[AVAILABILITY], held)
        live = settings(server, tmp_path, comtrade_api_key=KEY)
        new = comtrade.newly_published(live, held)
        assert [(p.reporter, p.year) for p in new] == [("699", 2021)]
        server.checksum = 2
        assert len(comtrade.newly_published(live, held)) == 3


def test_a_snapshot_keeps_the_answers_as_received_and_the_key_is_nowhere(tmp_path, india, caplog):
    caplog.set_level("DEBUG")
    with ComtradePublisher(india, key=KEY) as server:
        server.script = ["500", "reset", "html"]
        live = settings(server, tmp_path, comtrade_api_key=KEY)
        provider = comtrade.trade_provider(live, POLICY)
        store = SnapshotStore(live.raw_dir)
        snapshot, is_new = provider.ingest(store)
        assert is_new
        assert provider.ingest(store) == (snapshot, False)
        assert {s.headers.get("Ocp-Apim-Subscription-Key") for s in server.seen} == {KEY}
    mapped = set(seeds.hs_codes(SEEDS)["H5"])
    expected = as_expected([row for row in india if row["cmdCode"] in mapped])
    partners = pq.read_table(snapshot.parquet("bilateral_trade")).to_pylist()
    assert partners == [row for row in expected if row["partnerCode"] != "0"]
    store.verify_originals(snapshot)
    kept = [
        json.loads((snapshot.path / "original" / o.name).read_text()) for o in snapshot.originals
    ]
    assert sum(len(page["data"]) for page in kept) == len(expected)
    assert {o.params["reporterCode"] for o in snapshot.originals} == {"699"}
    written = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert [file for file in written if KEY.encode() in file.read_bytes()] == []
    assert KEY not in caplog.text
    assert [file for file in written if KEY in str(file)] == []


def test_answers_that_newer_ones_replaced_are_deleted_and_nothing_else(tmp_path, rows, caplog):
    caplog.set_level("INFO")
    with ComtradePublisher(rows, key=KEY) as server:
        source = client(server, tmp_path, rows)
        comtrade.fetch(source, ["699"], YEARS)
        folders = {folder.name for folder in source.folder.iterdir()}
        assert folders == {"699-2019-H5-1", "699-2020-H5-1", "699-2021-H5-1"}
        half = source.folder / "699-2021-H5-1" / ".page.json.0a1b2c3d"
        half.write_text("half of an ans")
        server.revised["2020"] = 2
        n_before = len(server.data_calls)
        comtrade.fetch(source, ["699"], (2020, 2021))  # 2019 is not asked for, and stays
        assert len(server.data_calls) == n_before + 1
        assert {folder.name for folder in source.folder.iterdir()} == {
            "699-2019-H5-1", "699-2020-H5-2", "699-2021-H5-1",
        }  # fmt: skip
        assert "deleted 2 files of answers" in caplog.text  # an answer and its note
        assert half.exists()  # somebody may be writing it
        os.utime(half, (0, 0))
        comtrade.fetch(source, ["699"], YEARS)
        assert not half.exists()
        assert len(server.data_calls) == n_before + 1


def test_a_fetch_that_is_refused_deletes_nothing(tmp_path, rows):
    changed = copy.deepcopy(rows)
    with ComtradePublisher(changed, key=KEY) as server:
        source = client(server, tmp_path, rows)
        comtrade.fetch(source, ["699"], YEARS)
        server.revised["2020"] = 2
        for row in server.rows:
            if row["partnerCode"] == 0 and str(row["period"]) == "2020":
                row["primaryValue"] *= 2
        with pytest.raises(SourceError, match="do not add up"):
            comtrade.fetch(source, ["699"], YEARS)
        assert (source.folder / "699-2020-H5-1").is_dir()


NOTHING = {"elapsedTime": "1.17 secs", "count": 0, "data": []}


def hides(server: ComtradePublisher, codes: set[str], totals_too: bool = False) -> None:
    """From now on, the server answers as if these codes had no rows."""
    select = server._select

    def without(params):
        if params.get("partnerCode") == "0" and not totals_too:
            return select(params)
        return [row for row in select(params) if row["cmdCode"] not in codes]

    server._select = without


def ages(folder, day: str = "2020-01-01") -> None:
    """Let all stored answers be of an earlier day."""
    for note in folder.rglob("*.note.json"):
        content = json.loads(note.read_text())
        note.write_text(json.dumps(content | {"retrieved_at": f"{day}T00:00:00+00:00"}))


def test_an_empty_answer_is_held_against_the_totals_and_asked_again(tmp_path, rows):
    with ComtradePublisher(rows) as server:  # three answers a year, of twelve codes each
        server.script = ["", as_json(NOTHING), "", ""]
        assert fetched(client(server, tmp_path, rows)) == as_expected(rows)
        assert len(server.data_calls) == 9 + 1 + 1  # one call for the totals, one for the codes


def test_half_of_the_codes_missing_for_an_hour_is_refused_and_not_kept(tmp_path, rows):
    codes = sorted({row["cmdCode"] for row in rows})
    with ComtradePublisher(rows, key=KEY) as server:
        whole = server._select
        hides(server, set(codes[::2]))
        source = client(server, tmp_path, rows)
        with pytest.raises(UnsoundAnswersError, match=r"has imports of .*no row of them came, twi"):
            fetched(source)
        server._select = whole
        assert fetched(source) == as_expected(rows)


def test_a_service_that_gives_no_totals_either_is_not_believed(tmp_path, rows):
    codes = sorted({row["cmdCode"] for row in rows})
    with ComtradePublisher(rows) as server:
        whole = server._select
        server._select = lambda p: [] if "partnerCode" in p else whole(p)
        server.script = ["", as_json(NOTHING)]
        with pytest.raises(UnsoundAnswersError, match="the service gives empty answers"):
            fetched(client(server, tmp_path, rows))
        server._select = whole
        assert fetched(client(server, tmp_path, rows)) == as_expected(rows)
        assert len(codes) == 36


def test_an_empty_code_is_empty_for_good_once_a_later_day_says_so_too(tmp_path, rows):
    hidden = sorted({row["cmdCode"] for row in rows})[0]
    with ComtradePublisher(rows, key=KEY) as server:
        whole = server._select
        hides(server, {hidden}, totals_too=True)
        source = client(server, tmp_path, rows)
        made = fetched(source)
        assert made == as_expected([row for row in rows if row["cmdCode"] != hidden])
        n_before = len(server.data_calls)
        assert fetched(source) == made
        assert len(server.data_calls) == n_before  # the same day: nothing is asked
        ages(source.folder)
        assert fetched(source) == made
        assert len(server.data_calls) == n_before + len(YEARS)  # a total a year
        assert fetched(source) == made
        assert len(server.data_calls) == n_before + len(YEARS)
        ages(source.folder)  # all on one day: not yet for good, and the service has healed
        server._select = whole
        assert fetched(source) == as_expected(rows)


def test_an_answer_that_was_cut_and_says_so_is_split(tmp_path, rows):
    with ComtradePublisher(rows, key=KEY) as server:
        page = server._envelope

        def cut(found):
            reply = page(found)
            content = json.loads(reply.body)
            if len(found) > 200:
                content["data"] = content["data"][:200]
            return as_json(content)

        server._envelope = cut
        assert fetched(client(server, tmp_path, rows)) == as_expected(rows)
        assert len(server.data_calls) == 3 * (1 + 2 + 4)  # 576 rows a year, halved twice


@pytest.mark.parametrize(
    ("error", "is_retried"),
    [("Something went wrong. Please try again.", True), ("Invalid parameter value", False)],
)
def test_an_error_with_status_200_is_retried_like_its_kind(tmp_path, rows, error, is_retried):
    with ComtradePublisher(rows, key=KEY) as server:
        server.script = [as_json({"count": -1, "data": [], "error": error})]
        if is_retried:
            assert fetched(client(server, tmp_path, rows)) == as_expected(rows)
        else:
            with pytest.raises(PermanentSourceError, match=f"UN Comtrade: {error}"):
                fetched(client(server, tmp_path, rows))
            assert len(server.data_calls) == 1


def test_a_backfill_stopped_by_the_quota_goes_on_and_a_fetch_uses_it(tmp_path, rows):
    with ComtradePublisher(rows, key=KEY, quota=6) as server:
        live = settings(server, tmp_path, comtrade_api_key=KEY)
        done = []
        with pytest.raises(QuotaExhaustedError):
            done.extend(comtrade.backfill(live, "IND", YEARS, POLICY))
        assert [sentence[:8] for sentence in done] == ["2019, H5"]
        server.quota = 1000
        (state,) = (tmp_path / "state").glob("comtrade-*.json")
        assert KEY not in state.name
        state.unlink()  # days later
        n_before = len(server.data_calls)
        made = list(comtrade.backfill(live, "IND", YEARS, POLICY))
        assert [sentence[:8] for sentence in made] == [f"{year}, H5" for year in YEARS]
        assert all(" in 2 answers, " in sentence for sentence in made)
        n_new = sum(int(sentence.split(" answers, ")[1].split()[0]) for sentence in made)
        assert n_new == 2 * len(YEARS) - 3
        assert len(server.data_calls) - n_before == n_new + 4  # and the totals of two years
        n_before = len(server.data_calls)
        store = SnapshotStore(live.raw_dir)
        comtrade.trade_provider(live, POLICY).ingest(store)
        assert len(server.data_calls) == n_before


def test_another_key_is_not_blocked_by_the_quota_of_the_first(tmp_path, rows):
    with ComtradePublisher(rows, key=KEY, quota=0) as server:
        first = settings(server, tmp_path, comtrade_api_key=KEY)
        for words in ("7:12:09", "asked to wait"):
            with pytest.raises(QuotaExhaustedError, match=words):
                comtrade.trade_provider(first, POLICY).fetch()
        server.quota, server.key = 1000, "another-key"
        second = settings(server, tmp_path, comtrade_api_key="another-key")
        assert comtrade.trade_provider(second, POLICY).fetch()


def test_years_in_a_revision_without_codes_are_left_out_counted_and_named(tmp_path, rows):
    """The importer with the older revision does not stop the other, nor its own later years."""
    older = [row | {"classificationCode": "H2"} for row in rows if row["period"] == "2019"]
    mixed = older + [r for r in rows if r["period"] != "2019"]
    japan = [row | {"reporterCode": 392} for row in rows]
    with ComtradePublisher(mixed + japan, key=KEY) as server:
        live = settings(server, tmp_path, comtrade_api_key=KEY, importers="IND,JPN")
        made = list(comtrade.backfill(live, "IND", YEARS, POLICY))
        assert made[0] == "2019: left out, hs_mineral_map.csv maps no code of HS revision H2"
        assert [sentence[:8] for sentence in made[1:]] == ["2020, H5", "2021, H5"]
        store = SnapshotStore(live.raw_dir)
        snapshot, _ = comtrade.trade_provider(live, POLICY).ingest(store)
        assert comtrade.newly_published(live, snapshot.parquet(AVAILABILITY)) == []
    (note,) = snapshot.notes
    assert "1 year of reporters left out" in note and "699 in 2019 (H2)" in note
    table = pq.read_table(snapshot.parquet("bilateral_trade"))
    found = {(row["reporterCode"], row["period"]) for row in table.to_pylist()}
    assert found == {("699", 2020), ("699", 2021), *(("392", year) for year in YEARS)}


def test_a_year_in_hs_2007_is_asked_for_by_the_codes_of_hs_2012(tmp_path, rows):
    older = [row | {"classificationCode": "H3"} for row in rows if row["period"] == "2019"]
    with ComtradePublisher(older + [r for r in rows if r["period"] != "2019"], key=KEY) as server:
        live = settings(server, tmp_path, comtrade_api_key=KEY, importers="IND")
        snapshot, _ = comtrade.trade_provider(live, POLICY).ingest(SnapshotStore(live.raw_dir))
    assert not snapshot.notes
    asked = {
        code
        for seen in server.data_calls
        if seen.params["period"] == "2019" and "partnerCode" not in seen.params
        for code in seen.params["cmdCode"].split(",")
    }
    assert asked == set(seeds.hs_codes(live.seeds_dir)["H4"])
    found = pq.read_table(snapshot.parquet("bilateral_trade")).to_pylist()
    of_2019 = [row for row in found if row["period"] == 2019]
    assert of_2019 and {row["classificationCode"] for row in of_2019} == {"H3"}


def test_an_importer_whose_new_rows_are_refused_keeps_those_in_use(tmp_path, rows):
    """The others take theirs; nothing new is made while it stays so, and all is taken once it is
    mended. All importers are asked for, by the numbers under which countries report."""
    reporters = {"IND": 699, "JPN": 392, "DEU": 276}
    rows = [row | {"primaryValue": row["primaryValue"] * 1e3} for row in rows]  # a large importer

    def moved(factors: dict[int, float]) -> list[dict]:
        return [
            row
            | {"reporterCode": code, "primaryValue": row["primaryValue"] * factors.get(code, 1.0)}
            for code in reporters.values()
            for row in rows
        ]

    def value(snapshot, code: int) -> float:
        table = pq.read_table(snapshot.parquet("bilateral_trade"))
        return sum(r["primaryValue"] for r in table.to_pylist() if r["reporterCode"] == str(code))

    with ComtradePublisher(moved({}), key=KEY) as server:
        live = settings(server, tmp_path, comtrade_api_key=KEY, importers="all")
        store = SnapshotStore(live.raw_dir)

        def take():
            made = ingest_dataset(live, "bilateral_trade", store)
            store.use(made.snapshot)
            return made

        first = take()
        assert first.outcome == "new" and not first.snapshot.notes

        server.checksum, server.rows = 2, moved({699: 1.05, 392: 2.0})
        second = take()
        assert second.outcome == "new" and second.verdict.is_accepted
        assert value(second.snapshot, 699) == pytest.approx(1.05 * value(first.snapshot, 699))
        for code in (392, 276):
            assert value(second.snapshot, code) == value(first.snapshot, code)
        (note,) = [n for n in second.snapshot.notes if "keeps the rows in use" in n]
        assert note.startswith("JPN (392) keeps") and "392 in 2020 changes by +100.0%" in note
        (refused,) = [s for s in store.list("bilateral_trade") if s in note]
        assert value(store.read("bilateral_trade", refused), 392) == 2 * value(first.snapshot, 392)
        assert not second.is_whole
        store.verify_originals(second.snapshot)
        answer = next(o.name for o in first.snapshot.originals if "392-2020-" in o.name)
        files = [made.snapshot.path / ORIGINALS / answer for made in (first, second)]
        assert files[0].samefile(files[1])
        unused = comtrade.newly_published(live, second.snapshot.parquet(AVAILABILITY))
        assert {p.reporter for p in unused} == {"392"}

        assert (take().outcome, store.current_id("bilateral_trade")) == (
            "unchanged", second.snapshot.snapshot_id,
        )  # fmt: skip

        server.checksum, server.rows = 3, moved({699: 1.05, 392: 1.05})
        third = take()
        assert third.outcome == "new"
        assert value(third.snapshot, 392) == pytest.approx(1.05 * value(first.snapshot, 392))
        assert not any("keeps the rows" in note for note in third.snapshot.notes)

        server.checksum = 4
        for row in server.rows:
            if (row["reporterCode"], row["partnerCode"]) == (276, 0):
                row["primaryValue"] *= 2
        fourth = take()
        left_out, kept = fourth.snapshot.notes[-2:]
        assert "reporter 276 is left out" in left_out and "do not add up" in left_out
        assert kept.startswith("DEU (276) keeps") and "It lacks 3 years (276 in 2019" in kept
        assert value(fourth.snapshot, 276) == value(first.snapshot, 276)

        server.checksum, server.rows = 5, moved({699: 3.0, 392: 3.0})  # most: nothing is taken
        assert (take().outcome, store.current_id("bilateral_trade")) == (
            "refused", fourth.snapshot.snapshot_id,
        )  # fmt: skip


def test_a_named_importer_without_a_row_of_the_years_in_use_is_waited_for(tmp_path, rows):
    rows = [row | {"primaryValue": row["primaryValue"] * 1e3} for row in rows]
    both = [row | {"reporterCode": code} for code in (699, 392) for row in rows]
    earlier = [row for row in both if row["period"] == "2019"]
    with ComtradePublisher(earlier, key=KEY) as server:
        live = settings(server, tmp_path, comtrade_api_key=KEY, importers="IND,JPN")
        store = SnapshotStore(live.raw_dir)

        def take(first_year: int):
            asked = live.model_copy(update={"first_year": first_year})
            made = ingest_dataset(asked, "bilateral_trade", store)
            store.use(made.snapshot)
            return made

        first = take(2019)
        server.rows = both
        for row in server.rows:
            if row["reporterCode"] == 392 and row["period"] > "2019":
                row["primaryValue"] *= 1e3
        for _ in range(2):
            made = take(2020)  # of Japan, 2019 is in use
            assert (made.outcome, made.snapshot) == ("refused", first.snapshot)
        made = take(2019)
        assert made.outcome == "new" and "JPN (392) keeps" in made.snapshot.notes[-1]
        (table,) = (t for t in made.snapshot.tables if t.name == "bilateral_trade")
        damaged = made.snapshot.parquet(table.name)
        damaged.write_bytes(damaged.read_bytes()[:100])
        assert not take(2019).is_stale  # what is damaged is no reason not to ask


def test_one_importer_does_not_make_the_window_another(tmp_path, rows):
    """Two of four importers have the new year, which is then in the window; one of them may not
    take it, and without it the year would go out again, and with it the first one."""
    rows = [row | {"primaryValue": row["primaryValue"] * 1e3} for row in rows]
    this_year = datetime.now(UTC).year
    years = {code: range(this_year - 6, this_year - 1) for code in (36, 276, 392, 699)}

    def of_years() -> list[dict]:
        return [
            row | {"reporterCode": code, "period": str(year)}
            for code, held in years.items()
            for year in held
            for row in rows
            if row["period"] == "2020"
        ]

    def take():
        made = ingest_dataset(live, "bilateral_trade", store)
        store.use(made.snapshot)
        return made

    with ComtradePublisher(of_years(), key=KEY) as server, FilePublisher({}) as gone:
        live = settings(
            server, tmp_path, comtrade_api_key=KEY, importers="AUS,DEU,JPN,IND",
            world_mining_data_url=gone.url,
        )  # fmt: skip
        for year in ("first_year", "last_year"):
            live.model_fields_set.discard(year)
        store = SnapshotStore(live.raw_dir)
        first = take()
        assert window.latest(window.trade_years(first.snapshot)) == tuple(years[699])
        years |= {code: range(this_year - 6, this_year) for code in (392, 699)}
        server.rows = of_years()
        for row in server.rows:
            if (row["reporterCode"], row["period"]) == (392, str(this_year - 1)):
                row["primaryValue"] *= 1e3
        refused = take()
        assert (refused.outcome, refused.snapshot) == ("refused", first.snapshot)
        assert [*refused.verdict.stay] == ["392"]


def test_a_killed_fetch_goes_on_where_it_was(tmp_path, rows):
    with ComtradePublisher(rows) as server:
        server.script = ["", "", "", "hang"]
        child = multiprocessing.get_context("fork").Process(
            target=fetched, args=(client(server, tmp_path, rows),)
        )
        child.start()
        assert server.hangs.wait(timeout=20)
        child.kill()
        child.join(timeout=10)
        n_before = len(server.data_calls)
        assert n_before == 4
        kept = [tuple(sorted(s.params.items())) for s in server.data_calls[:3]]
        assert fetched(client(server, tmp_path, rows)) == as_expected(rows)
        again = [tuple(sorted(s.params.items())) for s in server.data_calls[n_before:]]
        assert set(kept) & set(again) == set()
        assert list((tmp_path / "comtrade").rglob(".*")) == []
