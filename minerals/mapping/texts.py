"""What the text of an HS line says about its category and its minerals.

The wording of the lists is read here. Comparing it with the rows belongs to `rules`.
"""

import re
from collections.abc import Sequence

from minerals.mapping.reference import HsLists, Line

_EXCLUDING = r"\b(?:other than|excluding|excl\.|except|not including|not containing|free of)\b"
# In brackets an exclusion ends with them, elsewhere with the text.
_EXCLUDED = re.compile(rf"\({_EXCLUDING}[^()]*\)|{_EXCLUDING}.*", re.DOTALL)
_WASTE = re.compile(r"\b(?:waste|scrap|spent)\b")
_RESIDUE = re.compile(r"\b(?:ash(?:es)?|residues?|slags?|sweepings)\b|\bdross")
_METAL = re.compile(r"\b(?:unwrought|powders?|articles|mattes?|wrought|bars|including waste)\b")
_TITLE = "articles thereof, including waste and scrap"
_ORE = re.compile(r"\b(?:ores?|concentrates?|crude|natural)\b")
# How the lists begin the words for a mineral, where it is not by its name.
_STEMS = {
    "Graphite": "graphit",
    "Lithium": "lithium|alkali|accumulators",
    "Phosphorous": r"\w*phosph|basic slag",
    "Platinum": "platinum|precious metal",
    "Potash": "potass|potash|carnallite",
    "Rare Earths": "rare[- ]earth|scandium|yttrium|thorium",
    "Niobium": "niobium|columbium",
    "Tungsten": "tungst|wolfram",
    "Silicon": "silic|quartz",
    "Zirconium": "zircon",
    "Molybdenum": "molybd",
    "Vanadium": "vanad",
}


def contradiction(code: str, category: str, line: Line | None) -> tuple[str, str] | None:
    """Why the code cannot be of this category, and what to write; None when it can."""
    chapter, heading = code[:2], code[:4]
    if "2618" <= heading <= "2621":
        why = f"{category} contradicts heading {heading}, ash and residues"
        return None if category == "scrap" else (why, "write scrap")
    if chapter in ("25", "26"):
        why = f"{category} contradicts chapter {chapter}, minerals as mined"
        return None if category == "ores" else (why, "write ores")
    if line is None:
        return None
    text = line.text.lower()
    if category == "ores" and not _ORE.search(text):
        return f"ores contradicts chapter {chapter} and the text", "write products or scrap"
    waste = _included(line.text if _WASTE.search(text) else line.heading)
    is_waste = bool(_WASTE.search(waste)) and not _METAL.search(waste)
    if is_waste and category != "scrap":
        return f"{category} contradicts the text: waste and scrap only", "write scrap"
    included = _included(line.text)
    if category != "scrap" or is_waste or _RESIDUE.search(included):
        return None
    if _WASTE.search(included):
        instead = "write products, and is_mixed true with a note"
        return "scrap contradicts the text: metal together with waste and scrap", instead
    return "scrap contradicts the text, which mentions no waste or scrap", "write products"


def is_mixed(revision: str, code: str, line: Line, lists: HsLists) -> bool:
    """Whether metal and waste share the line. The lists sometimes repeat the title of a heading
    ('articles thereof, including waste and scrap, powders') in a line without waste: this is so
    where another line of the same metal holds the waste."""
    included = _included(line.text)
    if not _WASTE.search(included) or not _METAL.search(included):
        return False
    if _TITLE not in included:
        return True
    source = revision if lists.has(revision) else (lists.neighbours(revision) or [revision])[-1]
    siblings = (lists.lines[source][c] for c in lists.under(source, code[:4]) if c != code)
    return not any(
        _metal(other.text) == _metal(line.text)
        and _WASTE.search(_included(other.text))
        and _TITLE not in other.text.lower()
        for other in siblings
    )


def is_same_text(one: str, other: str, is_reworded: bool) -> bool:
    """Whether two texts say the same: equal but for order and punctuation. The lists of HS92 and of
    later revisions are worded differently: between them, most of the words must agree."""
    first, second = (frozenset(re.findall(r"[a-z0-9]+", text.lower())) for text in (one, other))
    if not is_reworded:
        return first == second
    return len(first & second) > 0.6 * len(first | second)


def named_minerals(line: Line, minerals: Sequence[str]) -> list[str]:
    """Those of `minerals` (no grouped ones) that the line says it holds."""
    text = _included(line.text)
    return [
        name
        for name in minerals
        if re.search(rf"\b(?:{_STEMS.get(name, re.escape(name.lower()))})", text)
    ]


def _included(text: str) -> str:
    """The text, in small letters, as far as it says what the line holds, not what it excludes."""
    return _EXCLUDED.sub("", text.lower())


def _metal(text: str) -> str:
    return re.split(r"[;:,]| and ", text.lower(), maxsplit=1)[0].strip()
