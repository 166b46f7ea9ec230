"""The seeds of the mapping, read from their bytes without trust.

Belongs here: encoding, delimiter, header, fields and invisible characters, each fault named with
its line. Does not belong here: what the values mean (`rules`). Nothing in here raises on a damaged
file: what can be read is read, so that one look shows every fault.
"""

import csv
import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

MAP = "hs_mineral_map.csv"
OUT_OF_SCOPE = "hs_out_of_scope.csv"
MINERALS = "minerals.csv"

COLUMNS: Mapping[str, tuple[str, ...]] = {
    MAP: ("hs_revision", "hs_code", "mineral", "category", "is_mixed", "mix_note", "reason"),
    OUT_OF_SCOPE: ("hs_revision", "hs_code", "commodity", "reason"),
    MINERALS: ("mineral", "symbol", "production_sheet", "is_grouped", "note"),
}

Severity = Literal["error", "warning"]

_SAVE = "save it as CSV, UTF-8 without BOM, separated by commas"
_RESTORE = "restore it: git checkout -- {}"
_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_INVISIBLE = {
    "\u00a0": "a non-breaking space",
    "\u2007": "a non-breaking space",
    "\u202f": "a non-breaking space",
    "\u200b": "a zero-width space",
    "\u200e": "an invisible mark of direction",
    "\u200f": "an invisible mark of direction",
    "\u2060": "a zero-width space",
    "\ufeff": "a byte-order mark",
    "\u00ad": "a soft hyphen",
    "\ufffd": "the sign for a lost character",
    "\t": "a tab",
}
_JOINS_WORDS = {"\u00a0", "\u2007", "\u202f", "\t"}


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


@dataclass(frozen=True)
class Seed:
    """A seed as far as it could be read. `is_readable` is false when no row could be understood,
    so that its rows must not be compared with anything."""

    file: Path
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]
    is_readable: bool = True


@dataclass
class _Reading:
    """Collects the faults of one file."""

    file: Path
    problems: list[Problem] = field(default_factory=list)

    def note(
        self, line: int, column: str, what: str, instead: str, severity: Severity = "error"
    ) -> None:
        self.problems.append(Problem(self.file, line, column, severity, what, instead))

    def stop(self, what: str, instead: str, line: int = 1) -> Seed:
        self.note(line, "", what, instead)
        return Seed(self.file, (), tuple(self.problems), is_readable=False)


def read_seed(file: Path, known_minerals: Sequence[str] = ()) -> Seed:
    """Read one of the seeds in `COLUMNS` (by its name). `known_minerals` helps to tell which comma
    of a broken line lacks its quotes."""
    try:
        content = file.read_bytes()
    except OSError as error:
        why = error.strerror or type(error).__name__
        return _Reading(file).stop(f"the file cannot be read: {why}", _restore(file))
    return parse_seed(file, content, known_minerals)


def parse_seed(file: Path, content: bytes, known_minerals: Sequence[str] = ()) -> Seed:
    """The rows and faults of a seed's bytes; `file` names it and decides its columns."""
    reading = _Reading(file)
    if not content.strip(b" \t\r\n\x00\xef\xbb\xbf"):
        return reading.stop("the file is empty", _restore(file))
    text = _decode(reading, content)
    lines = re.split(r"\r\n|\n|\r", text)
    if lines and not lines[-1]:
        lines.pop()
    delimiter = _delimiter(reading, lines[0])
    columns = _header(reading, lines[0], delimiter)
    if columns is None:
        return Seed(file, (), tuple(reading.problems), is_readable=False)
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        fields = _fields(reading, number, line, delimiter, columns, known_minerals)
        if fields is not None:
            cells = zip(columns, fields, strict=True)
            values = {name: _clean(reading, number, name, cell) for name, cell in cells}
            rows.append(Row(number, values))
    if len(lines) == 1:
        return reading.stop("the file has a header and no row", _restore(file))
    return Seed(file, tuple(rows), tuple(reading.problems), is_readable=bool(rows))


def closest(word: str, known: Sequence[str]) -> str | None:
    """The known spelling nearest to `word`, whatever its capitals; None when none is near."""
    lower = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.strip().lower(), list(lower), n=1, cutoff=0.6)
    return lower[found[0]] if found else None


def _restore(file: Path) -> str:
    return _RESTORE.format(file.name)


def _decode(reading: _Reading, content: bytes) -> str:
    """The text, in the encoding that the bytes betray; every encoding but UTF-8 is a fault."""
    sixteen = _utf16(content)
    if sixteen:
        reading.note(1, "", "the file is in UTF-16, not in UTF-8", _SAVE)
        return content.decode(sixteen, errors="replace").lstrip("\ufeff").replace("\x00", "")
    if content.startswith(b"\xef\xbb\xbf"):
        reading.note(1, "", "the file begins with a byte-order mark", _SAVE, "warning")
        content = content[3:]
    if b"\x00" in content:
        line = content[: content.index(b"\x00")].count(b"\n") + 1
        reading.note(line, "", "the file holds null bytes: it is damaged", _restore(reading.file))
        content = content.replace(b"\x00", b"")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return "\n".join(
            _decode_line(reading, number, line)
            for number, line in enumerate(re.split(rb"\r\n|\n|\r", content), start=1)
        )


def _utf16(content: bytes) -> str | None:
    if content.startswith(b"\xff\xfe"):
        return "utf-16-le"
    if content.startswith(b"\xfe\xff"):
        return "utf-16-be"
    start = content[:200]
    if len(start) > 3 and start[1::2].count(0) > 0.8 * len(start[1::2]):
        return "utf-16-le"
    if len(start) > 3 and start[0::2].count(0) > 0.8 * len(start[0::2]):
        return "utf-16-be"
    return None


def _decode_line(reading: _Reading, number: int, line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        guess = line.decode("cp1252", errors="replace")
        sign = line[error.start : error.start + 1]
        reading.note(
            number,
            "",
            f"byte 0x{sign.hex()} at position {error.start + 1} is not UTF-8 "
            f"(in Windows-1252 it is {sign.decode('cp1252', errors='replace')!r})",
            f"{_SAVE}; the line then reads: {guess.strip()}",
        )
        return guess


def _delimiter(reading: _Reading, header: str) -> str:
    expected = set(COLUMNS[reading.file.name])
    if "," in header:
        return ","
    for sign, name in _DELIMITERS.items():
        found = {cell.strip().strip('"') for cell in header.split(sign)}
        if len(found & expected) > 1:
            reading.note(1, "", f"the fields are separated by {name}, not by commas", _SAVE)
            return sign
    return ","


def _header(reading: _Reading, line: str, delimiter: str) -> list[str] | None:
    """The columns' names put right, in the file's order; None when one is missing."""
    expected = COLUMNS[reading.file.name]
    whole = delimiter.join(expected).replace(delimiter, ",")
    try:
        written = next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        written = line.split(delimiter)
    if not any(_meant(cell, expected) for cell in written):
        reading.note(1, expected[0], "the first line is not the header", f"it must be: {whole}")
        return None
    names: list[str] = []
    exact = {name for name in written if name in expected}
    for cell in written:
        name = cell if cell in expected else _meant(cell, [e for e in expected if e not in exact])
        if name is None:
            shown = cell or "(no name)"
            reading.note(1, shown, f"column {shown} does not belong here", f"delete it: {whole}")
        elif name in names:
            reading.note(1, name, f"column {name} is there twice", f"keep one: {whole}")
            name = None
        elif name != cell:
            reading.note(1, name, f"the header says {cell!r}", f"write {name}")
        names.append(name if name is not None else f"surplus {len(names) + 1}")
    missing = [name for name in expected if name not in names]
    if missing:
        what = f"the header lacks {', '.join(missing)}"
        reading.note(1, missing[0], what, f"the first line must be: {whole}")
        return None
    kept = [name for name in names if name in expected]
    if kept != list(expected):
        what = f"the columns are in another order: {', '.join(kept)}"
        reading.note(1, "", what, f"write them in this order: {whole}", "warning")
    return names


def _meant(cell: str, free: Sequence[str]) -> str | None:
    cleaned = re.sub(r"[^a-z]+", "_", cell.lower()).strip("_")
    found = difflib.get_close_matches(cleaned, free, n=1, cutoff=0.7)
    return found[0] if found else None


def _fields(
    reading: _Reading,
    number: int,
    line: str,
    delimiter: str,
    columns: Sequence[str],
    known_minerals: Sequence[str],
) -> list[str] | None:
    """The cells of a line, one a column; None when the line cannot be understood (reported)."""
    if not line.strip():
        reading.note(number, "", "the line is blank", "delete it", "warning")
        return None
    try:
        cells = next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error:
        reading.note(
            number,
            "",
            "a quotation mark is not closed, or stands inside a text",
            "put a text that holds a comma between two quotation marks, and write a quotation mark "
            'inside it twice: "..."',
        )
        return None
    if not any(cell.strip() for cell in cells):
        reading.note(number, "", "the line holds separators only", "delete it")
        return None
    if len(cells) == len(columns):
        return cells
    what = f"the line has {len(cells)} fields, the header {len(columns)}"
    if len(cells) < len(columns):
        lacking = columns[len(cells)]
        instead = f"add what is missing from {lacking} on; an empty field keeps its comma"
        reading.note(number, lacking, what, instead)
        return None
    column, merged = _merge(cells, columns, known_minerals)
    what += ": is a text with a comma unquoted?"
    if merged is None:
        instead = "put the text that holds the comma between quotation marks"
        reading.note(number, column, what, instead)
        return None
    reading.note(number, column, what, f"write: {_as_line(merged)}")
    return merged


def _merge(
    cells: Sequence[str], columns: Sequence[str], known_minerals: Sequence[str]
) -> tuple[str, list[str] | None]:
    """The one column whose text was cut by its commas, and the cells with it whole again."""
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
    return texts[-1] if texts else columns[-1], None


def _as_line(cells: Sequence[str]) -> str:
    quoted = ['"' + c.replace('"', '""') + '"' if "," in c or '"' in c else c for c in cells]
    return ",".join(quoted)


def _clean(reading: _Reading, number: int, column: str, cell: str) -> str:
    """The cell without spaces around it and without signs that nobody sees; both are reported."""
    seen = [words for sign, words in _INVISIBLE.items() if sign in cell]
    cleaned = "".join(
        " " if sign in _JOINS_WORDS else "" if sign in _INVISIBLE else sign for sign in cell
    )
    cleaned = cleaned.strip()
    if seen:
        what = f"{cell!r} holds {' and '.join(dict.fromkeys(seen))}"
        reading.note(number, column, what, f"write {cleaned!r}")
    elif cleaned != cell:
        side = "begins" if cell[:1].isspace() else "ends"
        side = "begins and ends" if side == "begins" and cell[-1:].isspace() and cleaned else side
        reading.note(number, column, f"{cell!r} {side} with a space", f"write {cleaned!r}")
    return cleaned
