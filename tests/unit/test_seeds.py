"""What the clients read from the dbt seeds."""

import shutil
from pathlib import Path

import pytest

from minerals.errors import SourceError
from minerals.settings import PROJECT_ROOT
from minerals.sources.seeds import check_seeds, reporter_code

SEEDS = PROJECT_ROOT / "dbt_project" / "seeds"


def aliases(folder: Path, *rows: str) -> Path:
    lines = ["code_system,code,iso3,valid_until,note", *rows]
    (folder / "country_aliases.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("iso3", "code"),
    [("IND", "699"), ("FRA", "251"), ("USA", "842"), ("DEU", "276"), ("JPN", "392")],
)
def test_the_code_in_use_is_requested(iso3, code):
    assert reporter_code(SEEDS, iso3) == code


def test_the_last_year_decides_and_not_the_note(tmp_path):
    folder = aliases(
        tmp_path,
        "comtrade,356,IND,1974,India without Sikkim.",
        'comtrade,699,IND,,"India, whatever the note says: another code was used, until 1974."',
        "baci,999,IND,,",
    )
    assert reporter_code(folder, "IND") == "699"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["comtrade,356,IND,1974,"], "has 0 UN Comtrade codes in use .*all its codes: 356"),
        (["comtrade,1,IND,,", "comtrade,2,IND,,"], "has 2 UN Comtrade codes in use"),
        ([], "all its codes: none"),
    ],
)
def test_a_country_without_one_code_in_use_is_an_error(tmp_path, rows, words):
    with pytest.raises(SourceError, match=words):
        reporter_code(aliases(tmp_path, *rows), "IND")


def test_damaged_seeds_are_told_all_at_once_with_file_row_and_byte(tmp_path):
    check_seeds(SEEDS)
    seeds = Path(shutil.copytree(SEEDS, tmp_path / "seeds"))
    (seeds / "minerals.csv").write_bytes(b"")
    countries = seeds / "countries.csv"
    countries.write_bytes(countries.read_bytes().replace("\u00f4".encode(), b"\xf4", 1))
    events = (seeds / "register_of_events.csv").read_text(encoding="utf-8").splitlines()
    events[1] += ",one,two"
    (seeds / "register_of_events.csv").write_text("\n".join(events), encoding="utf-8")
    tables = (seeds / "usgs_tables.csv").read_text(encoding="utf-8").splitlines()
    tables[0] = tables[0].replace("counts", "what")
    (seeds / "usgs_tables.csv").write_text("\n".join(tables), encoding="utf-8")
    with pytest.raises(SourceError) as caught:
        check_seeds(seeds)
    first, *lines = str(caught.value).splitlines()
    assert str(seeds) in first and len(lines) == 4
    assert "usgs_tables.csv, row 1: column counts is missing" in lines[3]
    row, byte = next(
        (row, line.index(b"\xf4") + 1)
        for row, line in enumerate(countries.read_bytes().splitlines(), start=1)
        if b"\xf4" in line
    )
    assert f"countries.csv, row {row}, byte {byte}: 0xf4 is not UTF-8" in lines[0]
    assert "minerals.csv is empty" in lines[1] and "git checkout -- minerals.csv" in lines[1]
    n = events[0].count(",") + 1
    assert f"register_of_events.csv, row 2: {n + 2} values, where the header has {n}" in lines[2]
