"""Revisions and codes that are not well written: what is wrong, and what was probably meant.

Belongs here: the ways in which spreadsheets and hurry spoil `hs_revision` and `hs_code`. Does not
belong here: whether a well-written code may be mapped so (`rules`).
"""

import re
from collections.abc import Sequence

from minerals.mapping.reference import REVISIONS, HsLists

_REVISION_NAMES = {
    "H0": ("hs92", "hs1992", "hs0", "1992", "92", "h92"),
    "H1": ("hs96", "hs1996", "hs1", "1996", "96", "h96"),
    "H2": ("hs02", "hs2002", "hs2", "2002", "02", "h02"),
    "H3": ("hs07", "hs2007", "hs3", "2007", "07", "h07"),
    "H4": ("hs12", "hs2012", "hs4", "2012", "12", "h12"),
    "H5": ("hs17", "hs2017", "hs5", "2017", "17", "h17"),
    "H6": ("hs22", "hs2022", "hs6", "2022", "22", "h22"),
}


def about_revision(written: str) -> tuple[str, str]:
    """What is wrong with a revision that is not one of `REVISIONS`, and what to write."""
    if not written:
        return "hs_revision is empty", f"write one of {', '.join(REVISIONS)}"
    plain = re.sub(r"[^a-z0-9]", "", written.lower())
    meant = next((r for r, names in _REVISION_NAMES.items() if plain in (r.lower(), *names)), None)
    if meant in REVISIONS:
        return f"{written!r} is not how the revision is written", f"write {meant}"
    what = f"there is no revision {written!r}"
    if meant:
        what = f"revision {written!r} is not in use here"
    return what, f"write one of {', '.join(REVISIONS)} (HS 1992, 2012, 2017, 2022)"


def about_code(written: str, revision: str, lists: HsLists) -> tuple[str, str]:
    """What is wrong with a code that is not six digits, and the code that was probably meant."""
    if not written:
        return "hs_code is empty", "write the six digits"
    digits = re.sub(r"[^0-9]", "", written)
    what, meant = f"{written!r} is not six digits", ""
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?[eE]\+?[0-9]{1,2}", written):
        what = f"{written!r} is a number as a spreadsheet shows it, not a code"
        meant = str(round(float(written))).zfill(6)
        if len(digits) < 6 and not lists.exists(revision, meant):
            return what, "write the six digits; some of them are lost here"
    elif re.fullmatch(r"[0-9]{5}(\.0+)?", written):
        meant = "0" + written[:5]
        what = f"{written!r} has five digits: a spreadsheet has dropped the leading zero"
        longer = lists.under(revision, written[:5])
        if longer and not lists.exists(revision, meant):
            return f"{written!r} has five digits: one is lost", f"write one of {_some(longer)}"
    elif re.fullmatch(r"[0-9]{6}\.0+", written):
        what, meant = f"{written!r} is a decimal number, not a code", written[:6]
    elif re.fullmatch(r"[0-9]{4}\.[0-9]", written):
        what, meant = f"{written!r} is a decimal number, not a code", digits + "0"
    elif re.fullmatch(r"[0-9]{4}[. -]?[0-9]{2}|[0-9]{2}[. -][0-9]{2}[. -][0-9]{2}", written):
        what, meant = f"{written!r} is a code with punctuation", digits
    elif re.fullmatch(r"[0-9.]+", written) and len(digits) > 6:
        what = f"{written!r} is a national tariff line, longer than six digits"
        meant = digits[:6]
    elif re.fullmatch(r"[0-9]{2}|[0-9]{4}", written):
        what = f"{written!r} is a {'chapter' if len(written) == 2 else 'heading'}, not a line"
        under = lists.under(revision, written)
        return what, f"write its lines one by one: {_some(under)}" if under else "write six digits"
    if meant and lists.exists(revision, meant):
        return what, f"write {meant}"
    if len(meant) == 6:
        known = "is not in the list" if lists.has(revision) else "cannot be looked up"
        return what, f"write the six digits ({meant} {known} of {revision})"
    return what, "write the six digits as text, with the leading zero"


def other_codes(revision: str, code: str, lists: HsLists) -> str:
    """What could be meant by a code that the revision's list does not have."""
    elsewhere = [r for r in REVISIONS if r != revision and code in lists.lines.get(r, {})]
    under = lists.under(revision, code[:4])
    words = f"it is a code of {', '.join(elsewhere)} only; " if elsewhere else ""
    if under:
        return f"{words}heading {code[:4]} has in {revision}: {_some(under)}"
    return f"{words}no code of {revision} begins with {code[:4]}: correct it, or delete the line"


def _some(codes: Sequence[str], most: int = 8) -> str:
    return ", ".join(codes[:most]) + (f" and {len(codes) - most} more" if codes[most:] else "")
