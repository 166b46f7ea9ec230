"""`minerals hs`: the analyst's commands on the mapping from HS codes to minerals.

What is checked and compared is computed in `minerals/mapping` and `minerals/releases`. `check`
imports neither pandas nor Dagster nor dbt: it is run after every edit.
"""

import filecmp
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from minerals.errors import MineralsError, SnapshotDamagedError
from minerals.mapping import coverage, reference, rules, seeds
from minerals.settings import Settings, limit_linear_algebra_threads
from orchestration.cli import common
from orchestration.cli.common import count
from orchestration.cli.names import Importer, known_country, known_mineral
from orchestration.cli.releases import print_first, print_markets, print_moves

hs = typer.Typer(
    help="Check the mapping from HS codes to minerals, and see what a change would move.",
    no_args_is_help=True,
)
app = typer.Typer()
app.add_typer(hs, name="hs")
LONGEST = 10  # rows of a table, without --all
COLOURS = {"error": "bold red", "warning": "yellow"}
SeedsDir = Annotated[
    Path | None,
    typer.Option("--seeds", help="Another folder with the two files; default: the project's."),
]


@hs.command()
def check(
    importer: Importer = None,
    seeds_dir: SeedsDir = None,
    problems_only: Annotated[
        bool, typer.Option("--problems-only", help="Without the table of coverage.")
    ] = False,
) -> None:
    """Check the mapping's files, without the warehouse. Exit code 1 when there is an error."""
    settings, console = common.settings(), common.console()
    snapshot = coverage.snapshot_folder(settings.raw_dir)
    report, lists = _check(settings, seeds_dir or settings.seeds_dir, snapshot, console)
    _print_problems(console, report)
    _print_lists(console, settings, report)
    if not problems_only and report.mapping.mapped.is_readable:
        iso3 = known_country(importer or settings.first_importer, settings)
        trade = _read_trade(console, settings, snapshot, iso3)
        _print_coverage(console, report.mapping, trade)
        _print_unmapped(console, report.mapping, lists, trade)
    if report.n_errors:
        raise typer.Exit(1)


@hs.command()
def preview(
    seeds_dir: SeedsDir = None,
    mineral: Annotated[
        str | None, typer.Option(help="Only this mineral, for example Copper.")
    ] = None,
    show_all: Annotated[
        bool, typer.Option("--all", help="Every mineral and supplier that moves.")
    ] = False,
) -> None:
    """Show what the mapping's files would do to the ranks, without publishing anything.

    Refreshes into a scratch warehouse from the snapshots and settings of the served release.
    """
    limit_linear_algebra_threads()
    from minerals.releases.diff import diff_releases
    from minerals.releases.reproduction import code_version

    settings, console = common.settings(), common.console()
    folder = seeds_dir or settings.seeds_dir
    snapshot = coverage.snapshot_folder(settings.raw_dir)
    report, _ = _check(settings, folder, snapshot, console)
    _print_problems(console, report)
    if report.n_errors:
        console.print("No preview: correct the errors first.")
        raise typer.Exit(1)
    if mineral is not None:
        held = report.mapping.mineral_names
        mineral = known_mineral(mineral, settings, held, common.profile(settings))
    store = common.releases(settings)
    served = common.find_release(store, "current")
    manifest = store.manifest() or {}
    names = [seeds.MAP, seeds.OUT_OF_SCOPE]  # in the project, the code version covers them
    same, _, _ = filecmp.cmpfiles(folder, settings.seeds_dir, names, shallow=False)
    if manifest["code_version"] == code_version() and same == names:
        console.print(f"Nothing changes: release {served.name} was made from this mapping.")
        return
    from orchestration import run
    from orchestration.cli import scratch

    most = None if show_all else LONGEST
    _print_changed_codes(console, settings, report.mapping, most)
    for note in scratch.notes(settings, manifest):
        console.print(f"[yellow]note[/] {note}")
    with run.terminal() as stream:
        console = common.console(file=stream)
        with scratch.refresh(settings, manifest, console, seeds_dir=folder) as after:
            found = diff_releases(served, after, mineral)
        print_markets(console, found.markets, most, "--all")
        print_moves(console, settings, found.headline_moves, most and 2 * most, "--all")
        if not found.markets:
            console.print("Nothing changes in the ranks: no candidate, import or place differs.")
        console.print(f"Compared with release {served.name}. Nothing was published.")


def _check(
    settings: Settings, folder: Path, snapshot: Path | None, console: Console
) -> tuple[rules.Report, reference.HsLists]:
    """Read the HS lists that are there and check the seeds in `folder` against them."""
    if not folder.is_dir():
        raise MineralsError(f"There is no folder {folder}: give the one that holds {seeds.MAP}.")
    lists = reference.read_lists(settings.hs_reference)
    if snapshot is not None and not lists.has("H0"):
        try:
            products = coverage.read_products(snapshot)
            lists = reference.with_products(lists, products, "the product table of the trade data")
        except SnapshotDamagedError as error:
            console.print(f"[yellow]warning[/] {error}")
    minerals_file = folder / seeds.MINERALS
    if not minerals_file.exists():
        minerals_file = settings.seeds_dir / seeds.MINERALS
    return rules.check_mapping(folder, lists, minerals_file, _committed(settings)), lists


def _committed(settings: Settings) -> Mapping[str, Mapping[str, str]] | None:
    """What each code meant in the project's last commit; None when git cannot tell."""
    found = []
    for name in (seeds.MAP, seeds.OUT_OF_SCOPE):
        command = ["git", "-C", str(settings.seeds_dir), "show", f"HEAD:./{name}"]
        try:
            done = subprocess.run(command, capture_output=True, check=True, timeout=10)
        except (OSError, subprocess.SubprocessError):
            return None
        found.append(seeds.parse_seed(settings.seeds_dir / name, done.stdout))
    empty = seeds.Seed(settings.seeds_dir / seeds.MINERALS, (), ())
    return rules.MappingSeeds(found[0], found[1], empty).meanings()


def _print_problems(console: Console, report: rules.Report) -> None:
    """Every problem: file and line, what is wrong, what to write instead."""
    for problem in report.problems:
        here, file = Path.cwd(), problem.file
        file = file.relative_to(here) if file.is_relative_to(here) else file
        place = f" {file}:{problem.line}"
        line = Text.assemble((problem.severity, COLOURS[problem.severity]), place)
        line.append(f" {problem.column}" if problem.column else "", style="bold")
        line.append(f": {problem.what}")
        console.print(line)
        console.print(Text(f"    -> {problem.instead}", style="green"))
    n_warnings = len(report.problems) - report.n_errors
    n_rows = f"{len(report.mapping.mapped.rows)} mapped and "
    n_rows += f"{len(report.mapping.out_of_scope.rows)} out-of-scope rows read: "
    counts = f"{count(report.n_errors, 'error')}, {count(n_warnings, 'warning')}"
    console.print(Text.assemble(n_rows, (counts, "bold red" if report.n_errors else "bold green")))


def _print_lists(console: Console, settings: Settings, report: rules.Report) -> None:
    """How the codes of each revision were checked."""
    for revision, sentence in report.checked_against.items():
        style = "yellow" if "not checked" in sentence else ""
        console.print(Text(f"{revision}: {sentence}", style=style))
    if not settings.hs_reference.is_dir():
        console.print(
            f"[yellow]No folder of HS lists[/]: create {settings.hs_reference}, or set "
            "MINERALS_HS_REFERENCE_DIR."
        )


def _read_trade(
    console: Console, settings: Settings, snapshot: Path | None, iso3: str
) -> coverage.Trade | None:
    """The importer's trade; without it, a sentence that says why."""
    if snapshot is None:
        console.print(
            f"\nNo trade values: there is no trade snapshot under {settings.raw_dir} yet "
            "(`minerals refresh` makes one)."
        )
        return None
    from minerals.sources.window import settled

    panel = settled(settings)
    years = panel.first_year, panel.last_year
    try:
        trade = coverage.read_trade(snapshot, settings.seeds_dir, iso3, *years)
    except SnapshotDamagedError as error:
        console.print(f"\n[yellow]No trade values[/]: {error}")
        return None
    if trade is None:
        raise MineralsError(
            f"{iso3} is not an importer in the trade data (country_aliases.csv has no code for it "
            "in the system baci): give an ISO 3166 alpha-3 code, such as IND or JPN."
        )
    return trade


def _print_coverage(
    console: Console, mapping: rules.MappingSeeds, trade: coverage.Trade | None
) -> None:
    rows = coverage.coverage(mapping, trade)
    mapped = sum(row.value_usd or 0.0 for row in rows)
    title = "Codes of each mineral and category"
    if trade:
        title += f", and imports of {trade.importer_iso3} in {trade.first_year}-{trade.last_year}"
    table = []
    for row in rows:
        cells = {"mineral": row.mineral, "category": row.category}
        cells |= {revision: str(n or "") for revision, n in row.n_codes.items()}
        if trade:
            value = row.value_usd
            cells["million USD"] = "-" if value is None else _millions(value)
            cells["share"] = "-" if value is None else f"{value / (mapped or 1):.1%}"
        table.append(cells)
    console.print()
    common.show(console, table, title=title)
    if none := coverage.without_codes(mapping):
        console.print(f"without any code: {'; '.join(none)}")
    if trade:
        outside = coverage.out_of_scope_value(mapping, trade)
        console.print(
            f"Values are those of the codes of {coverage.TRADE_REVISION} in the trade data, which "
            f"hold {len(trade.value_usd)} codes; '-' has none among them. Mapped: "
            f"{_millions(mapped)} million USD; out of scope: {_millions(outside)}."
        )


def _print_unmapped(
    console: Console,
    mapping: rules.MappingSeeds,
    lists: reference.HsLists,
    trade: coverage.Trade | None,
) -> None:
    if not mapping.out_of_scope.is_readable:
        console.print(f"Unmapped lines are not listed: {seeds.OUT_OF_SCOPE} cannot be read.")
        return
    lines = coverage.unmapped(mapping, lists, trade)
    searched = ", ".join(revision for revision in reference.REVISIONS if lists.has(revision))
    chapters = f"chapters {', '.join(reference.CHAPTERS)} ({searched or 'no list available'})"
    if not lines:
        traded = " and no line of the trade" if trade else ""
        console.print(f"Unmapped: no line of {chapters}{traded}.")
        return
    console.print()
    rows = [
        {
            "revision": line.hs_revision,
            "code": line.hs_code,
            "text": line.text,
            "million USD": "" if line.value_usd is None else _millions(line.value_usd),
        }
        for line in lines[:LONGEST]
    ]
    common.show(console, rows, title=f"Largest of {len(lines)} unmapped lines of {chapters}")


def _print_changed_codes(
    console: Console, settings: Settings, mapping: rules.MappingSeeds, most: int | None
) -> None:
    """The codes that mean something else than in the last refresh."""
    from orchestration.resources import Warehouse

    after = {
        (code, revision): meaning
        for revision, codes in mapping.decided().items()
        for code, (_, _, meaning) in codes.items()
    }
    with Warehouse(database=str(settings.database)).reader() as warehouse:
        loaded = warehouse.execute(
            "select hs_code, hs_revision, mineral || ' ' || category from seeds.hs_mineral_map "
            "union all select hs_code, hs_revision, 'out of scope' from seeds.hs_out_of_scope"
        ).fetchall()
    before = {(code, revision): meaning for code, revision, meaning in loaded}
    rows = [
        {
            "revision": code[1],
            "code": code[0],
            "before": before.get(code, "unmapped"),
            "after": after.get(code, "unmapped"),
        }
        for code in sorted(before.keys() | after.keys())
        if before.get(code) != after.get(code)
    ]
    title = f"{count(len(rows), 'code')} changed since the last refresh"
    print_first(console, rows, most, title, "--all")


def _millions(value: float) -> str:
    return f"{value / 1e6:,.1f}"
