"""The lists of all six-digit HS codes of each revision, with their texts.

The lists are read as UN Comtrade publishes them; they are not part of the project. Where one is
missing, the check says what is known of the revision. What a text means for the mapping belongs to
`rules`.
"""

import csv
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from minerals.errors import SourceError

REVISIONS = ("H0", "H4", "H5", "H6")
"""The revisions of the mapping, the oldest first: HS92, 2012, 2017, 2022."""

URL = "https://comtradeapi.un.org/files/v1/app/reference/{}.json"

CHAPTERS = ("25", "26", "28", "31", "74", "75", "80", "81")
"""The chapters of which every line is either mapped or out of scope."""


@dataclass(frozen=True)
class Line:
    """A six-digit line: its own text, and that of the heading it stands under (may be empty)."""

    text: str
    heading: str = ""


@dataclass(frozen=True)
class HsLists:
    """The lists at hand: {revision: {code: line}}, and the file that each one comes from."""

    lines: Mapping[str, Mapping[str, Line]] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)

    def has(self, revision: str) -> bool:
        return revision in self.lines

    def neighbours(self, revision: str) -> list[str]:
        """The revisions before and after this one that have a list."""
        if revision not in REVISIONS:
            return []
        at = REVISIONS.index(revision)
        return [r for r in REVISIONS[max(0, at - 1) : at + 2] if r != revision and self.has(r)]

    def line(self, revision: str, code: str) -> Line | None:
        """The line of a code; in a revision without a list, the one of its neighbours (the newer
        first: the lists are worded as the newer revision)."""
        revisions = [revision] if self.has(revision) else reversed(self.neighbours(revision))
        return next((self.lines[r][code] for r in revisions if code in self.lines[r]), None)

    def exists(self, revision: str, code: str) -> bool:
        """Whether the revision's own list, or without one a neighbour's, holds the code."""
        return self.line(revision, code) is not None

    def under(self, revision: str, heading: str) -> list[str]:
        """The six-digit codes of the revision that begin with these digits."""
        return sorted(c for c in self.lines.get(revision, {}) if c.startswith(heading))


def read_lists(folder: Path) -> HsLists:
    """Every list found in `folder`, which may be absent. Raises SourceError for a damaged one."""
    lines: dict[str, Mapping[str, Line]] = {}
    sources: dict[str, str] = {}
    for revision in REVISIONS:
        small = revision.lower()
        names = (f"hs_{small}.csv", f"{revision}.json", f"{small}.json", f"hs_{small}.json")
        if file := next((f for f in map(folder.joinpath, names) if f.is_file()), None):
            lines[revision], sources[revision] = _read_list(file), str(file)
    return HsLists(lines, sources)


def with_products(lists: HsLists, products: Iterable[tuple[str, str]], source: str) -> HsLists:
    """The lists, and for H0 the trade data's own product table if there is no other: (code, text).

    Its texts are complete in themselves, so there is no heading.
    """
    found = {str(code).zfill(6): Line(str(text or "")) for code, text in products}
    if lists.has("H0") or not found:
        return lists
    return HsLists({**lists.lines, "H0": found}, {**lists.sources, "H0": source})


def how_to_get(revision: str) -> str:
    """What a person does to have this revision's list."""
    return f"save {URL.format(revision)} as {revision}.json in the folder of the lists"


def _read_list(file: Path) -> dict[str, Line]:
    try:
        text = file.read_text(encoding="utf-8-sig")
        content = json.loads(text) if file.suffix == ".json" else csv.DictReader(StringIO(text))
        rows = [
            (str(row["id"]).strip(), str(row["text"]).strip(), str(row["parent"]).strip())
            for row in (content["results"] if isinstance(content, dict) else content)
        ]
    except (OSError, UnicodeError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise SourceError(
            f"{file} is not a list of HS codes as UN Comtrade publishes it (fields id, text, "
            f"parent): {type(error).__name__} {error}. Replace it, or delete it."
        ) from error
    # UN Comtrade puts the code before the text: '2504 - Natural graphite'.
    texts = {code: re.sub(r"^[0-9]{2,6}\s+-\s+", "", words) for code, words, _ in rows}
    lines = {
        code: Line(texts[code], texts.get(parent, texts.get(code[:4], "")))
        for code, _, parent in rows
        if re.fullmatch(r"[0-9]{6}", code)
    }
    if not lines:
        raise SourceError(f"{file} holds no six-digit code. Replace it, or delete it.")
    return lines
