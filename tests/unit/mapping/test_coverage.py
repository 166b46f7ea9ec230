"""The table of coverage counts codes and adds up exactly the importer's trade."""

from pathlib import Path

import duckdb
import pytest

from minerals.errors import SnapshotDamagedError
from minerals.mapping import coverage
from minerals.mapping.reference import HsLists, Line
from minerals.mapping.rules import MappingSeeds
from minerals.mapping.seeds import parse_seed

MAP = b"""hs_revision,hs_code,mineral,category,is_mixed,mix_note,reason
H0,250410,Graphite,ores,false,,x
H0,250490,Graphite,ores,false,,x
H5,250410,Graphite,ores,false,,x
H0,740400,Copper,scrap,false,,x
"""
OUT = b"hs_revision,hs_code,commodity,reason\nH0,250510,Sand,x\n"
MINERALS = b"""mineral,symbol,production_sheet,production_stage,is_grouped,note
Copper,,,,false,
Tin,,,,false,
"""
TRADE = """select * from (values
    ('2019', '1', '699', 250410, '10.5', '1'), ('2020', '2', '699', 250410, '2', null),
    ('2018', '1', '699', 250490, '99', '1'), ('2019', '1', '392', 250490, '99', '1'),
    ('2019', '1', '699', 250510, '4', '1'), ('2019', '1', '699', 20110, '7', '1'))
    as trade(t, i, j, k, v, q)"""


@pytest.fixture
def seeds() -> MappingSeeds:
    return MappingSeeds(
        parse_seed(Path("hs_mineral_map.csv"), MAP),
        parse_seed(Path("hs_out_of_scope.csv"), OUT),
        parse_seed(Path("minerals.csv"), MINERALS),
    )


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A raw folder with one trade snapshot of six rows, and the aliases beside it."""
    folder = tmp_path / "bilateral_trade" / "abc"
    folder.mkdir(parents=True)
    (folder.parent / "CURRENT").write_text("abc\n")
    with duckdb.connect(":memory:") as memory:
        memory.execute(f"copy ({TRADE}) to '{folder}/bilateral_trade.parquet' (format parquet)")
    aliases = "code_system,code,iso3,note\nbaci,699,IND,\nm49,356,IND,\nbaci,392,JPN,\n"
    (tmp_path / "country_aliases.csv").write_text(aliases)
    return tmp_path


def trade(raw: Path, importer: str) -> coverage.Trade | None:
    folder = coverage.snapshot_folder(raw)
    assert folder is not None
    return coverage.read_trade(folder, raw, importer, 2019, 2020)


def test_trade_is_the_importers_and_the_windows(raw):
    found = trade(raw, "IND")
    assert found is not None
    assert found.value_usd == {
        "020110": 7000.0, "250410": 12500.0, "250490": 0.0, "250510": 4000.0
    }  # fmt: skip
    assert trade(raw, "XXX") is None


def test_coverage_counts_codes_and_knows_codes_that_are_not_in_the_data(seeds, raw):
    rows = coverage.coverage(seeds, trade(raw, "IND"))
    assert [
        (r.mineral, r.category, r.n_codes["H0"], r.n_codes["H5"], r.value_usd) for r in rows
    ] == [
        ("Copper", "scrap", 1, 0, None),
        ("Graphite", "ores", 2, 1, 12500.0),
    ]
    assert coverage.without_codes(seeds) == ["Tin"]


def test_unmapped_lines_are_those_of_the_trade_and_of_the_lists_largest_first(seeds, raw):
    lists = HsLists({"H0": {c: Line(c) for c in ("250410", "250510", "260300", "010101")}}, {})
    lines = coverage.unmapped(seeds, lists, trade(raw, "IND"))
    assert [(line.hs_code, line.value_usd) for line in lines] == [
        ("020110", 7000.0),
        ("260300", None),
    ]


def test_a_missing_snapshot_is_none_and_a_damaged_one_is_named(raw, tmp_path):
    assert coverage.snapshot_folder(tmp_path / "nowhere") is None
    file = raw / "bilateral_trade" / "abc" / "bilateral_trade.parquet"
    file.write_bytes(b"PAR1 no")
    with pytest.raises(SnapshotDamagedError, match=r"bilateral_trade\.parquet"):
        trade(raw, "IND")
    file.unlink()
    assert coverage.snapshot_folder(raw) is None
