"""What the clients read from the dbt seeds."""

from pathlib import Path

import pytest

from minerals.errors import SourceError
from minerals.settings import PROJECT_ROOT
from minerals.sources.seeds import reporter_code

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
