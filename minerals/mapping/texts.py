"""What the text of an HS line says about its category and its minerals.

Belongs here: reading the wording of the lists. Does not belong here: which row says otherwise, and
how that is reported (`rules`).
"""

import re
from collections.abc import Sequence

from minerals.mapping.reference import HsLists, Line

_EXCLUDED = re.compile(
    r"\b(?:other than|excluding|excl\.|except|not including|not containing|free of)\b.*", re.DOTALL
)
_WASTE = re.compile(r"\bwaste\b|\bscrap\b|\bspent\b")
_RESIDUE = re.compile(r"\bash(?:es)?\b|\bresidues?\b|\bslags?\b|\bdross|\bsweepings\b")
_METAL = re.compile(
    r"\bunwrought\b|\bpowders?\b|\barticles\b|\bmattes?\b|\bwrought\b|\bbars\b|\bincluding waste\b"
)
_TITLE = "articles thereof, including waste and scrap"
_ORE = re.compile(r"\bores?\b|\bconcentrates?\b|\bcrude\b|\bnatural\b")
_STEMS = {
    "Graphite": ("graphit",),
    "Phosphorous": ("phosph", "basic slag"),
    "Potash": ("potass", "potash", "carnallite"),
    "Rare Earths": ("rare-earth", "rare earth", "scandium", "yttrium", "thorium"),
    "Niobium": ("niobium", "columbium"),
    "Tungsten": ("tungst", "wolfram"),
    "Silicon": ("silic", "quartz"),
    "Zirconium": ("zircon",),
    "Molybdenum": ("molybd",),
    "Vanadium": ("vanad",),
}


def contradiction(code: str, category: str, line: Line | None) -> tuple[str, str] | None:
    """Why the code cannot be of this category, and what to write; None when it can."""
    chapter, heading = code[:2], code[:4]
    is_residue = "2618" <= heading <= "2621"
    if chapter in ("25", "26") and not is_residue:
        if category != "ores":
            return f"{category} contradicts chapter {chapter}, minerals as mined", "write ores"
        return None
    if is_residue:
        if category != "scrap":
            return f"{category} contradicts heading {heading}, ash and residues", "write scrap"
        return None
    if line is None:
        return None
    text, title = line.text.lower(), line.heading.lower()
    if category == "ores" and not _ORE.search(text):
        return f"ores contradicts chapter {chapter} and the text", "write products or scrap"
    is_waste = _is_only_waste(text) or (not _WASTE.search(text) and _is_only_waste(title))
    if category != "scrap" and is_waste:
        return f"{category} contradicts the text: waste and scrap only", "write scrap"
    if category == "scrap" and not is_waste and not _RESIDUE.search(_included(text)):
        if _WASTE.search(_included(text)):
            instead = "write products, and is_mixed true with a note"
            return "scrap contradicts the text: metal together with waste and scrap", instead
        return "scrap contradicts the text, which speaks of no waste or scrap", "write products"
    return None


def is_mixed(revision: str, code: str, line: Line, lists: HsLists) -> bool:
    """Whether metal and waste share the line. The lists sometimes repeat the title of a heading
    ('articles thereof, including waste and scrap, powders') in a line without waste: so it is where
    another line of the same metal holds the waste."""
    included = _included(line.text.lower())
    if not _WASTE.search(included) or not _METAL.search(included):
        return False
    if _TITLE not in included:
        return True
    source = revision if lists.has(revision) else (lists.neighbours(revision) or [revision])[-1]
    siblings = {c: lists.lines[source][c] for c in lists.under(source, code[:4]) if c != code}
    metal = _metal(line.text)
    return not any(
        _metal(other.text) == metal
        and _WASTE.search(_included(other.text.lower()))
        and _TITLE not in other.text.lower()
        for other in siblings.values()
    )


def is_same_text(one: str, other: str, is_reworded: bool) -> bool:
    """Whether two texts say the same: equal but for order and punctuation. The lists of HS92 and of
    later revisions were worded by different hands: there, most of the words must agree."""
    first, second = (frozenset(re.findall(r"[a-z0-9]+", text.lower())) for text in (one, other))
    if not is_reworded:
        return first == second
    return len(first & second) > 0.6 * len(first | second)


def named_minerals(line: Line, minerals: Sequence[str]) -> list[str]:
    """Those of `minerals` (no grouped ones) that the line says it holds."""
    text = _included(line.text.lower())
    return [name for name in minerals if any(re.search(p, text) for p in _patterns(name))]


def _patterns(mineral: str) -> list[str]:
    return [rf"\b{re.escape(stem)}" for stem in _STEMS.get(mineral, (mineral.lower(),))]


def _included(text: str) -> str:
    """The text as far as it says what the line holds, not what it leaves out."""
    return _EXCLUDED.sub("", text)


def _is_only_waste(text: str) -> bool:
    included = _included(text)
    return bool(_WASTE.search(included)) and not _METAL.search(included)


def _metal(text: str) -> str:
    return re.split(r"[;:,]| and ", text.lower(), maxsplit=1)[0].strip()
