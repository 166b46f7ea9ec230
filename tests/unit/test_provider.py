"""The promises of a raw table, checked row by row, and the choice of provider."""

import pyarrow as pa
import pytest

from minerals.errors import SourceError
from minerals.settings import Settings
from minerals.sources import DATASETS, providers
from minerals.sources.provider import Fetched, Provider
from minerals.sources.snapshots import SnapshotStore
from minerals.sources.tables import RawTable, Source, sources

TABLE = RawTable(
    columns={"year": "integer", "iso3": "text", "kg": "text", "usd": "text"},
    key=("year", "iso3"),
    required=("year", "iso3", "usd"),
    numeric=("kg", "usd"),
    non_negative=("usd",),
)
ROWS = {
    "year": [2019, 2019, 2020],
    "iso3": ["CHL", "PER", "CHL"],
    "kg": ["1.5", None, "-3"],  # a negative quantity is quarantined later, not refused here
    "usd": ["10", "0", "1e3"],
}


def refused(**columns: list[object]) -> str:
    """The message of the refusal of ROWS with these columns instead."""
    with pytest.raises(SourceError) as caught:
        TABLE.checked(pa.table({**ROWS, **columns}), "flows.csv: table flows")
    return str(caught.value)


def test_a_table_that_keeps_its_layout_passes_with_its_declared_columns():
    more = pa.table({"note": ["a", "b", "c"], **ROWS})
    assert TABLE.checked(more, "flows.csv").equals(pa.table(ROWS))


def test_rows_are_typed_and_a_value_of_another_type_is_named_with_its_column():
    rows = list(zip(*ROWS.values(), strict=True))
    assert TABLE.read(rows, "flows.csv").to_pydict() == ROWS
    named = [dict(zip(ROWS, row, strict=True)) for row in rows]
    assert TABLE.read([named[0], {"year": 2020, "usd": "1"}], "flows.csv").to_pylist() == [
        named[0],
        {"year": 2020, "iso3": None, "kg": None, "usd": "1"},
    ]
    with pytest.raises(SourceError, match=r"flows.csv, column year: .* type int32.*'MMXX'"):
        TABLE.read([*rows, ("MMXX", "CHL", None, "1")], "flows.csv")


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"usd": ["10", "1,5", "1e3"]}, ["usd is not a number in 1 row", "row=2", "usd=1,5"]),
        ({"usd": ["10", "many", "?"]}, ["usd is not a number in 2 rows", "row=2", "row=3"]),
        ({"kg": ["nan", "inf", "-inf"]}, ["kg is not a number in 3 rows", "kg=nan", "kg=inf"]),
        ({"usd": ["10", "-1", "1e3"]}, ["usd is negative in 1 row", "row=2", "usd=-1"]),
        ({"usd": ["10", "20", None]}, ["usd has no value in 1 row", "row=3", "iso3=CHL"]),
        ({"iso3": ["CHL", None, "CHL"]}, ["iso3 has no value in 1 row", "row=2", "year=2019"]),
        (
            {"iso3": ["CHL", "CHL", "CHL"]},
            ["(year, iso3) is not unique", "1 key", "year=2019, iso3=CHL, rows=2"],
        ),
    ],
)
def test_a_broken_rule_is_named_with_row_key_and_value(columns, words):
    message = refused(**columns)
    for word in ["flows.csv: table flows", *words, "Nothing of this file is used", "correct it"]:
        assert word in message


def test_at_most_five_rows_are_shown():
    many = {"year": list(range(2000, 2020)), "iso3": ["CHL"] * 20, "kg": [None] * 20}
    message = refused(**many, usd=["x"] * 20)
    assert "in 20 rows" in message
    assert message.count("row=") == 5


def test_a_missing_column_is_named_beside_those_that_are_there():
    with pytest.raises(SourceError) as caught:
        TABLE.checked(pa.table({k: v for k, v in ROWS.items() if k != "usd"}), "flows.csv")
    for words in ("flows.csv", "no column usd", "It has: year, iso3, kg", "restore the header"):
        assert words in str(caught.value)


def test_a_table_without_rows_is_refused():
    message = refused(**{name: pa.array([], pa.string()) for name in ROWS})
    for words in ("flows.csv", "has no rows", "never used", "fetch it again"):
        assert words in message


def test_an_unchanged_source_is_not_read_again_and_a_refused_one_loses_nothing(tmp_path):
    calls = []

    def tables() -> dict[str, pa.Table]:
        calls.append("read")
        return {"flows": pa.table({**ROWS, "usd": ["10", usd, "1e3"]})}

    def provider(sha256: str) -> Provider:
        source = Source(
            dataset="flows", layout="flows-1", provider="A publisher", citation="cite",
            licence="CC BY 4.0", url="https://example.org", tables={"flows": TABLE},
        )  # fmt: skip
        return Provider(source, lambda: Fetched(sha256, tables), "A publisher")

    store, usd = SnapshotStore(tmp_path / "raw"), "20"
    first, is_new = provider("1" * 64).ingest(store)
    store.use(first)
    assert is_new
    assert provider("1" * 64).ingest(store) == (first, False)
    assert len(calls) == 1

    usd = "-20"
    with pytest.raises(SourceError, match="A publisher: table flows: usd is negative"):
        provider("2" * 64).ingest(store)
    assert store.current("flows") == first
    assert store.list("flows") == [first.snapshot_id]
    assert list((tmp_path / "raw" / "flows").glob(".writing-*")) == []


@pytest.mark.parametrize("profile", ["bundled", "live"])
def test_each_profile_provides_each_dataset_with_its_table(tmp_path, profile):
    offered = providers(Settings(profile=profile, warehouse_dir=tmp_path))
    assert tuple(offered) == DATASETS
    for dataset, provider in offered.items():
        assert provider.source.dataset == dataset
        assert dataset in provider.source.tables


@pytest.mark.parametrize("name", list(sources()))
def test_the_rules_of_a_declared_table_are_about_its_columns(name):
    for table in sources()[name].tables.values():
        named = {*table.key, *table.required, *table.numeric, *table.non_negative}
        assert named <= set(table.columns)
