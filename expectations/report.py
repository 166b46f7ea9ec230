"""What a gate found, in sentences, as a table of markdown, and as a page that opens anywhere."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from expectations.rules import Rule, Suite

if TYPE_CHECKING:
    import pandas as pd

Status = Literal["passed", "failed", "broken", "not_run"]
RUNS_TO_KEEP = 10
SMALL = 20  # rows of a frame that is shown whole
HEADS = ("rule", "outcome", "severity", "found", "failing rows", "why")
_WORDS = {"passed": "passed", "failed": "FAILED", "broken": "BROKE", "not_run": "not run"}


@dataclass(frozen=True)
class Outcome:
    """What became of one rule.

    `status` is 'broken' when the rule could not be evaluated (a column is missing, a value has the
    wrong type): that says nothing about the data and is never a pass. `message` says what was
    found; `sample` holds the key and the judged columns of the first failing rows.
    """

    rule: Rule
    status: Status
    message: str
    sample: tuple[Mapping[str, Any], ...] = ()

    @property
    def is_error(self) -> bool:
        """Whether it stops what comes after: broken, or failed and of severity 'block'."""
        is_blocking = self.rule.severity == "block"
        return self.status == "broken" or (self.status == "failed" and is_blocking)

    def sentence(self) -> str:
        """The rule, what was found, the first failing row, and what the rule is for."""
        first = f" For example {in_words(self.sample[0])}." if self.sample else ""
        return f"{self.rule.name}: {self.message}{first} {self.rule.why}"


@dataclass(frozen=True)
class Report:
    """What became of a suite of a table. `frame` is None when it could not be read."""

    table: str
    suite: Suite
    outcomes: tuple[Outcome, ...]
    frame: pd.DataFrame | None = None

    @property
    def status(self) -> Literal["passed", "failed", "broken", "not_compared"]:
        """The worst that became of a rule; a suite is compared as a whole, or not at all."""
        found = {outcome.status for outcome in self.outcomes}
        if "broken" in found or "failed" in found:
            return "broken" if "broken" in found else "failed"
        return "not_compared" if "not_run" in found else "passed"

    @property
    def not_passed(self) -> list[Outcome]:
        """The failures, what stops the run first."""
        found = [o for o in self.outcomes if o.status in ("failed", "broken")]
        return sorted(found, key=lambda outcome: not outcome.is_error)

    def sentence(self) -> str:
        """One line for the list of checks and for the terminal."""
        if self.status == "not_compared":
            return f"not compared: {self.outcomes[0].message}"
        if not self.not_passed:
            return f"{len(self.outcomes)} rule{'s' * (len(self.outcomes) > 1)} passed."
        first, *others = self.not_passed
        return first.sentence() + (f" ({len(others)} more not passed)" if others else "")

    def cells(self) -> list[list[str]]:
        """Every rule with its outcome and the first failing rows, those that did not pass first."""
        ordered = [*self.not_passed, *(o for o in self.outcomes if o not in self.not_passed)]
        return [
            [o.rule.name, _WORDS[o.status], o.rule.severity, o.message,
             "; ".join(map(in_words, o.sample)), o.rule.why]
            for o in ordered
        ]  # fmt: skip

    def frame_in_markdown(self) -> str:
        """The judged frame where it is small, such as figures beside the previous ones."""
        if self.frame is None or not 0 < len(self.frame) <= SMALL:
            return ""
        names = [str(name) for name in self.frame.columns]
        rows = self.frame.itertuples(index=False, name=None)
        return markdown(names, [[text(n, v) for n, v in zip(names, r, strict=True)] for r in rows])


def in_words(row: Mapping[str, Any]) -> str:
    """A row for a sentence: 'iso3 CHN, year 2022, population 1,412'."""
    return ", ".join(f"{name} {text(name, value)}" for name, value in row.items())


def text(column: str, value: Any) -> str:
    """A value as a person reads it; a year has no thousands separator."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "missing"
    return str(value) if column == "year" or isinstance(value, str) else figure(value)


def figure(value: Any) -> str:
    """A number with separators and six digits; anything else as it is."""
    value = value.item() if getattr(value, "ndim", None) == 0 else value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,.0f}" if 1e5 <= abs(value) < 1e15 else f"{value:,.6g}"


def folder_of_run(root: Path, run_id: str) -> Path:
    """The folder of a run's page. The link `latest` leads to it; the oldest runs' are removed."""
    folder = root / run_id
    if not folder.exists():
        folder.mkdir(parents=True)
        link = root / f".latest-{uuid4().hex[:8]}"
        link.symlink_to(run_id, target_is_directory=True)
        link.replace(root / "latest")
        runs = [path for path in root.iterdir() if path.is_dir() and not path.is_symlink()]
        runs.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for old in [path for path in runs if path != folder][RUNS_TO_KEEP - 1 :]:
            shutil.rmtree(old, ignore_errors=True)
    return folder


def add_to_page(folder: Path, report: Report) -> Path:
    """Append what a suite found to the page of the run; return the page.

    It is one file without styles or scripts from elsewhere, so that it opens without a network.
    """
    page = folder / "index.html"
    if not page.exists():
        title = f"Quality of run {escape(folder.name[:8])}"
        page.write_text(_HEAD.format(title=title), encoding="utf-8")
    rows = "".join(f"<tr><td>{'<td>'.join(map(escape, row))}" for row in report.cells())
    with page.open("a", encoding="utf-8") as file:
        file.write(
            # Folded unless something did not pass.
            f"<details{' open' if report.not_passed else ''}><summary class='{report.status}'>"
            f"{report.table}, {report.suite.name}: {escape(report.sentence())}</summary>"
            f"<table><tr><th>{'<th>'.join(HEADS)}{rows}</table></details>\n"
        )
    return page


_HEAD = """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>
body {{ font-family: sans-serif; margin: 2em }} td, th {{ text-align: left; vertical-align: top;
padding: .2em .8em; border-top: 1px solid #ccc }} summary {{ font-size: 1.1em; margin: .4em 0 }}
.failed, .broken {{ color: #b00020 }}</style><h1>{title}</h1>
"""


def markdown(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(c.replace('|', '/') for c in line)} |" for line in lines)
