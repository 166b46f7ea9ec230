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

from minerals.mapping.codes import about_code, about_revision, other_codes
from minerals.mapping.reference import REVISIONS, HsLists, how_to_get
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
from minerals.mapping.texts import contradiction, is_mixed, is_same_text, named_minerals
from minerals.names import CATEGORIES


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
    problems += check_minerals(mapping, lists)
    if mapping.mapped.is_readable and mapping.out_of_scope.is_readable:
        problems += check_successors(mapping, lists)
        problems += check_changes(mapping, lists)
        problems += check_removed(mapping, lists, committed_codes)
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
            what, instead = about_revision(revision)
            yield _problem(seed, row, "hs_revision", what, instead)
        if not re.fullmatch(r"[0-9]{6}", code):
            what, instead = about_code(code, revision, lists)
            yield _problem(seed, row, "hs_code", what, instead)
        elif revision in REVISIONS and not lists.exists(revision, code):
            if lists.has(revision):
                instead = other_codes(revision, code, lists)
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
        fault = contradiction(code, category, line)
        if fault is not None:
            what, instead = fault
            what += f" ({line.text})" if line and line.text not in what else ""
            yield _problem(mapped, row, "category", what, instead)
        elif line and row["is_mixed"] == "false" and is_mixed(revision, code, line, lists):
            what = f"the line holds metal together with waste and scrap ({line.text})"
            instead = "write true, and say in mix_note what is mixed"
            yield _problem(mapped, row, "is_mixed", what, instead)


def check_minerals(mapping: MappingSeeds, lists: HsLists) -> Iterator[Problem]:
    """Warn of a mineral that the text of its code does not name while it names others."""
    mapped = mapping.mapped
    single = [r["mineral"] for r in mapping.minerals.rows if r["is_grouped"].lower() == "false"]
    for row in mapped.rows:
        line = lists.line(row["hs_revision"], row["hs_code"])
        if line is None or row["mineral"] == "Other Rare Metals":
            continue
        named = named_minerals(line, single)
        own = [name for name in single if name in row["mineral"]]
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


def check_removed(
    mapping: MappingSeeds, lists: HsLists, committed: Mapping[str, Collection[str]]
) -> Iterator[Problem]:
    """Warn of codes that were decided on in the last commit and are in neither file now, where
    `check_successors` cannot see it: in a revision without a list, or gone from all revisions."""
    rows = [*mapping.mapped.rows, *mapping.out_of_scope.rows]
    decided, anywhere = {_key(row) for row in rows}, {row["hs_code"] for row in rows}
    for revision in REVISIONS:
        for code in sorted(committed.get(revision, ())):
            is_unseen = not _known_in(revision, code, lists) or code not in anywhere
            if is_unseen and (revision, code) not in decided:
                what = f"{revision} {code} was decided on in the last commit and is in neither file"
                instead = f"restore its row in {MAP} or {OUT_OF_SCOPE}, if it went by accident"
                yield Problem(mapping.mapped.file, 1, "hs_code", "warning", what, instead)


def check_changes(mapping: MappingSeeds, lists: HsLists) -> Iterator[Problem]:
    """Warn where a code means another mineral or category in the next revision although its text
    is still the same; in a revision without a list, where it differs from both its neighbours."""
    decided: dict[tuple[str, str], tuple[Seed, Row, str]] = {}
    for row in mapping.out_of_scope.rows:
        decided[_key(row)] = (mapping.out_of_scope, row, "out of scope")
    for row in mapping.mapped.rows:
        decided[_key(row)] = (mapping.mapped, row, f"{row['mineral']} {row['category']}")
    instead = "make them agree, or say in reason what changed"
    for earlier, later in pairwise(revision for revision in REVISIONS if lists.has(revision)):
        for code, old in lists.lines[earlier].items():
            before, after = decided.get((earlier, code)), decided.get((later, code))
            if before is None or after is None or before[2] == after[2]:
                continue
            new = lists.lines[later].get(code)
            if new and is_same_text(old.text, new.text, is_reworded=earlier == "H0"):
                what = f"{code} is {after[2]} in {later}, but {before[2]} in {earlier}"
                what += f", and its text is the same ({new.text})"
                yield _problem(after[0], after[1], "hs_code", what, instead, "warning")
    for sides in zip(REVISIONS, REVISIONS[1:], REVISIONS[2:], strict=False):
        for (revision, code), here in decided.items():
            if revision != sides[1] or lists.has(revision):
                continue
            around = [decided.get((side, code), here)[2] for side in (sides[0], sides[2])]
            if around[0] == around[1] != here[2]:
                what = f"{code} is {here[2]} in {revision}, but {around[0]} in {sides[0]}"
                what += f" and {sides[2]}"
                yield _problem(here[0], here[1], "hs_code", what, instead, "warning")


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


def _known_in(revision: str, code: str, lists: HsLists) -> bool:
    """Whether the code surely exists in the revision: it is in its list or, in the absence of one,
    in the lists on both sides."""
    if lists.has(revision):
        return code in lists.lines[revision]
    sides = lists.neighbours(revision)
    return len(sides) > 1 and all(code in lists.lines[side] for side in sides)


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
