"""The UN Comtrade client against a server of a few rows: splits, refusals, what is stored."""

import copy
from contextlib import nullcontext
from functools import partial

import pyarrow as pa
import pytest

from minerals.errors import PermanentSourceError, SourceError, UnsoundAnswersError
from minerals.sources import comtrade, comtrade_rows
from tests.comtrade_rows import (
    as_expected,
    client,
    fetched,
    few_rows,
)
from tests.publishers import ComtradePublisher, as_json


@pytest.fixture
def few() -> list[dict]:
    """Two codes of one year from two partners, with World."""
    return few_rows()


def test_an_answer_exactly_as_long_as_the_cap_is_not_accepted(tmp_path, few):
    with ComtradePublisher(few, caps=(6, 6)) as server:
        source = client(server, tmp_path, few, cap=6)
        assert fetched(source, [2021]) == as_expected(few)
        assert [s.params["cmdCode"] for s in server.data_calls] == [
            "260300,811292", "260300", "811292",
        ]  # fmt: skip


def test_two_different_rows_of_one_key_are_refused(tmp_path, few):
    with (
        ComtradePublisher([*few, few[1] | {"primaryValue": 1.0}]) as server,
        pytest.raises(SourceError, match=r"two different rows.*260300.*152"),
    ):
        fetched(client(server, tmp_path, few), [2021])


@pytest.mark.parametrize("column", ["primaryValue", "classificationCode"])
def test_a_column_that_is_gone_and_needed_is_refused_and_nothing_kept(tmp_path, few, column):
    rows = copy.deepcopy(few)
    with ComtradePublisher(rows) as server:
        source = client(server, tmp_path, few)
        (published,) = source.availability(["699"], [2021])
        for row in server.rows:
            del row[column]
        with pytest.raises(PermanentSourceError, match=rf"no column {column}; they have: period"):
            source.answers(published)
        assert len(server.data_calls) == 1
    assert list((tmp_path / "comtrade").rglob("*.json")) == []


def test_the_weight_is_found_under_its_older_name_and_missed_under_another(tmp_path, few):
    renamed = [{("netWeight" if k == "netWgt" else k): v for k, v in row.items()} for row in few]
    with ComtradePublisher(renamed) as server:
        assert fetched(client(server, tmp_path, few), [2021]) == as_expected(few)
    other = [{("weightKg" if k == "netWgt" else k): v for k, v in row.items()} for row in few]
    with (
        ComtradePublisher(other) as server,
        pytest.raises(PermanentSourceError, match="no column netWgt or netWeight"),
    ):
        fetched(client(server, tmp_path / "other", few), [2021])


def test_two_weights_that_differ_are_refused(tmp_path, few):
    with (
        ComtradePublisher([row | {"netWeight": 1.0} for row in few]) as server,
        pytest.raises(SourceError, match="two different net weights"),
    ):
        fetched(client(server, tmp_path, few), [2021])


def test_a_code_that_is_mapped_later_is_asked_for_alone(tmp_path, few):
    with ComtradePublisher(few) as server:
        fetched(client(server, tmp_path, few[:3]), [2021])
        assert fetched(client(server, tmp_path, few), [2021]) == as_expected(few)
        assert [s.params["cmdCode"] for s in server.data_calls] == ["260300", "811292"]


def test_a_stored_answer_that_was_damaged_is_asked_for_again(tmp_path, few):
    with ComtradePublisher(few) as server:
        fetched(client(server, tmp_path, few), [2021])
        (page,) = [f for f in (tmp_path / "comtrade").rglob("2*.json") if "note" not in f.name]
        page.write_text(page.read_text().replace("60000000", "99999999"))
        assert fetched(client(server, tmp_path, few), [2021]) == as_expected(few)
        assert len(server.data_calls) == 2


@pytest.mark.parametrize("factor", [1.0009, 0.9991])
def test_a_world_row_within_a_thousandth_is_accepted(tmp_path, few, factor):
    few[0]["primaryValue"] *= factor
    with ComtradePublisher(few) as server:
        assert len(fetched(client(server, tmp_path, few), [2021])) == 6


def test_a_missing_world_row_or_partner_is_seen(tmp_path, few):
    for i, words in ((0, "World is missing"), (1, "partners 40,000,000 USD")):
        with (
            ComtradePublisher([row for j, row in enumerate(few) if j != i]) as server,
            pytest.raises(SourceError, match=words),
        ):
            fetched(client(server, tmp_path / str(i), few), [2021])


@pytest.mark.parametrize(("code", "is_accepted"), [("260300", True), ("811292", False)])
def test_a_known_difference_is_not_refused(tmp_path, few, monkeypatch, code, is_accepted):
    gap = {"reporter_code": "699", "year": 2021, "hs_code": code, "reason": "its own total"}
    monkeypatch.setattr(comtrade_rows, "known_gaps", lambda: pa.Table.from_pylist([gap]))
    few[0]["primaryValue"] *= 1.1
    with (
        ComtradePublisher(few) as server,
        nullcontext() if is_accepted else pytest.raises(SourceError, match="code 260300: World"),
    ):
        fetched(client(server, tmp_path, few), [2021])


def test_a_year_that_is_not_published_is_said_and_none_at_all_is_refused(tmp_path, few, caplog):
    with ComtradePublisher(few) as server:
        made = comtrade.fetch(client(server, tmp_path, few), ["699"], [2020, 2021])
        assert [p.year for p in made.published] == [2021]
        assert "nothing is published of reporter 699 in 2020" in caplog.text
        with pytest.raises(SourceError, match=r"published none of 2018-2019 for reporter 699"):
            fetched(client(server, tmp_path, few), [2018, 2019])


def test_at_most_twelve_periods_are_asked_for_in_one_call(tmp_path, few):
    with ComtradePublisher(few) as server:
        (published,) = client(server, tmp_path, few).availability(["699"], range(2008, 2023))
        assert published.year == 2021
        assert [len(seen.params["period"].split(",")) for seen in server.seen] == [12, 3]


def test_what_many_reporters_have_published_is_one_question(tmp_path, few):
    rows = [row | {"reporterCode": reporter} for row in few for reporter in range(100, 120)]
    with ComtradePublisher(rows) as server:
        source = client(server, tmp_path, few)
        found = source.availability([str(r) for r in range(105, 117)], [2020, 2021])
        assert [p.reporter for p in found] == [str(r) for r in range(105, 117)]
        assert len(server.seen) == 1
        assert "reportercode" not in server.seen[0].params


@pytest.mark.parametrize(
    ("unsound", "held", "is_left_out"),
    [
        (["392"], None, True),
        (["392"], {"392": [2021]}, True),
        (["392"], {"392": [2020], "699": [2021]}, False),
        (["699", "392"], None, False),
    ],
    ids=["of all", "one that is held", "one that is needed", "most"],
)
def test_a_reporter_whose_partners_miss_its_world_row_does_not_keep_out_the_others(
    tmp_path, few, unsound, held, is_left_out
):
    rows = [row | {"reporterCode": code} for code in (699, 392, 36) for row in few]
    as_reported = as_expected(rows)
    for row in rows:
        if str(row["reporterCode"]) in unsound and row["partnerCode"] == 0:
            row["primaryValue"] *= 2
    with ComtradePublisher(rows) as server:
        source = client(server, tmp_path, few)
        ask = partial(comtrade.fetch, source, ["699", "392", "36"], [2021], held=held)
        if not is_left_out:
            with pytest.raises(UnsoundAnswersError, match="add up to the World row"):
                ask()
            return
        made = ask()
        assert made.rows.to_pylist() == [r for r in as_reported if r["reporterCode"] != "392"]
        assert [p.reporter for p in made.published] == ["699", "36"]
        assert "reporter 392 is left out" in made.notes[-1] and "World 200" in made.notes[-1]
        server.rows = [row | {"reporterCode": code} for code in (699, 392, 36) for row in few]
        n_before = len(server.data_calls)
        assert ask().rows.to_pylist() == as_reported
        assert len(server.data_calls) == n_before + 1  # its codes were asked for again


@pytest.mark.parametrize("wrong", [{"primaryValue": None}, {"primaryValue": "many"}])
def test_rows_that_cannot_be_used_are_asked_for_again(tmp_path, few, wrong):
    with ComtradePublisher([few[0], few[1] | wrong, *few[2:]]) as server:
        source = client(server, tmp_path, few)
        with pytest.raises(UnsoundAnswersError, match=r"primaryValue|expected type"):
            fetched(source, [2021])
        server.rows = few
        assert fetched(source, [2021]) == as_expected(few)


def test_a_year_without_a_row_of_ours_is_believed_on_a_later_day(tmp_path, few):
    older = [row | {"period": "2020", "cmdCode": "999999"} for row in few]
    with ComtradePublisher(few + older) as server:
        source = client(server, tmp_path, few)
        for _ in range(2):  # on one day
            with pytest.raises(UnsoundAnswersError, match="in 2020, and gave no row of any mapped"):
                fetched(source, [2020, 2021])
        (since,) = source.folder.glob("699-2020-*/empty.since")
        since.write_text("2021-02-03\n")
        assert fetched(source, [2020, 2021]) == as_expected(few)
        n_before = len(server.data_calls)
        assert fetched(source, [2020, 2021]) == as_expected(few)
        assert len(server.data_calls) == n_before


def test_a_revision_that_is_not_mapped_is_named(tmp_path, few):
    rows = [row | {"classificationCode": "H2"} for row in few]
    with (
        ComtradePublisher(rows) as server,
        pytest.raises(SourceError, match=r"699 reports 2021 in HS revision H2.*maps H5"),
    ):
        fetched(client(server, tmp_path, few), [2021])


def test_rows_of_another_revision_than_published_are_refused_at_once(tmp_path, few):
    with ComtradePublisher(few) as server:
        source = client(server, tmp_path, few)
        (published,) = source.availability(["699"], [2021])
        for row in server.rows:
            row["classificationCode"] = "H6"
        with pytest.raises(UnsoundAnswersError, match=r"rows are of HS revision H6"):
            source.answers(published)
        assert len(server.data_calls) == 1


def test_the_original_classification_counts_where_there_are_several(tmp_path):
    both = [
        {"reporterCode": 699, "period": 2021, "classificationCode": revision, "datasetChecksum": 1,
         "isOriginalClassification": original, "totalRecords": 5}
        for revision, original in (("H6", False), ("H5", True), ("H4", False))
    ]  # fmt: skip
    with ComtradePublisher([]) as server:
        server._availability = lambda params: both
        (published,) = client(server, tmp_path, []).availability(["699"], [2021])
    assert published.revision == "H5"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"count": -1, "data": [], "error": "Invalid parameter value"}, "Invalid parameter value"),
        ({"dataset": []}, "no list `data`; it has: dataset"),
        ([], "no list `data`; it has: list"),
    ],
)
def test_an_answer_that_is_none_stops_at_once(tmp_path, few, content, words):
    with ComtradePublisher(few) as server:
        server.script = [as_json(content)]
        with pytest.raises(PermanentSourceError, match=words):
            fetched(client(server, tmp_path, few), [2021])
        assert len(server.data_calls) == 1


def test_a_count_that_is_not_met_is_asked_again(tmp_path, few):
    with ComtradePublisher(few) as server:
        server.script = [as_json({"count": 6, "data": few[:4], "error": ""})]
        assert fetched(client(server, tmp_path, few), [2021]) == as_expected(few)


def test_rows_that_come_twice_count_once(tmp_path, few):
    with ComtradePublisher(few) as server:
        server.twice = True
        assert fetched(client(server, tmp_path, few), [2021]) == as_expected(few)


def test_a_column_that_is_new_is_named_and_the_rest_is_read(tmp_path, few, caplog):
    rows = [row | {"carbonFootprint": 1.5} for row in few]
    with ComtradePublisher(rows) as server:
        assert fetched(client(server, tmp_path, few), [2021]) == as_expected(few)
    assert "new and not read: carbonFootprint" in caplog.text


def test_a_column_that_is_gone_and_not_needed_is_empty(tmp_path, few):
    rows = [{k: v for k, v in row.items() if k != "cmdDesc"} for row in few]
    with ComtradePublisher(rows) as server:
        made = fetched(client(server, tmp_path, few), [2021])
    assert made == [row | {"cmdDesc": None} for row in as_expected(few)]
