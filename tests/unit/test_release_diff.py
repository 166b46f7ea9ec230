"""What the comparison of two releases says: moves, and markets in which something differs."""

from pathlib import Path

import duckdb
import pytest

from minerals.errors import ReleaseError
from minerals.releases.diff import Move, diff_releases, minerals_of

FORWARD = (
    "exporter_iso3, coefficient_source, forward_rank, is_headline, effective_k, importer_iso3, "
    "category, mineral"
)


def release(
    folder: Path,
    order: str,
    bought: str = "",
    source: str = "estimated",
    leading: int = 2,
    silent: str = "",
) -> Path:
    """A folder with the two rankings of Tin ores: suppliers A, B, ... in this order; `bought` are
    those with imports in a year, `silent` the order by the coefficients that are not shown."""
    folder.mkdir()
    other = "published" if source == "estimated" else "estimated"
    rows = [(name, source, rank, True, leading) for rank, name in enumerate(order, 1)]
    rows += [(name, other, rank, False, leading) for rank, name in enumerate(silent, 1)]
    values = [(*row, "IND", "ores", "Tin") for row in rows] or [("", "", 0, False, 0, "", "", "")]
    with duckdb.connect() as database:
        database.execute(
            f"create table forward as from (values {', '.join(map(str, values))}) as v({FORWARD}) "
            "where forward_rank > 0"
        )
        database.execute(
            "create table annual as select *, 2020 as year, "
            "case when contains(?, exporter_iso3) then 5.0 else 0 end as actual_qty_kg "
            "from forward",
            [bought],
        )
        for mart in ("forward", "annual"):
            database.table(mart).write_parquet(str(folder / f"ranking_{mart}.parquet"))
    return folder


def test_equal_releases_have_no_difference(tmp_path):
    one, two = (release(tmp_path / name, "ABC", "A", silent="CBA") for name in ("one", "two"))
    found = diff_releases(one, two)
    assert (found.moves, found.headline_moves, found.markets, found.row_counts) == ([], [], [], {})
    assert found.n_compared == 6


def test_who_enters_or_leaves_comes_first_then_the_largest_move(tmp_path):
    one, two = release(tmp_path / "one", "ABCD"), release(tmp_path / "two", "DBAEF")
    found = diff_releases(one, two)
    assert [(m.exporter_iso3, m.rank_before, m.rank_after, m.places) for m in found.moves] == [
        ("C", 3, None, None), ("E", None, 4, None), ("F", None, 5, None), ("D", 4, 1, 3),
        ("A", 1, 3, -2),
    ]  # fmt: skip
    assert found.headline_moves == found.moves
    assert found.row_counts == {"ranking_annual": (4, 5), "ranking_forward": (4, 5)}


def test_a_market_counts_candidates_imports_and_names_who_enters_the_leading_places(tmp_path):
    one = release(tmp_path / "one", "ABCD", "AB")
    (market,) = diff_releases(one, release(tmp_path / "two", "DBA", "B")).markets
    assert (market.candidates_before, market.candidates_after) == (4, 3)
    assert (market.imports_before, market.imports_after) == (2, 1)
    assert (market.entered, market.left, market.n_moved) == (["D"], ["A"], 3)
    assert (market.source_before, market.source_after) == ("estimated", "estimated")


def test_a_supplier_enters_also_when_there_are_more_leading_places(tmp_path):
    one = release(tmp_path / "one", "ABC", leading=1)
    (market,) = diff_releases(one, release(tmp_path / "two", "ABC", leading=3)).markets
    assert (market.entered, market.left, market.n_moved) == (["B", "C"], [], 0)


def test_a_market_that_appears_or_disappears_is_a_difference(tmp_path):
    tin, nothing = release(tmp_path / "tin", "AB"), release(tmp_path / "nothing", "")
    (market,) = diff_releases(nothing, tin).markets
    assert (market.candidates_before, market.candidates_after) == (0, 2)
    assert (market.source_before, market.source_after) == (None, "estimated")
    (market,) = diff_releases(tin, nothing).markets
    assert (market.left, market.n_moved) == (["A", "B"], 2)


def test_the_rankings_that_are_shown_are_compared_whatever_their_source(tmp_path):
    one = release(tmp_path / "one", "BA", "A", source="published", silent="AB")
    two = release(tmp_path / "two", "BA", "A")
    found = diff_releases(one, two)
    assert found.headline_moves == []
    assert Move("IND", "ores", "Tin", "A", "estimated", 1, 2) in found.moves
    (market,) = found.markets
    assert (market.source_before, market.source_after) == ("published", "estimated")
    assert (market.imports_before, market.imports_after, market.n_moved) == (1, 1, 0)


@pytest.mark.parametrize(("mineral", "n_compared"), [("Tin", 3), ("Nickel", 0)])
def test_a_difference_can_be_of_one_mineral(tmp_path, mineral, n_compared):
    one, two = release(tmp_path / "o'ne", "ABC"), release(tmp_path / "two", "ACB")
    found = diff_releases(one, two, mineral)
    assert found.n_compared == n_compared
    assert bool(found.moves) == bool(found.markets) == (n_compared > 0)
    assert minerals_of(one, two) == ["Tin"]


def test_a_release_without_what_is_compared_is_named(tmp_path):
    one, two = release(tmp_path / "one", "ABC"), release(tmp_path / "two", "ABC")
    table = duckdb.read_parquet(str(two / "ranking_forward.parquet"))
    table.project("* exclude (effective_k)").write_parquet(str(two / "ranking_forward.parquet"))
    with pytest.raises(ReleaseError, match=r"Releases one and two cannot be compared.*effective_k"):
        diff_releases(one, two)
    (one / "ranking_annual.parquet").unlink()
    with pytest.raises(ReleaseError, match=r"one and two cannot be compared.*ranking_annual"):
        diff_releases(one, two)
