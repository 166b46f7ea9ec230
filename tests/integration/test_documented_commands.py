"""Every command that README, CONTRIBUTING and docs print is there and works.

Commands that read run here, in this process. Each of the others names the place where it runs.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from minerals.settings import PROJECT_ROOT

PAGES = [PROJECT_ROOT / "README.md", PROJECT_ROOT / "CONTRIBUTING.md"]
PAGES += sorted((PROJECT_ROOT / "docs").glob("*.md"))
ELSEWHERE = {
    "refresh": ".ci/run, and the shared warehouse of these tests",
    "ui": "needs a person; tests/faults starts its daemon",
    "dashboard": "tests/integration/test_dashboard.py, in a real browser",
    "instance": "tests/integration/test_recovery.py calls what it does",
    "backfill": "asks UN Comtrade; tests/integration/test_live.py, against a loopback server",
    "importers add": "tests/integration/test_command_line.py, on a copy",
    "hs preview": "tests/integration/test_hs_preview.py",
    "releases rebuild": "tests/integration/test_rebuild.py",
    "releases rollback": "tests/unit/test_releases.py",
    "snapshots use": "tests/unit/test_acceptance.py",
    "snapshots diff": "tests/unit/test_acceptance.py; its example names a snapshot of a service",
}
GROUPS = {"hs", "importers", "releases", "snapshots"}


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command in the shell blocks of a page."""
    for block in re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL):
        command = ""
        for line in block.splitlines():
            command = f"{command}\n{line}" if command else line
            try:
                words = shlex.split(command.removesuffix("\\"), comments=True)
            except ValueError:  # a quotation that goes on in the next line
                continue
            command = ""
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words = words[1:]
            if words and words[0].rpartition("/")[2] in {"minerals", "make"}:
                yield [words[0].rpartition("/")[2], *words[1:]]


PRINTED = {tuple(words): page.name for page in PAGES for words in commands(page.read_text("utf-8"))}
MINERALS = sorted(words[1:] for words in PRINTED if words[0] == "minerals")


def name_of(arguments: tuple[str, ...]) -> str:
    return " ".join(arguments[: 2 if arguments[0] in GROUPS else 1])


def test_commands_are_found_in_the_pages():
    assert len(PRINTED) > 25
    assert {"README.md", "operations.md"} <= set(PRINTED.values())


def test_every_make_target_that_a_page_names_is_in_the_makefile():
    makefile = (PROJECT_ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    named = {t for words in PRINTED if words[0] == "make" for t in words[1:] if "=" not in t}
    assert named - targets == set()


def test_continuous_integration_runs_what_the_readme_and_makefile_promise():
    script = (PROJECT_ROOT / ".ci" / "run").read_text("utf-8")
    for target in ("lint", "types", "refresh", "test", "test-faults", "benchmark"):
        assert re.search(rf"^make .*\b{target}\b", script, flags=re.MULTILINE), target


@pytest.mark.parametrize("arguments", MINERALS, ids=" ".join)
def test_a_printed_command_answers(refreshed, tmp_path, monkeypatch, arguments):
    if name_of(arguments) in ELSEWHERE:
        shown = refreshed.ask(*name_of(arguments).split(), "--help")
        options = [word for word in arguments if word.startswith("--")]
        assert all(option in shown.stdout for option in options), shown.stdout
        return
    monkeypatch.chdir(tmp_path)
    if name_of(arguments) == "releases diff":  # the shared warehouse has one release
        arguments = (*arguments, "current", "current")
    done = refreshed.ask(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()


def test_an_exported_file_lies_where_the_readme_says(refreshed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refreshed.ask("export", "--mart", "ranking_forward", "--format", "xlsx")
    assert Path("ranking_forward.xlsx").stat().st_size > 10_000
