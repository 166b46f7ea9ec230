"""What a row of the mapping may say, and what all rows together must.

Functions from rows to problems, each with a line and what to write instead. Reading files belongs
to `seeds` and `reference`, trade values to `coverage`.

The rule for categories: ores are minerals as mined or concentrated (chapter 25, headings 2601 to
2617); scrap is waste and scrap with a line of its own, including ash and residues of headings 2618
to 2621; products are everything in between. A line that mixes metal with waste and scrap is a
product and is marked `is_mixed`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from minerals.mapping.codes import about_code, about_revision, other_codes
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
from minerals.mapping.texts import contradiction, is_mixed, is_same_text, named_minerals
from minerals.names import CATEGORIES

OUTSIDE = "out of scope"


@dataclass(frozen=True)
class MappingSeeds:
    """The three files as far as they could be read."""

    mapped: Seed
    out_of_scope: Seed
    minerals: Seed

    @property
    def mineral_names(self) -> list[str]:
        return [row["mineral"] for row in self.minerals.rows]

    def decided(self) -> dict[str, dict[str, tuple[Seed, Row, str]]]:
        """{revision: {code: (file, row, meaning)}} of all rows; a mapped code wins."""
        found: dict[str, dict[str, tuple[Seed, Row, str]]] = {r: {} for r in REVISIONS}
        for seed in (self.out_of_scope, self.mapped):
            for row in seed.rows:
                revision, code = row.key
                is_mapped = seed is self.mapped
                meaning = f"{row['mineral']} {row['category']}" if is_mapped else OUTSIDE
                found.setdefault(revision, {})[code] = (seed, row, meaning)
        return found

    def meanings(self) -> dict[str, dict[str, str]]:
        """{revision: {code: meaning}}, of a code out of scope with its commodity and reason."""
        return {r: {c: _words(d) for c, d in codes.items()} for r, codes in self.decided().items()}


@dataclass(frozen=True)
class Report:
    """The outcome: the mapping, its problems in the order of file and line, and a sentence on how
    the codes of each revision were checked."""

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
    committed: Mapping[str, Mapping[str, str]] | None = None,
) -> Report:
    """Read the seeds in `folder` and judge them against the HS lists at hand.

    `minerals_file` is the list of minerals, by default the one in `folder`. `committed` is what
    each code meant before this edit (`MappingSeeds.meanings`): where a revision has no list and no
    neighbour knows a code, the code is compared with them. None means that they are unknown.
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
        problems += check_repeated(seed, mapping.out_of_scope)
    problems += check_values(mapping)
    problems += check_texts(mapping, lists)
    if mapping.mapped.is_readable and mapping.out_of_scope.is_readable:
        problems += check_successors(mapping, lists)
        problems += check_changes(mapping, lists)
        problems += check_removed(mapping, lists, committed_codes)
        problems += check_reversed(mapping, committed_codes)
    order = {file: place for place, file in enumerate((MAP, OUT_OF_SCOPE, MINERALS))}
    problems.sort(key=lambda p: (order[p.file.name], p.line, p.severity, p.column, p.what))
    sentences = {r: _checked_against(r, mapping, lists, committed) for r in REVISIONS}
    return Report(mapping, tuple(problems), sentences)


def check_keys(
    seed: Seed, lists: HsLists, committed: Mapping[str, Mapping[str, str]]
) -> Iterator[Problem]:
    """Revisions and codes: known, well written, and existing."""
    for row in seed.rows:
        revision, code = row.key
        near = lists.neighbours(revision)
        if revision not in REVISIONS:
            yield seed.problem(row, "hs_revision", *about_revision(revision))
        if not re.fullmatch(r"[0-9]{6}", code):
            yield seed.problem(row, "hs_code", *about_code(code, revision, lists))
        elif revision not in REVISIONS or lists.exists(revision, code):
            continue
        elif lists.has(revision):
            what = f"there is no code {code} in {revision}"
            yield seed.problem(row, "hs_code", what, other_codes(revision, code, lists))
        elif code not in committed.get(revision, {}) and (near or committed):
            what = f"{code} is not in {' or '.join(near)}" if near else f"{code} is new"
            what += f", and there is no list of {revision} to look in"
            instead = f"look it up; to have it checked, {how_to_get(revision)}"
            yield seed.problem(row, "hs_code", what, instead, "warning")


def check_repeated(seed: Seed, out_of_scope: Seed) -> Iterator[Problem]:
    """No code of a revision twice in one file, or both mapped and out of scope."""
    first: dict[tuple[str, str], Row] = {}
    outside = {row.key: row for row in out_of_scope.rows if seed is not out_of_scope}
    for row in seed.rows:
        earlier, other = first.setdefault(row.key, row), outside.get(row.key)
        if earlier is not row and row["hs_code"]:
            what = f"{row['hs_revision']} {row['hs_code']} is already in line {earlier.line}"
            same = row.values == earlier.values
            instead = "delete this line, it says the same" if same else "keep the line that is true"
            yield seed.problem(row, "hs_code", what, instead)
        if other is not None and row["hs_code"]:
            place = f"{out_of_scope.file.name}:{other.line}"
            what = f"{row['hs_revision']} {row['hs_code']} is also out of scope ({place})"
            yield seed.problem(row, "hs_code", what, f"delete this line, or {place}")


def check_values(mapping: MappingSeeds) -> Iterator[Problem]:
    """Minerals, categories, the mark of mixed lines and the texts of each row by itself."""
    mapped, names = mapping.mapped, mapping.mineral_names
    grouped = {r["mineral"] for r in mapping.minerals.rows if r["is_grouped"].lower() == "true"}
    for row in mapped.rows:
        mineral, mixed, note = row["mineral"], row["is_mixed"], row["mix_note"]
        if names and mineral not in names:
            yield _unknown(mapped, row, "mineral", names, "one of the names in minerals.csv")
        if row["category"] not in CATEGORIES:
            one = f"one of {', '.join(CATEGORIES)}"
            yield _unknown(mapped, row, "category", CATEGORIES, one)
        if mixed not in ("true", "false"):
            is_yes = mixed.lower() in ("true", "yes", "1", "t", "y")
            meant = "true" if is_yes else "false" if mixed else "true or false"
            what = f"is_mixed is {mixed!r}" if mixed else "is_mixed is empty"
            yield mapped.problem(row, "is_mixed", what, f"write {meant}")
        if mixed == "true" and not note:
            what = "is_mixed is true and mix_note does not say what is mixed"
            instead = "name what the line holds beside the mineral"
            yield mapped.problem(row, "mix_note", what, instead)
        if mixed == "false" and note:
            what = "mix_note is filled though is_mixed is false"
            yield mapped.problem(row, "mix_note", what, "write true, or empty the note", "warning")
        if mixed == "false" and mineral in grouped:
            what = f"{mineral} is several metals, and is_mixed is false"
            instead = "write true, and name the metals in mix_note"
            yield mapped.problem(row, "is_mixed", what, instead)
    for seed in (mapped, mapping.out_of_scope):
        for row in seed.rows:
            for column in ("commodity", "reason"):
                if row.values.get(column) == "":
                    instead = "explain it in a few words, for the next analyst"
                    yield seed.problem(row, column, f"{column} is empty", instead)


def _unknown(seed: Seed, row: Row, column: str, known: Sequence[str], any_of: str) -> Problem:
    word = row[column]
    what = f"there is no {column} {word!r}" if word else f"{column} is empty"
    return seed.problem(row, column, what, f"write {closest(word, known) or any_of}")


def check_texts(mapping: MappingSeeds, lists: HsLists) -> Iterator[Problem]:
    """Category, mark of mixed lines and mineral against the chapter and the text of the code.

    A mineral that the text does not name is a warning.
    """
    mapped = mapping.mapped
    single = [r["mineral"] for r in mapping.minerals.rows if r["is_grouped"].lower() == "false"]
    for row in mapped.rows:
        (revision, code), category = row.key, row["category"]
        line = lists.line(revision, code)
        fault = contradiction(code, category, line) if category in CATEGORIES else None
        if fault is not None:
            what, instead = fault
            what += f" ({line.text})" if line and line.text not in what else ""
            yield mapped.problem(row, "category", what, instead)
        if line is None:
            continue
        is_unmarked = row["is_mixed"] == "false" and category in CATEGORIES and fault is None
        if is_unmarked and is_mixed(revision, code, line, lists):
            what = f"the line holds metal together with waste and scrap ({line.text})"
            instead = "write true, and say in mix_note what is mixed"
            yield mapped.problem(row, "is_mixed", what, instead)
        named = named_minerals(line, single)
        own = [name for name in single if name in row["mineral"]]
        if not named:
            named = named_minerals(Line(line.heading), single)
        if row["mineral"] != "Other Rare Metals" and own and not set(named) & set(own):
            others = ", ".join(named) or "none of the minerals"
            text = line.text if named or not line.heading else f"{line.heading}: {line.text}"
            what = f"the text names {others}, not {row['mineral']} ({text})"
            cure = f"write {named[0]}" if named else f"move the row to {OUT_OF_SCOPE}"
            instead = f"{cure}, or leave it if the line has another use"
            yield mapped.problem(row, "mineral", what, instead, "warning")


def check_successors(mapping: MappingSeeds, lists: HsLists) -> Iterator[Problem]:
    """A code decided on in one revision must be decided on in the next and the previous one, where
    it exists: an error for a mapped code, a warning for one out of scope."""
    decided = mapping.decided()
    for earlier, later in pairwise(REVISIONS):
        for here, there in ((earlier, later), (later, earlier)):
            if not decided[there]:
                if here == earlier and decided[here]:
                    seed, row, _ = next(iter(decided[here].values()))
                    what = f"{there} has no row at all in either file"
                    yield seed.problem(row, "hs_revision", what, f"restore the rows of {there}")
                continue
            for code, (seed, row, meaning) in decided[here].items():
                if code not in decided[there] and _known_in(there, code, lists):
                    line = lists.line(there, code)
                    text = f" ({line.text})" if line and line.text else ""
                    what = f"{code} is {meaning} in {here} and missing in {there}{text}"
                    instead = f"add a row {there},{code},... to {MAP} or {OUT_OF_SCOPE}"
                    severity: Severity = "error" if seed is mapping.mapped else "warning"
                    yield seed.problem(row, "hs_code", what, instead, severity)


def check_removed(
    mapping: MappingSeeds, lists: HsLists, committed: Mapping[str, Mapping[str, str]]
) -> Iterator[Problem]:
    """Warn of codes that were decided on in the last commit and are in neither file now, where
    `check_successors` cannot see it: in a revision without a list, or gone from all revisions."""
    decided = mapping.decided()
    anywhere = {code for codes in decided.values() for code in codes}
    for revision in REVISIONS:
        for code in sorted(set(committed.get(revision, {})) - set(decided[revision])):
            if not _known_in(revision, code, lists) or code not in anywhere:
                what = f"{revision} {code} was decided on in the last commit and is in neither file"
                instead = f"restore its row in {MAP} or {OUT_OF_SCOPE}, if it was lost by accident"
                yield Problem(mapping.mapped.file, 1, "hs_code", "warning", what, instead)


def check_changes(mapping: MappingSeeds, lists: HsLists) -> Iterator[Problem]:
    """Warn where a code means another mineral or category in the next revision, unless a reason
    says so ("since HS 2007") or the lists of both word it differently. The row that is unlike the
    most others is named."""
    decided, told = mapping.decided(), set()
    meanings = {f"{name} {category}" for name in mapping.mineral_names for category in CATEGORIES}
    meanings.add(OUTSIDE)  # any other is an error by itself
    for earlier, later in pairwise(REVISIONS):
        for code, before in decided[earlier].items():
            after = decided[later].get(code)
            if after is None or before[2] == after[2] or not {before[2], after[2]} <= meanings:
                continue
            old, new = (lists.lines.get(revision, {}).get(code) for revision in (earlier, later))
            if _is_explained(before[1], after[1]):
                continue
            if old and new and not is_same_text(old.text, new.text, is_reworded=earlier == "H0"):
                continue
            like = {r: decided[r][code][2] for r in REVISIONS if code in decided[r]}
            alike = list(like.values())
            odd, other = earlier, later
            if alike.count(like[earlier]) >= alike.count(like[later]):
                odd, other = later, earlier
            if (code, odd) in told:
                continue
            told.add((code, odd))
            others = ", ".join(r for r, meaning in like.items() if meaning == like[other])
            what = f"{code} is {like[odd]} in {odd}, but {_words(decided[other][code])} in {others}"
            what += f", and its text is the same ({new.text})" if old and new else ""
            what += "; the trade of the bundle is in H0" if odd == "H0" else ""
            instead = (
                "make them agree, or say in reason since which HS it changed ('since HS 2007')"
            )
            seed, row, _ = decided[odd][code]
            yield seed.problem(row, "hs_code", what, instead, "warning")


def check_reversed(
    mapping: MappingSeeds, committed: Mapping[str, Mapping[str, str]]
) -> Iterator[Problem]:
    """Warn of codes that are mapped now and were out of scope in the last commit for a reason that
    does not name the mineral."""
    for row in mapping.mapped.rows:
        revision, code = row.key
        before = committed.get(revision, {}).get(code, "")
        named = named_minerals(Line(before), [row["mineral"]])
        if before.startswith(OUTSIDE) and not named:
            what = f"{code} was {before} in the last commit, and is {row['mineral']} now"
            instead = f"restore its row in {OUT_OF_SCOPE}, or commit it if the reason was wrong"
            yield mapping.mapped.problem(row, "mineral", what, instead, "warning")


def _is_explained(*rows: Row) -> bool:
    """Whether a reason says that the line changed with a revision: "since HS 2007"."""
    return any(re.search(r"\b(?:since|until|before)\b.*\bHS", row["reason"]) for row in rows)


def _words(decision: tuple[Seed, Row, str]) -> str:
    """What a code means; of one out of scope also its commodity and the reason."""
    _, row, meaning = decision
    if meaning != OUTSIDE:
        return meaning
    return f"{OUTSIDE} ({row['commodity']}: {row['reason']})"


def _known_in(revision: str, code: str, lists: HsLists) -> bool:
    """Whether the code surely exists in the revision: it is in its list or, without a list, in the
    lists on both sides."""
    if lists.has(revision):
        return code in lists.lines[revision]
    sides = lists.neighbours(revision)
    return len(sides) > 1 and all(code in lists.lines[side] for side in sides)


def _checked_against(
    revision: str,
    mapping: MappingSeeds,
    lists: HsLists,
    committed: Mapping[str, Mapping[str, str]] | None,
) -> str:
    codes = set(mapping.decided()[revision])
    if lists.has(revision):
        n_lines = len(lists.lines[revision])
        return f"{len(codes)} codes checked against {lists.sources[revision]} ({n_lines:,} lines)"
    left = [code for code in codes if not lists.exists(revision, code)]
    words = []
    if near := lists.neighbours(revision):
        words.append(f"{len(codes) - len(left)} of {len(codes)} codes are in {' or '.join(near)}")
    if committed is None:
        words.append(f"{len(left)} were not checked at all")
    else:
        known = sum(code in committed.get(revision, {}) for code in left)
        words.append(f"{known} were decided on in an earlier commit and are accepted")
        words.append(f"{len(left) - known} are new and unknown")
    counts = "; ".join(words)
    return f"codes and texts are not checked against a list ({counts}): {how_to_get(revision)}"
