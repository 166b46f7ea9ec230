"""The OECD's Inventory of Export Restrictions against a server that replays rows made for it."""

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo

import pyarrow.parquet as pq
import pytest

from minerals.errors import SourceError
from minerals.settings import Settings
from minerals.sources import ingest, oecd
from minerals.sources.http import RetryPolicy
from minerals.sources.provider import Provider
from minerals.sources.snapshots import SnapshotStore
from tests.live import restrictions
from tests.publishers import Publisher, Reply

POLICY = RetryPolicy(attempts=3, first_wait=0.0, read_timeout=5.0)
LAST = 2025


class Inventory(Publisher):
    """The years that are published; of another the service says that there is no record."""

    def __init__(self, years: dict[str, bytes]) -> None:
        super().__init__(self._answer)
        self.years = years

    def _answer(self, path: str, params: dict[str, str], headers: dict[str, str]) -> Reply:
        content = self.years.get(params.get("startPeriod", ""))
        return Reply(200, content) if content else Reply(404, b"NoRecordsFound")


class Clock(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return datetime(LAST + 1, 6, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _a_day_of_the_next_year(monkeypatch) -> None:
    monkeypatch.setattr(oecd, "datetime", Clock)


@pytest.fixture
def server() -> Iterator[Inventory]:
    with Inventory({str(LAST - 1): restrictions(LAST - 1, "XYZ")}) as publisher:
        yield publisher


@pytest.fixture
def settings(server, tmp_path) -> Settings:
    return Settings(profile="live", warehouse_dir=tmp_path, oecd_url=f"{server.url}/public/rest")


@pytest.fixture
def store(settings) -> SnapshotStore:
    return SnapshotStore(settings.raw_dir)


@pytest.fixture
def asked(settings, monkeypatch) -> Provider:
    """The provider of the live profile, which waits for nothing."""
    provider = oecd.restrictions_provider(settings, POLICY)
    monkeypatch.setattr(ingest, "providers", lambda _: {oecd.DATASET: provider})
    return provider


def rows(snapshot) -> list[dict]:
    return pq.read_table(snapshot.parquet(oecd.DATASET)).to_pylist()


def test_a_measure_is_one_row_of_the_newest_year(server, settings, asked, store):
    snapshot, _ = asked.ingest(store)
    assert [(seen.params["startPeriod"], seen.params["format"]) for seen in server.seen] == [
        (str(LAST), "csvfilewithlabels"), (str(LAST - 1), "csvfilewithlabels"),
    ]  # fmt: skip
    assert server.seen[0].path == (
        "/public/rest/data/OECD.TAD.ADM,DSD_QDD_TAD_EXP_RESTRIC@DF_QDD_TAD_EXP_RESTRIC,3.0/all"
    )
    made = {(r["actor_code"], r["hs_code"], r["policy_type"], r["variation"]): r
            for r in rows(snapshot)}  # fmt: skip
    assert sorted(made) == [
        ("ARG", "811020", "M1", "1"), ("ARG", "811020", "M1", "2"), ("IDN", "260400", "M4", "1"),
        ("IDN", "760200", "M12", "1"), ("XYZ", "260300", "M6", "1"),
    ]  # fmt: skip
    assert made["IDN", "260400", "M4", "1"] == {
        "actor_code": "IDN", "hs_code": "260400", "policy_type": "M4", "variation": "1",
        "year": LAST - 1, "policy_label": "Export prohibition", "measure_type": "ban",
        "introduced": "2020-01-01", "ends": None, "amount": None, "amount_unit": None,
        "document": "Regulation 11 of 2019", "link": "example.org/11",
    }  # fmt: skip
    assert made["ARG", "811020", "M1", "1"]["amount"] == "4,5"
    assert made["IDN", "760200", "M12", "1"]["measure_type"] is None
    (note,) = snapshot.notes
    assert note == "1 measures are of 1 codes that countries.csv does not know: XYZ."


def changed(**columns: str) -> bytes:
    text = restrictions(LAST).decode()
    for old, new in columns.items():
        text = text.replace(old, new, 1)
    return text.encode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (changed(POLICY_DESCRIPTION="POLICY_FACT"),
         ["row 1: no column POLICY_DESCRIPTION", "oecd_columns.csv"]),
        (restrictions(LAST)[:-12], ["values, where the header has", "cut short"]),
        (
            restrictions(LAST).replace(f",{LAST},".encode(), b",soon,"),
            ["a measure of ARG on HS07_811020 has 'soon' where a year is expected"],
        ),
        (b"\xff\xfe", ["not UTF-8"]),
    ],
)  # fmt: skip
def test_another_layout_is_refused_by_name(content, words):
    with pytest.raises(SourceError) as caught:
        oecd.read_measures(content, "the answer")
    for word in ["the answer", "Nothing of it is used", *words]:
        assert word in str(caught.value)


def test_empty_lines_are_nothing():
    lines = restrictions(LAST).splitlines(keepends=True)
    assert oecd.read_measures(b"\n".join([lines[0], b"".join(lines[1:]), b"\n"]), "it") == (
        oecd.read_measures(restrictions(LAST), "it")
    )


def test_a_commodity_without_an_hs_code_is_kept_counted_and_named(server, asked, store):
    content = restrictions(LAST).replace(b"HS07_811020", b"antimony")
    server.years[str(LAST)] = content
    snapshot, _ = asked.ingest(store)
    assert sorted(row["hs_code"] for row in rows(snapshot)) == [
        "260300", "260400", "760200", "antimony", "antimony"
    ]  # fmt: skip
    assert snapshot.notes == (
        "2 measures are of 1 commodities without a six-digit HS code: antimony.",
    )


def test_it_never_stops_a_refresh(server, settings, asked, store):
    server.script = ["html"] * 3
    first = ingest.ingest_dataset(settings, oecd.DATASET, store)
    assert (first.outcome, first.snapshot.row_count, first.is_whole) == ("failed", 0, False)
    assert "could not be had, so there are no candidates" in first.explanation
    assert "page of HTML" in first.message
    store.use(first.snapshot)
    had = ingest.ingest_dataset(settings, oecd.DATASET, store)
    assert (had.outcome, had.snapshot.row_count) == ("new", 5)
    store.use(had.snapshot)
    server.years.clear()
    kept = ingest.ingest_dataset(settings, oecd.DATASET, store)
    assert (kept.outcome, kept.snapshot) == ("failed", had.snapshot)
    server.years[str(LAST)] = restrictions(LAST)
    newer = ingest.ingest_dataset(settings, oecd.DATASET, store)
    assert (newer.outcome, {row["year"] for row in rows(newer.snapshot)}) == ("new", {LAST})


def test_without_a_dataflow_nobody_is_asked(server, settings, store):
    off = settings.model_copy(update={"oecd_dataflow": ""})
    snapshot, _ = oecd.restrictions_provider(off, POLICY).ingest(store)
    assert (snapshot.row_count, server.seen) == (0, [])
    with pytest.raises(ValueError, match="oecd_dataflow"):
        Settings(warehouse_dir=settings.warehouse_dir, oecd_dataflow="not a dataflow")
