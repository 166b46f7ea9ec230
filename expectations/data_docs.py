"""Great Expectations' Data Docs of a run: one page a suite, and an index, as files to be opened.

Here belong the pages and the folders they lie in. The pages are made by Great Expectations' own
renderers; only the frame around them is ours, because theirs loads styles and scripts from six
addresses of the internet, and a failure must be readable without any. Each page is written as soon
as its suite has been run, so that a run that stops leaves the pages of what it got to.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from expectations.validation import Outcome, Report

if TYPE_CHECKING:
    from great_expectations.render.view import DefaultJinjaPageView

LATEST = "latest"
INDEX = "index.html"
RUNS_TO_KEEP = 10
_SIGNS = {"passed": "passed", "failed": "FAILED", "broken": "BROKE", "not_run": "could not run"}


def folder_of_run(root: Path, run_id: str) -> Path:
    """The folder of a run's pages, made when it is the first; the oldest runs' are removed.

    The link `latest` beside it leads to the run that came last.
    """
    folder = root / run_id
    if not folder.exists():
        folder.mkdir(parents=True)
        link = root / f".{LATEST}-{uuid4().hex[:8]}"
        link.symlink_to(run_id, target_is_directory=True)
        link.replace(root / LATEST)
        runs = [path for path in root.iterdir() if path.is_dir() and not path.is_symlink()]
        runs.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for old in [path for path in runs if path != folder][RUNS_TO_KEEP - 1 :]:
            shutil.rmtree(old, ignore_errors=True)
    return folder


def write_pages(folder: Path, reports: Iterable[Report]) -> Path:
    """Write a page a report into `folder`, and the index of all there are; return the index."""
    view = _view()
    for report in reports:
        name = report.suite.name
        record = {
            "suite": name,
            "outcomes": [asdict(outcome) for outcome in report.outcomes],
            "has_page": report.result is not None,
        }
        if report.result is not None:
            (folder / f"{name}.html").write_text(_page(view, report), encoding="utf-8")
        (folder / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    index = folder / INDEX
    index.write_text(_index(folder), encoding="utf-8")
    return index


def _page(view: DefaultJinjaPageView, report: Report) -> str:
    """What Great Expectations shows of the suite, below our own list of what did not pass."""
    from great_expectations.render.renderer import ValidationResultsPageRenderer

    for one in report.result.results:
        # Its pages cannot show the numbers of numpy that its own metrics return.
        one.result = _plain(one.result)
    document = ValidationResultsPageRenderer(run_info_at_end=True).render(report.result)
    return str(
        view.render(document, suite_name=report.suite.name, style=_style(), ours=_list(report))
    )


def _view() -> DefaultJinjaPageView:
    from great_expectations.render.view import DefaultJinjaPageView
    from jinja2 import ChoiceLoader, DictLoader

    view = DefaultJinjaPageView()
    view.env.loader = ChoiceLoader([DictLoader({"page.j2": _FRAME}), view.env.loader])
    return view


_FRAME = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{ suite_name }}</title>
<style>{{ style }}</style></head><body>
<p><a href="index.html">All suites of this run</a></p>
{{ ours }}
{% for section in sections %}{% set section_loop = loop -%}{% include 'section.j2' %}{% endfor %}
</body></html>
"""


def _index(folder: Path) -> str:
    records = [json.loads(file.read_text("utf-8")) for file in sorted(folder.glob("*.json"))]
    rows, open_points = [], []
    for record in records:
        outcomes = [Outcome(**outcome) for outcome in record["outcomes"]]
        counts = "".join(
            f"<td class='{status}'>{sum(o.status == status for o in outcomes) or ''}</td>"
            for status in _SIGNS
        )
        name = escape(record["suite"])
        link = f"<a href='{name}.html'>{name}</a>" if record["has_page"] else name
        rows.append(f"<tr><td>{link}</td>{counts}</tr>")
        open_points += [(name, o) for o in outcomes if o.status != "passed"]
    heads = "".join(f"<th>{sign}</th>" for sign in _SIGNS.values())
    return (
        "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'>"
        f"<title>Quality of run {escape(folder.name[:8])}</title><style>{_style()}</style></head>"
        f"<body><h1>Quality of run {escape(folder.name[:8])}</h1>"
        f"<table class='ours'><tr><th>suite</th>{heads}</tr>{''.join(rows)}</table>"
        f"<h2>What did not pass</h2>{_table(open_points)}</body></html>\n"
    )


def _list(report: Report) -> str:
    name = escape(report.suite.name)
    outcomes = [(name, o) for o in report.outcomes if o.status != "passed"]
    passed = [(name, o) for o in report.outcomes if o.status == "passed"]
    return f"<h1>{name}</h1>{_table([*outcomes, *passed])}<h2>In Great Expectations' words</h2>"


def _table(outcomes: Iterable[tuple[str, Outcome]]) -> str:
    rows = "".join(
        f"<tr><td class='{o.status}'>{_SIGNS[o.status]}</td><td>{o.severity}</td>"
        f"<td>{suite}</td><td>{escape(o.name)}</td><td>{escape(o.message)}{_sample(o)}</td>"
        f"<td>{escape(o.why)}</td></tr>"
        for suite, o in outcomes
    )
    if not rows:
        return "<p>Nothing: every rule passed.</p>"
    return (
        "<table class='ours'><tr><th></th><th>severity</th><th>suite</th><th>rule</th>"
        f"<th>what was found</th><th>what the rule is for</th></tr>{rows}</table>"
    )


def _sample(outcome: Outcome) -> str:
    if not outcome.sample:
        return ""
    return "<pre>" + "\n".join(escape(json.dumps(row)) for row in outcome.sample) + "</pre>"


def _style() -> str:
    return Path(__file__).with_name("data_docs.css").read_text(encoding="utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.item() if hasattr(value, "item") else value
