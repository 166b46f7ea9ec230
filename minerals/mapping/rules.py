"""What a row of the mapping may say, and what all rows together must.

Belongs here: pure functions from rows to problems, each with a line and what to write instead.
Does not belong here: reading files (`seeds`, `reference`), trade values (`coverage`).

The rule for categories: ores are minerals as mined or concentrated (chapter 25, headings 2601 to
2617); scrap is waste and scrap with a line of its own, ash and residues of headings 2618 to 2621
included; products are what is between. A line that mixes metal with waste and scrap is a product
and is marked `is_mixed`.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from minerals.mapping.reference import REVISIONS, HsLists, Line, how_to_get
from minerals.mapping.seeds import (
    MAP,
    MINERALS,
    OUT_OF_SCOPE,
    Problem,
    Row,
    Seed,
    Severity,
    closest,
    read_seed,
)
from minerals.names import CATEGORIES

_REVISION_NAMES = {
    "H0": ("hs92", "hs1992", "hs0", "1992", "92", "h92"),
    "H1": ("hs96", "hs1996", "hs1", "1996", "96", "h96"),
    "H2": ("hs02", "hs2002", "hs2", "2002", "02", "h02"),
    "H3": ("hs07", "hs2007", "hs3", "2007", "07", "h07"),
    "H4": ("hs12", "hs2012", "hs4", "2012", "12", "h12"),
    "H5": ("hs17", "hs2017", "hs5", "2017", "17", "h17"),
    "H6": ("hs22", "hs2022", "hs6", "2022", "22", "h22"),
}
_EXCLUDED = re.compile(
    r"\b(?:other than|excluding|excl\.|except|not including|not containing|free of)\b.*", re.DOTALL
)
_WASTE = re.compile(r"\bwaste\b|\bscrap\b|\bspent\b")
_RESIDUE = re.compile(r"\bash\b|\bash(?:es)\b|\bresidues?\b|\bslags?\b|\bdross|\bsweepings\b")
_METAL = re.compile(r"\bunwrought\b|\bpowders?\b|\barticles\b|\bmattes?\b|\bwrought\b|\bbars\b")
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
_SINGLE = ("Antimony", "Beryllium", "Bismuth", "Cadmium", "Cerium", "Cobalt", "Copper", "Gallium",
           "Germanium", "Graphite", "Hafnium", "Indium", "Lithium", "Molybdenum", "Nickel",
           "Niobium", "Palladium", "Phosphorous", "Platinum", "Potash", "Rare Earths", "Rhenium",
           "Rhodium", "Selenium", "Silicon", "Tantalum", "Tellurium", "Tin", "Titanium",
           "Tungsten", "Vanadium", "Zirconium")  # fmt: skip


@dataclass(frozen=True)
class MappingSeeds:
    """The three files as far as they could be read."""

    mapped: Seed
    out_of_scope: Seed
    minerals: Seed

    @property
    def mineral_names(self) -> list[str]:
        return [row["mineral"] for row in self.minerals.rows]


@dataclass(frozen=True)
class Report:
    """The outcome: the mapping, its problems in the order of file and line, and how the codes of
    each revision were checked, in a sentence."""

    mapping: MappingSeeds
    problems: tuple[Problem, ...]
    checked_against: Mapping[str, str]

    @property
    def n_errors(self) -> int:
        return sum(problem.severity == "error" for problem in self.problems)


def check_mapping(
    folder: Path,
    lists: HsLists,
    minerals_file: Path | None = None,
    committed: Mapping[str, Collection[str]] | None = None,
) -> Report:
    """Read the seeds in `folder` and judge them against the HS lists at hand.

    `minerals_file` is the list of minerals, by default the one in `folder`. `committed` holds the
    codes of each revision that were decided on before this edit; where a revision has no list and
    no neighbour knows a code, it is compared with them. None means that they are not known.
    """
    minerals = read_seed(minerals_file or folder / MINERALS)
    names = [row["mineral"] for row in minerals.rows]
    mapping = MappingSeeds(
        read_seed(folder / MAP, names), read_seed(folder / OUT_OF_SCOPE, names), minerals
    )
    problems = [*mapping.mapped.problems, *mapping.out_of_scope.problems, *minerals.problems]
    committed_codes = committed or {}
    for seed in (mapping.mapped, mapping.out_of_scope):
        problems += check_keys(seed, lists, committed_codes)
        problems += check_duplicates(seed)
    problems += check_both_files(mapping.mapped, mapping.out_of_scope)
    problems += check_values(mapping)
    problems += check_categories(mapping.mapped, lists)
    problems += check_minerals(mapping.mapped, lists)
    if mapping.mapped.is_readable and mapping.out_of_scope.is_readable:
        problems += check_successors(mapping, lists)
        problems += check_changes(mapping, lists)
    order = {file: place for place, file in enumerate((MAP, OUT_OF_SCOPE, MINERALS))}
    problems.sort(key=lambda p: (order[p.file.name], p.line, p.severity, p.column, p.what))
    sentences = {r: _checked_against(r, mapping, lists, committed) for r in REVISIONS}
    return Report(mapping, tuple(problems), sentences)


def check_keys(
    seed: Seed, lists: HsLists, committed: Mapping[str, Collection[str]]
) -> Iterator[Problem]:
    """Revisions and codes: known, well written, and existing."""
    for row in seed.rows:
        revision, code = row["hs_revision"], row["hs_code"]
        if revision not in REVISIONS:
            what, instead = _about_revision(revision)
            yield _problem(seed, row, "hs_revision", what, instead)
        if not re.fullmatch(r"[0-9]{6}", code):
            what, instead = _about_code(code, revision, lists)
            yield _problem(seed, row, "hs_code", what, instead)
        elif revision in REVISIONS and not lists.exists(revision, code):
            if lists.has(revision):
                instead = _other_codes(revision, code, lists)
                what = f"there is no code {code} in {revision}"
                yield _problem(seed, row, "hs_code", what, instead)
            elif lists.neighbours(revision) and code not in committed.get(revision, ()):
                near = " or ".join(lists.neighbours(revision))
                what = f"{code} is not in {near}, and there is no list of {revision} to look in"
                instead = f"look it up; to have it checked, {how_to_get(revision)}"
                yield _problem(seed, row, "hs_code", what, instead, "warning")
            elif not lists.neighbours(revision) and committed and code not in committed[revision]:
                what = f"{code} is new, and there is no list of {revision} to look in"
                instead = f"look it up; to have it checked, {how_to_get(revision)}"
                yield _problem(seed, row, "hs_code", what, instead, "warning")


def check_duplicates(seed: Seed) -> Iterator[Problem]:
    """No code of a revision twice in one file."""
    first: dict[tuple[str, str], Row] = {}
    for row in seed.rows:
        earlier = first.setdefault(_key(row), row)
        if earlier is not row and row["hs_code"]:
            same = all(row.values.get(name) == value for name, value in earlier.values.items())
            what = f"{row['hs_revision']} {row['hs_code']} is already in line {earlier.line}"
            instead = "delete this line, it says the same" if same else "keep the line that is true"
            yield _problem(seed, row, "hs_code", what, instead)


def check_both_files(mapped: Seed, out_of_scope: Seed) -> Iterator[Problem]:
    """No code of a revision both mapped and out of scope."""
    outside = {_key(row): row for row in out_of_scope.rows}
    for row in mapped.rows:
        other = outside.get(_key(row))
        if other is not None and row["hs_code"]:
            place = f"{out_of_scope.file.name}:{other.line}"
            what = f"{row['hs_revision']} {row['hs_code']} is also out of scope ({place})"
            yield _problem(mapped, row, "hs_code", what, f"delete this line, or {place}")


def check_values(mapping: MappingSeeds) -> Iterator[Problem]:
    """Minerals, categories, the mark of mixed lines and the texts of each row by itself."""
    names = mapping.mineral_names
    grouped = {r["mineral"] for r in mapping.minerals.rows if r["is_grouped"].lower() == "true"}
    for row in mapping.mapped.rows:
        mineral, mixed, note = row["mineral"], row["is_mixed"], row["mix_note"]
        found: list[tuple[str, str, str, Severity]] = []
        if names and mineral not in names:
            near = closest(mineral, names)
            known = f"write {near}" if near else "write one of the names in minerals.csv"
            found.append(("mineral", _unknown("mineral", mineral), known, "error"))
        if row["category"] not in CATEGORIES:
            near = closest(row["category"], CATEGORIES)
            known = f"write {near}" if near else f"write one of {', '.join(CATEGORIES)}"
            found.append(("category", _unknown("category", row["category"]), known, "error"))
        if mixed not in ("true", "false"):
            known = "write true" if mixed.lower() in ("true", "yes", "1", "t", "y") else ""
            known = known or ("write false" if mixed else "write true or false")
            what = f"is_mixed is {mixed!r}" if mixed else "is_mixed is empty"
            found.append(("is_mixed", what, known, "error"))
        if mixed == "true" and not note:
            what = "is_mixed is true and mix_note does not say what is mixed"
            found.append(("mix_note", what, "name what the line holds beside the mineral", "error"))
        if mixed == "false" and note:
            what = "mix_note is filled though is_mixed is false"
            found.append(("mix_note", what, "write true, or empty the note", "warning"))
        if mixed == "false" and mineral in grouped:
            what = f"{mineral} is several metals, and is_mixed is false"
            found.append(("is_mixed", what, "write true, and name the metals in mix_note", "error"))
        for column, what, instead, severity in found:
            yield _problem(mapping.mapped, row, column, what, instead, severity)
    yield from _empty_texts(mapping.mapped, ("reason",))
    yield from _empty_texts(mapping.out_of_scope, ("commodity", "reason"))


def check_categories(mapped: Seed, lists: HsLists) -> Iterator[Problem]:
    """Category and mark of mixed lines against the chapter and the text of the code."""
    for row in mapped.rows:
        revision, code, category = row["hs_revision"], row["hs_code"], row["category"]
        line = lists.line(revision, code)
        if category not in CATEGORIES:
            continue
        fault = _contradiction(code, category, line)
        if fault is not None:
            what, instead = fault
            what += f" ({line.text})" if line and line.text not in what else ""
            yield _problem(mapped, row, "category", what, instead)
        elif line and row["is_mixed"] == "false" and _is_mixed(revision, code, line, lists):
            what = f"the line holds metal together with waste and scrap ({line.text})"
            instead = "write true, and say in mix_note what is mixed"
            yield _problem(mapped, row, "is_mixed", what, instead)


def check_minerals(mapped: Seed, lists: HsLists) -> Iterator[Problem]:
    """Warn of a mineral that the text of its code does not name while it names others."""
    for row in mapped.rows:
        line = lists.line(row["hs_revision"], row["hs_code"])
        if line is None or row["mineral"] == "Other Rare Metals":
            continue
        text = _EXCLUDED.sub("", line.text.lower())
        named = [name for name in _SINGLE if _names(text, name)]
        own = [name for name in _SINGLE if name in row["mineral"]]
        if named and own and not set(named) & set(own):
            what = f"the text speaks of {', '.join(named)}, not of {row['mineral']} ({line.text})"
            instead = f"write {named[0]}, or leave it if the line's use is another"
            yield _problem(mapped, row, "mineral", what, instead, "warning")


def check_successors(mapping: MappingSeeds, lists: HsLists) -> Iterator[Problem]:
    """A code decided on in one revision must be decided on in the next and the one before, where
    it exists: mapped, an error; out of scope, a warning."""
    seeds = (mapping.mapped, mapping.out_of_scope)
    decided: dict[str, dict[str, tuple[Seed, Row]]] = {revision: {} for revision in REVISIONS}
    for seed in reversed(seeds):
        for row in seed.rows:
            decided.setdefault(row["hs_revision"], {})[row["hs_code"]] = (seed, row)
    for earlier, later in pairwise(REVISIONS):
        for here, there in ((earlier, later), (later, earlier)):
            if not decided[there]:
                if here == earlier and decided[here]:
                    seed, row = next(iter(decided[here].values()))
                    what = f"{there} has no row at all in either file"
                    yield _problem(seed, row, "hs_revision", what, f"restore the rows of {there}")
                continue
            for code, (seed, row) in decided[here].items():
                if code not in decided[there] and _known_in(there, code, lists):
                    line = lists.line(there, code)
                    text = f" ({line.text})" if line and line.text else ""
                    is_mapped = seed is mapping.mapped
                    verb = f"is {row['mineral']} {row['category']}" if is_mapped else "is decided"
                    what = f"{code} {verb} in {here} and forgotten in {there}{text}"
                    instead = f"add a row {there},{code},... to {MAP} or {OUT_OF_SCOPE}"
                    severity: Severity = "error" if is_mapped else "warning"
                    yield _problem(seed, row, "hs_code", what, instead, severity)


def check_changes(mapping: MappingSeeds, lists: HsLists) -> Iterator[Problem]:
    """Warn where a code means another mineral or category in the next revision although its text
    is still the same."""
    decided: dict[tuple[str, str], tuple[Seed, Row, str]] = {}
    for row in mapping.out_of_scope.rows:
        decided[_key(row)] = (mapping.out_of_scope, row, "out of scope")
    for row in mapping.mapped.rows:
        decided[_key(row)] = (mapping.mapped, row, f"{row['mineral']} {row['category']}")
    for earlier, later in pairwise(REVISIONS):
        for (revision, code), (_, _, before) in decided.items():
            after = decided.get((later, code))
            if revision != earlier or after is None or after[2] == before:
                continue
            old, new = lists.line(earlier, code), lists.line(later, code)
            if not (old and new and _is_same_text(old.text, new.text, earlier == "H0")):
                continue
            seed, row, now = after
            what = f"{code} is {now} in {later}, but {before} in {earlier}"
            what += f", and its text is the same ({new.text})"
            instead = "make them agree, or say in reason what changed"
            yield _problem(seed, row, "hs_code", what, instead, "warning")


def _problem(
    seed: Seed, row: Row, column: str, what: str, instead: str, severity: Severity = "error"
) -> Problem:
    return Problem(seed.file, row.line, column, severity, what, instead)


def _key(row: Row) -> tuple[str, str]:
    return row["hs_revision"], row["hs_code"]


def _unknown(kind: str, word: str) -> str:
    return f"there is no {kind} {word!r}" if word else f"{kind} is empty"


def _empty_texts(seed: Seed, columns: Sequence[str]) -> Iterator[Problem]:
    for row in seed.rows:
        for column in columns:
            if not row[column]:
                instead = "say it in a few words, for the next analyst"
                yield _problem(seed, row, column, f"{column} is empty", instead)


def _about_revision(written: str) -> tuple[str, str]:
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


def _about_code(written: str, revision: str, lists: HsLists) -> tuple[str, str]:
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


def _other_codes(revision: str, code: str, lists: HsLists) -> str:
    elsewhere = [r for r in REVISIONS if r != revision and code in lists.lines.get(r, {})]
    under = lists.under(revision, code[:4])
    words = f"it is a code of {', '.join(elsewhere)} only; " if elsewhere else ""
    if under:
        return f"{words}heading {code[:4]} has in {revision}: {_some(under)}"
    return f"{words}no code of {revision} begins with {code[:4]}: correct it, or delete the line"


def _some(codes: Sequence[str], most: int = 8) -> str:
    return ", ".join(codes[:most]) + (f" and {len(codes) - most} more" if codes[most:] else "")


def _contradiction(code: str, category: str, line: Line | None) -> tuple[str, str] | None:
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


def _included(text: str) -> str:
    """The text as far as it says what the line holds, not what it leaves out."""
    return _EXCLUDED.sub("", text)


def _is_only_waste(text: str) -> bool:
    included = _included(text)
    return bool(_WASTE.search(included)) and not _METAL.search(included)


def _is_mixed(revision: str, code: str, line: Line, lists: HsLists) -> bool:
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


def _metal(text: str) -> str:
    return re.split(r"[;:,]| and ", text.lower(), maxsplit=1)[0].strip()


def _names(text: str, mineral: str) -> bool:
    stems = _STEMS.get(mineral, (mineral.lower(),))
    return any(re.search(rf"\b{re.escape(stem)}", text) for stem in stems)


def _known_in(revision: str, code: str, lists: HsLists) -> bool:
    """Whether the code surely exists in the revision: it is in its list or, in the absence of one,
    in the lists on both sides."""
    if lists.has(revision):
        return code in lists.lines[revision]
    sides = lists.neighbours(revision)
    return len(sides) > 1 and all(code in lists.lines[side] for side in sides)


def _is_same_text(one: str, other: str, is_reworded: bool) -> bool:
    """Whether two texts say the same: equal but for order and punctuation. The lists of HS92 and of
    later revisions were worded by different hands: there, most of the words must agree."""
    first, second = (frozenset(re.findall(r"[a-z0-9]+", text.lower())) for text in (one, other))
    if not is_reworded:
        return first == second
    return len(first & second) > 0.6 * len(first | second)


def _checked_against(
    revision: str,
    mapping: MappingSeeds,
    lists: HsLists,
    committed: Mapping[str, Collection[str]] | None,
) -> str:
    codes = {
        row["hs_code"]
        for seed in (mapping.mapped, mapping.out_of_scope)
        for row in seed.rows
        if row["hs_revision"] == revision
    }
    if lists.has(revision):
        n_lines = len(lists.lines[revision])
        return f"{len(codes)} codes checked against {lists.sources[revision]} ({n_lines:,} lines)"
    near = lists.neighbours(revision)
    n_near = sum(lists.exists(revision, code) for code in codes)
    words = [f"{n_near} of {len(codes)} codes are in {' or '.join(near)}"] if near else []
    left = [code for code in codes if not lists.exists(revision, code)]
    if committed is None:
        words.append(f"{len(left)} were not checked at all")
    else:
        known = sum(code in committed.get(revision, ()) for code in left)
        words.append(f"{known} were decided on in an earlier commit and are taken as they are")
        words.append(f"{len(left) - known} are new and unknown")
    counts = "; ".join(words)
    return f"codes and texts are not checked against a list ({counts}): {how_to_get(revision)}"
