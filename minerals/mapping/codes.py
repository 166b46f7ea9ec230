"""Revisions and codes that are not well written: what is wrong, and what was probably meant.

The ways in which spreadsheets and hurry damage `hs_revision` and `hs_code` are listed here. Whether
a well-written code may be mapped so belongs to `rules`.
"""

import re
from collections.abc import Callable

from minerals.errors import some
from minerals.mapping.reference import REVISIONS, HsLists

_YEARS = {"92": "H0", "96": "H1", "02": "H2", "07": "H3", "12": "H4", "17": "H5", "22": "H6"}
# The form of a code, what it is, and the six digits that it probably means, from text and digits.
_FORMS: tuple[tuple[str, str, Callable[[str, str], str]], ...] = (
    (
        r"[0-9]+(\.[0-9]+)?[eE]\+?[0-9]{1,2}",
        "is a number as a spreadsheet shows it, not a code",
        lambda text, digits: str(round(float(text))).zfill(6),
    ),
    (
        r"[0-9]{5}(\.0+)?",
        "has five digits: a spreadsheet has dropped the leading zero",
        lambda text, digits: "0" + text[:5],
    ),
    (r"[0-9]{6}\.0+", "is a decimal number, not a code", lambda text, digits: text[:6]),
    (r"[0-9]{4}\.[0-9]", "is a decimal number, not a code", lambda text, digits: digits + "0"),
    (
        r"[0-9]{4}[. -]?[0-9]{2}|[0-9]{2}[. -][0-9]{2}[. -][0-9]{2}",
        "is a code with punctuation",
        lambda text, digits: digits,
    ),
    (
        r"\.*([0-9]\.*){7,}",
        "is a national tariff line, longer than six digits",
        lambda text, digits: digits[:6],
    ),
)


def about_revision(written: str) -> tuple[str, str]:
    """What is wrong with a revision that is not one of `REVISIONS`, and what to write."""
    instead = (
        f"write one of {', '.join(REVISIONS)} (HS 1992; 2012, as which 2007 is read; 2017; 2022)"
    )
    if not written:
        return "hs_revision is empty", instead
    plain = re.sub(r"[^a-z0-9]", "", written.lower())
    number = re.fullmatch(r"hs?([0-6])", plain)
    year = re.fullmatch(r"h?s?(?:19|20)?([0-9]{2})", plain)
    meant = f"H{number[1]}" if number else _YEARS.get(year[1]) if year else None
    if meant in REVISIONS:
        return f"{written!r} is not how the revision is written", f"write {meant}"
    if meant:
        return f"revision {written!r} is not in use here", instead
    return f"there is no revision {written!r}", instead


def about_code(written: str, revision: str, lists: HsLists) -> tuple[str, str]:
    """What is wrong with a code that is not six digits, and the code that was probably meant."""
    if not written:
        return "hs_code is empty", "write the six digits"
    if re.fullmatch(r"[0-9]{2}|[0-9]{4}", written):
        what = f"{written!r} is a {'chapter' if len(written) == 2 else 'heading'}, not a line"
        under = lists.under(revision, written)
        cure = f"write its lines one by one: {some(under, 8)}" if under else "write six digits"
        return what, cure
    digits = re.sub(r"[^0-9]", "", written)
    form = next((form for form in _FORMS if re.fullmatch(form[0], written)), None)
    if form is None:
        return f"{written!r} is not six digits", "write the six digits as text, with leading zeros"
    what, meant = form[1], form[2](written, digits)
    if lists.exists(revision, meant):
        return f"{written!r} {what}", f"write {meant}"
    if "five digits" in what and (longer := lists.under(revision, written[:5])):
        return f"{written!r} has five digits: one is lost", f"write one of {some(longer, 8)}"
    if "spreadsheet shows" in what and len(digits) < 6:
        return f"{written!r} {what}", "write the six digits; some of them are lost here"
    known = "is not in the list" if lists.has(revision) else "cannot be looked up"
    return f"{written!r} {what}", f"write the six digits ({meant} {known} of {revision})"


def other_codes(revision: str, code: str, lists: HsLists) -> str:
    """What could be meant by a code that the revision's list does not have."""
    elsewhere = [r for r in REVISIONS if r != revision and code in lists.lines.get(r, {})]
    under = lists.under(revision, code[:4])
    words = f"it is a code of {', '.join(elsewhere)} only; " if elsewhere else ""
    if under:
        return f"{words}heading {code[:4]} has in {revision}: {some(under, 8)}"
    return f"{words}no code of {revision} begins with {code[:4]}: correct it, or delete the line"
