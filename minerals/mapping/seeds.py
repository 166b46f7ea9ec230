"""The seeds of the mapping, read from their bytes: encoding, delimiter, header, fields, characters.

Each fault is reported with its line. Nothing in here raises on a damaged file: what can be read is
read, so that one check shows every fault. What the values mean belongs to `rules`.
"""

import codecs
import csv
import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

MAP = "hs_mineral_map.csv"
OUT_OF_SCOPE = "hs_out_of_scope.csv"
MINERALS = "minerals.csv"

COLUMNS: Mapping[str, tuple[str, ...]] = {
    MAP: ("hs_revision", "hs_code", "mineral", "category", "is_mixed", "mix_note", "reason"),
    OUT_OF_SCOPE: ("hs_revision", "hs_code", "commodity", "reason"),
    MINERALS: ("mineral", "symbol", "production_sheet", "production_stage", "is_grouped", "note"),
}

Severity = Literal["error", "warning"]

_SAVE = "save it as CSV, UTF-8 without BOM, separated by commas"
_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_LINE_END = r"\r\n|\n|\r"


@dataclass(frozen=True)
class Problem:
    """One fault: where it is, what is wrong, what to write instead."""

    file: Path
    line: int
    column: str
    severity: Severity
    what: str
    instead: str


@dataclass(frozen=True)
class Row:
    """One line of a seed; `values` by column, cleaned of the faults that were reported."""

    line: int
    values: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.values[column]

    @property
    def key(self) -> tuple[str, str]:
        """Revision and code."""
        return self.values["hs_revision"], self.values["hs_code"]


@dataclass
class Seed:
    """A seed as far as it could be read. `is_readable` is false when no row could be understood,
    so that its rows must not be compared with anything."""

    file: Path
    rows: Sequence[Row] = ()
    problems: list[Problem] = field(default_factory=list)
    is_readable: bool = False

    def problem(
        self, row: Row, column: str, what: str, instead: str, severity: Severity = "error"
    ) -> Problem:
        """A fault in one of its rows."""
        return Problem(self.file, row.line, column, severity, what, instead)

    def note(
        self, line: int, column: str, what: str, instead: str, severity: Severity = "error"
    ) -> None:
        """Report a fault found while it is read."""
        self.problems.append(Problem(self.file, line, column, severity, what, instead))


def read_seed(file: Path, known_minerals: Sequence[str] = ()) -> Seed:
    """Read one of the seeds in `COLUMNS` (by its name). `known_minerals` helps to tell which comma
    of a broken line lacks its quotes."""
    try:
        return parse_seed(file, file.read_bytes(), known_minerals)
    except OSError as error:
        seed = Seed(file)
        why = error.strerror or type(error).__name__
        seed.note(1, "", f"the file cannot be read: {why}", _restore(file))
        return seed


def parse_seed(file: Path, content: bytes, known_minerals: Sequence[str] = ()) -> Seed:
    """The rows and faults of a seed's bytes; `file` names it and decides its columns."""
    seed = Seed(file)
    if not content.strip(b" \t\r\n\x00\xef\xbb\xbf"):
        seed.note(1, "", "the file is empty", _restore(file))
        return seed
    header, *lines = re.split(_LINE_END, re.sub(rf"({_LINE_END})\Z", "", _decode(seed, content)))
    delimiter = _delimiter(seed, header)
    columns = _header(seed, header, delimiter)
    if columns is None:
        return seed
    if not lines:
        seed.note(1, "", "the file has a header and no row", _restore(file))
        return seed
    rows = []
    for number, line in enumerate(lines, start=2):
        fields = _fields(seed, number, line, delimiter, columns, known_minerals)
        if fields is not None:
            cells = zip(columns, fields, strict=True)
            rows.append(Row(number, {name: _clean(seed, number, name, c) for name, c in cells}))
    seed.rows, seed.is_readable = tuple(rows), bool(rows)
    return seed


def closest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known spelling nearest to `word`, whatever its capitals; None when none is near."""
    lower = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.strip().lower(), lower, n=1, cutoff=cutoff)
    return lower[found[0]] if found else None


def _restore(file: Path) -> str:
    return f"restore it: git checkout -- {file.name}"


def _decode(seed: Seed, content: bytes) -> str:
    """The text; every encoding but UTF-8 is a fault."""
    if sixteen := _utf16(content):
        seed.note(1, "", "the file is in UTF-16, not in UTF-8", _SAVE)
        return content.decode(sixteen, errors="replace").lstrip("\ufeff").replace("\x00", "")
    if content.startswith(codecs.BOM_UTF8):
        seed.note(1, "", "the file begins with a byte-order mark", _SAVE, "warning")
        content = content.removeprefix(codecs.BOM_UTF8)
    if b"\x00" in content:
        line = content[: content.index(b"\x00")].count(b"\n") + 1
        seed.note(line, "", "the file holds null bytes: it is damaged", _restore(seed.file))
        content = content.replace(b"\x00", b"")
    lines = re.split(_LINE_END.encode(), content)
    return "\n".join(_decode_line(seed, number, line) for number, line in enumerate(lines, 1))


def _utf16(content: bytes) -> str | None:
    """The encoding when every second byte is empty, as in Western text, or its mark says so."""
    start = content[:200]
    for encoding, mark, high in (
        ("utf-16-le", codecs.BOM_UTF16_LE, start[1::2]),
        ("utf-16-be", codecs.BOM_UTF16_BE, start[0::2]),
    ):
        if content.startswith(mark) or (len(high) > 1 and high.count(0) > 0.8 * len(high)):
            return encoding
    return None


def _decode_line(seed: Seed, number: int, line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        guess = line.decode("cp1252", errors="replace")
        sign = line[error.start : error.start + 1]
        seed.note(
            number,
            "",
            f"byte 0x{sign.hex()} at position {error.start + 1} is not UTF-8 "
            f"(in Windows-1252 it is {sign.decode('cp1252', errors='replace')!r})",
            f"{_SAVE}; the line then reads: {guess.strip()}",
        )
        return guess


def _delimiter(seed: Seed, header: str) -> str:
    if "," in header:
        return ","
    expected = set(COLUMNS[seed.file.name])
    for sign, name in _DELIMITERS.items():
        if len({cell.strip().strip('"') for cell in header.split(sign)} & expected) > 1:
            seed.note(1, "", f"the fields are separated by {name}, not by commas", _SAVE)
            return sign
    return ","


def _header(seed: Seed, line: str, delimiter: str) -> list[str] | None:
    """The corrected names of the columns, in the file's order; None when one is missing."""
    expected = COLUMNS[seed.file.name]
    whole = ",".join(expected)
    try:
        written = next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        written = line.split(delimiter)
    if not any(_meant(cell, expected) for cell in written):
        seed.note(1, expected[0], "the first line is not the header", f"it must be: {whole}")
        return None
    names: list[str] = []
    free = [name for name in expected if name not in written]
    for cell in written:
        name = cell if cell in expected else _meant(cell, free)
        if name is None:
            shown = cell or "(no name)"
            seed.note(1, shown, f"column {shown} does not belong here", f"delete it: {whole}")
        elif name in names:
            seed.note(1, name, f"column {name} is there twice", f"keep one: {whole}")
            name = None
        elif name != cell:
            seed.note(1, name, f"the header says {cell!r}", f"write {name}")
        names.append(name or f"surplus {len(names) + 1}")
    if missing := [name for name in expected if name not in names]:
        what = f"the header lacks {', '.join(missing)}"
        seed.note(1, missing[0], what, f"the first line must be: {whole}")
        return None
    if (kept := [name for name in names if name in expected]) != list(expected):
        what = f"the columns are in another order: {', '.join(kept)}"
        seed.note(1, "", what, f"write them in this order: {whole}", "warning")
    return names


def _meant(cell: str, free: Sequence[str]) -> str | None:
    return closest(re.sub(r"[^a-z]+", "_", cell.lower()).strip("_"), free, 0.7)


def _fields(
    seed: Seed,
    number: int,
    line: str,
    delimiter: str,
    columns: Sequence[str],
    known_minerals: Sequence[str],
) -> list[str] | None:
    """The cells of a line, one per column; None when the line cannot be understood (reported)."""
    if not line.strip():
        seed.note(number, "", "the line is blank", "delete it", "warning")
        return None
    try:
        cells = next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error:
        what = "a quotation mark is not closed, or stands inside a text"
        instead = "put a text that holds a comma between two quotation marks, and write a "
        seed.note(number, "", what, instead + 'quotation mark inside it twice: "..."')
        return None
    if not any(cell.strip() for cell in cells):
        seed.note(number, "", "the line holds separators only", "delete it")
        return None
    if len(cells) == len(columns):
        return cells
    what = f"the line has {len(cells)} fields, the header {len(columns)}"
    if len(cells) < len(columns):
        lacking = columns[len(cells)]
        instead = f"add what is missing from {lacking} on; an empty field keeps its comma"
        seed.note(number, lacking, what, instead)
        return None
    column, merged = _merge(cells, columns, known_minerals)
    instead = "put the text that holds the comma between quotation marks"
    if merged is not None:
        quoted = ('"' + c.replace('"', '""') + '"' if "," in c or '"' in c else c for c in merged)
        instead = f"write: {','.join(quoted)}"
    seed.note(number, column, f"{what}: is a text with a comma unquoted?", instead)
    return merged


def _merge(
    cells: Sequence[str], columns: Sequence[str], known_minerals: Sequence[str]
) -> tuple[str, list[str] | None]:
    """The one column whose text was cut by its commas, and the cells with that text restored."""
    surplus = len(cells) - len(columns)
    texts = [n for n in ("mineral", "reason", "mix_note", "commodity", "note") if n in columns]
    for name in texts:
        at = list(columns).index(name)
        text = ",".join(cells[at : at + surplus + 1])
        merged = [*cells[:at], text, *cells[at + surplus + 1 :]]
        values = dict(zip(columns, merged, strict=True))
        if name == "mineral" and text not in known_minerals:
            continue
        if known_minerals and values.get("mineral", known_minerals[0]) not in known_minerals:
            continue
        if "is_mixed" in values and (values["is_mixed"] == "true") != bool(values["mix_note"]):
            continue
        return name, merged
    return texts[-1], None


def _clean(seed: Seed, number: int, column: str, cell: str) -> str:
    """The cell without spaces around it and without invisible characters; both are reported."""
    odd = {c for c in cell if c == "\ufffd" or (c != " " and unicodedata.category(c)[0] in "CZ")}
    cleaned = "".join(" " if c in odd and c.isspace() else "" if c in odd else c for c in cell)
    cleaned = cleaned.strip()
    if odd:
        names = ", ".join(sorted(unicodedata.name(c, f"U+{ord(c):04X}").lower() for c in odd))
        what = f"{cell!r} holds characters that do not belong in a text: {names}"
        seed.note(number, column, what, f"write {cleaned!r}")
    elif cleaned != cell:
        sides = [s for s, c in (("begins", cell[0]), ("ends", cell[-1])) if c.isspace()]
        what = f"{cell!r} {' and '.join(sides)} with a space"
        seed.note(number, column, what, f"write {cleaned!r}")
    return cleaned
