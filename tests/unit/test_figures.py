"""The figures files: what is read, and how each way of spoiling one is refused."""

import csv
import io
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from minerals.errors import SourceError
from minerals.files import sha256_of
from minerals.settings import Settings
from minerals.sources.csv_files import figures_provider
from minerals.sources.provider import Provider
from minerals.sources.snapshots import Snapshot, SnapshotStore
from minerals.sources.tables import sources

COLUMNS = {
    "country_indicators": list(sources()["indicators_file"].tables["country_indicators"].columns),
    "country_geography": list(sources()["geography_file"].tables["country_geography"].columns),
}
INDICATORS = COLUMNS["country_indicators"][2:]
POPULATION = "SP.POP.TOTL"
CHILE = {"iso3": "CHL", "year": "2019", **dict.fromkeys(INDICATORS, "1.5"), POPULATION: "18.5e6"}
KENYA = {"iso3": "KEN", "year": "2019", **dict.fromkeys(INDICATORS, ""), POPULATION: "5e7"}
PERU = {
    "iso3": "PER", "name": "Peru", "region": "Latin America & Caribbean",
    "income_group": "Upper middle income", "landlocked": "0", "landlocked_geodist": "0",
    "area_km2": "1285216", "main_city": "Lima", "capital": "Lima", "main_city_lat_deg": "-12.05",
    "main_city_lon_deg": "-77.05", "capital_lat_deg": "-12.05", "capital_lon_deg": "-77.05",
}  # fmt: skip
IVORY_COAST = {**PERU, "iso3": "CIV", "name": "Côte d'Ivoire", "main_city": "Abidjan", "region": ""}


def as_csv(*rows: dict[str, str]) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


class Figures:
    """The two files in a folder of their own, ingested into a store beside them."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(warehouse_dir=folder / "warehouse", figures_dir=folder)
        self.store = SnapshotStore(self.settings.raw_dir)
        self.files = {
            "country_indicators": folder / "country_indicators.csv",
            "country_geography": folder / "country_geography.csv",
        }

    def provider(self, dataset: str) -> Provider:
        if dataset == "country_indicators":
            return figures_provider(self.settings, "indicators_file")
        return figures_provider(self.settings, "geography_file")

    def ingest(self, dataset: str) -> Snapshot:
        snapshot, _ = self.provider(dataset).ingest(self.store)
        self.store.use(snapshot)
        return snapshot

    def refusal(self, dataset: str, content: str | bytes) -> str:
        """Spoil a file that was ingested before; the message, once nothing is known to be lost."""
        before = self.store.current(dataset)
        content = content.encode() if isinstance(content, str) else content
        self.files[dataset].write_bytes(content)
        with pytest.raises(SourceError) as caught:
            self.ingest(dataset)
        assert self.store.current(dataset) == before
        assert self.store.list(dataset) == [before.snapshot_id]
        assert list((self.store.root / dataset).glob(".writing-*")) == []
        assert self.files[dataset].read_bytes() == content
        return str(caught.value)


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both files, each ingested once."""
    folder = tmp_path_factory.mktemp("figures")
    figures = Figures(folder)
    figures.files["country_indicators"].write_text(as_csv(CHILE, KENYA), encoding="utf-8")
    figures.files["country_geography"].write_text(as_csv(PERU, IVORY_COAST), encoding="utf-8")
    for dataset in figures.files:
        figures.ingest(dataset)
    return folder


@pytest.fixture
def figures(ingested: Path, tmp_path: Path) -> Figures:
    """A copy of that folder for one test to spoil."""
    shutil.copytree(ingested, tmp_path, dirs_exist_ok=True)
    return Figures(tmp_path)


def test_numbers_are_numbers_and_an_empty_cell_is_null(figures):
    snapshot = figures.store.current("country_indicators")
    rows = pq.read_table(snapshot.parquet("country_indicators")).to_pylist()
    assert rows[0] == {
        "iso3": "CHL", "year": 2019, **dict.fromkeys(INDICATORS, 1.5), POPULATION: 18_500_000.0
    }  # fmt: skip
    assert rows[1] == {
        "iso3": "KEN", "year": 2019, **dict.fromkeys(INDICATORS), POPULATION: 50_000_000.0
    }  # fmt: skip
    assert snapshot.sha256 == sha256_of(figures.files["country_indicators"])


def test_names_keep_their_accents_and_coordinates_their_sign(figures):
    snapshot = figures.store.current("country_geography")
    rows = pq.read_table(snapshot.parquet("country_geography")).to_pylist()
    assert [row["name"] for row in rows] == ["Peru", "Côte d'Ivoire"]
    assert rows[0]["main_city_lat_deg"] == -12.05
    assert rows[0]["landlocked"] == 0
    assert rows[1]["region"] is None


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b""])
def test_a_file_saved_on_windows_reads_the_same(figures, mark):
    first = figures.store.current("country_geography")
    text = figures.files["country_geography"].read_text(encoding="utf-8")
    figures.files["country_geography"].write_bytes(mark + text.replace("\n", "\r\n").encode())
    again = figures.ingest("country_geography")
    assert again.snapshot_id != first.snapshot_id  # the bytes differ, and the bytes are the source
    tables = [pq.read_table(s.parquet("country_geography")) for s in (first, again)]
    assert tables[0].equals(tables[1])


@pytest.mark.parametrize("dataset", list(COLUMNS))
def test_each_missing_column_is_named(figures, dataset):
    rows = (CHILE, KENYA) if dataset == "country_indicators" else (PERU, IVORY_COAST)
    gone = COLUMNS[dataset][-1]
    kept = [{k: v for k, v in row.items() if k != gone} for row in rows]
    message = figures.refusal(dataset, as_csv(*kept))
    for words in (f"{dataset}.csv", f"no column {gone}", "It has: iso3", "restore the header"):
        assert words in message


@pytest.mark.parametrize("value", ["many", "1_000", "NA"])
def test_text_where_a_number_is_due_is_named_with_row_and_column(figures, value):
    message = figures.refusal("country_indicators", as_csv(CHILE, {**KENYA, POPULATION: value}))
    for words in (
        "country_indicators.csv", "row=2, iso3=KEN, year=2019", f"{POPULATION}={value}",
        f"{POPULATION} is not a number in 1 row", "Nothing of this file is used", "correct it",
    ):  # fmt: skip
        assert words in message


@pytest.mark.parametrize("value", ["nan", "-Infinity"])
def test_a_number_that_is_none_is_refused(figures, value):
    message = figures.refusal("country_indicators", as_csv(CHILE, {**KENYA, POPULATION: value}))
    for words in (f"{POPULATION} is not a number in 1 row", "row=2, iso3=KEN, year=2019"):
        assert words in message


def test_a_year_is_a_whole_number(figures):
    message = figures.refusal("country_indicators", as_csv({**CHILE, "year": "2019.5"}, KENYA))
    for words in ("row=1", "year=2019.5", "year is not a whole number in 1 row"):
        assert words in message


def test_a_decimal_comma_in_quotes_is_refused_at_its_cell(figures):
    message = figures.refusal("country_indicators", as_csv(CHILE, {**KENYA, POPULATION: "5,1"}))
    for words in ("row=2", f"{POPULATION}=5,1", f"{POPULATION} is not a number in 1 row"):
        assert words in message


def test_a_decimal_comma_without_quotes_is_refused_at_its_row(figures):
    spoilt = as_csv(CHILE, KENYA).replace("50000000", "5e7").replace("5e7", "50,5")
    message = figures.refusal("country_indicators", spoilt)
    for words in (
        "country_indicators.csv, row 3: 16 values, where the header has 15", "KEN,2019",
        "never a comma", "Nothing of the file is used", "correct it",
    ):  # fmt: skip
        assert words in message


def test_a_row_is_counted_as_in_the_file(figures):
    """With blank lines, and a text over two lines, before it."""
    first, *others = as_csv(CHILE, KENYA).replace("CHL", '"C\nHL"').splitlines()
    message = figures.refusal("country_indicators", "\n".join([first, "", *others]) + ",7\n")
    assert "country_indicators.csv, row 5: 16 values, where the header has 15" in message


def test_semicolons_between_the_columns_are_refused_by_the_header(figures):
    message = figures.refusal("country_geography", as_csv(PERU).replace(",", ";"))
    for words in ("country_geography.csv", "no column iso3", "It has: iso3;name", "header"):
        assert words in message


def test_a_key_that_occurs_twice_is_named(figures):
    message = figures.refusal("country_indicators", as_csv(CHILE, KENYA, CHILE))
    for words in (
        "country_indicators.csv", "the key (iso3, year) is not unique",
        "iso3=CHL, year=2019, rows=2", "Nothing of this file is used", "correct it",
    ):  # fmt: skip
        assert words in message


def test_a_column_that_occurs_twice_is_named(figures):
    twice = as_csv(CHILE, KENYA).replace("VA.EST", POPULATION)
    message = figures.refusal("country_indicators", twice)
    for words in ("country_indicators.csv", f"more than one column {POPULATION}", "correct it"):
        assert words in message


@pytest.mark.parametrize(
    ("dataset", "rows", "column"),
    [
        ("country_indicators", [CHILE, {**KENYA, POPULATION: "-5"}], POPULATION),
        ("country_geography", [PERU, {**IVORY_COAST, "area_km2": "-5"}], "area_km2"),
    ],
)
def test_a_negative_figure_is_shown_with_its_key_and_value(figures, dataset, rows, column):
    message = figures.refusal(dataset, as_csv(*rows))
    for words in (
        f"{dataset}.csv", f"{column} is negative in 1 row", "row=2", f"iso3={rows[1]['iso3']}",
        f"{column}=-5", "Nothing of this file is used", "correct it",
    ):  # fmt: skip
        assert words in message


def test_what_may_be_negative_is_kept(figures):
    content = as_csv({**CHILE, "CC.EST": "-0.5", "BX.KLT.DINV.WD.GD.ZS": "-2"}, KENYA)
    figures.files["country_indicators"].write_text(content)
    snapshot = figures.ingest("country_indicators")
    row = pq.read_table(snapshot.parquet("country_indicators")).to_pylist()[0]
    assert (row["CC.EST"], row["BX.KLT.DINV.WD.GD.ZS"]) == (-0.5, -2.0)


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
def test_an_empty_file_is_refused(figures, content):
    message = figures.refusal("country_geography", content)
    for words in ("country_geography.csv is empty", "not used", "restore it"):
        assert words in message


@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
def test_a_header_without_rows_is_refused(figures, end):
    header = as_csv(CHILE).splitlines()[0]
    message = figures.refusal("country_indicators", header + end)
    for words in ("country_indicators.csv has a header and no rows", "not used", "restore it"):
        assert words in message


@pytest.mark.parametrize(("encoding", "line"), [("latin-1", 3), ("utf-16", 1)])
def test_a_file_in_another_encoding_is_refused_at_its_line(figures, encoding, line):
    message = figures.refusal("country_geography", as_csv(PERU, IVORY_COAST).encode(encoding))
    for words in (
        f"country_geography.csv, row {line}, byte ", "not UTF-8", "Save the file in UTF-8",
        "Nothing of the file is used",
    ):  # fmt: skip
        assert words in message


def test_a_file_cut_short_is_refused_at_its_row(figures):
    message = figures.refusal("country_indicators", as_csv(CHILE, KENYA)[:-10])
    for words in ("country_indicators.csv, row 3: ", "where the header has 15", "correct it"):
        assert words in message


def test_a_missing_file_is_named_with_its_folder(figures):
    before = figures.store.current("country_geography")
    file = figures.files["country_geography"]
    file.unlink()
    with pytest.raises(SourceError) as caught:
        figures.ingest("country_geography")
    assert f"{file} is missing" in str(caught.value)
    assert "restore it from the repository" in str(caught.value)
    assert figures.store.current("country_geography") == before
