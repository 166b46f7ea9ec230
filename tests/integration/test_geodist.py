"""GeoDist: legacy codes, missing values, corrections; and the real files, where they are."""

import csv
import zipfile
from math import acos, cos, radians, sin

import pyarrow.parquet as pq
import pytest

from minerals.errors import SourceError
from minerals.settings import PROJECT_ROOT, Settings
from minerals.sources import geodist, seeds, workbooks
from minerals.sources.http import RetryPolicy
from minerals.sources.snapshots import SnapshotStore
from tests.publishers import FilePublisher, WorldBankPublisher, make_workbook

SHARED = PROJECT_ROOT.parent / "shared" / "data" / "cepii"
FIGURES = PROJECT_ROOT / "minerals" / "sources" / "figures"
ALIASES = seeds.aliases(PROJECT_ROOT / "dbt_project" / "seeds", "geodist")
POLICY = RetryPolicy(attempts=3, first_wait=0.0, read_timeout=5.0)
HEADER = ["iso2", "iso3", "country", "area", "landlocked", "city_en", "lat", "lon", "cap",
          "maincity"]  # fmt: skip
CITIES = [
    ["BO", "BOL", "Bolivia", 1098581, 1, "La Paz", -16.5, -68.15, 1, 0],
    ["BO", "BOL", "Bolivia", 1098581, 1, "Santa Cruz", -17.8, -63.17, 0, 1],
    ["RO", "ROM", "Romania", 238391, 0, "Bucharest", 44.4, 26.1, 1, 1],
    ["AD", "AND", "Andorra", 468, 0, "Andorra la Vella", 42.5, 1.5, 1, 1],
]


def km_between(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Great-circle distance on GeoDist's sphere, by the spherical law of cosines."""
    (lat_1, lon_1), (lat_2, lon_2) = [(radians(lat), radians(lon)) for lat, lon in (one, other)]
    cosine = sin(lat_1) * sin(lat_2) + cos(lat_1) * cos(lat_2) * cos(lon_1 - lon_2)
    return 6376.97 * acos(cosine)


def cities(rows=CITIES, header=HEADER) -> bytes:
    return make_workbook({"geo_cepii": [header, *rows]})


def test_a_country_is_its_main_city_under_its_present_code():
    made = geodist.read_geography(cities(), ALIASES)
    assert sorted(made) == ["AND", "BOL", "ROU"]
    assert made["BOL"]["main_city"] == "Santa Cruz"
    assert made["BOL"]["main_city_lat_deg"] == -17.8


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (cities(header=[*HEADER[:-1], "main"]), ["geo_cepii.xls", "row 1", "no column maincity"]),
        (cities(CITIES[:1]), ["one row with maincity = 1", "BOL has 0"]),
        (cities([*CITIES, CITIES[2]]), ["one row with maincity = 1", "ROM has 2"]),
        (cities([*CITIES, ["XX", "XXX", "Atlantis", 1, 0, "A", 1, 1, 1, 1]]),
         ["country_aliases.csv does not know the codes XXX", "code_system geodist"]),
        (b"\xd0\xcf\x11\xe0 cut", ["geo_cepii.xls is not a readable workbook"]),
    ],
)  # fmt: skip
def test_another_layout_is_refused(content, words):
    with pytest.raises(SourceError) as caught:
        geodist.read_geography(content, ALIASES)
    for word in words:
        assert word in str(caught.value)


def test_a_dot_is_missing_and_not_zero():
    row = [*CITIES[2][:3], ".", *CITIES[2][4:]]
    assert geodist.read_geography(cities([row]), ALIASES)["ROU"]["area_km2"] is None


def test_known_errors_are_corrected_from_the_register_and_the_flag_is_kept():
    made = geodist.read_geography(cities(), ALIASES)
    groups = {"ROU": {"region": "Europe & Central Asia", "income_group": "High income"}}
    ours = [{"iso3": "MNE", "name": "Montenegro", "region": "Europe & Central Asia",
             "income_group": "", "landlocked": 0}]  # fmt: skip
    rows = {row["iso3"]: row for row in geodist.complete(made, groups, ours)}
    assert (rows["AND"]["landlocked"], rows["AND"]["landlocked_geodist"]) == (1, 0)
    assert rows["ROU"]["region"] == "Europe & Central Asia"
    assert rows["BOL"]["region"] is None
    assert (rows["MNE"]["name"], rows["MNE"]["income_group"]) == ("Montenegro", None)
    assert all(line["reason"] and line["status"] for line in seeds.register("geodist_corrections"))


def test_the_real_files_give_the_figures_of_the_bundled_profile(tmp_path):
    geography, distances = SHARED / "geo_cepii.xls", SHARED / "dist_cepii.zip"
    if not geography.exists():
        pytest.skip(f"the real files of GeoDist are not in {SHARED}")
    with (FIGURES / "country_geography.csv").open(encoding="utf-8") as file:
        figures = list(csv.DictReader(file))
    listed = [row for row in figures if row["region"]]
    with (
        FilePublisher({"/distance/geo_cepii.xls": geography.read_bytes()}) as server,
        WorldBankPublisher({}, listed) as bank,
    ):
        settings = Settings(
            profile="live", warehouse_dir=tmp_path, geodist_url=server.url, world_bank_url=bank.url
        )
        provider = geodist.geography_provider(settings, POLICY)
        store = SnapshotStore(tmp_path / "raw")
        snapshot, _ = provider.ingest(store)
        assert provider.ingest(store) == (snapshot, False)
    made = pq.read_table(snapshot.parquet("country_geography")).to_pylist()
    assert len(made) == len(figures) == 238
    for row, figure in zip(made, sorted(figures, key=lambda f: f["iso3"]), strict=True):
        for column, text in figure.items():
            if (
                column not in row
                or column == "name"
                or (row["iso3"], column) == ("SRB", "landlocked_geodist")
            ):
                continue  # names are GeoDist's; its YUG had a coast, our figures say it has none
            value = row[column]
            expected = None if text == "" else type(value)(text) if value is not None else text
            assert value == expected, (row["iso3"], column)
    places = {r["iso3"]: (r["main_city_lat_deg"], r["main_city_lon_deg"]) for r in made}
    with zipfile.ZipFile(distances) as archive:
        _, rows = next(workbooks.sheets(archive.read("dist_cepii.xls"), "dist_cepii.xls"))
    header = rows[0]
    origin, destination, km = (header.index(name) for name in ("iso_o", "iso_d", "dist"))
    of_india = [row for row in rows if row[origin] == "IND" != row[destination]]
    assert len(of_india) == 223
    for row in of_india:
        great_circle = km_between(places["IND"], places[ALIASES[row[destination]]])
        assert row[km] == pytest.approx(great_circle, rel=1e-4)
