"""Every kind of fault an editor, a spreadsheet or a hurry leaves in the mapping is named with its
line, and with what to write instead; the mapping as shipped has none."""

import json
from pathlib import Path

import pytest

from minerals.errors import SourceError
from minerals.mapping.reference import HsLists, Line, read_lists, with_products
from minerals.mapping.rules import Report, check_mapping
from minerals.settings import PROJECT_ROOT

SEEDS = PROJECT_ROOT / "dbt_project" / "seeds"
MAP_HEADER = "hs_revision,hs_code,mineral,category,is_mixed,mix_note,reason"
OUT_HEADER = "hs_revision,hs_code,commodity,reason"
GROUP = "Niobium, Tantalum, Vanadium"
MINERALS = f"""mineral,symbol,production_sheet,production_stage,is_grouped,note
Cobalt,Co,Cobalt,mined,false,
Copper,Cu,Copper,mined,false,
Graphite,C,Graphite,mined,false,
"{GROUP}",,,,true,
Phosphorous,P,,,false,
Titanium,Ti,,,false,
Tungsten,W,,,false,
"""
TEXTS = {
    "020110": "Meat; of bovine animals, fresh or chilled",
    "250410": "Graphite; natural, in powder or in flakes",
    "250490": "Graphite; natural, in other forms",
    "250510": "Sands; natural, silica and quartz sands",
    "260300": "Copper ores and concentrates",
    "261590": "Niobium, tantalum and vanadium ores and concentrates",
    "262030": "Slag, ash and residues; containing mainly copper",
    "280470": "Phosphorus",
    "740400": "Copper; waste and scrap",
    "810110": "Tungsten (wolfram); articles thereof, including waste and scrap, powders",
    "810197": "Tungsten (wolfram); waste and scrap",
    "810520": "Cobalt; mattes and other intermediate products, unwrought cobalt, powders",
}
LISTS = HsLists(
    {
        "H0": {c: Line(t) for c, t in TEXTS.items() if c not in ("810197", "810520")}
        | {"810810": Line("Unwrought titanium; waste and scrap; powders", "Titanium")},
        "H5": {c: Line(t) for c, t in TEXTS.items()},
        "H6": {c: Line(t) for c, t in TEXTS.items() if c != "250510"},
    },
    {"H0": "h0", "H5": "h5", "H6": "h6"},
)
MAPPED = {
    "250410": "Graphite,ores,false,,Natural graphite",
    "250490": "Graphite,ores,false,,Natural graphite",
    "260300": "Copper,ores,false,,Copper ores",
    "261590": f'"{GROUP}",ores,true,Three metals,One line for three',
    "262030": "Copper,scrap,false,,Ash and residues",
    "280470": "Phosphorous,products,false,,The element",
    "740400": "Copper,scrap,false,,Copper scrap",
    "810110": "Tungsten,products,false,,Powders",
    "810197": "Tungsten,scrap,false,,Scrap",
    "810520": "Cobalt,products,false,,Cobalt metal",
}
ROWS = [
    *(f"H0,{c},{r}" for c, r in MAPPED.items() if c not in ("810197", "810520", "810110")),
    'H0,810110,Tungsten,products,true,"Powders, waste and scrap",Powders',
    "H0,810810,Titanium,products,true,Metal with waste and scrap,Titanium",
    *(f"{rev},{c},{r}" for rev in ("H4", "H5", "H6") for c, r in MAPPED.items()),
]
OUTSIDE = [f"{rev},250510,Sand,Glass sand" for rev in ("H0", "H4", "H5")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three small seeds without a fault."""
    (tmp_path / "minerals.csv").write_text(MINERALS)
    write(tmp_path, ROWS)
    (tmp_path / "hs_out_of_scope.csv").write_text("\n".join([OUT_HEADER, *OUTSIDE, ""]))
    return tmp_path


def write(folder: Path, rows: list[str], header: str = MAP_HEADER) -> None:
    (folder / "hs_mineral_map.csv").write_text("\n".join([header, *rows, ""]))


def found(report: Report) -> list[tuple[str, int, str, str]]:
    return [(p.file.name, p.line, p.column, p.severity) for p in report.problems]


def words(report: Report) -> str:
    return "\n".join(f"{p.what} -> {p.instead}" for p in report.problems)


def check(folder: Path) -> Report:
    return check_mapping(folder, LISTS)


def replaced(old: str, new: str) -> list[str]:
    """The rows with the one row that begins with `old` replaced; its line in the file is 2 more
    than its place."""
    assert sum(row.startswith(old) for row in ROWS) == 1, old
    return [new if row.startswith(old) else row for row in ROWS]


def test_seeds_without_a_fault_have_none(folder):
    report = check(folder)
    assert words(report) == ""
    assert len(report.mapping.mapped.rows) == len(ROWS)


@pytest.mark.parametrize(
    ("old", "new", "column", "what", "instead"),
    [
        ("H0,250410,", "HS92,250410,Graphite,ores,false,,x", "hs_revision", "'HS92'", "write H0"),
        ("H0,250410,", "h0,250410,Graphite,ores,false,,x", "hs_revision", "'h0'", "write H0"),
        ("H0,250410,", "H3,250410,Graphite,ores,false,,x", "hs_revision", "not in use", "H0, H4"),
        ("H0,250410,", "HS99,250410,Graphite,ores,false,,x", "hs_revision", "no revision", "H0, H"),
        ("H0,250410,", ",250410,Graphite,ores,false,,x", "hs_revision", "empty", "H0, H4, H5, H6"),
        ("H0,250410,", "H0,2.5041E+5,Graphite,ores,false,,x", "hs_code", "spreadsheet", "250410"),
        ("H0,250410,", "H0,2.5E+5,Graphite,ores,false,,x", "hs_code", "spreadsheet", "lost"),
        ("H0,250410,", "H0,250410.0,Graphite,ores,false,,x", "hs_code", "decimal", "write 250410"),
        ("H0,250410,", "H0,2504.1,Graphite,ores,false,,x", "hs_code", "decimal", "write 250410"),
        ("H0,250410,", "H0,2504.10,Graphite,ores,false,,x", "hs_code", "punctu", "write 250410"),
        ("H0,250410,", "H0,25041000,Graphite,ores,false,,x", "hs_code", "national", "write 250410"),
        ("H0,250410,", "H0,2504,Graphite,ores,false,,x", "hs_code", "heading", "250410, 250490"),
        ("H0,250410,", "H0,25O410,Graphite,ores,false,,x", "hs_code", "six digits", "as text"),
        ("H0,250410,", "H0,,Graphite,ores,false,,x", "hs_code", "empty", "six digits"),
        ("H0,250410,", "H0,250411,Graphite,ores,false,,x", "hs_code", "no code 250411 in H0",
         "250410, 250490"),
        ("H0,260300,", "H0,260300,Coper,ores,false,,x", "mineral", "'Coper'", "write Copper"),
        ("H0,260300,", "H0,260300,COPPER,ores,false,,x", "mineral", "'COPPER'", "write Copper"),
        ("H0,280470,", "H0,280470,Phosphorus,products,false,,x", "mineral", "'Phosphorus'",
         "write Phosphorous"),
        ("H0,260300,", "H0,260300,Kryptonite,ores,false,,x", "mineral", "'Kryptonite'",
         "minerals.csv"),
        ("H0,260300,", "H0,260300,,ores,false,,x", "mineral", "empty", "minerals.csv"),
        ("H0,260300,", "H0,260300,Copper,ore,false,,x", "category", "'ore'", "write ores"),
        ("H0,260300,", "H0,260300,Copper,,false,,x", "category", "empty", "ores, products, scrap"),
        ("H0,260300,", "H0,260300,Copper,ores,TRUE,,x", "is_mixed", "'TRUE'", "write true"),
        ("H0,260300,", "H0,260300,Copper,ores,,,x", "is_mixed", "empty", "true or false"),
        ("H0,260300,", "H0,260300,Copper,ores,true,,x", "mix_note", "does not say", "name what"),
        ("H0,260300,", "H0,260300,Copper,ores,false,,", "reason", "empty", "few words"),
        ("H0,261590,", f'H0,261590,"{GROUP}",ores,false,,x', "is_mixed", "several metals", "true"),
        ("H0,260300,", "H0,260300,Copper,products,false,,x", "category", "chapter 26", "ores"),
        ("H0,262030,", "H0,262030,Copper,ores,false,,x", "category", "ash and residues", "scrap"),
        ("H0,740400,", "H0,740400,Copper,products,false,,x", "category", "waste and scrap only",
         "write scrap"),
        ("H0,280470,", "H0,280470,Phosphorous,scrap,false,,x", "category", "no waste", "products"),
        ("H0,280470,", "H0,280470,Phosphorous,ores,false,,x", "category", "chapter 28", "products"),
        ("H0,810810,", "H0,810810,Titanium,products,false,,x", "is_mixed", "together with waste",
         "write true"),
        ("H0,810810,", "H0,810810,Titanium,scrap,true,x,x", "category", "together with waste",
         "write products"),
    ],
)  # fmt: skip
def test_a_wrong_cell_is_an_error_in_its_line_and_column(folder, old, new, column, what, instead):
    rows = replaced(old, new)
    write(folder, rows)
    problems = [p for p in check(folder).problems if p.line == rows.index(new) + 2]
    assert [(p.column, p.severity) for p in problems if p.column == column] == [(column, "error")]
    problem = next(p for p in problems if p.column == column)
    assert what in problem.what
    assert instead in problem.instead


def test_a_lost_leading_zero_is_put_back(folder):
    write(folder, [*ROWS, "H0,20110,Copper,products,false,,x"])
    (problem,) = check(folder).problems
    assert "leading zero" in problem.what
    assert problem.instead == "write 020110"


def test_a_lost_last_digit_is_looked_up(folder):
    write(folder, [*ROWS, "H0,26030,Copper,ores,false,,x"])
    (problem,) = check(folder).problems
    assert (problem.what, problem.instead) == (
        "'26030' has five digits: one is lost", "write one of 260300"
    )  # fmt: skip


def test_titles_repeated_by_the_list_are_not_a_mixture_where_scrap_has_its_own_line(folder):
    """810110 in H5 reads 'including waste and scrap, powders'; its scrap is 810197. In H0 it has
    no such neighbour."""
    row = "H0,810110,Tungsten,products,false,,Powders"
    write(folder, replaced("H0,810110,", row))
    (problem,) = check(folder).problems
    assert (problem.column, problem.line) == ("is_mixed", ROWS.index(ROWS[7]) + 2)


@pytest.mark.parametrize("cell", ["Copper ", " Copper", "Copper\u00a0", "Cop\u200bper", "Copper\t"])
def test_spaces_and_invisible_signs_are_named_and_the_row_is_read_on(folder, cell):
    row = f"H0,260300,{cell},ores,false,,x"
    write(folder, replaced("H0,260300,", row))
    (problem,) = check(folder).problems
    assert (problem.column, problem.severity) == ("mineral", "error")
    assert problem.instead == "write 'Copper'"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_recognised_with_and_without_its_mark(folder, encoding):
    file = folder / "hs_mineral_map.csv"
    file.write_bytes(file.read_text().encode(encoding))
    (problem,) = check(folder).problems
    assert "UTF-16" in problem.what
    assert "UTF-8" in problem.instead


def test_a_byte_of_another_encoding_is_named_with_its_line(folder):
    file = folder / "hs_mineral_map.csv"
    file.write_bytes(file.read_bytes().replace(b"Natural graphite", b"Graphite \xe9", 1))
    (problem,) = check(folder).problems
    assert (problem.line, problem.severity) == (2, "error")
    assert "0xe9" in problem.what
    assert "é" in problem.what


def test_a_byte_order_mark_is_a_warning(folder):
    file = folder / "hs_mineral_map.csv"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert found(check(folder)) == [("hs_mineral_map.csv", 1, "", "warning")]


@pytest.mark.parametrize(("sign", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_another_delimiter_is_one_error_and_the_rows_are_read_on(folder, sign, name):
    file = folder / "hs_out_of_scope.csv"
    file.write_text(file.read_text().replace(",", sign))
    (problem,) = check(folder).problems
    assert name in problem.what


@pytest.mark.parametrize(
    ("header", "column", "what"),
    [
        (MAP_HEADER.replace("mineral", "minral"), "mineral", "'minral'"),
        (MAP_HEADER.replace("hs_code", " HS code"), "hs_code", "' HS code'"),
        (MAP_HEADER.replace(",reason", ""), "reason", "lacks reason"),
        (MAP_HEADER + ",colour", "colour", "does not belong"),
        ("H0,999999,Copper,ores,false,,x", "hs_revision", "not the header"),
        (MAP_HEADER.replace("reason", "mineral"), "mineral", "twice"),
    ],
)
def test_a_wrong_header_is_named_with_the_right_one(folder, header, column, what):
    write(folder, [r + "," * (header.count(",") - 6) for r in ROWS], header)
    problem = check(folder).problems[0]
    assert (problem.line, problem.column, problem.severity) == (1, column, "error")
    assert what in problem.what
    assert MAP_HEADER in problem.instead or column in problem.instead


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"", "empty"), (b"\n\n", "empty"), (MAP_HEADER.encode() + b"\n", "no row"), (None, "read")],
)
def test_an_empty_or_missing_file_is_one_error_that_says_how_to_restore_it(folder, content, what):
    file = folder / "hs_mineral_map.csv"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    (problem,) = check(folder).problems
    assert what in problem.what
    assert "git checkout -- hs_mineral_map.csv" in problem.instead


def test_an_unquoted_comma_is_shown_with_its_quotes(folder):
    write(folder, replaced("H0,261590,", f"H0,261590,{GROUP},ores,true,Three metals,x"))
    (problem,) = check(folder).problems
    assert "9 fields, the header 7" in problem.what
    assert problem.instead == f'write: H0,261590,"{GROUP}",ores,true,Three metals,x'
    write(folder, replaced("H0,260300,", "H0,260300,Copper,ores,false,,Ores, and concentrates"))
    (problem,) = check(folder).problems
    assert problem.column == "reason"
    assert problem.instead == 'write: H0,260300,Copper,ores,false,,"Ores, and concentrates"'


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("H0,020110,Copper,products,false", "5 fields"),
        ('H0,020110,Copper,products,false,,"open', "quotation mark"),
        (",,,,,,", "separators only"),
        ("", "blank"),
    ],
)
def test_a_broken_line_is_named_and_does_not_swallow_the_next(folder, line, what):
    rows = [ROWS[0], line, *ROWS[1:]]
    write(folder, rows)
    report = check(folder)
    (problem,) = report.problems
    assert problem.line == 3
    assert what in problem.what
    assert len(report.mapping.mapped.rows) == len(ROWS)


def test_a_code_twice_in_a_file_names_the_first_line(folder):
    write(folder, [*ROWS, ROWS[0], "H0,250490,Copper,ores,false,,x"])
    last = len(ROWS) + 2
    problems = [p for p in check(folder).problems if "already" in p.what]
    assert [(p.line, p.what) for p in problems] == [
        (last, "H0 250410 is already in line 2"),
        (last + 1, "H0 250490 is already in line 3"),
    ]
    assert problems[0].instead == "delete this line, it says the same"


def test_a_code_in_both_files_names_both_lines(folder):
    file = folder / "hs_out_of_scope.csv"
    file.write_text(file.read_text() + "H0,260300,Copper,x\n")
    (problem,) = [p for p in check(folder).problems if "also" in p.what]
    assert problem.file.name == "hs_mineral_map.csv"
    assert "hs_out_of_scope.csv:5" in problem.what


def test_an_out_of_scope_row_needs_a_commodity_and_a_reason(folder):
    file = folder / "hs_out_of_scope.csv"
    file.write_text(file.read_text().replace("H0,250510,Sand,Glass sand", "H0,250510,,"))
    assert found(check(folder)) == [
        ("hs_out_of_scope.csv", 2, "commodity", "error"),
        ("hs_out_of_scope.csv", 2, "reason", "error"),
    ]


@pytest.mark.parametrize(("revision", "other"), [("H6", "H5"), ("H0", "H4"), ("H4", "H0")])
def test_a_code_mapped_in_one_revision_and_forgotten_in_the_next_is_an_error(
    folder, revision, other
):
    write(folder, [row for row in ROWS if not row.startswith(f"{revision},260300")])
    text = words(check(folder))
    assert f"260300 is Copper ores in {other} and missing in {revision}" in text
    assert f"add a row {revision},260300," in text


def test_a_code_that_the_next_revision_does_not_have_is_not_forgotten(folder):
    """250510 is not in the list of H6 here, 810197 not in that of H0."""
    assert words(check(folder)) == ""


def test_an_out_of_scope_code_forgotten_in_the_next_revision_is_a_warning(folder):
    (folder / "hs_out_of_scope.csv").write_text("\n".join([OUT_HEADER, *OUTSIDE[:2], ""]))
    (problem,) = check(folder).problems
    assert problem.severity == "warning"
    assert "missing in H5" in problem.what


def test_a_revision_without_a_row_is_said_once(folder):
    write(folder, [row for row in ROWS if not row.startswith("H6")])
    (problem,) = check(folder).problems
    assert problem.what == "H6 has no row at all in either file"


def test_a_meaning_that_changes_while_the_text_does_not_is_a_warning(folder):
    write(folder, replaced("H6,250410,", "H6,250410,Copper,ores,false,,x"))
    report = check(folder)
    warning = next(p for p in report.problems if p.column == "hs_code")
    assert warning.severity == "warning"
    assert (
        "Copper ores in H6, but Graphite ores in H0, H4, H5, and its text is the same"
        in warning.what
    )
    assert "the text names Graphite, not Copper" in words(report)
    assert report.n_errors == 0


def test_a_code_gone_since_the_last_commit_is_a_warning_where_no_list_tells(folder):
    committed = {"H4": dict.fromkeys(("260300", "919191"), "Copper ores"),
                 "H5": dict.fromkeys(("260300", "929292"), "Copper ores")}  # fmt: skip
    texts = words(check_mapping(folder, LISTS, committed=committed))
    assert texts.count("decided on in the last commit and is in neither file") == 2
    assert "H4 919191 was decided" in texts
    assert "H5 929292 was decided" in texts


def test_without_a_list_a_meaning_unlike_both_neighbours_is_a_warning(folder):
    write(folder, replaced("H4,280470,", "H4,280470,Copper,products,false,,x"))
    texts = words(check(folder))
    assert "280470 is Copper products in H4, but Phosphorous products in H0, H5, H6" in texts


def test_a_meaning_that_changes_with_a_reason_is_none(folder):
    changed = [f"{r},280470,Copper,products,false,,x" for r in ("H4", "H5", "H6")]
    rows = [row for row in ROWS if row[3:9] != "280470" or row.startswith("H0")]
    write(folder, [*rows, *changed])
    texts = words(check(folder))
    assert "280470 is Phosphorous products in H0, but Copper products in H4, H5, H6" in texts
    changed[0] = changed[0].replace(",x", ",Holds copper since HS 2007")
    write(folder, [*rows, *changed])
    assert "280470 is" not in words(check(folder))


def test_a_text_that_names_no_mineral_or_the_mineral_in_its_heading(folder):
    write(folder, ["H0,260200,Copper,ores,false,,x"])
    (line, heading) = Line("Manganese ores and concentrates"), Line("Unground ores", "Copper ores")
    for text, expected in ((line, 1), (heading, 0)):
        report = check_mapping(folder, HsLists({"H0": {"260200": text}}, {"H0": "h0"}))
        told = [p.what for p in report.problems if p.column == "mineral"]
        assert len(told) == expected
        assert all("names none of the minerals, not Copper (Manganese" in what for what in told)


@pytest.mark.parametrize(
    ("text", "row", "what"),
    [
        ("Copper: including waste and scrap", "Copper,products,true,x,x", ""),
        ("Copper: including waste and scrap", "Copper,products,false,,x", "together with waste"),
        ("Copper: including waste and scrap", "Copper,scrap,false,,x", "together with waste"),
        ("Copper; waste and scrap", "Copper,products,true,x,x", "waste and scrap only"),
        ("Copper; wrought, other than waste and scrap", "Copper,products,false,,x", ""),
        ("Copper; wrought, other than waste and scrap", "Copper,scrap,false,,x", "no waste"),
        ("Copper; spent", "Copper,scrap,false,,x", ""),
    ],
)
def test_a_text_says_whether_the_line_is_metal_scrap_or_both(folder, text, row, what):
    write(folder, [f"H0,750300,{row}"])
    report = check_mapping(folder, HsLists({"H0": {"750300": Line(text)}}, {"H0": "h0"}))
    found = [p.what for p in report.problems if p.column in ("category", "is_mixed")]
    assert len(found) == bool(what)
    assert what in "".join(found)


def test_a_revision_without_a_list_is_said_and_its_unknown_codes_are_warned_of(folder):
    row = "H4,848484,Copper,products,false,,x"
    write(folder, [*ROWS, row])
    (problem,) = check(folder).problems
    assert (problem.line, problem.severity) == (len(ROWS) + 2, "warning")
    assert "no list of H4" in problem.what
    assert "H4.json" in problem.instead
    report = check_mapping(folder, LISTS, committed={"H4": {"848484": "Copper products"}})
    assert words(report) == ""
    assert "11 of 12 codes are in H0 or H5; 1 were decided" in report.checked_against["H4"]
    assert report.checked_against["H5"] == "11 codes checked against h5 (12 lines)"


def test_without_any_list_the_rest_is_still_checked(folder):
    write(folder, replaced("H0,260300,", "H0,260300,Coper,products,false,,x"))
    report = check_mapping(folder, HsLists())
    assert {p.column for p in report.problems if p.line == 4} == {"mineral", "category"}
    assert all("not checked against a list" in s for s in report.checked_against.values())


def test_lists_are_read_as_csv_and_as_json(tmp_path):
    rows = [
        {"id": "2504", "text": "2504 - Graphite; natural", "parent": "25"},
        {"id": "250410", "text": "250410 - Graphite; in powder", "parent": "2504"},
    ]
    (tmp_path / "H4.json").write_text(json.dumps({"more": False, "results": rows}))
    csv_lines = ["id,text,parent,isLeaf"] + [
        f'{r["id"]},"{r["text"]}",{r["parent"]},0' for r in rows
    ]
    (tmp_path / "hs_h5.csv").write_text("\n".join(csv_lines))
    lists = read_lists(tmp_path)
    line = Line("Graphite; in powder", "Graphite; natural")
    assert dict(lists.lines) == {"H4": {"250410": line}, "H5": {"250410": line}}


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff\xfe", b"id,text\n", b"<html>"])
def test_a_list_that_is_none_is_refused_by_name(tmp_path, content):
    for name in ("hs_h0.csv", "H0.json"):
        (tmp_path / "hs_h0.csv").unlink(missing_ok=True)
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SourceError, match=name):
            read_lists(tmp_path)


def test_the_product_table_of_the_trade_data_stands_in_for_h0_only():
    lists = with_products(HsLists(), [("250410", "Graphite")], "the trade data")
    assert lists.lines == {"H0": {"250410": Line("Graphite")}}
    assert with_products(LISTS, [("1", "x")], "the trade data") is LISTS


@pytest.mark.parametrize(
    "content", [b"\x00", b"\xff\xfe\x00", b'"', b"a,b\n\xff", b",\n,\n", b"\r"]
)
def test_no_bytes_make_the_check_fail(folder, content):
    for name in ("hs_mineral_map.csv", "hs_out_of_scope.csv", "minerals.csv"):
        kept = (folder / name).read_bytes()
        (folder / name).write_bytes(content)
        assert check(folder).n_errors
        (folder / name).write_bytes(kept)


def test_the_shipped_mapping_has_no_error_by_itself():
    assert words(check_mapping(SEEDS, HsLists())) == ""


def test_the_shipped_mapping_has_no_error_against_the_lists():
    folder = PROJECT_ROOT.parent / "shared" / "data" / "comtrade" / "reference"
    lists = read_lists(folder)
    if not {"H0", "H5", "H6"} <= set(lists.lines):
        pytest.skip(f"needs UN Comtrade's lists of HS codes; in {folder}: {sorted(lists.lines)}")
    problems = check_mapping(SEEDS, lists).problems
    assert [p for p in problems if p.severity == "error"] == []
    assert {p.what[:6] for p in problems} <= {"284800", "285300"}  # of HS 2012 only, without a list
