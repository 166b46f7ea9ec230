"""Who enters, leaves and moves between two versions of the rankings."""

from pathlib import Path

import pandas as pd

from minerals.mapping.moves import (
    CodeChange,
    Rankings,
    code_changes,
    meanings,
    mineral_changes,
    supplier_moves,
)
from minerals.mapping.seeds import parse_seed

KEY = ["importer_iso3", "category", "mineral", "exporter_iso3", "coefficient_source"]


def rankings(
    order: str, bought: str = "", source: str = "estimated", is_headline: bool = True
) -> Rankings:
    """Suppliers A, B, ... of Tin ores in this order; `bought` are those with imports in a year."""
    rows = [("IND", "ores", "Tin", name, source) for name in order]
    forward = pd.DataFrame(rows, columns=KEY).assign(
        forward_rank=range(1, len(rows) + 1), is_headline=is_headline
    )
    annual = pd.DataFrame(rows, columns=KEY).assign(
        year=2020, actual_qty_kg=[5.0 if name in bought else 0.0 for name in order]
    )
    return Rankings(forward, annual)


def test_equal_rankings_have_no_move():
    assert supplier_moves(rankings("ABC"), rankings("ABC")).empty
    assert mineral_changes(rankings("ABC", "A"), rankings("ABC", "A"), top_k=2).empty


def test_who_enters_or_leaves_comes_first_then_the_largest_move():
    moves = supplier_moves(rankings("ABCD"), rankings("DBAE"))
    assert moves["exporter_iso3"].to_list() == ["C", "E", "D", "A"]
    assert moves["places"].to_list() == [-2, 1, 3, -2]
    assert moves["rank_before"].isna().to_list() == [False, True, False, False]


def test_a_minerals_row_counts_candidates_imports_and_the_leading_suppliers():
    (row,) = mineral_changes(rankings("ABCD", "AB"), rankings("DBA", "B"), 2).to_dict("records")
    assert (row["candidates_before"], row["candidates_after"]) == (4, 3)
    assert (row["imports_before"], row["imports_after"]) == (2, 1)
    assert (row["top_in"], row["top_out"], row["moved"]) == ("D", "A", 3)
    (row,) = mineral_changes(rankings("ABC"), rankings("BC"), 1).to_dict("records")
    assert (row["top_in"], row["top_out"]) == ("B", "A")


def test_a_mineral_that_appears_or_disappears_is_a_change():
    tin, nothing = rankings("AB"), Rankings(*(f.iloc[:0] for f in vars(rankings("AB")).values()))
    (row,) = mineral_changes(nothing, tin, 10).to_dict("records")
    assert (row["candidates_before"], row["candidates_after"]) == (0, 2)
    (row,) = mineral_changes(tin, nothing, 10).to_dict("records")
    assert (row["top_out"], row["moved"]) == ("A, B", 2)


def test_the_coefficients_that_speak_are_compared_and_another_source_is_a_change():
    silent = rankings("AB", "A", is_headline=False)
    study = rankings("BA", "A", source="published")
    both = Rankings(
        *(pd.concat(pair) for pair in zip(vars(silent).values(), vars(study).values(), strict=True))
    )
    assert supplier_moves(both, study).empty
    (row,) = mineral_changes(both, rankings("BA", "A"), 10).to_dict("records")
    assert (row["source_before"], row["source_after"]) == ("published", "estimated")
    assert (row["imports_before"], row["imports_after"], row["moved"]) == (1, 1, 0)


def test_code_changes_name_both_meanings_and_out_of_scope_prevails():
    header = b"hs_revision,hs_code,mineral,category,is_mixed,mix_note,reason\n"
    rows = b"H0,260900,Tin,ores,false,,x\nH0,800110,Tin,products,false,,x\n"
    outside = b"hs_revision,hs_code,commodity,reason\nH0,800110,x,x\nH0,250510,x,x\n"
    found = meanings(
        parse_seed(Path("hs_mineral_map.csv"), header + rows),
        parse_seed(Path("hs_out_of_scope.csv"), outside),
    )
    before = {("H0", "260900"): "Tin ores", ("H0", "800110"): "Tin products"}
    assert code_changes(before, found) == [
        CodeChange("H0", "250510", "unmapped", "out of scope"),
        CodeChange("H0", "800110", "Tin products", "out of scope"),
    ]
