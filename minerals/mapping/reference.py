"""The lists of all six-digit HS codes of each revision, with their texts.

Belongs here: finding and reading the lists as UN Comtrade publishes them. They are not part of the
project; where one is missing, what is known of the revision is said, never assumed. Does not belong
here: what a text means for the mapping (`rules`).
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
    """The lists at hand. `sources` says where each one comes from."""

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
        first: the wording of the lists is the newer one's)."""
        if self.has(revision):
            return self.lines[revision].get(code)
        for other in reversed(self.neighbours(revision)):
            if code in self.lines[other]:
                return self.lines[other][code]
        return None

    def exists(self, revision: str, code: str) -> bool:
        """Whether the revision's own list, or in its absence a neighbour's, holds the code."""
        return self.line(revision, code) is not None

    def under(self, revision: str, heading: str) -> list[str]:
        """The six-digit codes of the revision that begin with these digits."""
        codes: Iterable[str] = self.lines.get(revision, {})
        return sorted(code for code in codes if code.startswith(heading))


def read_lists(folder: Path | None) -> HsLists:
    """Every list found in `folder`. Raises SourceError for one that cannot be understood."""
    lines: dict[str, Mapping[str, Line]] = {}
    sources: dict[str, str] = {}
    if folder is None:
        return HsLists()
    for revision in REVISIONS:
        for file in (folder / name for name in _names(revision)):
            if file.is_file():
                lines[revision] = _read_list(file)
                sources[revision] = str(file)
                break
    return HsLists(lines, sources)


def with_products(lists: HsLists, products: Iterable[tuple[str, str]], source: str) -> HsLists:
    """The lists, and for H0 the trade data's own product table if there is no other: (code, text).

    Its texts stand on their own, so there is no heading.
    """
    if lists.has("H0"):
        return lists
    found = {str(code).zfill(6): Line(str(text or "")) for code, text in products}
    if not found:
        return lists
    return HsLists({**lists.lines, "H0": found}, {**lists.sources, "H0": source})


def how_to_get(revision: str) -> str:
    """What a person does to have this revision's list."""
    return f"save {URL.format(revision)} as {revision}.json in the folder of the lists"


def _names(revision: str) -> list[str]:
    small = revision.lower()
    return [f"hs_{small}.csv", f"{revision}.json", f"{small}.json", f"hs_{small}.json"]


def _read_list(file: Path) -> dict[str, Line]:
    try:
        text = file.read_text(encoding="utf-8-sig")
        rows = _json_rows(text) if file.suffix == ".json" else list(csv.DictReader(StringIO(text)))
        texts = {str(row["id"]).strip(): _without_code(str(row["text"])) for row in rows}
        parents = {str(row["id"]).strip(): str(row["parent"]).strip() for row in rows}
    except (OSError, UnicodeError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise SourceError(
            f"{file} is not a list of HS codes as UN Comtrade publishes it (fields id, text, "
            f"parent): {type(error).__name__} {error}. Replace it, or take it away."
        ) from error
    lines = {
        code: Line(words, texts.get(parents[code], texts.get(code[:4], "")))
        for code, words in texts.items()
        if re.fullmatch(r"[0-9]{6}", code)
    }
    if not lines:
        raise SourceError(f"{file} holds no six-digit code. Replace it, or take it away.")
    return lines


def _json_rows(text: str) -> list[dict[str, object]]:
    content = json.loads(text)
    rows = content["results"] if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise ValueError("`results` is not a list")
    return rows


def _without_code(text: str) -> str:
    """The text without the code that UN Comtrade puts before it: '2504 - Natural graphite'."""
    return re.sub(r"^[0-9]{2,6}\s+-\s+", "", text.strip())
